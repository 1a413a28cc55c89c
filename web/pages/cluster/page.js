/** The state of the cluster, updated twice a second. Data is either current or shown with its age. */
import { html, nothing } from '../../vendor/lit-html.js';
import { cluster } from '../../api/calls.js';
import { addButton, count, duration, errorBox, fact, plural, toastError } from '../../components/ui.js';
import { isLive, isVoter, nodeCard } from './node-card.js';
import { Groups } from './groups.js';
import { Tasks } from './tasks.js';
import { OpenTransactions } from './transactions.js';

const POLL_MS = 500;
const CURRENT_MS = 1_000; // older data is shown as stale

export class ClusterPage {
  #data = null; // the last answer
  #dataAt = 0; // when it was received, performance.now()
  #error = null; // of the last poll
  #polling = false;
  #timer;
  #groups;
  #tasks;
  #transactions;

  constructor(app) {
    this.app = app;
    this.#groups = new Groups(app);
    this.#tasks = new Tasks(app);
    this.#transactions = new OpenTransactions(app);
  }

  title() { return 'Cluster'; }

  start() {
    this.#timer = setInterval(this.#poll, POLL_MS);
    document.addEventListener('visibilitychange', this.#poll);
    this.#poll();
    this.#groups.start();
    this.#tasks.start();
    this.#transactions.start();
  }

  stop() {
    this.#groups.stop();
    this.#tasks.stop();
    this.#transactions.stop();
    clearInterval(this.#timer);
    document.removeEventListener('visibilitychange', this.#poll);
    this.#error = null; // outdated when the page is shown again
  }

  #poll = async () => {
    this.app.update(); // ages are shown
    if (this.#polling || document.hidden) return;
    this.#polling = true;
    try {
      this.#data = await cluster.status();
      this.#dataAt = performance.now();
      this.#error = null;
    } catch (error) {
      this.#error = error;
    }
    this.#polling = false;
    this.app.update();
  };

  /** A handler that opens a dialog with `ask(dialogs)`; `dialogs` are the functions of `dialogs.js`. */
  #asking(ask) {
    return async () => {
      try {
        await ask(await import('./dialogs.js'));
        await this.#poll();
      } catch (error) {
        toastError(error);
      }
    };
  }

  view() {
    const data = this.#data;
    const error = this.#error;
    if (!data && !error) return html`<p class="loading">Loading the state of the cluster…</p>`;
    const age = performance.now() - this.#dataAt;
    const stale = Boolean(error) || age > CURRENT_MS;
    return html`
      <div class="heading"><h1>Cluster</h1>${this.#buttons(stale)}</div>
      ${healthPanel(data, error, stale, age)}
      ${error ? errorBox(error, 'cluster-error',
        html`<span class="muted">The page retries twice a second.</span>`) : nothing}
      ${this.#nodes(stale, age)}
      ${this.#groups.view(sortedNodes(data))}
      ${this.#tasks.view()}
      ${this.#transactions.view()}`;
  }

  get #isAdmin() { return this.app.session.role === 'admin'; }

  #buttons(stale) {
    const data = this.#data;
    if (!this.#isAdmin || !data?.enabled) return nothing;
    return html`<div class="row">
      <button type="button" ?disabled=${stale} data-testid="join-token-create"
        @click=${this.#asking((dialogs) => dialogs.createJoinToken(data))}>Create join token</button>
      ${addButton('cluster-add', 'Add node', this.#asking((dialogs) => dialogs.addNode(data)), stale)}</div>`;
  }

  #nodes(stale, age) {
    const data = this.#data;
    const nodes = sortedNodes(data);
    const actOn = (node) => (action) => this.#asking((dialogs) => dialogs.confirmAction(action, node, data))();
    return html`<ul class="nodes ${stale ? 'stale' : ''}" data-testid="node-list">
      ${nodes.map((node) => nodeCard(node, data, { stale, age, onAction: this.#isAdmin ? actOn(node) : null }))}</ul>`;
  }
}

const sortedNodes = (data) => [...(data?.nodes ?? [])].sort((a, b) => a.raft_id - b.raft_id);

function healthPanel(data, error, stale, age) {
  const { sentence, tone, hint } = data && !stale ? currentSummary(data) : staleSummary(data, error, age);
  return html`
    <section class="card health ${tone}" aria-label="Health">
      <p class="sentence"><span class="dot ${tone}"></span>
        <span data-testid="health-sentence" role="status">${sentence}</span></p>
      ${hint ? html`<p class="hint" data-testid="no-writes">${hint}</p>` : nothing}
      ${data?.enabled ? facts(data, stale) : nothing}
      ${data ? html`<p class="muted age" data-testid="data-age">${source(data, stale, age)}</p>` : nothing}
    </section>`;
}

/** Which node the data is from, and how old it is. */
function source({ nodeId, enabled, view }, stale, age) {
  if (!enabled || !view) return stale ? `Last answer ${duration(age)} ago` : 'Live';
  if (view.note && !stale) return view.note;
  const reporter = view.from === nodeId ? '' : `, reported by ${nodeId}`;
  return `Seen by ${view.leader ? 'the leader ' : ''}${view.from} ${duration(view.age_ms + age)} ago${reporter}.`;
}

/** Says first that the data is old: the summary of the server was true only when it was sent. */
function staleSummary(data, error, age) {
  const tone = 'bad';
  if (!data) return { sentence: 'The state of the cluster is unknown, because this node does not answer.', tone };
  const reason = error && error.status !== 0
    ? 'This node cannot report the state of the cluster.' : `${data.nodeId}, which serves this page, does not answer.`;
  return { sentence: `${reason} This was the state ${duration(age)} ago.`, tone };
}

const NO_WRITES = `Writes and linearizable reads are refused until a majority of the voters answers.
  Start the nodes that are down, or look at their logs.`;

function currentSummary({ enabled, health, leaderId, quorum, nodes, view }) {
  if (!enabled) return { sentence: 'This server runs alone, without a cluster.', tone: 'good' };
  if (!leaderId) return { sentence: health || 'There is no leader.', tone: 'bad', hint: NO_WRITES };
  const live = nodes.filter(isVoter).filter(isLive).length;
  if (live < quorum) {
    const sentence = `Only ${plural(live, 'voter')} live, fewer than the quorum of ${quorum}: nothing can be written.`;
    return { sentence, tone: 'bad', hint: NO_WRITES };
  }
  const healthy = nodes.every((node) => node.status === 'ACTIVE') && !view?.note;
  return { sentence: health || `The leader is ${leaderId}.`, tone: healthy ? 'good' : 'warn' };
}

function facts(data, stale) {
  const voters = data.nodes.filter(isVoter).length;
  return html`<dl class="facts ${stale ? 'stale' : ''}">
    ${fact('Leader', data.leaderId ?? 'none', 'fact-leader')}
    ${fact('This node', `${data.nodeId} (${data.state.toLowerCase()})`, 'fact-self')}
    ${fact('Term', data.term, 'fact-term')}
    ${fact('Quorum', `${data.quorum} of ${voters} voters`, 'fact-quorum')}
    ${fact('Applied index', data.appliedIndex === undefined ? undefined : count(data.appliedIndex), 'fact-applied')}
    ${fact('Feature level', featureLevel(data), 'fact-feature-level')}
    ${data.clusterId ? fact('Cluster', html`<code>${data.clusterId}</code>`, 'fact-cluster') : nothing}
  </dl>`;
}

/** The feature level in force in the system group, and where it is held. */
function featureLevel({ groups, maxFeatureLevel: max }) {
  const level = groups?.find(({ id }) => id === 0)?.feature_level;
  return level === undefined || max === undefined ? level : `${level}, held at ${max}`;
}
