/** The card of one node, with what can be done about it. */
import { html, nothing } from '../../vendor/lit-html.js';
import { count, fact, icon } from '../../components/ui.js';

const TONES = { ACTIVE: 'good', JOINING: 'warn', PAUSED: 'warn', LEAVING: 'warn', INACTIVE: 'bad' };

const up = (node) => node.status === 'ACTIVE';

/** What can be done, and when it means something. The dialogs are in cluster-actions.js. */
const ACTIONS = [
  { name: 'promote', label: 'Make leader',
    when: (node, data) => up(node) && node.id !== data.leaderId && node.role !== 'LEARNER' },
  { name: 'resume', label: 'Resume', when: (node) => node.status === 'PAUSED' },
  { name: 'pause', label: 'Pause', when: up },
  { name: 'restart', label: 'Restart', when: up },
  { name: 'stop', label: 'Stop', danger: true, when: (node) => up(node) || node.status === 'PAUSED' },
  { name: 'remove', label: 'Remove', danger: true,
    when: (node, data) => node.status !== 'LEAVING' && data.nodes.length > 1 },
];

/** `data` is the answer that names the node, `age` how old that is; `onAction` is null for a user without the right to act. */
export function nodeCard(node, data, stale, age, onAction) {
  const leads = node.id === data.leaderId && node.status !== 'INACTIVE';
  const status = stale ? 'UNKNOWN' : node.status;
  const actions = onAction ? ACTIONS.filter((action) => action.when(node, data)) : [];
  return html`
    <li class="card node ${leads ? 'leads' : ''}" data-testid="node-card"
      data-node=${node.id} data-role=${node.role} data-status=${status}>
      <div class="node-head">${heading(node, data, leads)}${statusBadge(status, node.silent_ms)}</div>
      <p class="node-url">${link(node.url)}</p>
      ${node.description ? html`<p class="muted">${node.description}</p>` : nothing}
      ${facts(node, data, stale, age, leads)}
      ${onAction ? html`<div class="row node-actions">${actions.map((action) =>
        actionButton(action, node, stale, onAction))}</div>` : nothing}
    </li>`;
}

const heading = (node, data, leads) => html`<h2>
  ${leads ? html`
    <span class="crown" title="Leader" data-testid="leader-crown">${icon('crown')}</span>` : nothing}
  ${node.id}${node.id === data.nodeId ? html`<span class="tag">this node</span>` : nothing}</h2>`;

function statusBadge(status, silent) {
  const tone = silent ? 'bad' : TONES[status] ?? '';
  return html`<span class="status ${tone}" data-testid="node-status">
    <span class="dot ${tone}"></span>${label(status)}</span>`;
}

const actionButton = (action, node, stale, onAction) => html`
  <button type="button" class="small ${action.danger ? 'danger-text' : ''}" ?disabled=${stale}
    data-testid="node-${action.name}" aria-label="${action.label} ${node.id}"
    @click=${() => onAction(action.name)}>${action.label}</button>`;

function facts(node, data, stale, age, leads) {
  const roleIsOld = stale || node.status === 'INACTIVE' || (node.role === 'LEADER' && !leads);
  return html`<dl class="facts">
    ${fact(roleIsOld ? 'Last role' : 'Role', label(node.role), 'node-role')}
    ${fact('Lag', lag(node, leads), 'node-lag')}
    ${node.problem ? fact('Problem', node.problem, 'node-problem') : ''}
    ${fact('Last seen', lastSeen(node, data, stale, age), 'node-last-seen')}
    ${fact('Clock', clock(node), 'node-clock')}
  </dl>`;
}

const label = (word) => word.charAt(0) + word.slice(1).toLowerCase();

/** Only web addresses become links; anything else stays text. */
const link = (url) => (/^https?:\/\//i.test(url)
  ? html`<a href=${url} rel="noreferrer" data-testid="node-url">${url}</a>`
  : html`<span data-testid="node-url">${url}</span>`);

const unknown = html`<span class="muted">unknown</span>`;

/** How much of the log the node has still to get. */
function lag(node, leads) {
  if (leads) return 'none';
  if (node.lag === undefined || node.lag === null || node.silent_ms) return unknown; // it may have changed since
  return node.lag === 0 ? 'in sync' : `${count(node.lag)} ${node.lag === 1 ? 'entry' : 'entries'} behind`;
}

/** When the node was heard last, by the one whose knowledge this is. */
function lastSeen(node, { nodeId, view }, stale, age) {
  if (node.id === nodeId) return stale ? `${duration(age)} ago` : 'answering';
  if (node.id === view?.from) return view.note ? `${duration(view.age_ms + age)} ago` : 'answering';
  if (node.last_seen_ms === undefined || node.last_seen_ms === null) return unknown;
  return `${duration((node.silent_ms ?? node.last_seen_ms) + (view?.age_ms ?? 0) + age)} ago`;
}

/** What the answer's sentence says when a clock is wrong, for each node. */
function clock({ clock_ms_ahead: ms }) {
  if (ms === undefined || ms === null) return unknown;
  if (Math.abs(ms) < 1000) return 'right';
  return `${duration(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}`;
}

/** Rough on purpose: digits that change twice a second tell nothing. */
export function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return 'under 1 s';
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
