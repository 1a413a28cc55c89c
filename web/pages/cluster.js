/** The cluster, live. What is shown is either fresh or marked with its age. */
import { html, nothing } from '../vendor/lit-html.js';
import { cluster } from '../api.js';
import { figuresOf } from '../components/quorum.js';
import { addButton, errorBox, fact } from '../components/ui.js';
import { addNode, addToken, act } from './cluster-actions.js';
import { duration, nodeCard } from './cluster-node.js';
import { OpenTransactions } from './cluster-transactions.js';

const POLL_MS = 1_000;
const FRESH_MS = 3_500; // older data is shown as old

export function clusterPage(app) {
  let data = null; // the last answer
  let dataAt = 0; // when it came, performance.now()
  let error = null; // why the last poll failed
  let polling = false;
  let timer;
  const open = new OpenTransactions(app);

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
    open.start();
  }

  function stop() {
    open.stop();
    clearInterval(timer);
    document.removeEventListener('visibilitychange', poll);
  }

  function view() {
    if (!data && !error) return html`<p class="loading">Asking the cluster…</p>`;
    const age = performance.now() - dataAt;
    const stale = Boolean(error) || age > FRESH_MS;
    const admin = app.session.role === 'admin';
    const nodes = [...(data?.nodes ?? [])].sort((a, b) => a.raft_id - b.raft_id);
    const onAction = (node) => (admin ? (action) => act(action, node, data).then(poll) : null);
    const add = () => addNode(data).then(poll);
    return html`
      <div class="heading"><h1>Cluster</h1>
        ${admin && data?.enabled ? html`<div class="row">
          <button type="button" ?disabled=${stale} data-testid="cluster-token"
            @click=${() => addToken(data)}>Join token</button>
          ${addButton('cluster-add', 'Add node', add, stale)}</div>` : nothing}</div>
      ${healthPanel(data, error, stale, age)}
      ${error ? errorBox(error, 'cluster-error',
        html`<span class="muted">Trying again every second</span>`) : nothing}
      <ul class="nodes ${stale ? 'stale' : ''}" data-testid="node-list">
        ${nodes.map((node) => nodeCard(node, data, stale, onAction(node)))}
      </ul>${open.view()}`;
  }

  return { title: () => 'Cluster', start, stop, view };
}

function healthPanel(data, error, stale, age) {
  const { sentence, tone, hint } = data && !stale ? freshSummary(data) : staleSummary(data, error, age);
  const told = stale ? `Last answer ${duration(age)} ago` : 'Live, every second';
  return html`
    <section class="card health ${tone}" aria-label="Health">
      <p class="sentence"><span class="dot ${tone}"></span>
        <span data-testid="health-sentence" role="status">${sentence}</span></p>
      ${hint ? html`<p class="hint" data-testid="no-writes">${hint}</p>` : nothing}
      ${data?.enabled ? facts(data, stale) : nothing}
      <p class="muted age" data-testid="data-age">${data ? told : nothing}</p>
    </section>`;
}

/** The first thing to read is true now, not when the data was fetched. */
function staleSummary(data, error, age) {
  const tone = 'bad';
  if (!data) return { sentence: 'The state of the cluster is unknown: this node does not answer.', tone };
  const why = error && error.status !== 0
    ? 'This node cannot tell the state of the cluster.' : 'This node does not answer.';
  return { sentence: `${why} What you see was true ${duration(age)} ago.`, tone };
}

const NO_WRITES = `Writes and up-to-date reads are refused until a majority of the voters answers.
  Start the nodes that are down, or look at their logs.`;

function freshSummary({ enabled, health, leaderId, nodes }) {
  if (!enabled) return { sentence: 'This server runs alone, without a cluster.', tone: 'good' };
  const { live, quorum } = figuresOf(nodes);
  if (!leaderId) return { sentence: health || 'There is no leader.', tone: 'bad', hint: NO_WRITES };
  if (live < quorum) {
    const sentence = `Only ${live} of the ${quorum} needed voters is live: nothing can be written.`;
    return { sentence, tone: 'bad', hint: NO_WRITES };
  }
  const allActive = nodes.every((node) => node.status === 'ACTIVE');
  return { sentence: health || `The leader is ${leaderId}.`, tone: allActive ? 'good' : 'warn' };
}

function facts(data, stale) {
  const { voters } = figuresOf(data.nodes);
  return html`<dl class="facts ${stale ? 'stale' : ''}">
    ${fact('Leader', data.leaderId ?? 'none', 'fact-leader')}
    ${fact('This node', `${data.nodeId} (${data.state.toLowerCase()})`, 'fact-self')}
    ${fact('Term', data.term, 'fact-term')}
    ${fact('Quorum', `${data.quorum} of ${voters} voters`, 'fact-quorum')}
    ${fact('Applied index', data.appliedIndex?.toLocaleString('en'), 'fact-applied')}
    ${data.clusterId ? fact('Cluster', html`<code>${data.clusterId}</code>`, 'fact-cluster') : nothing}
  </dl>`;
}
