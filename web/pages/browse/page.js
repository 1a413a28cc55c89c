/** Databases, collections and documents. The address says what is shown: #/browse/db/col/tab?query. */
import { html } from '../../vendor/lit-html.js';
import { SYSTEM } from '../../api/calls.js';
import { addButton, emptyState } from '../../components/ui.js';
import { CollectionPane } from './collection.js';
import { Reads } from './read-level.js';
import { Sidebar } from './sidebar.js';

export function browsePage(app) {
  const reads = new Reads(() => Promise.all([tree.reload(), place().col && pane.load()]));
  const tree = new Sidebar(app, reads);
  const pane = new CollectionPane(app, reads);

  function place() {
    const [db, col, tab] = app.route.path;
    const may = (role) => db !== undefined && db !== SYSTEM && app.may(role, db);
    return { db, col, tab, canWrite: may('writereader'), canOwn: may('owner') };
  }

  function routed() {
    const { db, col } = place();
    app.database = db ?? app.database;
    tree.open(db);
    if (col) pane.open(place(), app.route.query);
    else pane.stop();
  }

  function view() {
    const { db, col } = place();
    return html`<div class="browse ${col ? 'has-col' : ''}">
      ${tree.view(place())}
      <section class="pane" aria-label="Collection">
        ${reads.notice()}${col ? pane.view() : noCollection(tree, place())}</section>
    </div>`;
  }

  const title = () => ['Browse', ...app.route.path].reverse().join(' · ');
  const reload = () => place().col && pane.load();
  return { title, start: tree.reload, stop: () => pane.stop(), routed, reload, view };
}

/** What to show beside the tree while no collection is open. */
function noCollection(tree, { db, canWrite }) {
  if (!tree.databases) return '';
  const names = tree.databases.map(({ name }) => name);
  if (!db) {
    if (names.some((name) => name !== SYSTEM)) {
      return emptyState('Choose a database', 'Its collections appear on the left.');
    }
    return tree.canAdd
      ? emptyState('No databases yet', 'A database holds collections of JSON documents.',
        addButton('empty-db-create', 'Create a database', tree.addDatabase))
      : emptyState('No databases', 'There is none that you may read. An administrator can change that.');
  }
  if (!names.includes(db)) {
    return emptyState('No such database',
      html`There is no database <code>${db}</code> that you may read. Choose one on the left.`);
  }
  if (tree.collections?.length || db === SYSTEM) {
    return emptyState('Choose a collection', html`Pick a collection of <code>${db}</code> on the left.`);
  }
  if (!tree.collections) return '';
  return emptyState('No collections yet', html`<code>${db}</code> is empty.`,
    canWrite && addButton('empty-col-create', 'Create a collection', () => tree.addCollection(db)));
}
