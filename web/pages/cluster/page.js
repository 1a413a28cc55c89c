/** The cluster, live. What is shown is either fresh or marked with its age. */
import { html, nothing } from '../../vendor/lit-html.js';
import { cluster } from '../../api/calls.js';
import { addButton, errorBox, fact, toastError } from '../../components/ui.js';
import { duration, nodeCard } from './node-card.js';
import { OpenTransactions } from './transactions.js';

const POLL_MS = 500;
const FRESH_MS = 1_000; // older data is shown as old

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
      data = await cluster.status();
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
    error = null; // it is about what was shown then
  }

  /** Opens a dialog with `ask`, a function of cluster-actions.js. */
  const act = (ask) => async () => {
    try {
      await ask(await import('./actions.js'));
      await poll();
    } catch (cause) {
      toastError(cause);
    }
  };

  function view() {
    if (!data && !error) return html`<p class="loading">Asking the cluster…</p>`;
    const age = performance.now() - dataAt;
    const stale = Boolean(error) || age > FRESH_MS;
    const admin = app.session.role === 'admin';
    const nodes = [...(data?.nodes ?? [])].sort((a, b) => a.raft_id - b.raft_id);
    const onAction = (node) => (admin
      ? (name) => act((actions) => actions.act(name, node, data))() : null);
    return html`
      <div class="heading"><h1>Cluster</h1>
        ${admin && data?.enabled ? html`<div class="row">
          <button type="button" ?disabled=${stale} data-testid="join-token-create"
            @click=${act((actions) => actions.addToken(data))}>Join token</button>
          ${addButton('cluster-add', 'Add node', act((actions) => actions.addNode(data)), stale)}</div>`
          : nothing}</div>
      ${healthPanel(data, error, stale, age)}
      ${error ? errorBox(error, 'cluster-error',
        html`<span class="muted">It is asked again twice a second.</span>`) : nothing}
      <ul class="nodes ${stale ? 'stale' : ''}" data-testid="node-list">
        ${nodes.map((node) => nodeCard(node, data, stale, age, onAction(node)))}
      </ul>${open.view()}`;
  }

  return { title: () => 'Cluster', start, stop, view };
}

function healthPanel(data, error, stale, age) {
  const { sentence, tone, hint } = data && !stale ? freshSummary(data) : staleSummary(data, error, age);
  return html`
    <section class="card health ${tone}" aria-label="Health">
      <p class="sentence"><span class="dot ${tone}"></span>
        <span data-testid="health-sentence" role="status">${sentence}</span></p>
      ${hint ? html`<p class="hint" data-testid="no-writes">${hint}</p>` : nothing}
      ${data?.enabled ? facts(data, stale) : nothing}
      ${data ? html`<p class="muted age" data-testid="data-age">${source(data, stale, age)}</p>` : nothing}
    </section>`;
}

/** Whose knowledge this is, and how old. */
function source({ nodeId, enabled, view }, stale, age) {
  if (!enabled || !view) return stale ? `Last answer ${duration(age)} ago` : 'Live';
  if (view.note && !stale) return view.note;
  const through = view.from === nodeId ? '' : `, told by ${nodeId}`;
  return `Known to ${view.leader ? 'the leader ' : ''}${view.from} ${duration(view.age_ms + age)} ago${through}.`;
}

/** The first thing to read is true now, not when the data was fetched. */
function staleSummary(data, error, age) {
  const tone = 'bad';
  if (!data) return { sentence: 'The state of the cluster is unknown: this node does not answer.', tone };
  const why = error && error.status !== 0
    ? 'This node cannot tell the state of the cluster.' : `${data.nodeId}, which serves this page, does not answer.`;
  return { sentence: `${why} What you see was true ${duration(age)} ago.`, tone };
}

const NO_WRITES = `Writes and up-to-date reads are refused until a majority of the voters answers.
  Start the nodes that are down, or look at their logs.`;

const isVoter = ({ role }) => role !== 'LEARNER';
/** A paused node refuses clients but goes on voting. */
const isLive = ({ status, silent_ms: silent }) => ['ACTIVE', 'PAUSED'].includes(status) && !silent;

function freshSummary({ enabled, health, leaderId, quorum, nodes, view }) {
  if (!enabled) return { sentence: 'This server runs alone, without a cluster.', tone: 'good' };
  if (!leaderId) return { sentence: health || 'There is no leader.', tone: 'bad', hint: NO_WRITES };
  const live = nodes.filter(isVoter).filter(isLive).length;
  if (live < quorum) {
    const sentence = `Only ${live} of the ${quorum} needed voters is live: nothing can be written.`;
    return { sentence, tone: 'bad', hint: NO_WRITES };
  }
  const well = nodes.every((node) => node.status === 'ACTIVE') && !view?.note;
  return { sentence: health || `The leader is ${leaderId}.`, tone: well ? 'good' : 'warn' };
}

function facts(data, stale) {
  const voters = data.nodes.filter(isVoter).length;
  return html`<dl class="facts ${stale ? 'stale' : ''}">
    ${fact('Leader', data.leaderId ?? 'none', 'fact-leader')}
    ${fact('This node', `${data.nodeId} (${data.state.toLowerCase()})`, 'fact-self')}
    ${fact('Term', data.term, 'fact-term')}
    ${fact('Quorum', `${data.quorum} of ${voters} voters`, 'fact-quorum')}
    ${fact('Applied index', data.appliedIndex?.toLocaleString('en'), 'fact-applied')}
    ${data.clusterId ? fact('Cluster', html`<code>${data.clusterId}</code>`, 'fact-cluster') : nothing}
  </dl>`;
}
