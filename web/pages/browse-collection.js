/** One collection: its name and figures, and the tabs with what belongs to it. */
import { html, nothing } from '../vendor/lit-html.js';
import { address, icon } from '../components/ui.js';
import { DocumentsPane } from './browse-documents.js';
import { IndexesPane } from './browse-indexes.js';
import { CollectionInfo } from './browse-info.js';
import { RulesPane } from './browse-rules.js';

const TABS = { documents: 'Documents', indexes: 'Indexes', rules: 'Rules & schema' };
const DEFAULT = 'documents';

export class CollectionPane {
  constructor(app, reads) {
    this.info = new CollectionInfo(app, reads);
    this.panes = {
      documents: new DocumentsPane(app, reads, this.info.load),
      indexes: new IndexesPane(this.info),
      rules: new RulesPane(app, reads, this.info.load),
    };
  }

  /** `place` is `{db, col, tab, canWrite}`. */
  open(place, parameters) {
    this.place = place;
    this.tab = Object.hasOwn(TABS, place.tab ?? '') ? place.tab : DEFAULT;
    this.info.open(place);
    this.panes[this.tab].open(place, parameters);
  }

  load = () => Promise.all([this.info.load(), this.panes[this.tab].load()]);

  stop() { this.info.stop(); }

  view() {
    const pane = this.panes[this.tab];
    return html`${this.#heading(pane)}${this.#tabs()}${pane.view()}`;
  }

  #heading(pane) {
    const { db, col, canWrite } = this.place;
    return html`<div class="heading">
      <div><h1><a class="back" href=${address('browse', db)}
        aria-label="Back to the collections">${icon('prev')}</a>
        <span class="muted">${db} /</span> ${col}</h1>${this.info.view()}</div>
      ${canWrite ? pane.action?.() ?? nothing : html`<span class="tag">read-only</span>`}
    </div>`;
  }

  #tabs() {
    return html`<nav class="tabs" aria-label="Parts of the collection">
      ${Object.entries(TABS).map(([tab, label]) => html`
        <a href=${this.#addressOf(tab)} data-testid="tab-${tab}"
          aria-current=${tab === this.tab ? 'page' : nothing}>${label}</a>`)}</nav>`;
  }

  /** The way back to the documents keeps their query. */
  #addressOf(tab) {
    const { db, col } = this.place;
    return tab === DEFAULT ? `${address('browse', db, col)}?${this.panes.documents.parametersOf(this.place)}`
      : address('browse', db, col, tab);
  }
}
