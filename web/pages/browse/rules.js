/** What the documents of a collection must be like: its JSON Schema, its rules, and a check of both. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, collections, schemas } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, count, iconButton, plural, toastDone, toastError, violationList } from '../../components/ui.js';
import { idOf, parse } from '../../values/json.js';
import { editDocument } from './document-dialog.js';
import { askRule } from './rule-dialog.js';
import { schemaCard } from './schema.js';
import { dropRule, meaning, ruleDocuments, rulesIn, targetOf } from './rule-documents.js';

export class RulesPane {
  place = {};
  found = null; // {schema, documents}, null until known
  error = null;
  checked = null; // the result of the last check, or {error}, or {running: true}
  #loader = new Loader();
  #checks = new Loader();

  /** `changed` is called after the schema or the rules were changed. */
  constructor(app, reads, changed) { Object.assign(this, { app, reads, changed }); }

  open(place) {
    const moved = place.db !== this.place.db || place.col !== this.place.col;
    this.place = place;
    if (moved) Object.assign(this, { found: null, error: null, checked: null });
    this.load();
  }

  load = async () => {
    const { place: { db, col }, reads: { level } } = this;
    const outcome = await this.#loader.run(async () => {
      const [schema, documents] = await Promise.all([schemas.get(db, col, level), ruleDocuments(db, level)]);
      return { schema: parse(schema), documents };
    });
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.found = outcome.value;
    this.app.update();
  };

  #changed = () => {
    this.checked = null; // it was about other rules
    return Promise.all([this.load(), this.changed()]);
  };

  #add = async () => {
    if (!await askRule(this.place, this.found.documents)) return;
    toastDone('Rule added.');
    await this.#changed();
  };

  async #drop(rule) {
    const done = await openDialog({
      title: 'Delete this rule?',
      submitLabel: 'Delete',
      danger: true,
      body: () => html`<p><code>${rule.field}</code> of ${rule.col} no longer has to be ${meaning(rule.rule)}.</p>`,
      submit: () => dropRule(this.place.db, rule),
    });
    if (!done) return;
    toastDone('Rule deleted.');
    await this.#changed();
  }

  #check = async () => {
    const { place: { db, col }, reads: { level } } = this;
    this.checked = { running: true };
    this.app.update();
    const outcome = await this.#checks.run(() => collections.validate(db, col, level));
    if (!outcome) return;
    const here = db === this.place.db && col === this.place.col;
    if (here) this.checked = outcome.error ? { error: outcome.error } : { result: parse(outcome.value) };
    this.app.update();
  };

  async #edit(id) {
    try {
      if (await editDocument(this.place, id, this.place.canWrite)) await Promise.all([this.#check(), this.changed()]);
    } catch (error) {
      toastError(error);
    }
  }

  view() {
    if (this.error) return this.reads.errorBox(this.error, 'rules', this.load);
    if (!this.found) return html`<p class="loading">Loading rules…</p>`;
    return html`${schemaCard(this.place, this.found.schema, this.#changed)}${this.#rules()}${this.#checkCard()}`;
  }

  #rules() {
    const { col, canOwn } = this.place;
    const all = rulesIn(this.found.documents);
    const own = all.filter((rule) => rule.col === col);
    const others = all.filter((rule) => rule.col !== col && targetOf(rule.rule) === col);
    const system = col.startsWith('_');
    return html`<section class="card section" aria-labelledby="rules-title">
      <div class="section-head"><h2 id="rules-title">Rules</h2>
        ${canOwn && !system ? addButton('rule-add', 'Add rule', this.#add) : nothing}</div>
      ${own.length ? html`<ul class="rules">${own.map((rule) => this.#rule(rule))}</ul>`
        : html`<p class="muted" data-testid="rules-none">${system
          ? 'Collections of the system have no rules.' : 'No rules yet.'}</p>`}
      ${others.length ? html`<p class="muted">Documents here that others refer to cannot be deleted:</p>
        <ul class="rules">${others.map(({ field, col: other, rule }) => html`<li data-testid="rule-incoming">
          <span><code>${field}</code> of ${other} must be ${meaning(rule)}</span></li>`)}</ul>` : nothing}
    </section>`;
  }

  #rule(rule) {
    return html`<li data-testid="rule-row" data-field=${rule.field}>
      <span><code>${rule.field}</code> must be ${meaning(rule.rule)}</span>
      ${this.place.canOwn ? iconButton('trash', `Delete the rule of ${rule.field}`, 'rule-delete',
        () => this.#drop(rule)) : nothing}</li>`;
  }

  #checkCard() {
    const { running, error, result } = this.checked ?? {};
    return html`<section class="card section" aria-labelledby="check-title">
      <div class="section-head"><h2 id="check-title">Stored documents</h2>
        <button type="button" data-testid="validate-run" ?disabled=${running} @click=${this.#check}>
          ${running ? 'Checking…' : 'Check stored documents'}</button></div>
      ${error ? this.reads.errorBox(error, 'validate', this.#check) : nothing}
      ${result ? this.#result(result) : nothing}
      ${this.checked ? nothing : html`<p class="muted">Finds the documents that break the schema or a rule.
        Nothing is changed.</p>`}</section>`;
  }

  #result(result) {
    const invalid = result.get('invalid');
    const total = Number(result.get('invalidCount'));
    const checked = plural(result.get('checked'), 'document');
    if (!total) return html`<p class="good" data-testid="validate-result">All is well: ${checked} checked.</p>`;
    return html`<p class="bad" data-testid="validate-result">
        ${count(total)} of ${checked} break${total === 1 ? 's' : ''} the schema or a rule.
        ${invalid.length < total ? `The first ${invalid.length}:` : nothing}</p>
      <ul class="invalid">${invalid.map((found) => this.#invalid(idOf(new Map([['_id', found.get('document')]])),
        found.get('violations')))}</ul>`;
  }

  #invalid(id, violations) {
    return html`<li data-testid="validate-row" data-id=${id.text}>
      <button type="button" class="link" data-testid="validate-open" @click=${() => this.#edit(id)}>
        <code>${id.text}</code></button>
      ${violationList(violations.map((violation) => Object.fromEntries(violation)))}</li>`;
  }
}
