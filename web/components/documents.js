/** Shows parsed documents as a table or as JSON. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num, idOf, stringify } from '../values/json.js';
import { nextDirection, sortHeader } from './sorting.js';
import { segmented, tableBox } from './ui.js';

const COLUMNS_MAX = 40; // more are not readable
const CELL_CHARS_MAX = 160;

export const layoutChoice = (layout, choose) =>
  segmented('Layout', 'view', [['table', 'Table'], ['json', 'JSON']], layout, choose);

/**
 * Documents in a layout. `options` are all optional: `actions(document)` returns the buttons of a
 * document, `open(document)` shows one, `sort` is `{column, direction, choose(column, direction)}`.
 */
export const documentRows = (layout, rows, options = {}) =>
  (layout === 'table' ? documentTable : documentList)(rows, options);

function documentTable(rows, { actions, open, sort }) {
  const columns = columnsOf(rows);
  const shown = columns.slice(0, COLUMNS_MAX);
  const more = columns.length - shown.length;
  const row = (document) => html`<tr data-testid="doc-row" data-id=${idText(document)}
    class=${open ? 'opens' : nothing} @click=${open && ((event) => isRowClick(event) && open(document))}>
    ${shown.map((name) => (name === '_id' && open ? idCell(document, open) : cell(document.get(name))))}
    ${actions ? html`<td class="row-actions">${actions(document)}</td>` : nothing}</tr>`;
  return html`${tableBox('Documents table', html`
    <table class="docs" data-testid="doc-table">
      <thead><tr>${shown.map((name) => header(name, sort))}
        ${actions ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}</tr></thead>
      <tbody>${rows.map(row)}</tbody>
    </table>`)}
    ${more > 0 ? html`<p class="muted">The JSON layout shows ${more} more fields.</p>` : nothing}`;
}

function header(name, sort) {
  if (!sort) return html`<th scope="col">${name}</th>`;
  const direction = name === sort.column ? sort.direction : 0;
  return sortHeader(name, direction, () => sort.choose(name, nextDirection(direction)));
}

/** Whether a click is on the row itself: not on a button, and not the end of a text selection. */
const isRowClick = ({ target }) => !target.closest('button, a') && !String(getSelection());

const documentList = (rows, { actions, open }) => html`<ul class="json-list" data-rows=".open">${rows.map((document) => html`
  <li class="card" data-testid="doc-row" data-id=${idText(document)}>
    <div class="json-head">${open && document.has('_id') ? opener(document, open)
      : html`<code>${idText(document)}</code>`}<span>${actions?.(document) ?? nothing}</span></div>
    <pre tabindex="0">${stringify(document, 2)}</pre></li>`)}</ul>`;

/** The text of the `_id`; empty if the query excluded it. */
const idText = (document) => (document.has('_id') ? idOf(document).text : '');

const opener = (document, open) => html`<button type="button" class="link open" data-testid="doc-open"
  title="Open ${idText(document)}" @click=${() => open(document)}>${short(idText(document))}</button>`;

const idCell = (document, open) => html`<td class=${kindOf(document.get('_id'))}>${document.has('_id')
  ? opener(document, open) : nothing}</td>`;

/** The fields of the documents in the order of their first appearance, `_id` first. */
function columnsOf(rows) {
  const names = new Set(rows.flatMap((row) => [...row.keys()]));
  return names.delete('_id') ? ['_id', ...names] : [...names];
}

function kindOf(value) {
  if (value instanceof Num) return 'num';
  if (typeof value === 'string') return 'text';
  return value instanceof Object ? 'nested' : 'word';
}

const short = (text) => (text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX)}…` : text);

/** A table cell: nested values as one line of JSON, absent fields as an empty cell. */
function cell(value) {
  if (value === undefined) return html`<td></td>`;
  const kind = kindOf(value);
  const text = short(kind === 'nested' ? stringify(value) : String(value));
  return html`<td class=${kind} title=${text}><span>${text}</span></td>`;
}
