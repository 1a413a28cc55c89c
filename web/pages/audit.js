/** The audit log, for administrators. The address names the entries: #/audit?user=&action=. */
import { html, nothing } from '../vendor/lit-html.js';
import { Loader, audit } from '../api/calls.js';
import { emptyState, errorBox, iconButton, tableBox, timestampMs, toastError } from '../components/ui.js';

const PAGE = 50; // entries
const COLUMNS = ['When', 'User', 'From', 'Action', 'Target', 'Outcome'];
/** Those of the server; a test compares them. */
const ACTIONS = ['cluster_deregister', 'cluster_pause', 'cluster_promote', 'cluster_register', 'cluster_restart',
  'cluster_resume', 'cluster_stop', 'drop_collection', 'drop_database', 'drop_index', 'drop_versions',
  'group_create', 'group_move', 'group_pin_leader', 'group_remove', 'join_failed', 'join_token_use',
  'login', 'login_failed', 'password_change', 'rename_collection', 'rename_database', 'replace_collection',
  'set_max_feature_level', 'set_schema', 'token_create', 'token_revoke', 'user_create', 'user_delete', 'user_update'];

export class AuditPage {
  log = null; // {entries, next, missing_groups}: the entries shown, and where the older ones begin; null until known
  error = null;
  filter = {}; // user and action
  typed = ''; // the user in the form
  #loader = new Loader();

  constructor(app) { this.app = app; }

  title() { return 'Audit log'; }

  reload = async () => {
    const read = () => audit({ ...this.filter, limit: PAGE });
    if (await this.#loader.assign(this, 'log', read)) this.app.update();
  };

  #loadOlder = async () => {
    const outcome = await this.#loader.run(() => audit({ ...this.filter, limit: PAGE, before: this.log.next }));
    if (!outcome) return;
    if (outcome.error) return toastError(outcome.error);
    this.log = { ...outcome.value, entries: [...this.log.entries, ...outcome.value.entries] };
    this.app.update();
  };

  routed() {
    const { query } = this.app.route;
    const fields = ['user', 'action'].map((name) => [name, query.get(name)]);
    this.filter = Object.fromEntries(fields.filter(([, text]) => text));
    this.typed = this.filter.user ?? '';
    this.log = null;
    this.reload();
  }

  /** Shows the entries of another filter, or reads those of the same filter again. */
  #show(change) {
    const before = location.hash;
    const fields = Object.entries({ ...this.filter, ...change }).filter(([, text]) => text);
    this.app.go('audit', [], Object.fromEntries(fields));
    if (location.hash === before) this.reload();
  }

  #submit = (event) => {
    event.preventDefault();
    this.#show({ user: this.typed.trim() });
  };

  view() {
    return html`<div class="heading"><h1>Audit log</h1></div>
      ${this.#toolbar()}
      ${this.error ? errorBox(this.error, 'audit-error', html`
        <button class="small" data-testid="audit-retry" @click=${this.reload}>Try again</button>`) : nothing}
      ${this.#table()}`;
  }

  #toolbar() {
    const chooseAction = (event) => this.#show({ user: this.typed.trim(), action: event.target.value });
    const option = (action) => html`<option value=${action}
      .selected=${action === this.filter.action}>${words(action)}</option>`;
    return html`<form class="toolbar" role="search" @submit=${this.#submit}>
      <span class="row find"><input .value=${this.typed} placeholder="User" aria-label="Only entries of this user"
        autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="audit-user"
        @input=${(event) => { this.typed = event.target.value; }}>
        <button data-testid="audit-submit">Show</button></span>
      <select aria-label="Only this action" data-testid="audit-action" @change=${chooseAction}>
        <option value="" .selected=${!this.filter.action}>all actions</option>${ACTIONS.map(option)}</select>
      ${iconButton('refresh', 'Reload', 'audit-reload', this.reload)}</form>`;
  }

  #table() {
    if (!this.log) return this.error ? nothing : html`<p class="loading">Loading…</p>`;
    const { entries, next, missing_groups: missing = [] } = this.log;
    if (!entries.length && !missing.length) return emptyState('No entries', 'No entry of the audit log matches.');
    return html`${missing.length ? html`<p class="muted" data-testid="audit-missing">Without the entries of
        groups that do not answer: ${missing.join(', ')}</p>` : nothing}
      ${tableBox('Audit log', html`<table class="docs" data-testid="audit-table">
        <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${entries.map(row)}</tbody></table>`)}
      ${next === undefined || next === null ? nothing : html`<p class="pager"><button type="button"
        data-testid="audit-older" @click=${this.#loadOlder}>Older entries</button></p>`}`;
  }
}

const words = (code) => code.replaceAll('_', ' ');

function row({ _id: id, time_ms: time, user, from, action, target, outcome }) {
  const tone = outcome === 'ok' ? 'good' : 'bad';
  return html`<tr data-testid="audit-row" data-id=${id} data-action=${action} data-outcome=${outcome}>
    <td>${timestampMs(time)}</td>
    <td>${user === undefined ? html`<span class="muted">${from ? 'not logged in' : 'the database'}</span>`
      : html`<span title=${user}>${user}</span>`}</td>
    <td>${from ?? '–'}</td><td>${words(action)}</td>
    <td><span title=${target}>${target || '–'}</span></td>
    <td><div class="status ${tone}"><span class="dot ${tone}"></span>${words(outcome)}</div></td></tr>`;
}
