/** Parsed documents as a table or as JSON. `actions(document)`, if given, draws the buttons of each. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num, idOf, stringify } from '../json.js';
import { segmented, tableBox } from './ui.js';

const COLUMNS_MAX = 40; // more do not help anybody read
const CELL_CHARS_MAX = 160;

export const layoutChoice = (layout, choose) =>
  segmented('Layout', 'view', [['table', 'Table'], ['json', 'JSON']], layout, choose);

export const documentRows = (layout, rows, actions) =>
  (layout === 'table' ? documentTable : documentList)(rows, actions);

function documentTable(rows, actions) {
  const columns = columnsOf(rows);
  const shown = columns.slice(0, COLUMNS_MAX);
  const more = columns.length - shown.length;
  const row = (document) => html`<tr data-testid="doc-row" data-id=${nameOf(document)}>
    ${shown.map((name) => cell(document.get(name)))}
    ${actions ? html`<td class="row-actions">${actions(document)}</td>` : nothing}</tr>`;
  return html`${tableBox('Documents table', html`
    <table class="docs" data-testid="doc-table">
      <thead><tr>${shown.map((name) => html`<th scope="col">${name}</th>`)}
        ${actions ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}</tr></thead>
      <tbody>${rows.map(row)}</tbody>
    </table>`)}
    ${more > 0 ? html`<p class="muted">${more} more fields are in the JSON view.</p>` : nothing}`;
}

const documentList = (rows, actions) => html`<ul class="json-list">${rows.map((document) => html`
  <li class="card" data-testid="doc-row" data-id=${nameOf(document)}>
    <div class="json-head"><code>${nameOf(document)}</code><span>${actions?.(document) ?? nothing}</span></div>
    <pre tabindex="0">${stringify(document, 2)}</pre></li>`)}</ul>`;

/** The `_id`; empty where a query left it out. */
const nameOf = (document) => (document.has('_id') ? idOf(document).text : '');

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

/** A table cell; nested values as one line of JSON, an absent field as an empty cell. */
function cell(value) {
  if (value === undefined) return html`<td></td>`;
  const kind = kindOf(value);
  const text = kind === 'nested' ? stringify(value) : String(value);
  const short = text.length > CELL_CHARS_MAX ? `${text.slice(0, CELL_CHARS_MAX)}…` : text;
  return html`<td class=${kind} title=${short}><span>${short}</span></td>`;
}
