/** The figures of a collection; its tabs share them. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, collections } from '../../api/calls.js';
import { bytes, plural } from '../../components/ui.js';
import { parse } from '../../values/json.js';
import { isSameCollection } from './place.js';

const POLL_MS = 500; // while an index is being built

export class CollectionStats {
  place = {};
  figures = null; // the parsed answer of the server, null until known
  error = null;
  #loader = new Loader();
  #timer;
  #shown = false;

  constructor(app, readLevel) { Object.assign(this, { app, readLevel }); }

  open(place) {
    this.#shown = true;
    if (!isSameCollection(place, this.place)) Object.assign(this, { figures: null, error: null });
    this.place = place;
    this.load();
  }

  stop() {
    this.#shown = false;
    clearTimeout(this.#timer);
  }

  /** Reads the figures, and again while an index is being built. */
  load = async () => {
    clearTimeout(this.#timer);
    const { db, col } = this.place;
    const read = async () => parse(await collections.stats(db, col, this.readLevel.level));
    if (!await this.#loader.assign(this, 'figures', read)) return;
    if (this.#shown && this.indexes.some((index) => index.get('state') === 'building')) {
      this.#timer = setTimeout(this.load, POLL_MS);
    }
    this.app.update();
  };

  get indexes() { return this.figures?.get('indexes') ?? []; }
  get documents() { return Number(this.figures?.get('documents') ?? 0); }

  view() {
    if (!this.figures) return nothing;
    const figure = (name, text) => html`<span data-testid="stat-${name}">${text}</span>`;
    return html`<p class="muted figures" data-testid="col-stats">
      ${figure('documents', plural(this.documents, 'document'))}
      ${figure('bytes', bytes(Number(this.figures.get('bytes'))))}
      ${this.documents ? figure('average', `${bytes(Number(this.figures.get('averageBytes')))} on average`) : nothing}
      ${figure('indexes', plural(this.indexes.length, 'index', 'indexes'))}
      ${this.figures.get('schema') ? figure('schema', 'has a schema') : nothing}</p>`;
  }
}
