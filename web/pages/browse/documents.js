/** The documents of a collection that a query finds, page by page. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, documents } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { documentRows, layoutChoice } from '../../components/documents.js';
import { showPlan } from '../../components/plan.js';
import { beginButton } from '../../components/transaction-bar.js';
import { addButton, emptyState, iconButton, milliseconds, plural, toastDone, toastError }
  from '../../components/ui.js';
import { idOf } from '../../values/json.js';
import { asOfNotice, asOfRemedy, momentOf, readAsOf } from './as-of.js';
import { editDocument, insertDocument } from './document-dialog.js';
import { showHistory } from './history-dialog.js';
import { firstFound, idInput } from './id-input.js';
import { Pages, lastOffset, pager, rangeOf } from './paging.js';
import { isSameCollection } from './place.js';
import { QueryBar, fieldOf, findBody, queryOf, sortOf, sortText } from './query.js';

export class DocumentsPane {
  place = {};
  query = {};
  range = {}; // limit and offset
  layout = 'table';
  page = null; // the result of `Pages.fetch`, null until known
  error = null;
  idText = ''; // of the search by _id
  #loader = new Loader();
  #pages = new Pages();

  /** `changed()` is called after documents were written. */
  constructor(app, readLevel, changed) {
    Object.assign(this, { app, readLevel, changed });
    this.bar = new QueryBar((query) => this.#goTo(0, this.range.limit, query), this.#explain);
  }

  open(place, parameters) {
    const moved = !isSameCollection(place, this.place);
    this.place = place;
    this.query = queryOf(parameters);
    this.range = rangeOf(parameters);
    if (moved) Object.assign(this, { page: null, error: null, idText: '' });
    this.bar.open(this.query, moved);
    this.#load();
  }

  /** Reads the page again, counted from the first document. */
  load = () => {
    this.#pages.restart();
    return this.#load();
  };

  async #load() {
    const { place, query, range, readLevel: { level } } = this;
    if (!await this.#loader.assign(this, 'page', () => this.#pages.fetch(place, query, range, level))) return;
    const isBeyondEnd = !this.error && !this.page.rows.length && range.offset;
    if (isBeyondEnd) this.#goTo(lastOffset(this.page.total ?? 0, range.limit));
    this.app.update();
  }

  /** The parameters of the address of this tab; none for another collection. */
  parametersOf(place) {
    return new URLSearchParams(isSameCollection(place, this.place) ? { ...this.query, ...this.range } : {});
  }

  /** Shows another page or the result of another query, or reads the present page again. */
  #goTo(offset, limit = this.range.limit, query = this.query) {
    const before = location.hash;
    this.app.go('browse', [this.place.db, this.place.col], { ...query, limit, offset });
    if (location.hash === before) this.load();
  }

  #explain = async (query) => {
    const { db, col } = this.place;
    const { range: { limit, offset }, readLevel: { level } } = this;
    try {
      const body = findBody(query, { limit, skip: offset, explain: 'executionStats' });
      const text = await readAsOf(query, (moment) => documents.find(db, col, level, body, moment));
      await showPlan(JSON.parse(text).explain);
    } catch (error) {
      if (!fieldOf(error)) return toastError(error);
      this.error = error;
      this.app.update();
    }
  };

  #written() { return Promise.all([this.load(), this.changed()]); }

  #insert = async () => {
    if (await insertDocument(this.place)) await this.#written();
  };

  async #edit(id) {
    try {
      if (await editDocument(this.place, id, this.#canChange, momentOf(this.query))) await this.#written();
    } catch (error) {
      toastError(error);
    }
  }

  async #history(id) {
    try {
      if (await showHistory({ ...this.place, canWrite: this.#canChange }, id)) await this.#written();
    } catch (error) {
      toastError(error);
    }
  }

  async #delete(id) {
    const { db, col } = this.place;
    const done = await openDialog({
      title: 'Delete this document?',
      submitLabel: 'Delete',
      danger: true,
      body: () => html`<p>The document <code>${id.text}</code> of ${db}.${col}
        will be deleted on every node.</p>`,
      submit: () => documents.delete(db, col, id),
    });
    if (!done) return;
    toastDone(`Document ${id.text} deleted.`);
    await this.#written();
  }

  #openById = async (event) => {
    event.preventDefault();
    const { db, col } = this.place;
    try {
      await this.#edit(await firstFound(this.idText, async (id) => {
        await documents.get(db, col, id, momentOf(this.query));
        return id;
      }));
    } catch (error) {
      toastError(error);
    }
  };

  /** The past is read-only. */
  get #canChange() { return this.place.canWrite && !this.query.asof; }

  #sort = (column, direction) => {
    const { sort: _, ...query } = this.query;
    this.#goTo(0, this.range.limit, direction ? { ...query, sort: sortText(column, direction) } : query);
  };

  /** Shows the collection as of another moment; of the present if `asof` is empty. */
  #asOf = (asof) => {
    const { asof: _, ...query } = this.query;
    this.#goTo(0, this.range.limit, asof ? { ...query, asof } : query);
  };

  action() {
    if (!this.#canChange) return nothing;
    return html`<div class="row">${beginButton(this.app)}${
      addButton('doc-insert', 'Insert document', this.#insert)}</div>`;
  }

  view() {
    const onField = fieldOf(this.error);
    return html`${this.bar.view(this.error, asOfRemedy(this.error, this.place, this.#asOf))}
      ${this.error ? nothing : asOfNotice(this.query, () => this.#asOf(''))}${this.#toolbar()}
      ${this.error && !onField ? this.readLevel.errorBox(this.error, 'docs', this.load) : nothing}
      ${this.error ? nothing : this.#content()}`;
  }

  #toolbar() {
    const choose = (layout) => {
      this.layout = layout;
      this.app.update();
    };
    return html`<div class="toolbar">
      <form class="row find" role="search" @submit=${this.#openById}>
        ${idInput(this.idText, 'find-id', (text) => { this.idText = text; })}
        <button data-testid="find-submit">Open</button></form>
      ${this.#queryInfo()}
      ${layoutChoice(this.layout, choose)}
      ${iconButton('refresh', 'Reload', 'docs-reload', this.load)}
    </div>`;
  }

  /** How long the query took, and how many documents match a filter; the heading has the number of all. */
  #queryInfo() {
    if (!this.page || this.error) return nothing;
    const { total, ms } = this.page;
    const counted = total === null ? 'too many to count'
      : this.query.filter && `${plural(total, 'document')} ${total === 1 ? 'matches' : 'match'}`;
    return html`<span class="muted info" role="status"
      data-testid="query-info">${counted ? `${counted} · ` : ''}${milliseconds(ms)}</span>`;
  }

  #content() {
    if (!this.page) return html`<p class="loading">Loading documents…</p>`;
    if (!this.page.rows.length && !this.range.offset) return this.#empty();
    return html`${documentRows(this.layout, this.page.rows, {
      actions: (document) => this.#actions(document),
      open: (document) => this.#edit(idOf(document)),
      sort: { ...sortOf(this.query.sort), choose: this.#sort },
    })}
      ${pager(this.page, this.range, (offset, limit) => this.#goTo(offset, limit))}`;
  }

  #empty() {
    if (this.query.filter) {
      return emptyState('No matching documents', 'Change the filter, or clear it to see all documents.');
    }
    if (this.query.asof) return emptyState('No documents', 'The collection was empty at that moment.');
    return emptyState('No documents yet', html`<code>${this.place.col}</code> is empty.`,
      this.place.canWrite && addButton('empty-doc-insert', 'Insert the first document', this.#insert));
  }

  #actions(document) {
    if (!document.has('_id')) return nothing; // the query excluded it
    const id = idOf(document);
    const edit = () => this.#edit(id);
    const history = iconButton('history', `History of ${id.text}`, 'doc-history', () => this.#history(id));
    if (!this.#canChange) return [iconButton('eye', `View ${id.text}`, 'doc-view', edit), history];
    return [iconButton('pencil', `Edit ${id.text}`, 'doc-edit', edit), history,
      iconButton('trash', `Delete ${id.text}`, 'doc-delete', () => this.#delete(id))];
  }
}
