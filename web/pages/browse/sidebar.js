/** The list of databases with the collections of the open one. */
import { html, nothing } from '../../vendor/lit-html.js';
import { LINEARIZABLE, SYSTEM, collections, databases, documents } from '../../api/calls.js';
import { askName, openDialog } from '../../components/dialog.js';
import { address, icon, iconButton, plural, toastDone } from '../../components/ui.js';
import { mayCreateDatabase } from '../../session/rights.js';

export class Sidebar {
  databases = null; // [{name, engine}], null until known
  collections = null; // names in the open database, null until known
  error = null;
  openDb; // its collections are listed

  constructor(app, readLevel) { Object.assign(this, { app, readLevel }); }

  reload = async () => {
    await this.#load(async () => {
      this.databases = (await databases.list(this.readLevel.level)).sort((a, b) => (a.name < b.name ? -1 : 1));
    });
    if (this.openDb) await this.#loadCollections();
  };

  open(db) {
    if (db === this.openDb) return;
    Object.assign(this, { openDb: db, collections: null, error: null });
    if (db) this.#loadCollections();
  }

  async #load(read) {
    try {
      await read();
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.app.update();
  }

  #loadCollections() {
    const db = this.openDb;
    return this.#load(async () => {
      const names = await collections.list(db, this.readLevel.level);
      if (db === this.openDb) this.collections = names.sort();
    });
  }

  /** Reports a change and shows `path`. */
  async #changed(text, ...path) {
    toastDone(text);
    this.app.go('browse', path);
    await this.reload();
  }

  /** Whether the user may create any database. */
  get canCreate() {
    return mayCreateDatabase(this.app.session, this.databases?.map(({ name }) => name) ?? []);
  }

  createDatabase = () => askName('Create a database', 'Create database', '', async (name) => {
    mustBeNew(name, (await databases.list()).map((database) => database.name));
    await databases.create(name);
    await this.#changed(`Database ${name} created.`, name);
  });

  createCollection = (db) => askName(`Create a collection in ${db}`, 'Create collection', '', async (name) => {
    mustBeNew(name, await collections.list(db));
    await collections.create(db, name);
    await this.#changed(`Collection ${name} created.`, db, name);
  });

  #renameDatabase = (old) => askName(`Rename database ${old}`, 'Rename', old, async (name) => {
    await databases.rename(old, name);
    await this.#changed(`Database ${old} was renamed to ${name}.`, name);
  });

  #renameCollection = (db, old) => askName(`Rename collection ${old}`, 'Rename', old, async (name) => {
    await collections.rename(db, old, name);
    await this.#changed(`Collection ${old} was renamed to ${name}.`, db, name);
  });

  #dropDatabase = (name) => askDrop('database', name, contentText(name), async () => {
    await databases.drop(name);
    await this.#changed(`Database ${name} dropped.`);
  });

  #dropCollection = (db, col) => askDrop('collection', col, documentsText(db, [col]), async () => {
    await collections.drop(db, col);
    await this.#changed(`Collection ${col} dropped.`, db);
  });

  view(place) {
    return html`<aside class="side" aria-label="Databases">
      <div class="side-head"><h2>Databases</h2>
        ${this.canCreate ? iconButton('plus', 'Create database', 'db-create', this.createDatabase) : nothing}
        ${iconButton('refresh', 'Reload', 'tree-reload', this.reload)}</div>
      ${this.readLevel.chooser()}
      ${this.error ? this.readLevel.errorBox(this.error, 'tree', this.reload) : nothing}
      ${this.databases || this.error ? nothing : html`<p class="muted">Loading…</p>`}
      <ul class="tree" data-rows=".tree-row > a">${this.databases?.map(({ name }) => this.#databaseItem(name, place))}</ul>
    </aside>`;
  }

  #databaseItem(db, place) {
    const system = db === SYSTEM;
    const writable = !system && this.app.may('writereader', db);
    const owned = !system && this.app.may('owner', db);
    return html`<li>
      <div class="tree-row" data-testid="db-item" data-name=${db}>
        <a href=${address('browse', db)} aria-current=${place.db === db && !place.col ? 'page' : nothing}>
          ${icon(system ? 'lock' : 'database')}<span class="name">${db}</span>
          ${system ? html`<span class="tag">read-only</span>` : nothing}</a>
        ${writable ? html`<span class="tree-actions">
          ${iconButton('plus', `Create collection in ${db}`, 'col-create', () => this.createCollection(db))}
          ${owned && this.canCreate // the new name must be one that the user may create
            ? iconButton('pencil', `Rename database ${db}`, 'db-rename', () => this.#renameDatabase(db)) : nothing}
          ${owned ? iconButton('trash', `Drop database ${db}`, 'db-drop', () => this.#dropDatabase(db)) : nothing}
        </span>` : nothing}
      </div>
      ${place.db === db ? html`<ul>${this.collections?.map((col) =>
        this.#collectionItem(db, col, place, owned))}</ul>` : nothing}
    </li>`;
  }

  #collectionItem(db, col, place, owned) {
    const rename = () => this.#renameCollection(db, col);
    const drop = () => this.#dropCollection(db, col);
    return html`<li class="tree-row" data-testid="col-item" data-name=${col}>
      <a href=${address('browse', db, col)} aria-current=${place.col === col ? 'page' : nothing}>
        <span class="name">${col}</span></a>
      ${owned ? html`<span class="tree-actions">
        ${iconButton('pencil', `Rename collection ${col}`, 'col-rename', rename)}
        ${iconButton('trash', `Drop collection ${col}`, 'col-drop', drop)}</span>` : nothing}
    </li>`;
  }
}

/** The server also succeeds if the database or collection exists already. */
function mustBeNew(name, names) {
  if (names.includes(name)) throw new Error(`"${name}" exists already. Choose another name.`);
}

const COUNTED_MAX = 50; // collections; counting the documents of more would take too long

/** The number of documents of the collections, in words; empty if there are too many collections. */
async function documentsText(db, names) {
  if (names.length > COUNTED_MAX) return '';
  const counts = await Promise.all(names.map((name) => documents.count(db, name, LINEARIZABLE)));
  return plural(counts.reduce((sum, n) => sum + n, 0), 'document');
}

async function contentText(db) {
  const names = await collections.list(db);
  const held = await documentsText(db, names);
  return `${plural(names.length, 'collection')}${held && ` with ${held}`}`;
}

/** `content` resolves to a description of what will be deleted. */
async function askDrop(kind, name, content, submit) {
  const deleted = await content.catch(() => '');
  return openDialog({
    title: `Drop ${kind} ${name}?`,
    submitLabel: `Drop ${kind}`,
    danger: true,
    typed: name,
    body: () => html`<p>${deleted ? html`<b data-testid="drop-content">${deleted}</b> in` : 'Everything in'}
      <code>${name}</code> will be deleted on every node. This cannot be undone.</p>`,
    submit,
  });
}
