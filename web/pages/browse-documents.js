/** The documents of one collection, a page at a time. */
import { html, nothing } from '../vendor/lit-html.js';
import { SYSTEM, documents } from '../api.js';
import { openDialog } from '../components/dialog.js';
import { addButton, address, emptyState, icon, iconButton, toastDone, toastError } from '../components/ui.js';
import { idOf, parse } from '../json.js';
import { addDocument, editDocument } from './browse-editor.js';
import { documentList, documentTable } from './browse-table.js';

const PAGE_SIZES = [10, 25, 50, 100];

export class DocumentsPane {
  place = {};
  limit = PAGE_SIZES[0];
  offset = 0;
  layout = 'table';
  rows = null; // parsed documents of this page, null until known
  total = 0;
  error = null;
  wanted = ''; // the text of "Go to id"
  loading = 0; // number of the newest load; answers to older ones are dropped

  constructor(app, reads) { Object.assign(this, { app, reads }); }

  open(place, query) {
    const moved = place.db !== this.place.db || place.col !== this.place.col;
    this.place = place;
    this.limit = PAGE_SIZES.find((size) => size === Number(query.get('limit'))) ?? PAGE_SIZES[0];
    this.offset = Math.max(0, Math.trunc(Number(query.get('offset'))) || 0);
    if (moved) Object.assign(this, { rows: null, error: null, wanted: '' });
    this.load();
  }

  load = async () => {
    const turn = ++this.loading;
    const { place: { db, col }, limit, offset, reads: { level } } = this;
    if (!col) return;
    let fresh;
    try {
      const [text, total] = await Promise.all([
        documents.page(db, col, { limit, offset, level }), documents.count(db, col, level)]);
      fresh = { rows: parse(text).get('documents'), total, error: null };
    } catch (error) {
      fresh = { error };
    }
    if (turn !== this.loading) return;
    Object.assign(this, fresh);
    const emptied = !fresh.error && !this.rows.length && offset > 0 && this.total > 0;
    if (emptied) this.#goTo(this.#lastOffset());
    this.app.update();
  };

  #lastOffset() { return Math.max(0, Math.ceil(this.total / this.limit) - 1) * this.limit; }

  #goTo(offset, limit = this.limit) {
    this.app.go('browse', [this.place.db, this.place.col], { limit, offset });
  }

  #canWrite() { return this.place.db !== SYSTEM && this.app.canWrite(); }

  #add = async () => {
    if (await addDocument(this.place)) await this.load();
  };

  async #edit(id) {
    try {
      if (await editDocument(this.place, id, this.#canWrite())) await this.load();
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
      submit: () => documents.remove(db, col, id),
    });
    if (!done) return;
    toastDone(`Document ${id.text} deleted.`);
    await this.load();
  }

  #find = async (event) => {
    event.preventDefault();
    const { db, col } = this.place;
    const ids = idsMeant(this.wanted.trim());
    for (const id of ids) {
      try {
        await documents.get(db, col, id);
        return this.#edit(id);
      } catch (error) {
        if (error.status === 404 && id !== ids.at(-1)) continue;
        return toastError(error);
      }
    }
  };

  view() {
    return html`${this.#heading()}${this.#toolbar()}
      ${this.error ? this.reads.errorBox(this.error, 'docs', this.load) : this.#content()}`;
  }

  #heading() {
    const { db, col } = this.place;
    return html`<div class="heading">
      <h1><a class="back" href=${address('browse', db)}
        aria-label="Back to the collections">${icon('prev')}</a>
        <span class="muted">${db} /</span> ${col}</h1>
      ${this.#canWrite() ? addButton('doc-add', 'Add document', this.#add)
        : html`<span class="tag">read-only</span>`}
    </div>`;
  }

  #toolbar() {
    const onInput = (event) => { this.wanted = event.target.value; };
    return html`<div class="toolbar">
      <form class="row find" role="search" @submit=${this.#find}>
        <input .value=${this.wanted} required placeholder="Go to id" aria-label="Document id"
          title='Whole numbers are looked up as integer ids first; "42" in quotes means the string'
          autocomplete="off" spellcheck="false" data-testid="find-id" @input=${onInput}>
        <button data-testid="find-submit">Open</button></form>
      <div class="segmented" role="group" aria-label="Layout">
        ${this.#layoutButton('table', 'Table')}${this.#layoutButton('json', 'JSON')}</div>
      ${iconButton('refresh', 'Reload', 'docs-reload', this.load)}
    </div>`;
  }

  #layoutButton(layout, text) {
    const onClick = () => {
      this.layout = layout;
      this.app.update();
    };
    return html`<button type="button" aria-pressed=${this.layout === layout}
      data-testid="view-${layout}" @click=${onClick}>${text}</button>`;
  }

  #content() {
    if (!this.rows) return html`<p class="loading">Loading documents…</p>`;
    if (!this.total && !this.rows.length) {
      return emptyState('No documents yet', html`<code>${this.place.col}</code> is empty.`,
        this.#canWrite() && addButton('empty-doc-add', 'Add the first document', this.#add));
    }
    const draw = this.layout === 'table' ? documentTable : documentList;
    return html`${draw(this.rows, (document) => this.#actions(idOf(document)))}${this.#pager()}`;
  }

  #actions(id) {
    const edit = () => this.#edit(id);
    if (!this.#canWrite()) return iconButton('eye', `View ${id.text}`, 'doc-view', edit);
    return [iconButton('pencil', `Edit ${id.text}`, 'doc-edit', edit),
      iconButton('trash', `Delete ${id.text}`, 'doc-delete', () => this.#remove(id))];
  }

  #pager() {
    const { offset, limit, total, rows } = this;
    const step = (name, text, to, disabled) =>
      iconButton(name, text, `page-${name}`, () => this.#goTo(to), disabled);
    const atStart = offset === 0;
    const atEnd = offset + limit >= total;
    return html`<nav class="pager" aria-label="Pages of documents">
      <span data-testid="page-info">
        ${number(total ? offset + 1 : 0)}–${number(offset + rows.length)} of ${number(total)}</span>
      <label class="row">Per page
        <select data-testid="page-size" @change=${(event) => this.#goTo(0, event.target.value)}>
          ${PAGE_SIZES.map((size) => html`
            <option value=${size} ?selected=${size === limit}>${size}</option>`)}</select></label>
      <span class="row">${step('first', 'First page', 0, atStart)}
        ${step('prev', 'Previous page', Math.max(0, offset - limit), atStart)}
        ${step('next', 'Next page', offset + limit, atEnd)}
        ${step('last', 'Last page', this.#lastOffset(), atEnd)}</span>
    </nav>`;
  }
}

const number = (n) => n.toLocaleString('en');

/** Whole numbers are tried as integer ids first; quotes make any id a string. */
function idsMeant(text) {
  const quoted = /^"(.*)"$/.exec(text);
  const ids = [{ text: quoted ? quoted[1] : text, type: 'string' }];
  if (/^-?\d+$/.test(text)) ids.unshift({ text, type: 'int' });
  return ids;
}
