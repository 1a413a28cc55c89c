/** Runs statements in JQL, SQL or MongoDB's shell language. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, SYSTEM, databases } from '../../api/calls.js';
import { submitOnCtrlEnter } from '../../components/json-editor.js';
import { beginButton } from '../../components/transaction-bar.js';
import { errorBox } from '../../components/ui.js';
import { RecentStatements } from './recent.js';
import { reference } from './reference.js';
import { resultView } from './result.js';
import { readMore, resultOf } from './run.js';

export class ConsolePage {
  #names = null; // of the databases, null until known
  #listError = null;
  #statement = '';
  #layout = 'table';
  #running = false;
  #result = null; // see run.js; null before the first run
  #lists = new Loader();
  #runs = new Loader();
  #recent;

  constructor(app) {
    this.app = app;
    this.#recent = new RecentStatements(app.session.username);
  }

  title() { return 'Console'; }

  start = async () => {
    const outcome = await this.#lists.run(() => databases.list());
    if (!outcome) return;
    this.#listError = outcome.error;
    if (outcome.value) this.#names = outcome.value.map(({ name }) => name).sort();
    this.app.update();
  };

  /** The database of the address, or else the one opened last. */
  get #database() {
    const names = this.#names;
    const wanted = this.app.route.query.get('db') ?? this.app.database;
    if (names?.includes(wanted)) return wanted;
    return names?.find((name) => name !== SYSTEM) ?? names?.[0] ?? '';
  }

  #submit = (event) => {
    event.preventDefault();
    const text = this.#statement.trim();
    if (!text || this.#running) return;
    this.#recent.add(text);
    this.#run(text);
  };

  #explain = () => {
    const text = this.#statement.trim();
    if (text) this.#run(/^explain\b/i.test(text) ? text : `EXPLAIN ANALYZE ${text}`);
  };

  async #run(text) {
    const db = this.#database;
    this.#setRunning(true);
    const outcome = await this.#runs.run(() => resultOf(db, text));
    this.#result = outcome.error ? { error: outcome.error } : outcome.value;
    this.#setRunning(false);
  }

  /** Adds the rows of the next page. */
  #more = async () => {
    const result = this.#result;
    this.#setRunning(true);
    try {
      await readMore(result);
    } catch (error) {
      result.error = error;
    }
    this.#setRunning(false);
  };

  #setRunning(running) {
    this.#running = running;
    this.app.update();
  }

  /** Puts a statement into the input. */
  #use = (text) => {
    this.#statement = text;
    this.app.update();
    document.querySelector('[data-testid="console-input"]')?.focus();
  };

  #chooseLayout = (layout) => {
    this.#layout = layout;
    this.app.update();
  };

  #sort = (column, direction) => {
    Object.assign(this.#result, { column, direction });
    this.app.update();
  };

  view() {
    return html`
      <div class="heading"><h1>Console</h1>${beginButton(this.app)}</div>
      ${this.#listError ? errorBox(this.#listError, 'console-db-error', html`
        <button class="small" data-testid="console-db-retry" @click=${this.start}>Try again</button>`) : nothing}
      <div class="console"><section aria-label="Statement and result">
        ${this.#form()}${this.#resultRegion()}</section>
        <aside class="beside" aria-label="Recent statements and reference">
          ${this.#recent.view(this.#use)}${reference(this.#use)}</aside></div>`;
  }

  #form() {
    const running = this.#running;
    return html`<form class="console-form" @submit=${this.#submit}>
      <textarea class="editor" .value=${this.#statement} required spellcheck="false" autocapitalize="none" autofocus
        placeholder="SELECT * FROM people WHERE age > 30" aria-label="Statement" data-testid="console-input"
        @input=${(event) => { this.#statement = event.target.value; }} @keydown=${submitOnCtrlEnter}></textarea>
      <div class="row">
        <label class="row">Database <select data-testid="console-db"
          @change=${(event) => this.app.go('console', [], { db: event.target.value })}>
          ${this.#names?.map((name) => html`
            <option value=${name} ?selected=${name === this.#database}>${name}</option>`)}</select></label>
        <button class="primary" ?disabled=${running} data-testid="console-run" title="Ctrl+Enter">
          ${running ? 'Running…' : 'Run'}</button>
        <button type="button" ?disabled=${running} data-testid="console-explain"
          title="Shows how the server executes this statement" @click=${this.#explain}>Explain</button>
        <span class="muted wide-only">Ctrl+Enter runs it</span></div></form>`;
  }

  #resultRegion() {
    const result = this.#result;
    return html`<div class="result" role="region" aria-label="Result" aria-live="polite">
      ${result?.error ? errorBox(result.error, 'console-error') : nothing}
      ${result ? resultView(result, { layout: this.#layout, chooseLayout: this.#chooseLayout, sort: this.#sort,
        more: this.#more, running: this.#running }) : nothing}</div>`;
  }
}
