/** Parsed documents as a table or as JSON. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num, idOf, stringify } from '../values/json.js';
import { sortHeader, turned } from './sorting.js';
import { segmented, tableBox } from './ui.js';

const COLUMNS_MAX = 40; // more do not help anybody read
const CELL_CHARS_MAX = 160;

export const layoutChoice = (layout, choose) =>
  segmented('Layout', 'view', [['table', 'Table'], ['json', 'JSON']], layout, choose);

/**
 * Documents in a layout. Of `ways`, each of which may be left out: `actions(document)` draws the
 * buttons of each, `open(document)` shows one, `sort` is `{column, direction, choose(column, direction)}`.
 */
export const documentRows = (layout, rows, ways = {}) =>
  (layout === 'table' ? documentTable : documentList)(rows, ways);

function documentTable(rows, { actions, open, sort }) {
  const columns = columnsOf(rows);
  const shown = columns.slice(0, COLUMNS_MAX);
  const more = columns.length - shown.length;
  const row = (document) => html`<tr data-testid="doc-row" data-id=${nameOf(document)}
    class=${open ? 'opens' : nothing} @click=${open && ((event) => byClick(event) && open(document))}>
    ${shown.map((name) => (name === '_id' && open ? idCell(document, open) : cell(document.get(name))))}
    ${actions ? html`<td class="row-actions">${actions(document)}</td>` : nothing}</tr>`;
  return html`${tableBox('Documents table', html`
    <table class="docs" data-testid="doc-table">
      <thead><tr>${shown.map((name) => header(name, sort))}
        ${actions ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}</tr></thead>
      <tbody>${rows.map(row)}</tbody>
    </table>`)}
    ${more > 0 ? html`<p class="muted">${more} more fields are in the JSON view.</p>` : nothing}`;
}

function header(name, sort) {
  if (!sort) return html`<th scope="col">${name}</th>`;
  const direction = name === sort.column ? sort.direction : 0;
  return sortHeader(name, direction, () => sort.choose(name, turned(direction)));
}

/** Whether a click on a row means the row: not one of its buttons, nor text that is being marked. */
const byClick = ({ target }) => !target.closest('button, a') && !String(getSelection());

const documentList = (rows, { actions, open }) => html`<ul class="json-list" data-rows=".open">${rows.map((document) => html`
  <li class="card" data-testid="doc-row" data-id=${nameOf(document)}>
    <div class="json-head">${open && document.has('_id') ? opener(document, open)
      : html`<code>${nameOf(document)}</code>`}<span>${actions?.(document) ?? nothing}</span></div>
    <pre tabindex="0">${stringify(document, 2)}</pre></li>`)}</ul>`;

/** The `_id`; empty where a query left it out. */
const nameOf = (document) => (document.has('_id') ? idOf(document).text : '');

const opener = (document, open) => html`<button type="button" class="link open" data-testid="doc-open"
  title="Open ${nameOf(document)}" @click=${() => open(document)}>${short(nameOf(document))}</button>`;

const idCell = (document, open) => html`<td class=${kindOf(document.get('_id'))}>${document.has('_id')
  ? opener(document, open) : nothing}</td>`;

/** The fields of the documents in order of appearance, `_id` first. */
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

/** A table cell; nested values as one line of JSON, an absent field as an empty cell. */
function cell(value) {
  if (value === undefined) return html`<td></td>`;
  const kind = kindOf(value);
  const text = short(kind === 'nested' ? stringify(value) : String(value));
  return html`<td class=${kind} title=${text}><span>${text}</span></td>`;
}
