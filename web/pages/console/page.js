/** Statements in JQL, SQL or Mongo's shell language, and what they answer. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, SYSTEM, databases, statements } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { documentRows, layoutChoice } from '../../components/documents.js';
import { submitOnCtrlEnter } from '../../components/json-editor.js';
import { planView } from '../../components/plan.js';
import { compare } from '../../components/sorting.js';
import { beginButton } from '../../components/transaction-bar.js';
import { errorBox, milliseconds, plural, violationList } from '../../components/ui.js';
import { parse, stringify } from '../../values/json.js';
import { History } from './recent.js';
import { reference } from './reference.js';

export function consolePage(app) {
  const history = new History(app.session.username);
  const lists = new Loader();
  const runs = new Loader();
  let names = null; // of the databases, null until known
  let listError = null;
  let statement = '';
  let layout = 'table';
  let running = false;
  let answer = null; // {rows, cursor, …}, {value, text, ms}, {error} or {cancelled}; null before the first run

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

  const submit = (event) => {
    event.preventDefault();
    const text = statement.trim();
    if (!text || running) return;
    history.add(text);
    run(text);
  };

  /** Shows how the statement would be carried out, without doing it. */
  const explain = () => {
    const text = statement.trim();
    if (text) run(/^explain\b/i.test(text) ? text : `EXPLAIN ANALYZE ${text}`);
  };

  async function run(text) {
    const db = database();
    running = true;
    app.update();
    const outcome = await runs.run(() => answerOf(db, text));
    running = false;
    answer = outcome.error ? { error: outcome.error } : outcome.value;
    app.update();
  }

  /** Shows the rows of the next page too. */
  async function more() {
    const shown = answer;
    running = true;
    app.update();
    try {
      await readOn(shown);
    } catch (error) {
      shown.error = error;
    }
    running = false;
    app.update();
  }

  function use(text) {
    statement = text;
    app.update();
    document.querySelector('[data-testid="console-input"]')?.focus();
  }

  const form = () => html`<form class="console-form" @submit=${submit}>
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
      <button type="button" ?disabled=${running} data-testid="console-explain"
        title="How the server would carry this statement out" @click=${explain}>Explain</button>
      <span class="muted wide-only">Ctrl+Enter runs it</span></div></form>`;

  const choose = (next) => {
    layout = next;
    app.update();
  };

  const sort = (column, direction) => {
    Object.assign(answer, { column, direction });
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
        ${answer ? answerView(answer, { layout, choose, sort, more, running }) : nothing}</div></section>
      <aside class="beside" aria-label="History and reference">
        ${history.view(use)}${reference(use)}</aside></div>`;

  return { title: () => 'Console', start, view };
}

async function timed(work) {
  const started = performance.now();
  const text = await work();
  return { text, ms: performance.now() - started };
}

/** Carries out a statement; before many documents are changed or deleted, the person is asked. */
async function answerOf(db, statement) {
  const run = (confirmed) => timed(() => statements.run(db, statement, { confirmed }));
  let done;
  try {
    done = await run(false);
  } catch (error) {
    if (error.code !== 'needs_confirmation') throw error;
    done = await askFirst(error, statement, () => run(true));
    if (!done) return { cancelled: true };
  }
  const reply = parse(done.text);
  if (!reply.has('documents')) return { value: reply.get('answer'), text: done.text, ms: done.ms };
  const shown = { db, statement, rows: rowsOf(reply.get('documents')), cursor: reply.get('cursor'), ms: done.ms };
  if (!shown.rows.length) await readOn(shown);
  return shown;
}

/** Adds the next rows that there are; a page may have none and still not be the last. */
async function readOn(shown) {
  const before = shown.rows.length;
  while (shown.cursor && shown.rows.length === before) {
    const reply = parse(await statements.run(shown.db, shown.statement, { cursor: shown.cursor }));
    shown.rows = [...shown.rows, ...rowsOf(reply.get('documents'))];
    shown.cursor = reply.get('cursor');
  }
  shown.error = null;
}

const VERBS = { delete: 'Delete', update: 'Change', drop: 'Drop', overwrite: 'Replace' };

/** Resolves to what `run` gave; undefined when the person does not want it. */
function askFirst(error, statement, run) {
  const verb = VERBS[error.details.action];
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  return openDialog({
    title: `${verb} ${plural(error.details.documents, 'document')}?`,
    submitLabel: verb,
    danger: true,
    testid: 'confirmation-dialog',
    body: () => html`<p data-testid="confirmation-text">${text}, on every node.</p>
      <pre tabindex="0">${statement}</pre>`,
    submit: run,
  });
}

const rowsOf = (values) => values.map((value) => (value instanceof Map ? value : new Map([['value', value]])));

/** Lists as rows, plans as trees, messages as sentences, all else as JSON. */
function answerView(answer, ways) {
  if (answer.rows) return rowsView(answer, ways);
  if (answer.cancelled) return html`<p class="card" data-testid="console-message">Nothing was changed.</p>`;
  const { value, text, ms, error } = answer;
  if (error) return nothing;
  const time = timeView(ms);
  if (Array.isArray(value)) return rowsView(Object.assign(answer, { rows: rowsOf(value) }), ways);
  if (!(value instanceof Map)) return plain(value === null ? 'No document.' : stringify(value), time);
  if (value.has('explain')) {
    return html`<div class="card">${planView(JSON.parse(text).answer.explain)}</div>`;
  }
  if (value.has('message')) return message(value, time);
  if (value.size === 1 && value.has('count')) return plain(plural(value.get('count'), 'document'), time);
  return rowsView(Object.assign(answer, { rows: [value] }), ways);
}

const timeView = (ms) => html`<span class="muted" data-testid="console-time">${milliseconds(ms)}</span>`;

function rowsView({ rows, cursor, ms, column, direction }, { layout, choose, sort, more, running }) {
  const shown = direction ? sorted(rows, column, direction) : rows;
  return html`<div class="toolbar"><span class="muted info" role="status" data-testid="console-count">
      ${cursor ? `The first ${plural(rows.length, 'row')}` : plural(rows.length, 'row')} · ${timeView(ms)}</span>
      ${layoutChoice(layout, choose)}</div>
    ${rows.length ? documentRows(layout, shown, { sort: { column, direction, choose: sort } }) : nothing}
    ${cursor ? html`<p class="pager"><span>There are more.</span><button type="button" ?disabled=${running}
      data-testid="console-more" @click=${more}>${running ? 'Reading…' : 'Show more'}</button></p>` : nothing}`;
}

const sorted = (rows, column, direction) =>
  [...rows].sort((a, b) => direction * compare(a.get(column), b.get(column)));

const plain = (text, time) => html`
  <p class="card" data-testid="console-message">${text} <span class="muted">·</span> ${time}</p>`;

/** Numbers of an answer that its sentence tells already. */
const TOLD = ['matched', 'modified', 'deleted'];

/** What a change says of itself, with the other values of its answer; of an insert it is the `_id`. */
function message(answer, time) {
  const { message: text, warnings, id, ...more } = Object.fromEntries(answer);
  const rest = Object.entries(more).filter(([name]) => !TOLD.includes(name));
  return html`<div class="card" data-testid="console-message">
    <p>${id === undefined ? text : html`Document <code>${text}</code> added.`}
      <span class="muted">·</span> ${time}</p>
    ${rest.length ? html`<p class="muted"><code>${stringify(new Map(rest))}</code></p>` : nothing}
    ${warnings ? html`<p class="warn">Stored, with warnings:</p>
      ${violationList(warnings.map((violation) => Object.fromEntries(violation)))}` : nothing}</div>`;
}
