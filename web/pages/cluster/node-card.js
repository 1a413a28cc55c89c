/** The card of one node with the buttons of its actions. */
import { html, nothing } from '../../vendor/lit-html.js';
import { count, duration, fact, icon } from '../../components/ui.js';

const TONES = { ACTIVE: 'good', JOINING: 'warn', PAUSED: 'warn', LEAVING: 'warn', INACTIVE: 'bad' };

/** Voters decide by majority; learners only receive the log. */
export const isVoter = ({ role }) => role !== 'LEARNER';
/** Whether the node takes part in decisions. A paused node refuses clients but still votes. */
export const isLive = ({ status, silent_ms: silent }) => ['ACTIVE', 'PAUSED'].includes(status) && !silent;

/** The actions, and when each is possible. Their dialogs are in `dialogs.js`. */
const isActive = (node) => node.status === 'ACTIVE';
const ACTIONS = [
  { name: 'promote', label: 'Promote',
    when: (node, data) => isActive(node) && node.id !== data.leaderId && isVoter(node) },
  { name: 'resume', label: 'Resume', when: (node) => node.status === 'PAUSED' },
  { name: 'pause', label: 'Pause', when: isActive },
  { name: 'restart', label: 'Restart', when: isActive },
  { name: 'stop', label: 'Stop', danger: true, when: (node) => isActive(node) || node.status === 'PAUSED' },
  { name: 'remove', label: 'Remove', danger: true,
    when: (node, data) => node.status !== 'LEAVING' && data.nodes.length > 1 },
];

/**
 * `data` is the status of the cluster, `age` its age in milliseconds. `onAction(name)` is null for
 * users without the right to act.
 */
export function nodeCard(node, data, { stale, age, onAction }) {
  const leads = node.id === data.leaderId && node.status !== 'INACTIVE';
  const status = stale ? 'UNKNOWN' : node.status;
  const actions = onAction ? ACTIONS.filter((action) => action.when(node, data)) : [];
  return html`
    <li class="card node ${leads ? 'leads' : ''}" data-testid="node-card"
      data-node=${node.id} data-role=${node.role} data-status=${status}>
      <div class="node-head">${heading(node, data, leads)}${statusBadge(status, node.silent_ms)}</div>
      <p class="node-url">${link(node.url)}</p>
      ${node.description ? html`<p class="muted">${node.description}</p>` : nothing}
      ${facts(node, data, { stale, age, leads })}
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

function facts(node, data, { stale, age, leads }) {
  const isOld = stale || node.status === 'INACTIVE' || (node.role === 'LEADER' && !leads);
  return html`<dl class="facts">
    ${fact(isOld ? 'Last role' : 'Role', label(node.role), 'node-role')}
    ${fact('Lag', lag(node, leads), 'node-lag')}
    ${node.problem ? fact('Problem', node.problem, 'node-problem') : nothing}
    ${fact('Last seen', lastSeen(node, data, stale, age), 'node-last-seen')}
    ${fact('Clock', clock(node), 'node-clock')}
  </dl>`;
}

const label = (word) => word.charAt(0) + word.slice(1).toLowerCase();

/** Only http and https URLs become links. */
const link = (url) => (/^https?:\/\//i.test(url)
  ? html`<a href=${url} rel="noreferrer" data-testid="node-url">${url}</a>`
  : html`<span data-testid="node-url">${url}</span>`);

const unknown = html`<span class="muted">unknown</span>`;

/** How many log entries the node still lacks. */
function lag(node, leads) {
  if (leads) return 'none';
  if (node.lag === undefined || node.lag === null || node.silent_ms) return unknown; // a silent node may have received more
  return node.lag === 0 ? 'in sync' : `${count(node.lag)} ${node.lag === 1 ? 'entry' : 'entries'} behind`;
}

/** When the node last answered the node that reports the status. */
function lastSeen(node, { nodeId, view }, stale, age) {
  if (node.id === nodeId) return stale ? `${duration(age)} ago` : 'answering';
  if (node.id === view?.from) return view.note ? `${duration(view.age_ms + age)} ago` : 'answering';
  if (node.last_seen_ms === undefined || node.last_seen_ms === null) return unknown;
  return `${duration((node.silent_ms ?? node.last_seen_ms) + (view?.age_ms ?? 0) + age)} ago`;
}

/** How far the clock of the node differs from the time of the cluster. */
function clock({ clock_ms_ahead: ms }) {
  if (ms === undefined || ms === null) return unknown;
  if (Math.abs(ms) < 1000) return 'correct';
  return `${duration(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}`;
}
