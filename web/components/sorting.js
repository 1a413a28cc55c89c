/** The order of the rows of a table, chosen by its headers. */
import { html, nothing } from '../vendor/lit-html.js';
import { Num } from '../values/json.js';
import { icon } from './ui.js';

const ICONS = { 0: 'sort', 1: 'up', '-1': 'down' };
const WORDS = { 1: 'ascending', '-1': 'descending' };

/** A header that orders the rows: `direction` is 1, -1, or 0 while another column does. */
export const sortHeader = (label, direction, choose, testid = 'sort') => html`
  <th scope="col" aria-sort=${WORDS[direction] ?? nothing}><button type="button" class="sort"
    data-testid=${testid} data-column=${label} title="Sort by ${label}" @click=${choose}>${label}${icon(ICONS[direction])}</button></th>`;

/** The next direction of a column: up, down, none. */
export const turned = (direction) => ({ 0: 1, 1: -1, '-1': 0 })[direction];

const RANKS = ['undefined', 'null', 'number', 'string', 'object', 'boolean'];
const kindOf = (value) => {
  if (value === null) return 'null';
  return value instanceof Num ? 'number' : typeof value;
};

/** The order of two values: by kind, then by what they are. */
export function compare(a, b) {
  const kinds = RANKS.indexOf(kindOf(a)) - RANKS.indexOf(kindOf(b));
  if (kinds) return kinds;
  if (typeof a === 'string') return a.localeCompare(b, undefined, { numeric: true });
  const [left, right] = a instanceof Num ? [Number(a.text), Number(b.text)] : [a, b];
  return left < right ? -1 : Number(left > right);
}

/** The order of a table whose rows are all there. `columns` are `[name, of(row)]`; without `of` it cannot be chosen. */
export class Sorting {
  #column = null;
  #direction = 0;

  constructor(update) { this.update = update; }

  headers(columns) {
    return columns.map(([name, of]) => (of ? sortHeader(name, name === this.#column ? this.#direction : 0,
      () => this.#choose(name)) : html`<th scope="col">${name}</th>`));
  }

  #choose(name) {
    this.#direction = turned(name === this.#column ? this.#direction : 0);
    this.#column = name;
    this.update();
  }

  /** The rows in the order that was chosen. */
  apply(rows, columns) {
    const of = columns.find(([name]) => name === this.#column)?.[1];
    if (!of || !this.#direction) return rows;
    return [...rows].sort((a, b) => this.#direction * compare(of(a), of(b)));
  }
}
