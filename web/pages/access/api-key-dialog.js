/** The dialog that makes an API key. */
import { html, nothing } from '../../vendor/lit-html.js';
import { SYSTEM, databases, tokens } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { showSecret } from '../../components/secret.js';
import { withArticle } from '../../components/ui.js';
import { ROLES, maySomewhere } from '../../session/rights.js';

const DAY_MS = 86_400_000;
const NAME_BYTES_MAX = 100;
const DAYS = [[30, '30 days'], [90, '90 days'], [365, 'a year'], ['', 'until it is revoked']];

/** Makes a key and shows its secret, once; resolves to whether one was made. */
export async function addKey(session) {
  const known = await databases.list().catch(() => []);
  const names = known.map(({ name }) => name).filter((name) => name !== SYSTEM).sort();
  const chosen = new Set();
  const made = await openDialog({
    title: 'Create an API key',
    submitLabel: 'Create key',
    testid: 'api-key-dialog',
    submitTestid: 'api-key-save',
    body: () => fields(session, names, chosen),
    submit: ({ name, role, days }) => {
      const text = name.trim();
      const bytes = new TextEncoder().encode(text).length;
      if (!bytes || bytes > NAME_BYTES_MAX) throw new Error(`The name of a key has 1 to ${NAME_BYTES_MAX} bytes.`);
      return tokens.createApiKey({
        name: text,
        ...(role && { role }),
        ...(chosen.size && { databases: [...chosen] }),
        ...(days && { expires_in_ms: Number(days) * DAY_MS }),
      });
    },
  });
  if (!made) return false;
  await showSecret(`The key “${made.name}”`, made.token, html`<p>A program sends it as
    <code>Authorization: Bearer …</code>; the shell takes it with <code>--api-key-file</code>.</p>`);
  return true;
}

function fields(session, names, chosen) {
  const mark = (name) => (event) => (event.target.checked ? chosen.add(name) : chosen.delete(name));
  return html`
    <label>Name <span class="muted">what it is for</span>
      <input name="name" required autofocus autocomplete="off" placeholder="nightly import"
        data-testid="api-key-name"></label>
    <label>It may do <select name="role" data-testid="api-key-role">
      <option value="">all that you may</option>
      ${ROLES.filter((role) => maySomewhere(session, role)).map((role) => html`
        <option value=${role}>at most what ${withArticle(role)} may</option>`)}</select></label>
    ${names.length ? html`<fieldset><legend>In these databases
        <span class="muted">none chosen: all that you may use</span></legend>
      <div class="choices">${names.map((name) => html`<label class="check"><input type="checkbox"
        data-testid="api-key-database" data-name=${name} @change=${mark(name)}><span>${name}</span></label>`)}</div>
      </fieldset>` : nothing}
    <label>It holds <select name="days" data-testid="api-key-days">${DAYS.map(([days, text]) => html`
      <option value=${days} ?selected=${days === 90}>${text}</option>`)}</select></label>`;
}
