/** Databases, collections and documents. The address says what is shown: #/browse/db/col. */
import { html, nothing } from '../vendor/lit-html.js';
import { SYSTEM } from '../api.js';
import { emptyState, icon } from '../components/ui.js';
import { createCollection, sidebar } from './browse-sidebar.js';
import { documentsPane } from './browse-documents.js';

export function browsePage(app) {
  const tree = sidebar(app);
  const pane = documentsPane(app);
  const place = () => ({ db: app.route.path[0], col: app.route.path[1] });

  function routed() {
    tree.open(place().db);
    pane.open(place(), app.route.query);
  }

  function view() {
    const { db, col } = place();
    return html`<div class="browse ${col ? 'has-col' : ''}">
      ${tree.view(place())}
      <section class="pane" aria-label="Documents">${col ? pane.view() : noCollection(db)}</section>
    </div>`;
  }

  function noCollection(db) {
    if (!tree.databases) return nothing;
    if (!db) {
      return tree.databases.some(({ name }) => name !== SYSTEM)
        ? emptyState('Choose a database', 'Its collections appear on the left.')
        : emptyState('No databases yet', 'A database holds collections of JSON documents.',
          createButton('empty-db-add', 'Create a database', tree.addDatabase));
    }
    if (!tree.databases.some(({ name }) => name === db)) {
      return emptyState('No such database', html`There is no database <code>${db}</code>. Choose one on the left.`);
    }
    if (tree.collections?.length || db === SYSTEM) {
      return emptyState('Choose a collection', html`Pick a collection of <code>${db}</code> on the left.`);
    }
    if (!tree.collections) return nothing;
    return emptyState('No collections yet', html`<code>${db}</code> is empty.`,
      createButton('empty-col-add', 'Create a collection', () => createCollection(tree, db)));
  }

  const createButton = (testid, text, onClick) => (app.canWrite()
    ? html`<button class="primary" data-testid=${testid} @click=${onClick}>${icon('plus')}${text}</button>` : nothing);

  return { title: () => ['Browse', ...app.route.path].reverse().join(' · '), start: tree.reload, routed, view };
}
