/** Shows field by field how two versions of a document differ. */
import { html, nothing } from '../../vendor/lit-html.js';
import { stringify } from '../../values/json.js';

const SIGNS = { added: '+', changed: '~', set: '=', removed: '−' };
const CHARS_MAX = 2_000; // of a value; the whole document is shown elsewhere

const shown = (value) => {
  const text = stringify(value);
  return text.length > CHARS_MAX ? `${text.slice(0, CHARS_MAX)}…` : text;
};

/** Lists the differences that `diff.js` returns; unknown values are left out. */
export const differenceList = (differences) => html`<ul class="differences" data-testid="differences">
  ${differences.map(({ path, kind, before, after }) => html`
    <li class=${kind} data-testid="difference" data-kind=${kind} data-path=${path}>
      <span class="sign" title=${kind} aria-label=${kind}>${SIGNS[kind]}</span>
      <code class="path">${path}</code>
      <span class="values">${before === undefined ? nothing : html`<del>${shown(before)}</del>`}
        ${after === undefined ? nothing : html`<ins>${shown(after)}</ins>`}</span></li>`)}</ul>`;

/** The parsed delta of a change event as differences, without the values before the change. */
export const deltaDifferences = (delta) => [
  ...[...delta.get('updated')].map(([path, after]) => ({ path, kind: 'set', after })),
  ...delta.get('removed').map((path) => ({ path, kind: 'removed' })),
];

const TONES = { insert: 'good', update: 'warn', delete: 'bad', drop: 'bad', rename: 'warn' };
const LABELS = { insert: 'inserted', update: 'updated', delete: 'deleted', drop: 'dropped', rename: 'renamed' };

/** The operation of a change; without one, the document was there before versions were kept. */
export const operationLabel = (operation) => html`<span class="status ${TONES[operation] ?? ''}">
  <span class="dot ${TONES[operation] ?? ''}"></span>${LABELS[operation] ?? 'existed before'}</span>`;
