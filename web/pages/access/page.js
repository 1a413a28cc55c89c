/** Users, for administrators, and API keys and sessions: the user's own, or those of all users. */
import { html, nothing } from '../../vendor/lit-html.js';
import { iconButton } from '../../components/ui.js';
import { ALL } from '../../session/rights.js';
import { TokenTables } from './tokens.js';
import { UserTable } from './users.js';

export class AccessPage {
  constructor(app) {
    this.app = app;
    this.tokens = new TokenTables(app);
    this.users = app.session.role === 'admin' ? new UserTable(app, this.tokens.load) : null;
  }

  title() { return 'Access'; }

  start() { return this.reload(); }

  reload = () => Promise.all([this.users?.load(), this.tokens.load()]);

  view() {
    return html`
      <div class="heading"><h1>Access</h1>${iconButton('refresh', 'Reload', 'access-reload', this.reload)}</div>
      ${ownRights(this.app.session)}
      ${this.users?.view() ?? nothing}
      ${this.tokens.view()}`;
  }
}

/** The rights of the user, in a sentence. */
function ownRights({ username, role, allowed_dbs: names = [], grants = {} }) {
  const granted = Object.entries(grants);
  const where = names.includes(ALL) ? 'all databases' : names.join(', ') || 'no database';
  return html`<p class="own-rights" data-testid="own-rights">You are <b>${username}</b>:
    ${role === 'admin' ? 'an administrator, with all rights.'
      : html`${role} in ${where}${granted.map(([db, granted]) => html`, ${granted} in ${db}`)}.`}</p>`;
}
