/** Shows the result of a statement: documents as rows, plans as trees, messages as sentences. */
import { html, nothing } from '../../vendor/lit-html.js';
import { documentRows, layoutChoice } from '../../components/documents.js';
import { planView } from '../../components/plan.js';
import { compare } from '../../components/sorting.js';
import { milliseconds, plural, violationList } from '../../components/ui.js';
import { stringify } from '../../values/json.js';
import { rowsOf } from './run.js';

/** `result` is that of run.js, `options` what `rowsView` needs. */
export function resultView(result, options) {
  if (result.rows) return rowsView(result, options);
  if (result.cancelled) return html`<p class="card" data-testid="console-message">Nothing was changed.</p>`;
  const { value, text, ms, error } = result;
  if (error) return nothing;
  const asRows = (values) => rowsView(Object.assign(result, { rows: rowsOf(values) }), options);
  if (Array.isArray(value)) return asRows(value);
  if (!(value instanceof Map)) return textView(value === null ? 'No document.' : stringify(value), ms);
  if (value.has('explain')) return html`<div class="card">${planView(JSON.parse(text).answer.explain)}</div>`;
  if (value.has('message')) return messageView(value, ms);
  if (value.size === 1 && value.has('count')) return textView(plural(value.get('count'), 'document'), ms);
  return asRows([value]);
}

const time = (ms) => html`<span class="muted" data-testid="console-time">${milliseconds(ms)}</span>`;

function rowsView({ rows, cursor, ms, column, direction }, { layout, chooseLayout, sort, more, running }) {
  const shown = direction ? sorted(rows, column, direction) : rows;
  return html`<div class="toolbar"><span class="muted info" role="status" data-testid="console-count">
      ${cursor ? `The first ${plural(rows.length, 'row')}` : plural(rows.length, 'row')} · ${time(ms)}</span>
      ${layoutChoice(layout, chooseLayout)}</div>
    ${rows.length ? documentRows(layout, shown, { sort: { column, direction, choose: sort } }) : nothing}
    ${cursor ? html`<p class="pager"><span>There are more.</span><button type="button" ?disabled=${running}
      data-testid="console-more" @click=${more}>${running ? 'Loading…' : 'Show more'}</button></p>` : nothing}`;
}

const sorted = (rows, column, direction) =>
  [...rows].sort((a, b) => direction * compare(a.get(column), b.get(column)));

const textView = (text, ms) => html`
  <p class="card" data-testid="console-message">${text} <span class="muted">·</span> ${time(ms)}</p>`;

/** Values of an answer that its message already contains. */
const IN_MESSAGE = ['matched', 'modified', 'deleted'];

/** The message of a change with the other values of the answer; for an insert the message is the `_id`. */
function messageView(answer, ms) {
  const { message, warnings, id, ...others } = Object.fromEntries(answer);
  const rest = Object.entries(others).filter(([name]) => !IN_MESSAGE.includes(name));
  return html`<div class="card" data-testid="console-message">
    <p>${id === undefined ? message : html`Document <code>${message}</code> inserted.`}
      <span class="muted">·</span> ${time(ms)}</p>
    ${rest.length ? html`<p class="muted"><code>${stringify(new Map(rest))}</code></p>` : nothing}
    ${warnings ? html`<p class="warn">Stored, with warnings:</p>
      ${violationList(warnings.map((violation) => Object.fromEntries(violation)))}` : nothing}</div>`;
}
