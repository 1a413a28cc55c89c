/** Continues at another node when the node that serves the page no longer answers. */
import { html, nothing } from '../vendor/lit-html.js';
import { cluster, lastCluster, onUnreachable } from '../api/calls.js';
import { toastError } from '../components/ui.js';

const RETRY_MS = 1_000; // the node may only have dropped a connection
const PROBE_MS = 1_500;
const TIMEOUTS_MAX = 2; // probes after which a slow node counts as unreachable
const UNAVAILABLE = ['INACTIVE', 'PAUSED', 'LEAVING'];

/** Whether a node answers at this URL with any status: `answers`, `slow` or `unreachable`. */
async function probe(base) {
  try {
    const signal = AbortSignal.timeout(PROBE_MS);
    await fetch(new URL('health', base), { mode: 'no-cors', cache: 'no-store', signal });
    return 'answers';
  } catch (error) {
    return error.name === 'TimeoutError' ? 'slow' : 'unreachable';
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Failover {
  /** The node to continue at, `{id, url}`; null while the node that serves the page answers. */
  next = null;
  #watching = false;

  constructor(app) {
    this.app = app;
    onUnreachable(this.check);
  }

  /** Learns the members of the cluster while this node can still name them. */
  useSession(session) {
    this.#showOrigin();
    if (session && this.app.route.page !== 'cluster') cluster.status().catch(() => {}); // other calls report errors
  }

  /** Probes the node that serves the page, until it answers again. */
  check = async () => {
    if (this.#watching || !this.app.session) return;
    this.#watching = true;
    for (let timeouts = 0; ;) {
      await pause(RETRY_MS);
      const found = await probe(document.baseURI);
      if (!this.app.session || found === 'answers') break;
      if (found === 'slow' && ++timeouts < TIMEOUTS_MAX) continue;
      this.next = await this.#available();
      if (this.next && !this.#hasUnsavedWork()) return this.#go();
      this.app.update();
    }
    this.#watching = false;
    this.next = null;
    this.app.update();
  };

  get #self() { return lastCluster()?.nodeId ?? 'this node'; }

  /** The first of the other nodes that answers; null for none. */
  async #available() {
    const { nodes, nodeId } = lastCluster() ?? { nodes: [] };
    const others = nodes.filter(({ id, status }) => id !== nodeId && !UNAVAILABLE.includes(status));
    const found = others.map(async (node) => {
      if (await probe(`${node.url}/`) !== 'answers') throw new Error(`${node.id} does not answer`);
      return node;
    });
    return Promise.any(found).catch(() => null);
  }

  /** Whether leaving the page would lose what the user has typed, or an open transaction. */
  #hasUnsavedWork() {
    return Boolean(document.querySelector('dialog[open]') || this.app.transaction?.open);
  }

  #go = () => {
    const from = new URLSearchParams({ from: this.#self });
    location.assign(`${this.next.url}/?${from}${location.hash}`);
  };

  /** Shows why another node serves the page now. */
  #showOrigin() {
    const from = new URLSearchParams(location.search).get('from');
    if (!from) return;
    history.replaceState(null, '', location.pathname + location.hash);
    toastError(Object.assign(new Error(`This node serves the page now, because ${from} does not answer.`),
      { hint: 'calls that had no answer may or may not have been executed; check before you repeat them' }));
  }

  view() {
    if (!this.next) return nothing;
    return html`<div class="notice warn failover" role="alert" data-testid="failover-notice">
      <div><b>${this.#self}, which serves this page, does not answer.</b> ${this.next.id} does. Unsaved input
        is lost when the page continues there.</div>
      <button type="button" class="small" data-testid="failover-go" @click=${this.#go}>Continue at ${this.next.id}</button>
    </div>`;
  }
}
