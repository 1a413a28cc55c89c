/** Goes on at another node when the one that serves the page no longer answers. */
import { html, nothing } from '../vendor/lit-html.js';
import { cluster, lastCluster, onOutOfReach } from '../api/calls.js';
import { toastError } from '../components/ui.js';

const AGAIN_MS = 1_000; // a node may only have dropped a connection
const PROBE_MS = 1_500;
const LATE_MAX = 2; // probes after which a slow node counts as gone
const UNFIT = ['INACTIVE', 'PAUSED', 'LEAVING'];

/** Whether a node answers at this address, whatever it says; `late` for one that may only be slow. */
async function probe(base) {
  try {
    const signal = AbortSignal.timeout(PROBE_MS);
    await fetch(new URL('health', base), { mode: 'no-cors', cache: 'no-store', signal });
    return 'answers';
  } catch (error) {
    return error.name === 'TimeoutError' ? 'late' : 'gone';
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Failover {
  /** The node that answers in place of the one that serves the page, `{id, url}`; null while that one does. */
  next = null;
  #watching = false;

  constructor(app) {
    this.app = app;
    onOutOfReach(this.suspect);
  }

  /** Learns which nodes there are, while this one can still tell. */
  useSession(session) {
    this.#arrived();
    if (session && this.app.route.page !== 'cluster') cluster.status().catch(() => {}); // told by other calls
  }

  /** Finds out whether the node is gone, and watches it until it answers again. */
  suspect = async () => {
    if (this.#watching || !this.app.session) return;
    this.#watching = true;
    for (let late = 0; ;) {
      await pause(AGAIN_MS);
      const found = await probe(document.baseURI);
      if (!this.app.session || found === 'answers') break;
      if (found === 'late' && ++late < LATE_MAX) continue;
      this.next = await this.#other();
      if (this.next && !this.#holdsWork()) return this.#go();
      this.app.update();
    }
    this.#watching = false;
    this.next = null;
    this.app.update();
  };

  get #self() { return lastCluster()?.nodeId ?? 'this node'; }

  /** The first of the other nodes that answers; null for none. */
  async #other() {
    const { nodes, nodeId } = lastCluster() ?? { nodes: [] };
    const others = nodes.filter(({ id, status }) => id !== nodeId && !UNFIT.includes(status));
    const found = others.map(async (node) => {
      if (await probe(`${node.url}/`) !== 'answers') throw new Error(`${node.id} does not answer`);
      return node;
    });
    return Promise.any(found).catch(() => null);
  }

  /** Whether leaving would lose what a person has typed or begun. */
  #holdsWork() {
    return Boolean(document.querySelector('dialog[open]') || this.app.transaction?.open);
  }

  #go = () => {
    const from = new URLSearchParams({ from: this.#self });
    location.assign(`${this.next.url}/?${from}${location.hash}`);
  };

  /** Says why another node serves the page now. */
  #arrived() {
    const from = new URLSearchParams(location.search).get('from');
    if (!from) return;
    history.replaceState(null, '', location.pathname + location.hash);
    toastError(Object.assign(new Error(`This page came from ${from}, which does not answer. Another node serves it now.`),
      { hint: 'what was under way may or may not have been done; look before it is done again' }));
  }

  view() {
    if (!this.next) return nothing;
    return html`<div class="notice warn failover" role="alert" data-testid="failover-notice">
      <div><b>${this.#self}, which serves this page, does not answer.</b> ${this.next.id} does. What is open here
        is lost when the page goes on there.</div>
      <button type="button" class="small" data-testid="failover-go" @click=${this.#go}>Go on at ${this.next.id}</button>
    </div>`;
  }
}
