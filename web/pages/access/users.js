/** The users, for administrators: what each may do, and the ways to change it. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, users } from '../../api/calls.js';
import { whenMs } from '../browse/differences.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, errorBox, iconButton, tableBox, toastDone } from '../../components/ui.js';
import { Sorting } from '../../components/sorting.js';
import { ALL, ROLES } from '../../session/rights.js';
import { addUser, changePassword, changeRights } from './user-dialog.js';

const COLUMNS = [
  ['Name', ({ username }) => username],
  ['Role', ({ role }) => ROLES.indexOf(role)],
  ['In databases', (user) => databasesOf(user)],
  ['Further roles', (user) => grantsOf(user)],
  ['State', ({ disabled }) => (disabled ? 1 : 0)],
  ['Changed', ({ changed_ms: changed }) => changed],
];

export class UserTable {
  list = null; // null until known
  error = null;
  #loader = new Loader();

  /** `changed` is called after users were changed, since their sessions may have ended. */
  constructor(app, changed) { Object.assign(this, { app, changed, sorting: new Sorting(app.update) }); }

  load = async () => {
    const outcome = await this.#loader.run(users.list);
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.list = outcome.value.sort((a, b) => (a.username < b.username ? -1 : 1));
    this.app.update();
  };

  /** Tells of a change when one was made, and reads anew. */
  async #after(done, text) {
    if (!done) return;
    toastDone(text);
    await this.app.renewSession(); // it may have been one's own
    await Promise.all([this.load(), this.changed()]);
  }

  #add = async () => {
    const made = await addUser();
    await this.#after(made, `User ${made?.username} added.`);
  };

  #change = async (user) =>
    this.#after(await changeRights(user), `What ${user.username} may do was changed.`);

  #password = async (user) =>
    this.#after(await changePassword(user), `${user.username} has a new password.`);

  #toggle = async (user) => {
    const { username, disabled } = user;
    const done = await openDialog({
      title: `${disabled ? 'Enable' : 'Disable'} ${username}?`,
      submitLabel: disabled ? 'Enable' : 'Disable',
      danger: !disabled,
      testid: 'user-toggle-dialog',
      body: () => html`<p>${disabled ? `${username} can log in again, with the same password.`
        : `${username} is kept out: it cannot log in, its sessions end, and its API keys do not hold
          until it is enabled again.`}</p>`,
      submit: () => users.update(username, { disabled: !disabled }),
    });
    await this.#after(done, `${username} is ${disabled ? 'enabled' : 'disabled'}.`);
  };

  #remove = async ({ username }) => {
    const done = await openDialog({
      title: `Delete user ${username}?`,
      submitLabel: 'Delete user',
      danger: true,
      typed: username,
      testid: 'user-delete-dialog',
      body: () => html`<p>Its sessions and API keys end. What it wrote stays. This cannot be undone.</p>`,
      submit: () => users.delete(username),
    });
    await this.#after(done, `User ${username} deleted.`);
  };

  view() {
    return html`<section class="access" aria-labelledby="users-title">
      <div class="section-head"><h2 id="users-title">Users</h2>
        ${addButton('user-create', 'Add user', this.#add)}</div>
      ${this.error ? errorBox(this.error, 'users-error', html`
        <button class="small" data-testid="users-retry" @click=${this.load}>Try again</button>`) : nothing}
      ${this.list ? this.#table() : nothing}
      ${this.list || this.error ? nothing : html`<p class="muted">Loading…</p>`}</section>`;
  }

  #table() {
    return tableBox('Users', html`<table class="docs" data-testid="user-table">
      <thead><tr>${this.sorting.headers(COLUMNS)}
        <th class="row-actions"><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${this.sorting.apply(this.list, COLUMNS).map((user) => this.#row(user))}</tbody></table>`);
  }

  #row(user) {
    const { username, role, disabled, changed_ms: changed } = user;
    const tone = disabled ? 'bad' : 'good';
    return html`<tr data-testid="user-row" data-name=${username} data-state=${disabled ? 'disabled' : 'active'}>
      <td><span title=${username}>${username}</span></td>
      <td data-testid="user-role">${role}</td>
      <td data-testid="user-databases"><span>${databasesOf(user)}</span></td>
      <td data-testid="user-grants"><span>${grantsOf(user)}</span></td>
      <td data-testid="user-state"><div class="status ${tone}"><span class="dot ${tone}"></span>${disabled
        ? 'Disabled' : 'Active'}</div></td>
      <td>${whenMs(changed)}</td>
      <td class="row-actions">
        ${iconButton('pencil', `Change what ${username} may do`, 'user-update', () => this.#change(user))}
        ${iconButton('key', `Give ${username} a new password`, 'user-password', () => this.#password(user))}
        ${iconButton(disabled ? 'unlock' : 'lock', `${disabled ? 'Enable' : 'Disable'} ${username}`,
          'user-toggle', () => this.#toggle(user))}
        ${iconButton('trash', `Delete ${username}`, 'user-delete', () => this.#remove(user))}</td></tr>`;
  }
}

function databasesOf({ role, allowed_dbs: names }) {
  if (role === 'admin' || names.includes(ALL)) return 'all';
  return names.join(', ') || '–';
}

const grantsOf = ({ grants }) =>
  Object.entries(grants ?? {}).map(([db, role]) => `${role} in ${db}`).join(', ') || '–';
