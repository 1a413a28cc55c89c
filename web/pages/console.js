/** Statements in JQL, SQL or Mongo's shell language, and what they answer. */
import { html, nothing } from '../vendor/lit-html.js';
import { SYSTEM, command, databases } from '../api.js';
import { documentRows, layoutChoice } from '../components/documents.js';
import { submitOnCtrlEnter } from '../components/json-editor.js';
import { Loader } from '../components/loader.js';
import { planView } from '../components/plan.js';
import { beginButton } from '../components/transaction-bar.js';
import { errorBox, milliseconds, plural } from '../components/ui.js';
import { violationList } from '../components/violations.js';
import { parse, stringify } from '../json.js';
import { History } from './console-history.js';
import { reference } from './console-reference.js';

export function consolePage(app) {
  const history = new History(app.session.username);
  const lists = new Loader();
  const runs = new Loader();
  let names = null; // of the databases, null until known
  let listError = null;
  let statement = '';
  let layout = 'table';
  let running = false;
  let answer = null; // {text, ms, db} or {error}, null before the first run

  async function start() {
    const outcome = await lists.run(() => databases.list());
    if (!outcome) return;
    listError = outcome.error;
    if (outcome.value) names = outcome.value.map(({ name }) => name).sort();
    app.update();
  }

  /** The database of the address, else the one looked at last. */
  function database() {
    const first = names?.find((name) => name !== SYSTEM) ?? names?.[0] ?? '';
    const wanted = app.route.query.get('db') ?? app.database;
    return names?.includes(wanted) ? wanted : first;
  }

  async function run(event) {
    event.preventDefault();
    const text = statement.trim();
    if (!text || running) return;
    const db = database();
    history.add(text);
    running = true;
    app.update();
    const started = performance.now();
    const outcome = await runs.run(() => command(db, text));
    running = false;
    const ms = performance.now() - started;
    answer = outcome.error ? { error: outcome.error } : { value: parse(outcome.value), text: outcome.value, ms };
    app.update();
  }

  function use(text) {
    statement = text;
    app.update();
    document.querySelector('[data-testid="console-input"]')?.focus();
  }

  const form = () => html`<form class="console-form" @submit=${run}>
    <textarea class="editor" .value=${statement} required spellcheck="false" autocapitalize="none" autofocus
      placeholder="SELECT * FROM people WHERE age > 30" aria-label="Statement" data-testid="console-input"
      @input=${(event) => { statement = event.target.value; }} @keydown=${submitOnCtrlEnter}></textarea>
    <div class="row">
      <label class="row">Database <select data-testid="console-db"
        @change=${(event) => app.go('console', [], { db: event.target.value })}>
        ${names?.map((name) => html`<option value=${name} ?selected=${name === database()}>${name}</option>`)}
      </select></label>
      <button class="primary" ?disabled=${running} data-testid="console-run" title="Ctrl+Enter">
        ${running ? 'Running…' : 'Run'}</button>
      <span class="muted wide-only">Ctrl+Enter runs it</span></div></form>`;

  const choose = (next) => {
    layout = next;
    app.update();
  };

  const view = () => html`
    <div class="heading"><h1>Console</h1>${beginButton(app)}</div>
    ${listError ? errorBox(listError, 'console-db-error', html`
      <button class="small" data-testid="console-db-retry" @click=${start}>Try again</button>`) : nothing}
    <div class="console"><section aria-label="Statement and answer">
      ${form()}
      <div class="answer" role="region" aria-label="Answer" aria-live="polite">
        ${answer?.error ? errorBox(answer.error, 'console-error') : nothing}
        ${answer && !answer.error ? answerView(answer, layout, choose) : nothing}</div></section>
      <aside class="beside" aria-label="History and reference">
        ${history.view(use)}${reference(use)}</aside></div>`;

  return { title: () => 'Console', start, view };
}

/** Lists as rows, plans as trees, messages as sentences, all else as JSON. */
function answerView({ value, text, ms }, layout, choose) {
  const time = html`<span class="muted" data-testid="console-time">${milliseconds(ms)}</span>`;
  if (Array.isArray(value)) return rowsView(value, time, layout, choose);
  if (!(value instanceof Map)) return plain(value === null ? 'No document.' : stringify(value), time);
  if (value.has('explain')) {
    return html`<div class="card">${planView(JSON.parse(text).explain)}</div>`;
  }
  if (value.has('message')) return message(value, time);
  if (value.size === 1 && value.has('count')) return plain(plural(value.get('count'), 'document'), time);
  return rowsView([value], time, layout, choose);
}

function rowsView(values, time, layout, choose) {
  const rows = values.map((value) => (value instanceof Map ? value : new Map([['value', value]])));
  return html`<div class="toolbar"><span class="muted info" data-testid="console-count">
      ${plural(rows.length, 'row')} · ${time}</span>${layoutChoice(layout, choose)}</div>
    ${rows.length ? documentRows(layout, rows) : nothing}`;
}

const plain = (text, time) => html`
  <p class="card" data-testid="console-message">${text} <span class="muted">·</span> ${time}</p>`;

/** What a change says of itself, with the other values of its answer; of an insert it is the `_id`. */
function message(answer, time) {
  const { message: text, warnings, id, ...more } = Object.fromEntries(answer);
  return html`<div class="card" data-testid="console-message">
    <p>${id === undefined ? text : html`Document <code>${text}</code> added.`}
      <span class="muted">·</span> ${time}</p>
    ${Object.keys(more).length ? html`<p class="muted"><code>${stringify(new Map(Object.entries(more)))}</code></p>`
      : nothing}
    ${warnings ? html`<p class="warn">Stored, with warnings:</p>
      ${violationList(warnings.map((violation) => Object.fromEntries(violation)))}` : nothing}</div>`;
}
