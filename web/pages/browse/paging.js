/** Pages of what a query finds: read onwards by cursor, and drawn with their buttons. */
import { html } from '../../vendor/lit-html.js';
import { documents } from '../../api/calls.js';
import { count, iconButton } from '../../components/ui.js';
import { parse } from '../../values/json.js';
import { readingAsOf } from './as-of.js';
import { filterJson, findBody } from './query.js';

const SIZES = [10, 25, 50, 100];

/** Offset and limit of an address. */
export const whereOf = (parameters) => ({
  limit: SIZES.find((size) => size === Number(parameters.get('limit'))) ?? SIZES[0],
  offset: Math.max(0, Math.trunc(Number(parameters.get('offset'))) || 0),
});

const lastOffset = (total, limit) => Math.max(0, Math.ceil(total / limit) - 1) * limit;

export class Pages {
  #cursors = new Map(); // where the pages begin that were reached, by their offset
  #of = ''; // what the cursors belong to

  /** Forgets the cursors: the next page is counted from the first document. */
  restart() { this.#cursors.clear(); }

  /**
   * Reads a page: its parsed documents `rows`, the milliseconds `ms` it took, whether `more`
   * follow, and the `total` that matches, null when counting takes too long.
   */
  async fetch({ db, col }, query, { limit, offset }, level) {
    const of = JSON.stringify([db, col, query, limit]);
    if (of !== this.#of) this.restart();
    this.#of = of;
    const cursor = this.#cursors.get(offset);
    const body = findBody(query, cursor ? { limit, cursor } : { limit, skip: offset });
    const filter = filterJson(query);
    const [{ text, ms }, total] = await readingAsOf(query, (moment) => Promise.all([
      timed(() => documents.find(db, col, level, body, moment)),
      documents.count(db, col, level, filter, moment).catch(unknownIfLong)]));
    const page = parse(text);
    const rows = page.get('documents');
    const next = page.get('cursor');
    if (next && of === this.#of) this.#cursors.set(offset + rows.length, next);
    return { rows, ms, total, more: Boolean(next) };
  }
}

async function timed(work) {
  const started = performance.now();
  const text = await work();
  return { text, ms: performance.now() - started };
}

/** A count that takes longer than it may is no reason not to show the documents. */
function unknownIfLong(error) {
  if (error.code === 'time_limit') return null;
  throw error;
}

/** An offset that is behind the end leads to the last page. */
export const offsetWithin = ({ total }, { limit }) => (total ? lastOffset(total, limit) : 0);

/** `page` is what was fetched from `where`; `goTo(offset, limit)` shows another. */
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
