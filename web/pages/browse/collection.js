/** One collection: its name, its figures, and its tabs. */
import { html, nothing } from '../../vendor/lit-html.js';
import { address, icon } from '../../components/ui.js';
import { ChangesPane } from './changes.js';
import { DocumentsPane } from './documents.js';
import { IndexesPane } from './indexes.js';
import { RulesPane } from './rules.js';
import { CollectionStats } from './stats.js';
import { VersionsPane } from './versions.js';

const TABS = { documents: 'Documents', indexes: 'Indexes', rules: 'Rules & schema',
  versions: 'Versions', changes: 'Live changes' };
const DEFAULT = 'documents';

export class CollectionPane {
  constructor(app, readLevel) {
    this.stats = new CollectionStats(app, readLevel);
    this.panes = {
      documents: new DocumentsPane(app, readLevel, this.stats.load),
      indexes: new IndexesPane(app, this.stats),
      rules: new RulesPane(app, readLevel, this.stats.load),
      versions: new VersionsPane(app, readLevel, this.stats.load),
      changes: new ChangesPane(app),
    };
  }

  /** `place` is `{db, col, tab, canWrite, canOwn}`. */
  open(place, parameters) {
    this.place = place;
    const tab = Object.hasOwn(TABS, place.tab ?? '') ? place.tab : DEFAULT;
    if (tab !== this.tab) this.panes[this.tab]?.stop?.();
    this.tab = tab;
    this.stats.open(place);
    this.panes[this.tab].open(place, parameters);
  }

  load = () => Promise.all([this.stats.load(), this.panes[this.tab].load()]);

  stop() {
    this.stats.stop();
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
        <span class="muted">${db} /</span> ${col}</h1>${this.stats.view()}</div>
      ${canWrite ? pane.action?.() ?? nothing : html`<span class="tag" data-testid="read-only">read-only</span>`}
    </div>`;
  }

  #tabs() {
    return html`<nav class="tabs" aria-label="Tabs of the collection" data-tabs="a">
      ${Object.entries(TABS).map(([tab, label]) => html`
        <a href=${this.#addressOf(tab)} data-testid="tab-${tab}"
          aria-current=${tab === this.tab ? 'page' : nothing}>${label}</a>`)}</nav>`;
  }

  /** The link to the documents keeps their query; the changes use its filter. */
  #addressOf(tab) {
    const { db, col } = this.place;
    const parameters = this.panes.documents.parametersOf(this.place);
    const filter = parameters.get('filter');
    if (tab === DEFAULT) return `${address('browse', db, col)}?${parameters}`;
    const here = address('browse', db, col, tab);
    return tab === 'changes' && filter ? `${here}?${new URLSearchParams({ filter })}` : here;
  }
}
