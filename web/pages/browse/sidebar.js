/** The tree of databases and the collections of the open one. */
import { html, nothing } from '../../vendor/lit-html.js';
import { SYSTEM, LINEARIZABLE, collections, databases, documents } from '../../api/calls.js';
import { askName, openDialog } from '../../components/dialog.js';
import { address, icon, iconButton, plural, toastDone } from '../../components/ui.js';
import { mayCreateDatabase } from '../../session/rights.js';

export class Sidebar {
  databases = null; // [{name, engine}], null until known
  collections = null; // names in the open database, null until known
  error = null;
  openDb = undefined;

  constructor(app, reads) { Object.assign(this, { app, reads }); }

  reload = async () => {
    await this.#load(async () => {
      this.databases = (await databases.list(this.reads.level)).sort((a, b) => (a.name < b.name ? -1 : 1));
    });
    if (this.openDb) await this.#loadCollections();
  };

  open(db) {
    if (db === this.openDb) return;
    Object.assign(this, { openDb: db, collections: null, error: null });
    if (db) this.#loadCollections();
  }

  async #load(fetchIt) {
    try {
      await fetchIt();
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.app.update();
  }

  #loadCollections() {
    const db = this.openDb;
    return this.#load(async () => {
      const names = await collections.list(db, this.reads.level);
      if (db === this.openDb) this.collections = names.sort();
    });
  }

  /** Tells of a change and shows `path`. */
  async #changed(text, ...path) {
    toastDone(text);
    this.app.go('browse', path);
    await this.reload();
  }

  /** Whether there is a database that the person may create. */
  get canAdd() {
    return mayCreateDatabase(this.app.session, this.databases?.map(({ name }) => name) ?? []);
  }

  addDatabase = () => askName('New database', 'Create', '', async (name) => {
    mustBeNew(name, (await databases.list()).map((database) => database.name));
    await databases.create(name);
    await this.#changed(`Database ${name} created.`, name);
  });

  addCollection = (db) => askName(`New collection in ${db}`, 'Create', '', async (name) => {
    mustBeNew(name, await collections.list(db));
    await collections.create(db, name);
    await this.#changed(`Collection ${name} created.`, db, name);
  });

  #renameDatabase = (old) => askName(`Rename database ${old}`, 'Rename', old, async (name) => {
    await databases.rename(old, name);
    await this.#changed(`Database ${old} is now ${name}.`, name);
  });

  #renameCollection = (db, old) => askName(`Rename collection ${old}`, 'Rename', old, async (name) => {
    await collections.rename(db, old, name);
    await this.#changed(`Collection ${old} is now ${name}.`, db, name);
  });

  #dropDatabase = (name) => askDrop('database', name, contentOf(name), async () => {
    await databases.drop(name);
    await this.#changed(`Database ${name} dropped.`);
  });

  #dropCollection = (db, col) => askDrop('collection', col, documentsIn(db, [col]), async () => {
    await collections.drop(db, col);
    await this.#changed(`Collection ${col} dropped.`, db);
  });

  view(place) {
    return html`<aside class="side" aria-label="Databases">
      <div class="side-head"><h2>Databases</h2>
        ${this.canAdd ? iconButton('plus', 'New database', 'db-create', this.addDatabase) : nothing}
        ${iconButton('refresh', 'Reload the list', 'tree-reload', this.reload)}</div>
      ${this.reads.chooser()}
      ${this.error ? this.reads.errorBox(this.error, 'tree', this.reload) : nothing}
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
          ${iconButton('plus', `New collection in ${db}`, 'col-create', () => this.addCollection(db))}
          ${owned && this.canAdd // the new name is one that may be created
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

/** The server answers "created" also for what was there already. */
function mustBeNew(name, names) {
  if (names.includes(name)) throw new Error(`There already is a "${name}". Choose another name.`);
}

const COUNTED_MAX = 50; // collections; counting more would take too long

/** How many documents the collections hold, in words; none when that cannot be told. */
async function documentsIn(db, names) {
  if (names.length > COUNTED_MAX) return '';
  const counts = await Promise.all(names.map((name) => documents.count(db, name, LINEARIZABLE)));
  return plural(counts.reduce((sum, n) => sum + n, 0), 'document');
}

async function contentOf(db) {
  const names = await collections.list(db);
  const held = await documentsIn(db, names);
  return `${plural(names.length, 'collection')}${held && ` with ${held}`}`;
}

/** `content` resolves to what is lost, in words. */
async function askDrop(kind, name, content, submit) {
  const lost = await content.catch(() => '');
  return openDialog({
    title: `Drop ${kind} ${name}?`,
    submitLabel: `Drop ${kind}`,
    danger: true,
    typed: name,
    body: () => html`<p>${lost ? html`<b data-testid="drop-content">${lost}</b> in` : 'Everything in'}
      <code>${name}</code> will be deleted on every node. This cannot be undone.</p>`,
    submit,
  });
}
