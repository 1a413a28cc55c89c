/** What a collection holds, in figures; the tabs of the collection share it. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, collections } from '../../api/calls.js';
import { bytes, plural } from '../../components/ui.js';
import { parse } from '../../values/json.js';

const POLL_MS = 500; // while an index is being built

export class CollectionInfo {
  stats = null; // the server's answer as a Map, null until known
  error = null;
  #loader = new Loader();
  #timer;
  #watching = false; // whether anybody looks

  constructor(app, reads) { Object.assign(this, { app, reads }); }

  open(place) {
    this.#watching = true;
    const moved = place.db !== this.place?.db || place.col !== this.place?.col;
    this.place = place;
    if (moved) Object.assign(this, { stats: null, error: null });
    this.load();
  }

  stop() {
    this.#watching = false;
    clearTimeout(this.#timer);
  }

  /** Reads the figures, and again while an index is being built. */
  load = async () => {
    clearTimeout(this.#timer);
    const { db, col } = this.place;
    const outcome = await this.#loader.run(() => collections.stats(db, col, this.reads.level));
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.stats = parse(outcome.value);
    if (this.#watching && this.indexes.some((index) => index.get('state') === 'building')) {
      this.#timer = setTimeout(this.load, POLL_MS);
    }
    this.app.update();
  };

  get indexes() { return this.stats?.get('indexes') ?? []; }
  get documents() { return Number(this.stats?.get('documents') ?? 0); }

  view() {
    if (!this.stats) return nothing;
    const figure = (name, text) => html`<span data-testid="stat-${name}">${text}</span>`;
    return html`<p class="muted figures" data-testid="col-stats">
      ${figure('documents', plural(this.documents, 'document'))}
      ${figure('bytes', bytes(Number(this.stats.get('bytes'))))}
      ${this.documents ? figure('average', `${bytes(Number(this.stats.get('averageBytes')))} on average`) : nothing}
      ${figure('indexes', plural(this.indexes.length, 'index', 'indexes'))}
      ${this.stats.get('schema') ? figure('schema', 'has a schema') : nothing}</p>`;
  }
}
