/** The query above the documents. It is kept in the address, so it can be shared and reloaded. */
import { html, nothing } from '../../vendor/lit-html.js';
import { errorText } from '../../components/ui.js';
import { JsonError, Num, stringify } from '../../values/json.js';
import { parseNotation } from '../../values/notation.js';
import { MOMENT } from './as-of.js';

const FIELDS = [
  { name: 'filter', label: 'Filter', hint: '{age: {$gte: 18}}', body: 'filter' },
  { name: 'sort', label: 'Sort', hint: '-price,name', body: 'sort' },
  { name: 'fields', label: 'Fields', hint: 'name,price', body: 'projection' },
];

const ALL = [...FIELDS, MOMENT];

/** The query of an address: texts of `filter`, `sort`, `fields` and `asof`, absent when empty. */
export function queryOf(parameters) {
  const entries = ALL.map(({ name }) => [name, parameters.get(name)?.trim()]);
  return Object.fromEntries(entries.filter(([, text]) => text));
}

/**
 * The body of a find with `more` in it, as text; numbers stay as they were typed. Throws an
 * error whose `details.path` begins with the field, like those of the server.
 */
export function findBody(query, more = {}) {
  const body = new Map();
  for (const { name, body: key, label } of FIELDS) {
    if (query[name]) body.set(key, valueOf(query[name], name, key, label));
  }
  for (const [key, value] of Object.entries(more)) body.set(key, value);
  return stringify(body);
}

/** The filter of a query as JSON; empty for none. Throws as `findBody` does. */
export const filterJson = ({ filter }) => (filter ? stringify(valueOf(filter, 'filter', 'filter', 'Filter')) : '');

/** Filters are objects; sort and fields may be that or names. */
function valueOf(text, name, path, label) {
  if (name !== 'filter' && !text.startsWith('{')) return text;
  try {
    return parseNotation(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const wrong = new Error(`${label} cannot be read: ${error.message}, at character ${error.position + 1}.`);
    throw Object.assign(wrong, { details: { path } });
  }
}

/** The one column that a sort is about and its direction; none when there are more. */
export function sortOf(text = '') {
  const [, minus, name] = /^(-?)([^-,{][^,]*)$/.exec(text.trim()) ?? [];
  if (name) return { column: name.trim(), direction: minus ? -1 : 1 };
  try {
    const keys = [...parseNotation(text)];
    const [[column, direction]] = keys;
    return keys.length === 1 ? { column, direction: Number(direction.text) } : {};
  } catch {
    return {};
  }
}

/** The sort by one column; as an object where a name alone would mean something else. */
export const sortText = (column, direction) => (/^[^-,{\s][^,\s]*$/.test(column)
  ? `${direction < 0 ? '-' : ''}${column}` : stringify(new Map([[column, new Num(String(direction))]])));

/** The name of the field that an error is about, if it is about one. */
export function fieldOf(error) {
  const part = /^\w+/.exec(error?.details?.path ?? '')?.[0];
  return ALL.find((field) => field.body === part)?.name;
}

export class QueryBar {
  typed = {};
  #shown = '{}'; // the query that `typed` began as

  /** `apply(query)` shows what a query finds, `explain(query)` how. */
  constructor(apply, explain) { Object.assign(this, { apply, explain }); }

  /** Shows the query of the address, unless it is there already: then what was typed stays. */
  open(query, moved) {
    const text = JSON.stringify(query);
    if (text === this.#shown && !moved) return;
    this.typed = { ...query };
    this.#shown = text;
  }

  #typed() { return queryOf(new Map(Object.entries(this.typed))); }

  #submit = (event) => {
    event.preventDefault();
    this.apply(this.#typed());
  };

  #clear = () => {
    this.typed = {};
    this.apply({});
  };

  /** `error` is shown under the field that it is about, with a way out. */
  view(error, wayOut = nothing) {
    return html`<form class="card query" role="search" aria-label="Query" data-testid="query-bar"
      @submit=${this.#submit}>
      ${ALL.map((field) => this.#field(field, fieldOf(error) === field.name ? error : null, wayOut))}
      <div class="row query-actions">
        <button class="primary" data-testid="query-apply">Apply</button>
        <button type="button" data-testid="query-clear" @click=${this.#clear}>Clear</button>
        <button type="button" data-testid="query-explain" title="How the server would carry this query out"
          @click=${() => this.explain(this.#typed())}>Explain</button></div>
    </form>`;
  }

  #field({ name, label, hint }, error, wayOut) {
    const onInput = (event) => { this.typed[name] = event.target.value; };
    return html`<div class="query-${name}">
      <label>${label}<input name=${name} .value=${this.typed[name] ?? ''} placeholder=${hint}
        autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="query-${name}"
        aria-invalid=${error ? 'true' : nothing} aria-describedby=${error ? `query-${name}-error` : nothing}
        @input=${onInput}></label>
      ${error ? html`<div class="field-error" role="alert" id="query-${name}-error"
        data-testid="query-${name}-error">${errorText(error)}${wayOut}</div>` : nothing}</div>`;
  }
}
