/** What a change did to a document, drawn field by field. */
import { html, nothing } from '../../vendor/lit-html.js';
import { stringify } from '../../values/json.js';

const SIGNS = { added: '+', changed: '~', set: '=', removed: '−' };
const CHARS_MAX = 2_000; // of a value; the document itself is shown elsewhere

const shown = (value) => {
  const text = stringify(value);
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}…` : text;
};

/** `differences` as diff.js gives them; values that are not known are left out. */
export const changeList = (differences) => html`<ul class="differences" data-testid="differences">
  ${differences.map(({ path, kind, before, after }) => html`
    <li class=${kind} data-testid="difference" data-kind=${kind} data-path=${path}>
      <span class="sign" title=${kind} aria-label=${kind}>${SIGNS[kind]}</span>
      <code class="path">${path}</code>
      <span class="values">${before === undefined ? nothing : html`<del>${shown(before)}</del>`}
        ${after === undefined ? nothing : html`<ins>${shown(after)}</ins>`}</span></li>`)}</ul>`;

/** The delta of an event, parsed, as differences: what was there before is not told. */
export const deltaDifferences = (delta) => [
  ...[...delta.get('updated')].map(([path, after]) => ({ path, kind: 'set', after })),
  ...delta.get('removed').map((path) => ({ path, kind: 'removed' })),
];

const TONES = { insert: 'good', update: 'warn', delete: 'bad', drop: 'bad', rename: 'warn' };
const WORDS = { insert: 'added', update: 'changed', delete: 'deleted', drop: 'dropped', rename: 'renamed' };

/** What was done, as a word; `operation` is the server's. */
export const operationWord = (operation) => html`<span class="status ${TONES[operation] ?? ''}">
  <span class="dot ${TONES[operation] ?? ''}"></span>${WORDS[operation] ?? 'was there before'}</span>`;

/** A time of the server as the person's clock shows it. */
export const when = (iso) => (iso ? html`<time datetime=${iso} title=${iso}>${new Date(iso).toLocaleString(undefined,
  { dateStyle: 'medium', timeStyle: 'medium' })}</time>` : '–');

/** A time in milliseconds since 1970, likewise. */
export const whenMs = (ms) => when(new Date(ms).toISOString());
