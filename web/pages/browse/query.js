/** The query above the documents. It is part of the address, so it can be shared and survives a reload. */
import { html, nothing } from '../../vendor/lit-html.js';
import { errorText } from '../../components/ui.js';
import { JsonError, Num, stringify } from '../../values/json.js';
import { parseNotation } from '../../values/notation.js';
import { AS_OF } from './as-of.js';

const FIELDS = [
  { name: 'filter', label: 'Filter', hint: '{age: {$gte: 18}}', body: 'filter' },
  { name: 'sort', label: 'Sort', hint: '-price,name', body: 'sort' },
  { name: 'fields', label: 'Fields', hint: 'name,price', body: 'projection' },
];

const ALL = [...FIELDS, AS_OF];

/** The query of an address: the texts of `filter`, `sort`, `fields` and `asof`, absent if empty. */
export function queryOf(parameters) {
  const entries = ALL.map(({ name }) => [name, parameters.get(name)?.trim()]);
  return Object.fromEntries(entries.filter(([, text]) => text));
}

/**
 * The body of a find with the fields of `more`, as text; numbers stay as they were typed. The
 * `details.path` of an error starts with the field, as in errors of the server.
 */
export function findBody(query, more = {}) {
  const body = new Map();
  for (const { name, body: key, label } of FIELDS) {
    if (query[name]) body.set(key, valueOf(query[name], name, key, label));
  }
  for (const [key, value] of Object.entries(more)) body.set(key, value);
  return stringify(body);
}

/** The filter of a query as JSON; empty if there is none. Throws the errors of `findBody`. */
export const filterJson = ({ filter }) => (filter ? stringify(valueOf(filter, 'filter', 'filter', 'Filter')) : '');

/** A filter is an object; sort and fields may also be names. */
function valueOf(text, name, path, label) {
  if (name !== 'filter' && !text.startsWith('{')) return text;
  try {
    return parseNotation(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const wrong = new Error(`${label} is not valid: ${error.message}, at character ${error.position + 1}.`);
    throw Object.assign(wrong, { details: { path } });
  }
}

/** The column and direction of a sort by one column; empty for any other sort. */
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

/** The sort by one column; as an object if the name alone has another meaning. */
export const sortText = (column, direction) => (/^[^-,{\s][^,\s]*$/.test(column)
  ? `${direction < 0 ? '-' : ''}${column}` : stringify(new Map([[column, new Num(String(direction))]])));

/** The name of the field an error concerns, if any. */
export function fieldOf(error) {
  const part = /^\w+/.exec(error?.details?.path ?? '')?.[0];
  return ALL.find((field) => field.body === part)?.name;
}

export class QueryBar {
  typed = {};
  #applied = '{}'; // the query that `typed` started from

  /** `apply(query)` shows the result of a query, `explain(query)` its plan. */
  constructor(apply, explain) { Object.assign(this, { apply, explain }); }

  /** Shows the query of the address; if it has not changed, the typed text stays. */
  open(query, moved) {
    const text = JSON.stringify(query);
    if (text === this.#applied && !moved) return;
    this.typed = { ...query };
    this.#applied = text;
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

  /** `error` is shown below the field it concerns, with its `remedy`. */
  view(error, remedy = nothing) {
    return html`<form class="card query" role="search" aria-label="Query" data-testid="query-bar"
      @submit=${this.#submit}>
      ${ALL.map((field) => this.#field(field, fieldOf(error) === field.name ? error : null, remedy))}
      <div class="row query-actions">
        <button class="primary" data-testid="query-apply">Apply</button>
        <button type="button" data-testid="query-clear" @click=${this.#clear}>Clear</button>
        <button type="button" data-testid="query-explain" title="Shows how the server executes this query"
          @click=${() => this.explain(this.#typed())}>Explain</button></div>
    </form>`;
  }

  #field({ name, label, hint }, error, remedy) {
    const onInput = (event) => { this.typed[name] = event.target.value; };
    return html`<div class="query-${name}">
      <label>${label}<input name=${name} .value=${this.typed[name] ?? ''} placeholder=${hint}
        autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="query-${name}"
        aria-invalid=${error ? 'true' : nothing} aria-describedby=${error ? `query-${name}-error` : nothing}
        @input=${onInput}></label>
      ${error ? html`<div class="field-error" role="alert" id="query-${name}-error"
        data-testid="query-${name}-error">${errorText(error)}${remedy}</div>` : nothing}</div>`;
  }
}
