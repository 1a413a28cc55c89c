/** Who did what, for administrators. The address says which entries: #/audit?user=&action=. */
import { html, nothing } from '../vendor/lit-html.js';
import { Loader, audit } from '../api/calls.js';
import { whenMs } from './browse/differences.js';
import { emptyState, errorBox, iconButton, tableBox, toastError } from '../components/ui.js';

const PAGE = 50; // entries
const COLUMNS = ['When', 'User', 'From', 'Action', 'Of', 'Outcome'];
const ACTIONS = ['cluster_deregister', 'cluster_pause', 'cluster_promote', 'cluster_register', 'cluster_restart',
  'cluster_resume', 'cluster_stop', 'drop_collection', 'drop_database', 'drop_index', 'drop_versions', 'join_failed', 'join_token_use', 'login',
  'login_failed', 'password_change', 'rename_collection', 'rename_database', 'replace_collection', 'set_schema', 'token_create', 'token_revoke',
  'user_create', 'user_delete', 'user_update'];

export function auditPage(app) {
  const loader = new Loader();
  let entries = null; // null until known
  let next; // where older ones begin
  let error = null;
  let wanted = {}; // user and action
  let typed = ''; // the user in the form

  async function load() {
    const outcome = await loader.run(() => audit({ ...wanted, limit: PAGE }));
    if (!outcome) return;
    error = outcome.error;
    if (outcome.value) ({ entries, next } = outcome.value);
    app.update();
  }

  async function older() {
    const outcome = await loader.run(() => audit({ ...wanted, limit: PAGE, before: next }));
    if (!outcome) return;
    if (outcome.error) return toastError(outcome.error);
    entries = [...entries, ...outcome.value.entries];
    next = outcome.value.next;
    app.update();
  }

  function routed() {
    const { query } = app.route;
    wanted = Object.fromEntries(['user', 'action'].map((name) => [name, query.get(name)]).filter(([, text]) => text));
    typed = wanted.user ?? '';
    entries = null;
    load();
  }

  /** Shows other entries; without a change the same are read again. */
  function show(change) {
    const before = location.hash;
    const query = Object.entries({ ...wanted, ...change }).filter(([, text]) => text);
    app.go('audit', [], Object.fromEntries(query));
    if (location.hash === before) load();
  }

  function submit(event) {
    event.preventDefault();
    show({ user: typed.trim() });
  }

  const tools = () => html`<form class="toolbar" role="search" @submit=${submit}>
    <span class="row find"><input .value=${typed} placeholder="User" aria-label="Only what this user did"
      autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="audit-user"
      @input=${(event) => { typed = event.target.value; }}>
      <button data-testid="audit-submit">Show</button></span>
    <select aria-label="Only this action" data-testid="audit-action"
      @change=${(event) => show({ user: typed.trim(), action: event.target.value })}>
      <option value="" .selected=${!wanted.action}>all actions</option>
      ${ACTIONS.map((action) => html`<option value=${action} .selected=${action === wanted.action}>${words(action)}</option>`)}
    </select>
    ${iconButton('refresh', 'Reload', 'audit-reload', load)}</form>`;

  function content() {
    if (!entries) return error ? nothing : html`<p class="loading">Loading…</p>`;
    if (!entries.length) return emptyState('Nothing was done', 'No entry is as you ask.');
    return html`${tableBox('Audit log', html`<table class="docs" data-testid="audit-table">
        <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
        <tbody>${entries.map(row)}</tbody></table>`)}
      ${next === undefined || next === null ? nothing : html`<p class="pager"><button type="button"
        data-testid="audit-older" @click=${older}>Older entries</button></p>`}`;
  }

  const view = () => html`
    <div class="heading"><h1>Audit log</h1></div>
    ${tools()}
    ${error ? errorBox(error, 'audit-error', html`
      <button class="small" data-testid="audit-retry" @click=${load}>Try again</button>`) : nothing}
    ${content()}`;

  return { title: () => 'Audit log', routed, reload: load, view };
}

const words = (action) => action.replaceAll('_', ' ');

function row({ _id: id, time_ms: time, user, from, action, target, outcome }) {
  const tone = outcome === 'ok' ? 'good' : 'bad';
  return html`<tr data-testid="audit-row" data-id=${id} data-action=${action} data-outcome=${outcome}>
    <td>${whenMs(time)}</td>
    <td>${user === undefined ? html`<span class="muted">${from ? 'not logged in' : 'the database'}</span>`
      : html`<span title=${user}>${user}</span>`}</td>
    <td>${from ?? '–'}</td><td>${words(action)}</td>
    <td><span title=${target}>${target || '–'}</span></td>
    <td><div class="status ${tone}"><span class="dot ${tone}"></span>${outcome === 'ok' ? 'done' : words(outcome)}</div></td></tr>`;
}
