/** API keys, sessions and join tokens: one's own, for administrators everybody's. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, tokens } from '../../api/calls.js';
import { whenMs } from '../browse/differences.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, errorBox, iconButton, tableBox, toastDone } from '../../components/ui.js';
import { Sorting } from '../../components/sorting.js';
import { addKey } from './api-key-dialog.js';

const KINDS = {
  api_key: { title: 'API keys', one: 'API key', none: 'No API keys yet.',
    text: 'A program proves itself with one in place of a password.',
    end: (key) => `The key “${key.name ?? key.id}” of ${key.user} is refused from now on. This cannot be undone.` },
  session: { title: 'Sessions', one: 'session', none: 'There are none.', text: 'Log-ins on this page, from any machine.',
    end: (session) => `${session.user} has to log in again there.` },
  join: { title: 'Join tokens', one: 'join token', none: 'There are none.',
    text: 'Each lets one new node into the cluster.',
    end: () => 'No node can join with it any more.' },
};

export class TokenTables {
  list = null; // null until known
  error = null;
  #loader = new Loader();

  constructor(app) {
    this.app = app;
    this.sortings = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, new Sorting(app.update)]));
  }

  get #admin() { return this.app.session.role === 'admin'; }

  load = async () => {
    const outcome = await this.#loader.run(tokens.list);
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.list = outcome.value;
    this.app.update();
  };

  #add = async () => {
    if (await addKey(this.app.session)) await this.load();
  };

  #revoke = async (token) => {
    const { one, end } = KINDS[token.kind];
    const done = await openDialog({
      title: token.kind === 'session' ? 'End this session?' : `Revoke this ${one}?`,
      submitLabel: token.kind === 'session' ? 'End session' : 'Revoke',
      danger: true,
      testid: 'token-revoke-dialog',
      body: () => html`<p>${end(token)}</p>`,
      submit: () => tokens.revoke(token.id),
    });
    if (!done) return;
    toastDone(token.kind === 'session' ? 'The session has ended.' : `The ${one} is revoked.`);
    await this.load();
  };

  view() {
    if (this.error) {
      return errorBox(this.error, 'tokens-error', html`
        <button class="small" data-testid="tokens-retry" @click=${this.load}>Try again</button>`);
    }
    if (!this.list) return html`<p class="muted">Loading…</p>`;
    const of = (kind) => this.list.filter((token) => token.kind === kind);
    return html`${this.#section('api_key', of('api_key'))}${this.#section('session', of('session'))}
      ${of('join').length ? this.#section('join', of('join')) : nothing}`;
  }

  #section(kind, list) {
    const { title, text, none } = KINDS[kind];
    const id = `tokens-${kind}`;
    return html`<section class="access" aria-labelledby=${id}>
      <div class="section-head"><h2 id=${id}>${title}
          ${this.#admin ? nothing : html`<span class="muted">your own</span>`}</h2>
        ${kind === 'api_key' ? addButton('api-key-create', 'Create a key', this.#add) : nothing}</div>
      <p class="muted">${text}</p>
      ${list.length ? this.#table(kind, list) : html`<p class="muted" data-testid="${id}-none">${none}</p>`}
    </section>`;
  }

  #table(kind, list) {
    const columns = [
      kind === 'api_key' ? ['Name', ({ name }) => name] : ['Id', ({ id }) => id],
      this.#admin && [kind === 'join' ? 'Made by' : 'User', ({ user }) => user],
      kind === 'api_key' && ['May', limitsOf],
      ['Made', ({ created_ms: created }) => created],
      ['Ends', ({ expires_ms: expires }) => expires ?? Infinity],
    ].filter(Boolean);
    const sorting = this.sortings[kind];
    return tableBox(KINDS[kind].title, html`<table class="docs" data-testid="token-table-${kind}">
      <thead><tr>${sorting.headers(columns)}
        <th class="row-actions"><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${sorting.apply(list, columns).map((token) => this.#row(token))}</tbody></table>`);
  }

  #row(token) {
    const { id, kind, user, name, created_ms: created, expires_ms: expires } = token;
    const label = kind === 'session' ? `End the session ${id}` : `Revoke ${name ?? id}`;
    return html`<tr data-testid="token-row" data-kind=${kind} data-id=${id} data-user=${user}>
      <td title=${id}>${kind === 'api_key' ? html`<span>${name}</span>` : html`<code>${id}</code>`}</td>
      ${this.#admin ? html`<td>${user}</td>` : nothing}
      ${kind === 'api_key' ? html`<td data-testid="token-limits"><span>${limitsOf(token)}</span></td>` : nothing}
      <td>${whenMs(created)}</td><td>${expires ? whenMs(expires) : 'never'}</td>
      <td class="row-actions">${iconButton('trash', label, 'token-revoke', () => this.#revoke(token))}</td></tr>`;
  }
}

/** The most that a key may do. */
function limitsOf({ role, databases }) {
  if (!role && !databases) return 'all that its user may';
  return `${role ?? 'all'}${databases ? ` in ${databases.join(', ')}` : ''}`;
}
