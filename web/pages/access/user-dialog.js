/** The dialogs that create a user, update its rights, and set its password. */
import { html, nothing } from '../../vendor/lit-html.js';
import { SYSTEM, databases, users } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { ALL, ROLES } from '../../session/rights.js';

const DESCRIPTIONS = {
  reader: 'reads documents',
  writereader: 'also writes documents and creates collections',
  owner: 'also creates, renames and drops databases, collections, indexes and rules',
  admin: 'has all rights in all databases, and manages users and the cluster',
};
const PASSWORD_BYTES_MIN = 8;
const PASSWORD_BYTES_MAX = 1024;
const NAME = /^[A-Za-z0-9_.@-]{1,64}$/;

/** Resolves to the new user, or to undefined if cancelled. */
export async function createUser() {
  const rights = await rightsOf({ role: 'reader', allowed_dbs: [ALL], grants: {} });
  return openDialog({
    title: 'Create a user',
    submitLabel: 'Create user',
    wide: true,
    testid: 'user-dialog',
    submitTestid: 'user-save',
    body: (dialog) => html`
      <label>Name <input name="username" required autofocus autocomplete="off" autocapitalize="none"
        spellcheck="false" data-testid="user-name"></label>
      ${passwordFields('Password')}${rightsFields(rights, dialog)}`,
    submit({ username, password, again }) {
      const name = username.trim();
      if (!NAME.test(name)) {
        throw new Error('A user name must have 1 to 64 characters: letters from a to z, digits, "_", "-", "." and "@".');
      }
      checkPassword(password, again, name);
      return users.create({ username: name, password, ...bodyOf(rights) });
    },
  });
}

/** Resolves to the updated user, or to undefined if cancelled. */
export async function updateRights(user) {
  const rights = await rightsOf(user);
  return openDialog({
    title: `Rights of ${user.username}`,
    submitLabel: 'Save',
    wide: true,
    testid: 'user-dialog',
    submitTestid: 'user-save',
    body: (dialog) => rightsFields(rights, dialog),
    submit: () => users.update(user.username, bodyOf(rights)),
  });
}

/** Resolves to the updated user, or to undefined if cancelled. */
export const setPassword = ({ username }) => openDialog({
  title: `Set a new password for ${username}`,
  submitLabel: 'Set password',
  testid: 'user-password-dialog',
  submitTestid: 'user-save',
  body: () => html`<p>All sessions of ${username} end. API keys stay valid.</p>${passwordFields('New password')}`,
  submit({ password, again }) {
    checkPassword(password, again, username);
    return users.update(username, { password });
  },
});

const passwordFields = (label) => html`<div class="beside-fields">
  <label>${label} <span class="muted">at least ${PASSWORD_BYTES_MIN} characters</span>
    <input type="password" name="password" required autocomplete="new-password"
      data-testid="user-password-new"></label>
  <label>${label} again <input type="password" name="again" required autocomplete="new-password"
    data-testid="user-password-again"></label></div>`;

/** Throws if the password cannot be used; the server also refuses common passwords. */
function checkPassword(password, again, name) {
  if (password !== again) throw new Error('The two passwords are not the same.');
  const bytes = new TextEncoder().encode(password).length;
  if (bytes < PASSWORD_BYTES_MIN) throw new Error(`A password must have at least ${PASSWORD_BYTES_MIN} characters.`);
  if (bytes > PASSWORD_BYTES_MAX) throw new Error(`A password must have at most ${PASSWORD_BYTES_MAX} bytes.`);
  if (password === name) throw new Error('The password must not be the user name.');
}

/**
 * The state of the form: `{role, all, rows}`, a row being `{db, held, grant}`. The role applies to a
 * database that is `held`; `grant` is another role there.
 */
