/** The cluster, live. What is shown is either fresh or marked with its age. */
import { html, nothing } from '../vendor/lit-html.js';
import { cluster } from '../api.js';
import { errorBox, icon } from '../components/ui.js';
import { addNode, act, actionsFor } from './cluster-actions.js';

const POLL_MS = 1_000;
const FRESH_MS = 3_500; // older data is shown as old

export function clusterPage(app) {
  let data = null; // the last answer
  let dataAt = 0; // when it came, performance.now()
  let error = null; // why the last poll failed
  let polling = false;
  let timer;

  async function poll() {
    app.update(); // ages grow
    if (polling || document.hidden) return;
    polling = true;
    try {
      data = await cluster.get();
      dataAt = performance.now();
      error = null;
    } catch (cause) {
      error = cause;
    }
    polling = false;
    app.update();
  }

  function start() {
    timer = setInterval(poll, POLL_MS);
    document.addEventListener('visibilitychange', poll);
    poll();
  }

  function stop() {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', poll);
  }

  function view() {
    if (!data && !error) return html`<p class="loading">Asking the cluster…</p>`;
    const age = performance.now() - dataAt;
    const stale = Boolean(error) || age > FRESH_MS;
    const admin = app.session.role === 'admin';
    const nodes = [...(data?.nodes ?? [])].sort((a, b) => a.raft_id - b.raft_id);
    return html`
      <div class="heading"><h1>Cluster</h1>
        ${admin && data?.enabled ? html`<button class="primary" data-testid="cluster-add" ?disabled=${stale}
          @click=${() => addNode(data).then(poll)}>${icon('plus')}Add node</button>` : nothing}</div>
      ${healthPanel(data, error, stale, age)}
      ${error ? errorBox(error, 'cluster-error', html`<span class="muted">Trying again every second</span>`) : nothing}
      ${!stale && !data.leaderId && data.enabled ? noLeader() : nothing}
      <ul class="nodes ${stale ? 'stale' : ''}" data-testid="node-list">
        ${nodes.map((node) => nodeCard(node, data, stale,
          admin ? (action) => act(action, node, data).then(poll) : null))}
      </ul>`;
  }

  return { title: () => 'Cluster', start, stop, view };
}

const noLeader = () => html`
  <div class="notice bad" role="status" data-testid="no-leader"><div>
    <p class="error-message">There is no leader.</p>
    <p class="error-hint">Writes and up-to-date reads are refused until a majority of the voters can elect one.
      Start the nodes that are down, or look at their logs.</p></div></div>`;

function healthPanel(data, error, stale, age) {
  const { sentence, tone } = summary(data, error, stale, age);
  return html`
    <section class="card health ${tone}" aria-label="Health">
      <p class="sentence"><span class="dot ${tone}"></span>
        <span data-testid="health-sentence" role="status">${sentence}</span></p>
      ${data ? facts(data, stale) : nothing}
      <p class="muted age" data-testid="data-age">${!data ? nothing
        : stale ? `Last answer ${duration(age)} ago` : 'Live, every second'}</p>
    </section>`;
}

/** The first thing to read: true now, not when the data was fetched. */
function summary(data, error, stale, age) {
  if (!data) return { sentence: 'The state of the cluster is unknown: this node does not answer.', tone: 'bad' };
  if (stale) {
    const why = error && error.status !== 0 ? 'This node cannot tell the state of the cluster.'
      : 'This node does not answer.';
    return { sentence: `${why} What you see was true ${duration(age)} ago.`, tone: 'bad' };
  }
  if (!data.enabled) return { sentence: 'This server runs alone, without a cluster.', tone: 'good' };
  const { health } = data;
  if (!data.leaderId) return { sentence: health || 'There is no leader; the cluster does not accept writes.', tone: 'bad' };
  const allActive = data.nodes.every((node) => node.status === 'ACTIVE');
  return { sentence: health || `The leader is ${data.leaderId}.`, tone: allActive ? 'good' : 'warn' };
}

