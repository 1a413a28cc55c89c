/** The pages of a query's result: read by cursor, and the buttons to turn them. */
import { html } from '../../vendor/lit-html.js';
import { documents, timed } from '../../api/calls.js';
import { count, iconButton } from '../../components/ui.js';
import { parse } from '../../values/json.js';
import { readAsOf } from './as-of.js';
import { filterJson, findBody } from './query.js';

const SIZES = [10, 25, 50, 100];

/** The limit and offset of an address. */
export const rangeOf = (parameters) => ({
  limit: SIZES.find((size) => size === Number(parameters.get('limit'))) ?? SIZES[0],
  offset: Math.max(0, Math.trunc(Number(parameters.get('offset'))) || 0),
});

/** The offset of the last page. */
export const lastOffset = (total, limit) => Math.max(0, Math.ceil(total / limit) - 1) * limit;

export class Pages {
  #cursors = new Map(); // of the known pages, by their offset
  #query = ''; // the query of the cursors

  /** Forgets the cursors: the next page is found by skipping documents. */
  restart() { this.#cursors.clear(); }

  /**
   * Reads a page: its parsed documents `rows`, the milliseconds `ms` it took, whether there are
   * `more`, and the `total` number of matching documents, null if counting takes too long.
   */
  async fetch({ db, col }, query, { limit, offset }, level) {
    const key = JSON.stringify([db, col, query, limit]);
    if (key !== this.#query) this.restart();
    this.#query = key;
    const cursor = this.#cursors.get(offset);
    const body = findBody(query, cursor ? { limit, cursor } : { limit, skip: offset });
    const filter = filterJson(query);
    const [{ value: text, ms }, total] = await readAsOf(query, (moment) => Promise.all([
      timed(() => documents.find(db, col, level, body, moment)),
      documents.count(db, col, level, filter, moment).catch(unknownIfTooSlow)]));
    const page = parse(text);
    const rows = page.get('documents');
    const next = page.get('cursor');
    if (next && key === this.#query) this.#cursors.set(offset + rows.length, next);
    return { rows, ms, total, more: Boolean(next) };
  }
}

/** The documents are shown even if counting them takes too long. */
function unknownIfTooSlow(error) {
  if (error.code === 'time_limit') return null;
  throw error;
}

/** The buttons; the page was fetched at `{limit, offset}`, and `goTo(offset, limit)` shows another. */
export function pager({ rows, total, more }, { limit, offset }, goTo) {
  const step = (name, text, to, disabled) =>
    iconButton(name, text, `page-${name}`, () => goTo(to, limit), disabled);
  const atStart = offset === 0;
  const shown = `${count(rows.length ? offset + 1 : 0)}–${count(offset + rows.length)}`
    + (total === null ? '' : ` of ${count(total)}`);
  return html`<nav class="pager" aria-label="Pages of documents">
    <span data-testid="page-info">${shown}</span>
    <label class="row">Per page
      <select data-testid="page-size" @change=${(event) => goTo(0, event.target.value)}>
        ${SIZES.map((size) => html`
          <option value=${size} ?selected=${size === limit}>${size}</option>`)}</select></label>
    <span class="row">${step('first', 'First page', 0, atStart)}
      ${step('prev', 'Previous page', Math.max(0, offset - limit), atStart)}
      ${step('next', 'Next page', offset + rows.length, !more)}
      ${step('last', 'Last page', lastOffset(total, limit), !more || total === null)}</span>
  </nav>`;
}
