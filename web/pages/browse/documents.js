/** The documents of one collection that a query finds, a page at a time. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, documents } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { documentRows, layoutChoice } from '../../components/documents.js';
import { showPlan } from '../../components/plan.js';
import { beginButton } from '../../components/transaction-bar.js';
import { addButton, emptyState, iconButton, milliseconds, plural, toastDone, toastError }
  from '../../components/ui.js';
import { idOf, parse } from '../../values/json.js';
import { addDocument, editDocument } from './document-dialog.js';
import { showHistory } from './history-dialog.js';
import { Pages, offsetWithin, pager, whereOf } from './paging.js';
import { momentOf, otherMoment, pastNotice, readingAsOf } from './as-of.js';
import { QueryBar, fieldOf, findBody, queryOf, sortOf, sortText } from './query.js';

export class DocumentsPane {
  place = {};
  query = {};
  where = {}; // limit and offset
  layout = 'table';
  page = null; // what was fetched, null until known
  error = null;
  wanted = ''; // the text of "Go to id"
  #loader = new Loader();
  #pages = new Pages();

  /** `changed` is called after documents were written. */
  constructor(app, reads, changed) {
    Object.assign(this, { app, reads, changed });
    this.bar = new QueryBar((query) => this.#goTo(0, this.where.limit, query), this.#explain);
  }

  open(place, parameters) {
    const moved = place.db !== this.place.db || place.col !== this.place.col;
    this.place = place;
    this.query = queryOf(parameters);
    this.where = whereOf(parameters);
    if (moved) Object.assign(this, { page: null, error: null, wanted: '' });
    this.bar.open(this.query, moved);
    this.#load();
  }

  /** Reads the page again, counted from the first document. */
  load = () => {
    this.#pages.restart();
    return this.#load();
  };

  async #load() {
    const { place, query, where, reads: { level } } = this;
    const outcome = await this.#loader.run(() => this.#pages.fetch(place, query, where, level));
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.page = outcome.value;
    if (!this.error && !this.page.rows.length && where.offset) this.#goTo(offsetWithin(this.page, where));
    this.app.update();
  }

  /** What the address says after the `?` while this is shown; nothing for another place. */
  parametersOf({ db, col }) {
    const here = db === this.place.db && col === this.place.col;
    return new URLSearchParams(here ? { ...this.query, ...this.where } : {});
  }

  /** Shows another page, or the first of another query; the one that is shown is read again. */
  #goTo(offset, limit = this.where.limit, query = this.query) {
    const before = location.hash;
    this.app.go('browse', [this.place.db, this.place.col], { ...query, limit, offset });
    if (location.hash === before) this.load();
  }

  #explain = async (query) => {
    const { db, col } = this.place;
    const { where: { limit, offset }, reads: { level } } = this;
    try {
      const body = findBody(query, { limit, skip: offset, explain: 'executionStats' });
      const text = await readingAsOf(query, (moment) => documents.find(db, col, level, body, moment));
      await showPlan(JSON.parse(text).explain);
    } catch (error) {
      if (!fieldOf(error)) return toastError(error);
      this.error = error;
      this.app.update();
    }
  };

  #written() { return Promise.all([this.load(), this.changed()]); }

  #add = async () => {
    if (await addDocument(this.place)) await this.#written();
  };

  async #edit(id) {
    try {
      if (await editDocument(this.place, id, this.#mayChange, momentOf(this.query))) await this.#written();
    } catch (error) {
      toastError(error);
    }
  }

  async #history(id) {
    try {
      if (await showHistory({ ...this.place, canWrite: this.#mayChange }, id)) await this.#written();
    } catch (error) {
      toastError(error);
    }
  }

  async #remove(id) {
    const { db, col } = this.place;
    const done = await openDialog({
      title: 'Delete this document?',
      submitLabel: 'Delete',
      danger: true,
      body: () => html`<p>The document <code>${id.text}</code> of ${db}.${col}
        is deleted on every node.</p>`,
      submit: () => documents.delete(db, col, id),
    });
    if (!done) return;
    toastDone(`Document ${id.text} deleted.`);
    await this.#written();
  }

  #find = async (event) => {
    event.preventDefault();
    const { db, col } = this.place;
    const ids = idsMeant(this.wanted.trim());
    for (const id of ids) {
      try {
        await documents.get(db, col, id, momentOf(this.query));
        return this.#edit(id);
      } catch (error) {
        if (error.status === 404 && id !== ids.at(-1)) continue;
        return toastError(error);
      }
    }
  };

  /** The past can only be looked at. */
  get #mayChange() { return this.place.canWrite && !this.query.asof; }

  #sort = (column, direction) => {
    const { sort: _, ...query } = this.query;
    this.#goTo(0, this.where.limit, direction ? { ...query, sort: sortText(column, direction) } : query);
  };

  #asOf = (asof) => this.#goTo(0, this.where.limit, asof ? { ...this.query, asof } : without(this.query));

  action() {
    if (!this.#mayChange) return nothing;
    return html`<div class="row">${beginButton(this.app)}${addButton('doc-insert', 'Add document', this.#add)}</div>`;
  }

  view() {
    const onField = fieldOf(this.error);
    return html`${this.bar.view(this.error, otherMoment(this.error, this.place, this.#asOf))}
      ${this.error ? nothing : pastNotice(this.query, () => this.#asOf(''))}${this.#toolbar()}
      ${this.error && !onField ? this.reads.errorBox(this.error, 'docs', this.load) : nothing}
      ${this.error ? nothing : this.#content()}`;
  }

  #toolbar() {
    const onInput = (event) => { this.wanted = event.target.value; };
    const choose = (layout) => {
      this.layout = layout;
      this.app.update();
    };
    return html`<div class="toolbar">
      <form class="row find" role="search" @submit=${this.#find}>
        <input .value=${this.wanted} required placeholder="Go to id" aria-label="Document id"
          title='Whole numbers are looked up as integer ids first; "42" in quotes means the string'
          autocomplete="off" spellcheck="false" data-testid="find-id" @input=${onInput}>
        <button data-testid="find-submit">Open</button></form>
      ${this.#found()}
      ${layoutChoice(this.layout, choose)}
      ${iconButton('refresh', 'Reload', 'docs-reload', this.load)}
    </div>`;
  }

  /** How long it took, and of a filter how many match; the others are counted above. */
  #found() {
    if (!this.page || this.error) return nothing;
    const { total, ms } = this.page;
    const counted = total === null ? 'too many to count'
      : this.query.filter && `${plural(total, 'document')} ${total === 1 ? 'matches' : 'match'}`;
    return html`<span class="muted info" role="status"
      data-testid="query-info">${counted ? `${counted} · ` : ''}${milliseconds(ms)}</span>`;
  }

  #content() {
    if (!this.page) return html`<p class="loading">Loading documents…</p>`;
    if (!this.page.rows.length && !this.where.offset) return this.#nothingFound();
    return html`${documentRows(this.layout, this.page.rows, {
      actions: (document) => this.#actions(document),
      open: (document) => this.#edit(idOf(document)),
      sort: { ...sortOf(this.query.sort), choose: this.#sort },
    })}
      ${pager(this.page, this.where, (offset, limit) => this.#goTo(offset, limit))}`;
  }

  #nothingFound() {
    if (this.query.filter) {
      return emptyState('No document matches', 'Change the filter, or clear it to see all documents.');
    }
    if (this.query.asof) return emptyState('No documents then', 'The collection was empty at that moment.');
    return emptyState('No documents yet', html`<code>${this.place.col}</code> is empty.`,
      this.place.canWrite && addButton('empty-doc-insert', 'Add the first document', this.#add));
  }

  #actions(document) {
    if (!document.has('_id')) return nothing; // the query left it out
    const id = idOf(document);
    const edit = () => this.#edit(id);
    const history = iconButton('history', `History of ${id.text}`, 'doc-history', () => this.#history(id));
    if (!this.#mayChange) return [iconButton('eye', `View ${id.text}`, 'doc-view', edit), history];
    return [iconButton('pencil', `Edit ${id.text}`, 'doc-edit', edit), history,
      iconButton('trash', `Delete ${id.text}`, 'doc-delete', () => this.#remove(id))];
  }
}

/** The query for what is now. */
const without = ({ asof: _, ...query }) => query;

/** Whole numbers are tried as integer ids first; quotes make any id a string. */
export function idsMeant(text) {
  const quoted = /^"(.*)"$/.exec(text);
  const ids = [{ text: quoted ? quoted[1] : text, type: 'string' }];
  if (/^-?\d+$/.test(text)) ids.unshift({ text, type: 'int' });
  return ids;
}