async function rightsOf({ role, allowed_dbs: allowed, grants = {} }) {
  const known = await databases.list().catch(() => []); // names can also be typed
  const names = new Set([...known.map(({ name }) => name), ...allowed, ...Object.keys(grants)]);
  names.delete(ALL);
  names.delete(SYSTEM); // only administrators can read it
  const rows = [...names].sort().map((db) => ({ db, held: allowed.includes(db), grant: grants[db] ?? '' }));
  return { role, all: allowed.includes(ALL), rows };
}

/** The body of the call. An administrator needs only the role. */
function bodyOf({ role, all, rows }) {
  if (role === 'admin') return { role, allowed_dbs: [ALL], grants: {} };
  const held = rows.filter((row) => row.held).map(({ db }) => db);
  const grants = Object.fromEntries(rows.filter(({ grant }) => grant).map(({ db, grant }) => [db, grant]));
  if (!all && !held.length && !Object.keys(grants).length) {
    throw new Error('Choose a database in which the role applies, or another role in one.');
  }
  return { role, allowed_dbs: all ? [ALL] : held, grants };
}

function rightsFields(rights, dialog) {
  const set = (change) => {
    Object.assign(rights, change);
    dialog.update();
  };
  return html`
    <fieldset><legend>Role</legend>${ROLES.map((role) => html`<label class="check">
      <input type="radio" name="role" value=${role} .checked=${role === rights.role}
        data-testid="role-${role}" @change=${() => set({ role })}>
      <span>${role} <span class="muted">${DESCRIPTIONS[role]}</span></span></label>`)}</fieldset>
    ${rights.role === 'admin' ? nothing : databaseFields(rights, set, dialog)}`;
}

function databaseFields(rights, set, dialog) {
  const { all, rows, role } = rights;
  return html`<fieldset><legend>Databases</legend>
    <label class="check"><input type="checkbox" .checked=${all} data-testid="user-all"
      @change=${(event) => set({ all: event.target.checked })}>
      <span>${role} in all databases <span class="muted">including future ones</span></span></label>
    ${rows.length ? html`<div class="table-box rights"><table class="docs" data-testid="rights-table">
      <thead><tr><th scope="col">Database</th><th scope="col">${role} there</th>
        <th scope="col">Another role there</th></tr></thead>
      <tbody>${rows.map((row) => databaseRow(row, all, dialog))}</tbody></table></div>` : nothing}
    ${newDatabase(rights, dialog)}</fieldset>`;
}

const databaseRow = (row, all, dialog) => html`<tr data-testid="rights-row" data-name=${row.db}>
  <td><span title=${row.db}>${row.db}</span></td>
  <td><input type="checkbox" .checked=${all || row.held} ?disabled=${all} aria-label="The role applies in ${row.db}"
    data-testid="rights-held" @change=${(event) => { row.held = event.target.checked; dialog.update(); }}></td>
  <td><select aria-label="Another role in ${row.db}" data-testid="rights-grant" .value=${row.grant}
    @change=${(event) => { row.grant = event.target.value; dialog.update(); }}>
    ${['', ...ROLES.filter((role) => role !== 'admin')].map((role) => html`
      <option value=${role} .selected=${role === row.grant}>${role || 'none'}</option>`)}</select></td></tr>`;

/** Adds a database by name; it need not exist yet. */
function newDatabase(rights, dialog) {
  const add = () => {
    const field = dialog.element.querySelector('[data-testid="rights-new"]');
    const db = field.value.trim();
    if (!db || rights.rows.some((row) => row.db === db)) return;
    rights.rows.push({ db, held: !rights.all, grant: '' });
    field.value = '';
    dialog.update();
  };
  const onKey = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault(); // it would submit the form
    add();
  };
  return html`<div class="row key-row">
    <input placeholder="another database" aria-label="Name of another database" autocomplete="off"
      spellcheck="false" data-testid="rights-new" @keydown=${onKey}>
    <button type="button" class="small" data-testid="rights-add" @click=${add}>Add</button></div>`;
}
