/** Databases, collections and what belongs to them. The address names what is shown: #/browse/db/col/tab?query. */
import { html } from '../../vendor/lit-html.js';
import { SYSTEM } from '../../api/calls.js';
import { addButton, emptyState } from '../../components/ui.js';
import { CollectionPane } from './collection.js';
import { placeOf } from './place.js';
import { ReadLevel } from './read-level.js';
import { Sidebar } from './sidebar.js';

export class BrowsePage {
  constructor(app) {
    this.app = app;
    this.readLevel = new ReadLevel(() => Promise.all([this.sidebar.reload(), this.reload()]));
    this.sidebar = new Sidebar(app, this.readLevel);
    this.pane = new CollectionPane(app, this.readLevel);
  }

  title() { return ['Browse', ...this.app.route.path].reverse().join(' · '); }

  start() { return this.sidebar.reload(); }

  stop() { this.pane.stop(); }

  reload() { return this.#place.col && this.pane.load(); }

  routed() {
    const place = this.#place;
    this.app.database = place.db ?? this.app.database;
    this.sidebar.open(place.db);
    if (place.col) this.pane.open(place, this.app.route.query);
    else this.pane.stop();
  }

  get #place() { return placeOf(this.app); }

  view() {
    const place = this.#place;
    return html`<div class="browse ${place.col ? 'has-col' : ''}">
      ${this.sidebar.view(place)}
      <section class="pane" aria-label="Collection">
        ${this.readLevel.notice()}${place.col ? this.pane.view() : noCollection(this.sidebar, place)}</section>
    </div>`;
  }
}

/** Shown while no collection is open. */
function noCollection(sidebar, { db, canWrite }) {
  if (!sidebar.databases) return '';
  const names = sidebar.databases.map(({ name }) => name);
  if (!db) {
    if (names.some((name) => name !== SYSTEM)) {
      return emptyState('Choose a database', 'Its collections appear in the list of databases.');
    }
    return sidebar.canCreate
      ? emptyState('No databases yet', 'A database holds collections of JSON documents.',
        addButton('empty-db-create', 'Create database', sidebar.createDatabase))
      : emptyState('No databases', 'There is no database that you may read. An administrator can give you the right.');
  }
  if (!names.includes(db)) {
    return emptyState('No such database',
      html`There is no database <code>${db}</code> that you may read. Choose another one.`);
  }
  if (sidebar.collections?.length || db === SYSTEM) {
    return emptyState('Choose a collection', html`Choose a collection of <code>${db}</code> in the list.`);
  }
  if (!sidebar.collections) return '';
  return emptyState('No collections yet', html`<code>${db}</code> is empty.`,
    canWrite && addButton('empty-col-create', 'Create collection', () => sidebar.createCollection(db)));
}
