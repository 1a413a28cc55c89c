/** The documents of one collection, a page at a time, as a table or as JSON. */
import { html, nothing } from '../vendor/lit-html.js';
import { SYSTEM, documents } from '../api.js';
import { openDialog } from '../components/dialog.js';
import { emptyState, errorBox, icon, iconButton, toastDone, toastError } from '../components/ui.js';
import { Num, idOf, parse, stringify } from '../json.js';
import { addDocument, editDocument } from './browse-editor.js';

const PAGE_SIZES = [10, 25, 50, 100];
const COLUMNS_MAX = 40; // more do not help anybody read
const CELL_CHARS_MAX = 160;
const LOCAL_HELPS = ['no_leader', 'timeout']; // refusals of reads that must be up to date

export function documentsPane(app) {
  let place = {};
  let limit = PAGE_SIZES[0];
  let offset = 0;
  let layout = 'table';
  let level = 'linearizable';
  let rows = null; // parsed documents of this page, null until known
  let total, node, error;
  let wanted = ''; // the text of "Go to id"
  let loading = 0; // number of the newest load; answers to older ones are dropped

  function open(next, query) {
    const moved = next.db !== place.db || next.col !== place.col;
    place = next;
    limit = PAGE_SIZES.find((size) => size === Number(query.get('limit'))) ?? PAGE_SIZES[0];
    offset = Math.max(0, Math.trunc(Number(query.get('offset'))) || 0);
    if (moved) [rows, error, wanted, level] = [null, null, '', 'linearizable'];
    if (place.col) load();
  }

  async function load() {
    const turn = ++loading;
    const { db, col } = place;
    try {
      const [page, count] = await Promise.all([
        documents.page(db, col, { limit, offset, level }), documents.count(db, col, level)]);
      if (turn !== loading) return;
      rows = parse(page.text).get('documents');
      [total, node, error] = [count, page.node, null];
      if (!rows.length && offset > 0 && total > 0) goTo(lastOffset()); // the page was emptied
    } catch (cause) {
      if (turn !== loading) return;
      error = cause;
    }
    app.update();
  }

  const lastOffset = () => Math.max(0, Math.ceil(total / limit) - 1) * limit;
  const goTo = (to, size = limit) => app.go('browse', [place.db, place.col], { limit: size, offset: to });
  const canWrite = () => place.db !== SYSTEM && app.canWrite();
  const readAt = (other) => () => {
    level = other;
    load();
  };

  async function edit(id) {
    try {
      const saved = await editDocument(place, id, canWrite());
      if (saved) await load();
    } catch (cause) {
      toastError(cause);
    }
  }

  async function add() {
    if (await addDocument(place)) await load();
  }

  async function remove(id) {
    const { db, col } = place;
    const done = await openDialog({
      title: 'Delete this document?',
      submitLabel: 'Delete',
      danger: true,
      body: () => html`<p>The document <code>${id.text}</code> of ${db}.${col} is deleted on every node.</p>`,
      submit: () => documents.remove(db, col, id),
    });
    if (!done) return;
    toastDone(`Document ${id.text} deleted.`);
    await load();
  }

  /** Whole numbers are tried as integer ids first; quotes make any id a string. */
  async function find(event) {
    event.preventDefault();
    const text = wanted.trim();
    const quoted = /^"(.*)"$/.exec(text);
    const tries = [{ text: quoted ? quoted[1] : text, type: 'string' }];
    if (/^-?\d+$/.test(text)) tries.unshift({ text, type: 'int' });
    for (const id of tries) {
      try {
        await documents.get(place.db, place.col, id);
        return edit(id);
      } catch (cause) {
        if (cause.status === 404 && id !== tries.at(-1)) continue;
        return toastError(cause);
      }
    }
  }

  function view() {
    return html`
      <div class="heading">
        <h1><a class="back" href="#/browse/${encodeURIComponent(place.db)}" aria-label="Back to the collections">${icon('prev')}</a>
          <span class="muted">${place.db} /</span> ${place.col}</h1>
        ${canWrite() ? html`<button class="primary" data-testid="doc-add" @click=${add}>${icon('plus')}Add document</button>`
          : html`<span class="tag">read-only</span>`}
      </div>
      <div class="toolbar">
        <form class="row find" role="search" @submit=${find}>
          <input .value=${wanted} required placeholder="Go to id" aria-label="Document id" autocomplete="off" spellcheck="false"
            @input=${(event) => { wanted = event.target.value; }}
          title='Whole numbers are looked up as integer ids first; "42" in quotes means the string'
            data-testid="find-id"><button data-testid="find-submit">Open</button></form>
        <div class="segmented" role="group" aria-label="Layout">${layoutButton('table', 'Table')}${layoutButton('json', 'JSON')}</div>
        ${iconButton('refresh', 'Reload', load, { testid: 'docs-reload' })}
      </div>
      ${level === 'local' && !error ? localNotice() : nothing}
      ${error ? errorBox(error, 'docs-error', errorActions()) : content()}`;
  }

  const layoutButton = (name, text) => html`<button type="button" aria-pressed=${layout === name}
    data-testid="view-${name}" @click=${() => { layout = name; app.update(); }}>${text}</button>`;

  const localNotice = () => html`<div class="notice warn" role="status" data-testid="local-notice">
    <div>This is the copy of ${node ?? 'this node'}; it may be behind the cluster.</div>
    <button class="small" @click=${readAt('linearizable')}>Read up to date</button></div>`;

  const errorActions = () => html`
    <button class="small" data-testid="docs-retry" @click=${load}>Try again</button>
    ${LOCAL_HELPS.includes(error.code) && level !== 'local' ? html`<button class="small" data-testid="read-local"
      @click=${readAt('local')}>Show this node's copy</button>` : nothing}`;

  function content() {
    if (!rows) return html`<p class="loading">Loading documents…</p>`;
    if (!total && !rows.length) {
      return emptyState('No documents yet', html`<code>${place.col}</code> is empty.`, canWrite()
        ? html`<button class="primary" data-testid="empty-doc-add" @click=${add}>${icon('plus')}Add the first document</button>` : nothing);
    }
    return html`${layout === 'table' ? table() : list()}${pager()}`;
  }

  function table() {
    const columns = columnsOf(rows);
    const shown = columns.slice(0, COLUMNS_MAX);
    return html`<div class="table-box" tabindex="0" role="region" aria-label="Documents table"><table class="docs" data-testid="doc-table">
      <thead><tr>${shown.map((name) => html`<th scope="col">${name}</th>`)}<th><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${rows.map((row) => html`<tr data-testid="doc-row" data-id=${idOf(row).text}>
        ${shown.map((name) => cell(row.get(name), row.has(name)))}<td class="row-actions">${rowActions(row)}</td></tr>`)}</tbody>
      </table></div>
      ${columns.length > COLUMNS_MAX ? html`<p class="muted">${columns.length - COLUMNS_MAX} more fields are in the JSON view.</p>` : nothing}`;
  }

  const list = () => html`<ul class="json-list">${rows.map((row) => html`
    <li class="card" data-testid="doc-row" data-id=${idOf(row).text}>
      <div class="json-head"><code>${idOf(row).text}</code><span>${rowActions(row)}</span></div>
      <pre tabindex="0">${stringify(row, 2)}</pre></li>`)}</ul>`;

  function rowActions(row) {
    const id = idOf(row);
    if (!canWrite()) return iconButton('eye', `View ${id.text}`, () => edit(id), { testid: 'doc-view' });
    return [iconButton('pencil', `Edit ${id.text}`, () => edit(id), { testid: 'doc-edit' }),
      iconButton('trash', `Delete ${id.text}`, () => remove(id), { testid: 'doc-delete' })];
  }

  function pager() {
    const from = total ? offset + 1 : 0;
    const step = (name, text, to, off) => iconButton(name, text, () => goTo(to), { testid: `page-${name}`, disabled: off });
    const atEnd = offset + limit >= total;
    return html`<nav class="pager" aria-label="Pages of documents">
      <span data-testid="page-info">${number(from)}–${number(offset + rows.length)} of ${number(total)}</span>
      <label class="row">Per page <select data-testid="page-size" @change=${(event) => goTo(0, event.target.value)}>
        ${PAGE_SIZES.map((size) => html`<option value=${size} ?selected=${size === limit}>${size}</option>`)}</select></label>
      <span class="row">${step('first', 'First page', 0, offset === 0)}
        ${step('prev', 'Previous page', Math.max(0, offset - limit), offset === 0)}
        ${step('next', 'Next page', offset + limit, atEnd)}${step('last', 'Last page', lastOffset(), atEnd)}</span>
    </nav>`;
  }

  return { open, view };
}

const number = (n) => n.toLocaleString('en');

/** The fields of the documents in order of appearance, `_id` first. */
function columnsOf(rows) {
  const names = new Set(['_id']);
  for (const row of rows) for (const name of row.keys()) names.add(name);
  return [...names];
}

/** A table cell; nested values as one line of JSON, an absent field as an empty cell. */
function cell(value, present) {
  if (!present) return html`<td></td>`;
  const nested = value instanceof Map || Array.isArray(value);
  const kind = value instanceof Num ? 'num' : nested ? 'nested' : typeof value === 'string' ? 'text' : 'word';
  const text = nested ? stringify(value) : String(value);
  const short = text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX)}…` : text;
  return html`<td class=${kind} title=${short}><span>${short}</span></td>`;
}
