/** What every page uses: icons, buttons, numbers and times as text, errors, toasts, arrow keys. */
import { html, nothing, render } from '../vendor/lit-html.js';

// Icons and buttons

const PATHS = {
  plus: 'M8 3v10M3 8h10',
  pencil: 'M11 2.5 13.5 5l-8 8-3 .5.5-3z',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3',
  crown: 'M2.5 5l2.8 2.5L8 3.5l2.7 4L13.5 5l-1 7.5h-9z',
  theme: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11',
  key: 'M10.5 2.5a3 3 0 1 1-2.2 5L3 12.8v.7h2V12h1.5v-1.5l1.7-1.6',
  exit: 'M6 2.5H3v11h3M7 8h6.5M11 5.5 13.5 8 11 10.5',
  first: 'M12 4 8 8l4 4M4.5 4v8',
  prev: 'M10 4 6 8l4 4',
  next: 'M6 4l4 4-4 4',
  sort: 'M5 6l3-3 3 3M5 10l3 3 3-3',
  up: 'M4 10l4-4 4 4',
  down: 'M4 6l4 4 4-4',
  last: 'M4 4l4 4-4 4M11.5 4v8',
  history: 'M3.2 6A5.3 5.3 0 1 1 2.7 8.6M2.7 3v3.2h3.2M8 5v3.2l2.2 1.4',
  lock: 'M4 7.5h8v6H4zM5.5 7.5v-2a2.5 2.5 0 0 1 5 0v2',
  unlock: 'M4 7.5h8v6H4zM5.5 7.5v-3a2.5 2.5 0 0 1 4.8-1',
  database: 'M3 4c0-1.1 2.2-2 5-2s5 .9 5 2v8c0 1.1-2.2 2-5 2s-5-.9-5-2z'
    + 'M3 4c0 1.1 2.2 2 5 2s5-.9 5-2M3 8c0 1.1 2.2 2 5 2s5-.9 5-2',
  close: 'M4 4l8 8M12 4l-8 8',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4',
};

export const icon = (name) => html`
  <svg class="icon icon-${name}" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]}></path></svg>`;

/** The logo, from index.html. */
icon.brand = document.querySelector('link[rel="icon"]').href;

/** A button that shows only an icon; `label` is its accessible name and tooltip. */
export const iconButton = (name, label, testid, onClick, disabled = false) => html`
  <button type="button" class="icon-button" aria-label=${label} title=${label}
    data-testid=${testid} ?disabled=${disabled} @click=${onClick}>${icon(name)}</button>`;

/** The button that creates something. */
export const addButton = (testid, text, onClick, disabled = false) => html`
  <button type="button" class="primary" data-testid=${testid} ?disabled=${disabled}
    @click=${onClick}>${icon('plus')}${text}</button>`;

/** `violations` are `{path, rule, expected, found}`; an empty path is the whole document. */
export const violationList = (violations) => html`<ul class="violations">${violations.map((violation) => html`
  <li data-testid="violation" data-path=${violation.path}><code>${violation.path || 'the document'}</code>
    must be ${violation.expected}, found <code>${violation.found}</code>
    <span class="tag">${violation.rule}</span></li>`)}</ul>`;

// Errors

/** The text with a capital letter. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** What to do on the page, by error code, where the server's hint describes an HTTP call. */
const HINTS = {
  collection_not_found: 'the first document creates it, or create it under Browse',
  database_not_found: 'create it under Browse, or check the spelling',
  document_not_found: 'check the _id: the string "42" and the number 42 are different ids',
  node_not_found: 'reload the page; the node may have left the cluster',
  not_authenticated: 'log in again',
  not_registered: 'add this node under Cluster, on the page of a member',
  overloaded: 'try again in a moment, or use another node',
  outcome_unknown: 'check what was written before you repeat the change',
  paused: 'use another node, or resume this one under Cluster',
  timeout: 'see under Cluster which nodes answer, then try again',
  token_not_found: 'reload the list; the token may have ended or been revoked',
  user_not_found: 'reload the list; the user may have been deleted',
  versions_off: 'switch versions on under Browse, in the tab “Versions” of the collection',
};
/** Matches hints that name a method, a parameter, a header or an option of a program. */
const IS_CALL = /\b(?:GET|POST|PUT|PATCH|DELETE) |\b[a-zA-Z_]+=\S|\bheader\b|\bIf-\w|\bcurl\b|\bjettra |\bnew key\b/;

/** What to do about an error; for a syntax error the line with a caret under the position. */
function hintText({ code, hint, details }) {
  if (!hint || details?.violations) return nothing; // the list of violations is enough
  if (code === 'syntax_error') return html`<pre class="caret" data-testid="error-caret">${hint}</pre>`;
  const shown = IS_CALL.test(hint) ? HINTS[code] : hint;
  return shown ? html`<p class="error-hint">${sentence(shown)}</p>` : nothing;
}

/** What went wrong. A message that starts with a path stays as it is; violations have their own list. */
function messageOf({ message, details }) {
  if (details?.violations) return 'The document violates the rules or the schema of its collection:';
  return details?.path ? message : sentence(message);
}

/** An error: what went wrong, what to do, and, folded, the code and the id of the request. */
export const errorText = (error) => html`
  <p class="error-message" data-code=${error.code ?? nothing}>${messageOf(error)}</p>
  ${hintText(error)}
  ${error.details?.violations ? violationList(error.details.violations) : nothing}
  ${error.code ? html`<details class="error-code"><summary>Details for a report</summary><code>${error.code}</code>
    ${error.requestId ? html`<span>request ${error.requestId}</span>` : nothing}</details>` : nothing}`;

