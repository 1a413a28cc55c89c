/** Who may do what: users for administrators; sessions and keys, one's own or everybody's. */
import { html, nothing } from '../../vendor/lit-html.js';
import { iconButton } from '../../components/ui.js';
import { TokenTables } from './tokens.js';
import { UserTable } from './users.js';

export function accessPage(app) {
  const admin = app.session.role === 'admin';
  const tokens = new TokenTables(app);
  const users = admin ? new UserTable(app, tokens.load) : null;
  const reload = () => Promise.all([users?.load(), tokens.load()]);

  const view = () => html`
    <div class="heading"><h1>Access</h1>${iconButton('refresh', 'Reload', 'access-reload', reload)}</div>
    ${ownRights(app.session)}
    ${users?.view() ?? nothing}
    ${tokens.view()}`;

  return { title: () => 'Access', start: reload, reload, view };
}

/** What the person at the page may do, in a sentence. */
function ownRights({ username, role, allowed_dbs: names = [], grants = {} }) {
  const granted = Object.entries(grants);
  const where = names.includes('*') ? 'all databases' : names.join(', ') || 'no database';
  return html`<p class="own-rights" data-testid="own-rights">You are <b>${username}</b>:
    ${role === 'admin' ? 'an admin, who may do everything everywhere.'
      : html`${role} in ${where}${granted.map(([db, granted]) => html`, ${granted} in ${db}`)}.`}</p>`;
}
