/** One collection: its name and figures, and the tabs with what belongs to it. */
import { html, nothing } from '../../vendor/lit-html.js';
import { address, icon } from '../../components/ui.js';
import { ChangesPane } from './changes.js';
import { DocumentsPane } from './documents.js';
import { IndexesPane } from './indexes.js';
import { CollectionInfo } from './stats.js';
import { RulesPane } from './rules.js';
import { VersionsPane } from './versions.js';

const TABS = { documents: 'Documents', indexes: 'Indexes', rules: 'Rules & schema',
  versions: 'Versions', changes: 'Live changes' };
const DEFAULT = 'documents';

export class CollectionPane {
  constructor(app, reads) {
    this.info = new CollectionInfo(app, reads);
    this.panes = {
      documents: new DocumentsPane(app, reads, this.info.load),
      indexes: new IndexesPane(app, this.info),
      rules: new RulesPane(app, reads, this.info.load),
      versions: new VersionsPane(app, reads, this.info.load),
      changes: new ChangesPane(app),
    };
  }

  /** `place` is `{db, col, tab, canWrite, canOwn}`. */
  open(place, parameters) {
    this.place = place;
    const tab = Object.hasOwn(TABS, place.tab ?? '') ? place.tab : DEFAULT;
    if (tab !== this.tab) this.panes[this.tab]?.stop?.();
    this.tab = tab;
    this.info.open(place);
    this.panes[this.tab].open(place, parameters);
  }

  load = () => Promise.all([this.info.load(), this.panes[this.tab].load()]);

  stop() {
    this.info.stop();
    this.panes[this.tab]?.stop?.();
  }

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
      ${canWrite ? pane.action?.() ?? nothing : html`<span class="tag" data-testid="read-only">read-only</span>`}
    </div>`;
  }

  #tabs() {
    return html`<nav class="tabs" aria-label="Parts of the collection" data-tabs="a">
      ${Object.entries(TABS).map(([tab, label]) => html`
        <a href=${this.#addressOf(tab)} data-testid="tab-${tab}"
          aria-current=${tab === this.tab ? 'page' : nothing}>${label}</a>`)}</nav>`;
  }

  /** The way back to the documents keeps their query; the changes are those of its filter. */
  #addressOf(tab) {
    const { db, col } = this.place;
    const parameters = this.panes.documents.parametersOf(this.place);
    const filter = parameters.get('filter');
    if (tab === DEFAULT) return `${address('browse', db, col)}?${parameters}`;
    const here = address('browse', db, col, tab);
    return tab === 'changes' && filter ? `${here}?${new URLSearchParams({ filter })}` : here;
  }
}
