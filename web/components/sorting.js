/** Sorting of table rows by a column header. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num } from '../values/json.js';
import { icon } from './ui.js';

const ICONS = { 0: 'sort', 1: 'up', '-1': 'down' };
const WORDS = { 1: 'ascending', '-1': 'descending' };

/** A header that sorts the rows: `direction` is 1, -1, or 0 if the rows are not sorted by it. */
export const sortHeader = (label, direction, choose, testid = 'sort') => html`
  <th scope="col" aria-sort=${WORDS[direction] ?? nothing}><button type="button" class="sort"
    data-testid=${testid} data-column=${label} title="Sort by ${label}"
    @click=${choose}>${label}${icon(ICONS[direction])}</button></th>`;

/** The direction after another click: ascending, descending, none. */
export const nextDirection = (direction) => ({ 0: 1, 1: -1, '-1': 0 })[direction];

const RANKS = ['undefined', 'null', 'number', 'string', 'object', 'boolean'];
const kindOf = (value) => {
  if (value === null) return 'null';
  return value instanceof Num ? 'number' : typeof value;
};

/** Compares two values: by type, then by value. */
export function compare(a, b) {
  const kinds = RANKS.indexOf(kindOf(a)) - RANKS.indexOf(kindOf(b));
  if (kinds) return kinds;
  if (typeof a === 'string') return a.localeCompare(b, undefined, { numeric: true });
  const [left, right] = a instanceof Num ? [Number(a.text), Number(b.text)] : [a, b];
  return left < right ? -1 : Number(left > right);
}

/**
 * The sorting of a table that has all its rows. `columns` are `[name, valueOf(row)]`; a column
 * without `valueOf` is not sortable.
 */
export class Sorting {
  #column = null;
  #direction = 0;

  constructor(update) { this.update = update; }

  headers(columns) {
    return columns.map(([name, valueOf]) => (valueOf
      ? sortHeader(name, name === this.#column ? this.#direction : 0, () => this.#choose(name))
      : html`<th scope="col">${name}</th>`));
  }

  #choose(name) {
    this.#direction = nextDirection(name === this.#column ? this.#direction : 0);
    this.#column = name;
    this.update();
  }

  /** The rows in the chosen order. */
  apply(rows, columns) {
    const valueOf = columns.find(([name]) => name === this.#column)?.[1];
    if (!valueOf || !this.#direction) return rows;
    return [...rows].sort((a, b) => this.#direction * compare(valueOf(a), valueOf(b)));
  }
}