const fact = (label, value, testid) => html`
  <div><dt>${label}</dt><dd data-testid=${testid ?? nothing}>${value ?? '–'}</dd></div>`;

function facts(data, stale) {
  if (!data.enabled) return nothing;
  const voters = data.nodes.filter((node) => node.role !== 'LEARNER').length;
  return html`<dl class="facts ${stale ? 'stale' : ''}">
    ${fact('Leader', data.leaderId ?? 'none', 'fact-leader')}
    ${fact('This node', `${data.nodeId} (${data.state.toLowerCase()})`, 'fact-self')}
    ${fact('Term', data.term, 'fact-term')}
    ${fact('Quorum', `${data.quorum} of ${voters} voters`, 'fact-quorum')}
    ${fact('Applied index', data.appliedIndex?.toLocaleString('en'), 'fact-applied')}
    ${data.clusterId ? fact('Cluster', html`<code>${data.clusterId}</code>`, 'fact-cluster') : nothing}
  </dl>`;
}

const TONES = { ACTIVE: 'good', JOINING: 'warn', PAUSED: 'warn', LEAVING: 'warn', INACTIVE: 'bad' };

function nodeCard(node, data, stale, onAction) {
  const leads = node.id === data.leaderId && node.status !== 'INACTIVE';
  const status = stale ? 'UNKNOWN' : node.status;
  const roleIsOld = stale || node.status === 'INACTIVE' || (node.role === 'LEADER' && !leads);
  return html`
    <li class="card node ${leads ? 'leads' : ''}" data-testid="node-card" data-node=${node.id} data-role=${node.role} data-status=${status}>
      <div class="node-head">
        <h2>${leads ? html`<span class="crown" title="Leader" data-testid="leader-crown">${icon('crown')}</span>` : nothing}
          ${node.id}${node.id === data.nodeId ? html`<span class="tag">this node</span>` : nothing}</h2>
        <span class="status ${stale ? '' : TONES[status] ?? ''}" data-testid="node-status">
          <span class="dot ${stale ? '' : TONES[status] ?? ''}"></span>${label(status)}</span>
      </div>
      <p class="node-url">${link(node.url)}</p>
      ${node.description ? html`<p class="muted">${node.description}</p>` : nothing}
      <dl class="facts">
        ${fact(roleIsOld ? 'Last role' : 'Role', label(node.role), 'node-role')}
        ${fact('Term', data.term, 'node-term')}
        ${fact('Lag', lag(node, leads), 'node-lag')}
        ${fact('Last seen', lastSeen(node, data, stale), 'node-last-seen')}
      </dl>
      ${onAction ? html`<div class="row node-actions">${actionsFor(node, data).map((action) => html`
        <button type="button" class="small ${action.danger ? 'danger-text' : ''}" ?disabled=${stale}
          data-testid="node-${action.name}" aria-label="${action.label} ${node.id}"
          @click=${() => onAction(action)}>${action.label}</button>`)}</div>` : nothing}
    </li>`;
}

const label = (word) => word.charAt(0) + word.slice(1).toLowerCase();

/** Only web addresses become links; anything else stays text. */
const link = (url) => (/^https?:\/\//i.test(url)
  ? html`<a href=${url} rel="noreferrer" data-testid="node-url">${url}</a>`
  : html`<span data-testid="node-url">${url}</span>`);

const onlyLeaderKnows = html`<span class="muted" title="The leader's page shows it">leader knows</span>`;

function lag(node, leads) {
  if (leads) return 'none';
  if (node.lag === undefined || node.lag === null) return onlyLeaderKnows;
  return node.lag === 0 ? 'in sync' : `${node.lag.toLocaleString('en')} behind`;
}

function lastSeen(node, data, stale) {
  if (node.id === data.nodeId) return stale ? 'not answering' : 'answering';
  if (node.last_seen_ms === undefined || node.last_seen_ms === null) {
    return data.nodeId === data.leaderId ? 'never' : onlyLeaderKnows;
  }
  return `${duration(node.last_seen_ms)} ago`;
}

/** Rough on purpose: digits that change twice a second tell nothing. */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'under 1 s';
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
