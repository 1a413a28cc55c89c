/** The table of the users with their rights, for administrators. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, users } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, errorBox, iconButton, tableBox, timestampMs, toastDone } from '../../components/ui.js';
import { Sorting } from '../../components/sorting.js';
import { ALL, ROLES } from '../../session/rights.js';
import { createUser, setPassword, updateRights } from './user-dialog.js';

const COLUMNS = [
  ['Name', ({ username }) => username],
  ['Role', ({ role }) => ROLES.indexOf(role)],
  ['In databases', (user) => databasesText(user)],
  ['Other roles', (user) => grantsText(user)],
  ['State', ({ disabled }) => (disabled ? 1 : 0)],
  ['Changed', ({ changed_ms: changed }) => changed],
];

export class UserTable {
  list = null; // null until known
  error = null;
  #loader = new Loader();

  /** `changed` is called after users were updated, since their sessions may have ended. */
  constructor(app, changed) { Object.assign(this, { app, changed, sorting: new Sorting(app.update) }); }

  load = async () => {
    const read = async () => (await users.list()).sort((a, b) => (a.username < b.username ? -1 : 1));
    if (await this.#loader.assign(this, 'list', read)) this.app.update();
  };

  /** Reports a change, if it was made, and reads the users again. */
  async #changed(done, text) {
    if (!done) return;
    toastDone(text);
    await this.app.renewSession(); // the user may be the one logged in
    await Promise.all([this.load(), this.changed()]);
  }

  #create = async () => {
    const user = await createUser();
    await this.#changed(user, `User ${user?.username} created.`);
  };

  #update = async (user) =>
    this.#changed(await updateRights(user), `Rights of ${user.username} updated.`);

  #setPassword = async (user) => {
    if (user.username === this.app.session.username) return this.app.changePassword();
    await this.#changed(await setPassword(user), `${user.username} has a new password.`);
  };

  #toggle = async (user) => {
    const { username, disabled } = user;
    const done = await openDialog({
      title: `${disabled ? 'Enable' : 'Disable'} ${username}?`,
      submitLabel: disabled ? 'Enable' : 'Disable',
      danger: !disabled,
      testid: 'user-toggle-dialog',
      body: () => html`<p>${disabled ? `${username} can log in again, with the same password.`
        : `${username} cannot log in, and all sessions of ${username} end. API keys are refused until the
          user is enabled again.`}</p>`,
      submit: () => users.update(username, { disabled: !disabled }),
    });
    await this.#changed(done, `${username} is ${disabled ? 'enabled' : 'disabled'}.`);
  };

  #delete = async ({ username }) => {
    const done = await openDialog({
      title: `Delete user ${username}?`,
      submitLabel: 'Delete user',
      danger: true,
      typed: username,
      testid: 'user-delete-dialog',
      body: () => html`<p>All sessions and API keys of the user end. Documents stay. This cannot be undone.</p>`,
      submit: () => users.delete(username),
    });
    await this.#changed(done, `User ${username} deleted.`);
  };

  view() {
    return html`<section class="access" aria-labelledby="users-title">
      <div class="section-head"><h2 id="users-title">Users</h2>
        ${addButton('user-create', 'Create user', this.#create)}</div>
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
      <td data-testid="user-databases"><span>${databasesText(user)}</span></td>
      <td data-testid="user-grants"><span>${grantsText(user)}</span></td>
      <td data-testid="user-state"><div class="status ${tone}"><span class="dot ${tone}"></span>${disabled
        ? 'Disabled' : 'Active'}</div></td>
      <td>${timestampMs(changed)}</td>
      <td class="row-actions">
        ${iconButton('pencil', `Update the rights of ${username}`, 'user-update', () => this.#update(user))}
        ${iconButton('key', `Set a new password for ${username}`, 'user-password', () => this.#setPassword(user))}
        ${iconButton(disabled ? 'unlock' : 'lock', `${disabled ? 'Enable' : 'Disable'} ${username}`,
          'user-toggle', () => this.#toggle(user))}
        ${iconButton('trash', `Delete ${username}`, 'user-delete', () => this.#delete(user))}</td></tr>`;
  }
}

function databasesText({ role, allowed_dbs: names }) {
  if (role === 'admin' || names.includes(ALL)) return 'all';
  return names.join(', ') || '–';
}

const grantsText = ({ grants }) =>
  Object.entries(grants ?? {}).map(([db, role]) => `${role} in ${db}`).join(', ') || '–';
