/** The schema and the rules of a collection, and a check of its stored documents. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, collections, schemas } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, count, iconButton, plural, toastDone, toastError, violationList } from '../../components/ui.js';
import { idOf, parse } from '../../values/json.js';
import { editDocument } from './document-dialog.js';
import { isSameCollection } from './place.js';
import { addRule } from './rule-dialog.js';
import { deleteRule, describe, ruleDocuments, rulesIn, targetOf } from './rule-documents.js';
import { schemaCard } from './schema.js';

export class RulesPane {
  place = {};
  loaded = null; // {schema, documents}, null until known
  error = null;
  check = null; // the last check: {result}, {error} or {running: true}
  #loader = new Loader();
  #checks = new Loader();

  /** `changed()` is called after the schema, the rules or a document were changed. */
  constructor(app, readLevel, changed) { Object.assign(this, { app, readLevel, changed }); }

  open(place) {
    if (!isSameCollection(place, this.place)) Object.assign(this, { loaded: null, error: null, check: null });
    this.place = place;
    this.load();
  }

  load = async () => {
    const { place: { db, col }, readLevel: { level } } = this;
    const read = async () => {
      const [schema, documents] = await Promise.all([schemas.get(db, col, level), ruleDocuments(db, level)]);
      return { schema: parse(schema), documents };
    };
    if (await this.#loader.assign(this, 'loaded', read)) this.app.update();
  };

  #changed = () => {
    this.check = null; // it checked the old rules
    return Promise.all([this.load(), this.changed()]);
  };

  #add = async () => {
    if (!await addRule(this.place, this.loaded.documents)) return;
    toastDone('Rule added.');
    await this.#changed();
  };

  async #delete(rule) {
    const done = await openDialog({
      title: 'Delete this rule?',
      submitLabel: 'Delete',
      danger: true,
      body: () => html`<p><code>${rule.field}</code> of ${rule.col} will no longer have to be ${describe(rule.rule)}.</p>`,
      submit: () => deleteRule(this.place.db, rule),
    });
    if (!done) return;
    toastDone('Rule deleted.');
    await this.#changed();
  }

  #runCheck = async () => {
    const { place, readLevel: { level } } = this;
    this.check = { running: true };
    this.app.update();
    const outcome = await this.#checks.run(() => collections.validate(place.db, place.col, level));
    if (!outcome) return;
    if (!isSameCollection(place, this.place)) return;
    this.check = outcome.error ? { error: outcome.error } : { result: parse(outcome.value) };
    this.app.update();
  };

  async #edit(id) {
    try {
      if (await editDocument(this.place, id, this.place.canWrite)) await Promise.all([this.#runCheck(), this.changed()]);
    } catch (error) {
      toastError(error);
    }
  }

  view() {
    if (this.error) return this.readLevel.errorBox(this.error, 'rules', this.load);
    if (!this.loaded) return html`<p class="loading">Loading rules…</p>`;
    return html`${schemaCard(this.place, this.loaded.schema, this.#changed)}${this.#rules()}${this.#checkCard()}`;
  }

  #rules() {
    const { col, canOwn } = this.place;
    const all = rulesIn(this.loaded.documents);
    const own = all.filter((rule) => rule.col === col);
    const others = all.filter((rule) => rule.col !== col && targetOf(rule.rule) === col);
    const system = col.startsWith('_');
    return html`<section class="card section" aria-labelledby="rules-title">
      <div class="section-head"><h2 id="rules-title">Rules</h2>
        ${canOwn && !system ? addButton('rule-add', 'Add rule', this.#add) : nothing}</div>
      ${own.length ? html`<ul class="rules">${own.map((rule) => this.#rule(rule))}</ul>`
        : html`<p class="muted" data-testid="rules-none">${system
          ? 'System collections have no rules.' : 'No rules yet.'}</p>`}
      ${others.length ? html`<p class="muted">Documents that others reference cannot be deleted:</p>
        <ul class="rules">${others.map(({ field, col: other, rule }) => html`<li data-testid="rule-incoming">
          <span><code>${field}</code> of ${other} must be ${describe(rule)}</span></li>`)}</ul>` : nothing}
    </section>`;
  }

  #rule(rule) {
    return html`<li data-testid="rule-row" data-field=${rule.field}>
      <span><code>${rule.field}</code> must be ${describe(rule.rule)}</span>
      ${this.place.canOwn ? iconButton('trash', `Delete the rule for ${rule.field}`, 'rule-delete',
        () => this.#delete(rule)) : nothing}</li>`;
  }

  #checkCard() {
    const { running, error, result } = this.check ?? {};
    return html`<section class="card section" aria-labelledby="check-title">
      <div class="section-head"><h2 id="check-title">Stored documents</h2>
        <button type="button" data-testid="validate-run" ?disabled=${running} @click=${this.#runCheck}>
          ${running ? 'Checking…' : 'Check stored documents'}</button></div>
      ${error ? this.readLevel.errorBox(error, 'validate', this.#runCheck) : nothing}
      ${result ? this.#result(result) : nothing}
      ${this.check ? nothing : html`<p class="muted">Finds the documents that violate the schema or a rule.
        It changes nothing.</p>`}</section>`;
  }

  #result(result) {
    const invalid = result.get('invalid');
    const total = Number(result.get('invalidCount'));
    const checked = plural(result.get('checked'), 'document');
    if (!total) return html`<p class="good" data-testid="validate-result">All valid: ${checked} checked.</p>`;
    return html`<p class="bad" data-testid="validate-result">
        ${count(total)} of ${checked} violate${total === 1 ? 's' : ''} the schema or a rule.
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
