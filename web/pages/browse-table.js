/** Parsed documents as a table or as JSON. `actions(document)` draws the buttons of each. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num, idOf, stringify } from '../json.js';

const COLUMNS_MAX = 40; // more do not help anybody read
const CELL_CHARS_MAX = 160;

export function documentTable(rows, actions) {
  const columns = columnsOf(rows);
  const shown = columns.slice(0, COLUMNS_MAX);
  const more = columns.length - shown.length;
  const row = (document) => html`<tr data-testid="doc-row" data-id=${idOf(document).text}>
    ${shown.map((name) => cell(document.get(name)))}<td class="row-actions">${actions(document)}</td></tr>`;
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Documents table">
    <table class="docs" data-testid="doc-table">
      <thead><tr>${shown.map((name) => html`<th scope="col">${name}</th>`)}
        <th><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${rows.map(row)}</tbody>
    </table></div>
    ${more ? html`<p class="muted">${more} more fields are in the JSON view.</p>` : nothing}`;
}

export const documentList = (rows, actions) => html`<ul class="json-list">${rows.map((document) => html`
  <li class="card" data-testid="doc-row" data-id=${idOf(document).text}>
    <div class="json-head"><code>${idOf(document).text}</code><span>${actions(document)}</span></div>
    <pre tabindex="0">${stringify(document, 2)}</pre></li>`)}</ul>`;

/** The fields of the documents in order of appearance, `_id` first. */
const columnsOf = (rows) => [...new Set(['_id', ...rows.flatMap((row) => [...row.keys()])])];

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
