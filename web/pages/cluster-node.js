/** The card of one node. */
import { html, nothing } from '../vendor/lit-html.js';
import { fact, icon } from '../components/ui.js';
import { actionsFor } from './cluster-actions.js';

const TONES = { ACTIVE: 'good', JOINING: 'warn', PAUSED: 'warn', LEAVING: 'warn', INACTIVE: 'bad' };

/** `data` is the answer the node came with; `onAction` is null for those who may not act. */
export function nodeCard(node, data, stale, onAction) {
  const leads = node.id === data.leaderId && node.status !== 'INACTIVE';
  const status = stale ? 'UNKNOWN' : node.status;
  return html`
    <li class="card node ${leads ? 'leads' : ''}" data-testid="node-card"
      data-node=${node.id} data-role=${node.role} data-status=${status}>
      <div class="node-head">${heading(node, data, leads)}${statusBadge(status)}</div>
      <p class="node-url">${link(node.url)}</p>
      ${node.description ? html`<p class="muted">${node.description}</p>` : nothing}
      ${facts(node, data, stale, leads)}
      ${onAction ? html`<div class="row node-actions">${actionsFor(node, data).map((action) =>
        actionButton(action, node, stale, onAction))}</div>` : nothing}
    </li>`;
}

const heading = (node, data, leads) => html`<h2>
  ${leads ? html`
    <span class="crown" title="Leader" data-testid="leader-crown">${icon('crown')}</span>` : nothing}
  ${node.id}${node.id === data.nodeId ? html`<span class="tag">this node</span>` : nothing}</h2>`;

function statusBadge(status) {
  const tone = TONES[status] ?? '';
  return html`<span class="status ${tone}" data-testid="node-status">
    <span class="dot ${tone}"></span>${label(status)}</span>`;
}

const actionButton = (action, node, stale, onAction) => html`
  <button type="button" class="small ${action.danger ? 'danger-text' : ''}" ?disabled=${stale}
    data-testid="node-${action.name}" aria-label="${action.label} ${node.id}"
    @click=${() => onAction(action)}>${action.label}</button>`;

function facts(node, data, stale, leads) {
  const roleIsOld = stale || node.status === 'INACTIVE' || (node.role === 'LEADER' && !leads);
  return html`<dl class="facts">
    ${fact(roleIsOld ? 'Last role' : 'Role', label(node.role), 'node-role')}
    ${fact('Term', data.term, 'node-term')}
    ${fact('Lag', lag(node, data, leads), 'node-lag')}
    ${node.problem ? fact('Problem', node.problem, 'node-problem') : ''}
    ${fact('Last seen', lastSeen(node, data, stale), 'node-last-seen')}
    ${fact('Clock', clock(node), 'node-clock')}
  </dl>`;
}

const label = (word) => word.charAt(0) + word.slice(1).toLowerCase();

/** Only web addresses become links; anything else stays text. */
const link = (url) => (/^https?:\/\//i.test(url)
  ? html`<a href=${url} rel="noreferrer" data-testid="node-url">${url}</a>`
  : html`<span data-testid="node-url">${url}</span>`);

/** What only the leader measures. */
const unknownHere = ({ leaderId }) => (leaderId
  ? html`<span class="muted" title="The leader's page shows it">leader knows</span>`
  : html`<span class="muted">unknown</span>`);

function lag(node, data, leads) {
  if (leads) return 'none';
  if (node.lag === undefined || node.lag === null) return unknownHere(data);
  return node.lag === 0 ? 'in sync' : `${node.lag.toLocaleString('en')} behind`;
}

function lastSeen(node, data, stale) {
  if (node.id === data.nodeId) return stale ? 'not answering' : 'answering';
  if (node.last_seen_ms === undefined || node.last_seen_ms === null) {
    return data.nodeId === data.leaderId ? 'never' : unknownHere(data);
  }
  return `${duration(node.last_seen_ms)} ago`;
}

/** What the answer's sentence says when a clock is wrong, for each node. */
function clock({ clock_ms_ahead: ms }) {
  if (ms === undefined || ms === null) return html`<span class="muted">unknown</span>`;
  if (Math.abs(ms) < 1000) return 'right';
  return `${duration(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}`;
}

/** Rough on purpose: digits that change twice a second tell nothing. */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'under 1 s';
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
