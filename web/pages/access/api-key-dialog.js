/** The dialog that creates an API key. */
import { html, nothing } from '../../vendor/lit-html.js';
import { SYSTEM, databases, tokens } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { showSecret } from '../../components/secret.js';
import { ROLES, maySomewhere } from '../../session/rights.js';

const DAY_MS = 86_400_000;
const NAME_BYTES_MAX = 100;
const DAYS = [[30, '30 days'], [90, '90 days'], [365, 'a year'], ['', 'ever, until it is revoked']];
const DAYS_DEFAULT = 90;

/** Creates an API key and shows its secret, once; resolves to whether one was created. */
export async function createApiKey(session) {
  const known = await databases.list().catch(() => []);
  const names = known.map(({ name }) => name).filter((name) => name !== SYSTEM).sort();
  const chosen = new Set();
  const created = await openDialog({
    title: 'Create an API key',
    submitLabel: 'Create API key',
    testid: 'api-key-dialog',
    submitTestid: 'api-key-save',
    body: () => fields(session, names, chosen),
    submit: ({ name, role, days }) => {
      const text = name.trim();
      const bytes = new TextEncoder().encode(text).length;
      if (!bytes || bytes > NAME_BYTES_MAX) {
        throw new Error(`The name of an API key must have 1 to ${NAME_BYTES_MAX} bytes.`);
      }
      return tokens.createApiKey({
        name: text,
        ...(role && { role }),
        ...(chosen.size && { databases: [...chosen] }),
        ...(days && { expires_in_ms: Number(days) * DAY_MS }),
      });
    },
  });
  if (!created) return false;
  await showSecret(`API key “${created.name}”`, created.token, html`<p>A program sends it as
    <code>Authorization: Bearer …</code>; the shell reads it from the file of <code>--api-key-file</code>.</p>`);
  return true;
}

function fields(session, names, chosen) {
  const choose = (name) => (event) => (event.target.checked ? chosen.add(name) : chosen.delete(name));
  return html`
    <label>Name <span class="muted">its purpose</span>
      <input name="name" required autofocus autocomplete="off" placeholder="nightly import"
        data-testid="api-key-name"></label>
    <label>Rights <select name="role" data-testid="api-key-role">
      <option value="">all of yours</option>
      ${ROLES.filter((role) => maySomewhere(session, role)).map((role) => html`
        <option value=${role}>at most ${role}</option>`)}</select></label>
    ${names.length ? html`<fieldset><legend>Databases
        <span class="muted">if none is chosen, all of yours</span></legend>
      <div class="choices">${names.map((name) => html`<label class="check"><input type="checkbox"
        data-testid="api-key-database" data-name=${name} @change=${choose(name)}><span>${name}</span></label>`)}</div>
      </fieldset>` : nothing}
    <label>Valid for <select name="days" data-testid="api-key-days">${DAYS.map(([days, text]) => html`
      <option value=${days} ?selected=${days === DAYS_DEFAULT}>${text}</option>`)}</select></label>`;
}