export const errorBox = (error, testid, actions = nothing) => html`
  <div class="notice bad" role="alert" data-testid=${testid}>
    <div>${errorText(error)}</div><div class="row">${actions}</div>
  </div>`;

// Layout

/** A figure with its name, for a `<dl class="facts">`. */
export const fact = (name, value, testid) => html`
  <div><dt>${name}</dt><dd data-testid=${testid}>${value ?? '–'}</dd></div>`;

/** The box in which a table scrolls. */
export const tableBox = (label, table) => html`
  <div class="table-box" tabindex="0" role="region" aria-label=${label} data-rows=".open">${table}</div>`;

/** A choice of a few options side by side; `options` are `[[value, text]…]`. */
export const segmented = (label, name, options, chosen, choose) => html`
  <div class="segmented" role="group" aria-label=${label} data-tabs="button">${options.map(([value, text]) => html`
    <button type="button" aria-pressed=${value === chosen} data-testid="${name}-${value}"
      @click=${() => choose(value)}>${text}</button>`)}</div>`;

// Numbers and times as text

export const count = (n) => Number(n).toLocaleString('en');
/** A count with its noun: `1 index`, `1,200 indexes`. */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${Number(n) === 1 ? one : many}`;

/** A number of bytes with a unit. */
export function bytes(n) {
  const unit = Math.min(3, Math.floor(Math.log10(Math.max(n, 1)) / 3));
  const digits = unit && n / 1000 ** unit < 10 ? 1 : 0;
  return `${(n / 1000 ** unit).toFixed(digits)} ${['B', 'kB', 'MB', 'GB'][unit]}`;
}

export const milliseconds = (ms) => (ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  : `${(ms / 1000).toFixed(1)} s`);

/** A duration, rounded so coarsely that it rarely changes while it is watched. */
export function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 1000) return 'under 1 s';
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

/** A time of the server in the time zone of the browser. */
export function timestamp(iso) {
  if (!iso) return '–';
  const text = new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  return html`<time datetime=${iso} title=${iso}>${text}</time>`;
}

/** The same for milliseconds since 1970. */
export const timestampMs = (ms) => timestamp(new Date(ms).toISOString());

/** The address of a page. */
export const address = (...path) => `#/${path.map(encodeURIComponent).join('/')}`;

/** Shown where there is nothing yet; `action` is the button of the next step. */
export const emptyState = (title, text, action) => html`
  <div class="empty" data-testid="empty-state"><h2>${title}</h2><p>${text}</p>${action || nothing}</div>`;

// Toasts

const TOAST_MS = 3_500;
let toasts = [];

function show(toast) {
  toasts = [...toasts, toast];
  renderToasts();
}

function dismiss(toast) {
  toasts = toasts.filter((other) => other !== toast);
  renderToasts();
}

function renderToasts() {
  render(toasts.map((toast) => html`
    <div class="toast ${toast.error ? 'bad' : 'good'}" role=${toast.error ? 'alert' : 'status'}
      data-testid=${toast.error ? 'toast-error' : 'toast-ok'}>
      <div>${toast.error ? errorText(toast.error) : toast.text}
        ${toast.warnings?.length ? html`<p class="warn">With warnings:</p>
          ${violationList(toast.warnings)}` : nothing}</div>
      ${iconButton('close', 'Dismiss', 'toast-dismiss', () => dismiss(toast))}
    </div>`), document.getElementById('toasts'));
}

/** Reports a success; disappears after a while unless there are `warnings`, a list of violations. */
export function toastDone(text, warnings = []) {
  const toast = { text, warnings };
  toasts = toasts.filter((other) => other.error); // only the last success is shown
  show(toast);
  if (!warnings.length) setTimeout(() => dismiss(toast), TOAST_MS);
}

/** Reports an error; stays until it is dismissed or another page is shown. */
export function toastError(error) { show({ error }); }

/** Removes all error toasts. */
export function clearErrors() {
  toasts = toasts.filter((toast) => !toast.error);
  renderToasts();
}

/** `openDialog` of `dialog.js`, which is loaded with the first dialog. */
export const openDialog = async (options) => (await import('./dialog.js')).openDialog(options);

// Arrow keys

/** The keys for the previous and the next item, by the attribute of a list that selects its items. */
const MOVES = { rows: ['ArrowUp', 'ArrowDown'], tabs: ['ArrowLeft', 'ArrowRight'] };
const FIELDS = 'input, select, textarea'; // these use the keys themselves

/** Moves the focus within its list with the arrow keys, Home and End. */
export function moveFocus(event) {
  const { key, target } = event;
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || target.matches(FIELDS)) return;
  for (const [name, [back, forward]] of Object.entries(MOVES)) {
    const list = target.closest(`[data-${name}]`);
    if (!list) continue;
    const items = [...list.querySelectorAll(list.dataset[name])];
    const row = target.closest('tr, li') ?? target;
    const at = items.findIndex((item) => item === target || (target !== list && row.contains(item)));
    const next = { [back]: at - 1, [forward]: at + 1, Home: 0, End: items.length - 1 }[key];
    if (!items[next]) continue;
    event.preventDefault();
    items[next].focus();
    return;
  }
}
