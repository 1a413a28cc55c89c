/** The tree of databases and the collections of the open one. */
import { html, nothing } from '../vendor/lit-html.js';
import { SYSTEM, collections, databases } from '../api.js';
import { askName, openDialog } from '../components/dialog.js';
import { errorBox, icon, iconButton, toastDone } from '../components/ui.js';

export function sidebar(app) {
  const tree = {
    databases: null, // [{name, engine}], null until known
    collections: null, // names in the open database, null until known
    error: null,
    openDb: undefined,
    async reload() {
      await load(async () => { tree.databases = (await databases.list()).sort(byName); });
      if (tree.openDb) await loadCollections();
    },
    open(db) {
      if (db === tree.openDb) return;
      Object.assign(tree, { openDb: db, collections: null });
      if (db) loadCollections();
    },
    addDatabase: () => askName({
      title: 'New database',
      label: 'Name',
      submitLabel: 'Create',
      submit: (name) => databases.create(name).then(() => changed(`Database ${name} created.`, [name])),
    }),
    view,
  };

  async function load(fetchIt) {
    try {
      await fetchIt();
      tree.error = null;
    } catch (error) {
      tree.error = error;
    }
    app.update();
  }

  const loadCollections = () => load(async () => {
    const db = tree.openDb;
    const names = await collections.list(db);
    if (db === tree.openDb) tree.collections = names.sort();
  });

  /** Tells of a change and shows `path`. */
  async function changed(text, path) {
    toastDone(text);
    app.go('browse', path);
    await tree.reload();
  }
  tree.changed = changed;

  function view(place) {
    return html`<aside class="side" aria-label="Databases">
      <div class="side-head"><h2>Databases</h2>
        ${app.canWrite() ? iconButton('plus', 'New database', tree.addDatabase, { testid: 'db-add' }) : nothing}
        ${iconButton('refresh', 'Reload the list', tree.reload, { testid: 'tree-reload' })}</div>
      ${tree.error ? errorBox(tree.error, 'tree-error',
        html`<button class="small" data-testid="tree-retry" @click=${tree.reload}>Try again</button>`) : nothing}
      ${tree.databases || tree.error ? nothing : html`<p class="muted">Loading…</p>`}
      <ul class="tree">${tree.databases?.map(({ name }) => databaseItem(name, place))}</ul>
    </aside>`;
  }

  function databaseItem(name, place) {
    const open = place.db === name;
    const system = name === SYSTEM;
    return html`<li>
      <div class="tree-row" data-testid="db-item" data-name=${name}>
        <a href=${address(name)} aria-current=${open && !place.col ? 'page' : nothing}>
          ${icon(system ? 'lock' : 'database')}<span class="name">${name}</span>
          ${system ? html`<span class="tag">read-only</span>` : nothing}</a>
        ${system || !app.canWrite() ? nothing : html`<span class="tree-actions">
          ${iconButton('plus', `New collection in ${name}`, () => createCollection(tree, name), { testid: 'col-add' })}
          ${iconButton('pencil', `Rename database ${name}`, () => renameDatabase(name), { testid: 'db-rename' })}
          ${iconButton('trash', `Drop database ${name}`, () => dropDatabase(name), { testid: 'db-drop' })}</span>`}
      </div>
      ${open ? html`<ul>${tree.collections?.map((col) => collectionItem(name, col, place))}</ul>` : nothing}
    </li>`;
  }

  function collectionItem(db, col, place) {
    return html`<li class="tree-row" data-testid="col-item" data-name=${col}>
      <a href=${address(db, col)} aria-current=${place.col === col ? 'page' : nothing}><span class="name">${col}</span></a>
      ${db === SYSTEM || !app.canWrite() ? nothing : html`<span class="tree-actions">
        ${iconButton('pencil', `Rename collection ${col}`, () => renameCollection(db, col), { testid: 'col-rename' })}
        ${iconButton('trash', `Drop collection ${col}`, () => dropCollection(db, col), { testid: 'col-drop' })}</span>`}
    </li>`;
  }

  const renameDatabase = (oldName) => askName({
    title: `Rename database ${oldName}`,
    label: 'New name',
    value: oldName,
    submitLabel: 'Rename',
    submit: (name) => databases.rename(oldName, name)
      .then(() => changed(`Database ${oldName} is now ${name}.`, [name])),
  });

  const renameCollection = (db, oldName) => askName({
    title: `Rename collection ${oldName}`,
    label: 'New name',
    value: oldName,
    submitLabel: 'Rename',
    submit: (name) => collections.rename(db, oldName, name)
      .then(() => changed(`Collection ${oldName} is now ${name}.`, [db, name])),
  });

  const drop = (kind, name, submit) => openDialog({
    title: `Drop ${kind} ${name}?`,
    submitLabel: `Drop ${kind}`,
    danger: true,
    typed: name,
    body: () => html`<p>Everything in <code>${name}</code> is deleted on every node. This cannot be undone.</p>`,
    submit,
  });

  const dropDatabase = (name) => drop('database', name, () => databases.drop(name)
    .then(() => changed(`Database ${name} dropped.`, [])));

  const dropCollection = (db, col) => drop('collection', col, () => collections.drop(db, col)
    .then(() => changed(`Collection ${col} dropped.`, [db])));

  return tree;
}

const byName = (a, b) => (a.name < b.name ? -1 : 1);
const address = (...path) => `#/${['browse', ...path].map(encodeURIComponent).join('/')}`;

export const createCollection = (tree, db) => askName({
  title: `New collection in ${db}`,
  label: 'Name',
  submitLabel: 'Create',
  submit: (name) => collections.create(db, name)
    .then(() => tree.changed(`Collection ${name} created.`, [db, name])),
});
