/** Tables of the API keys, sessions and join tokens: the user's own, or those of all users. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, tokens } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, errorBox, iconButton, tableBox, timestampMs, toastDone } from '../../components/ui.js';
import { Sorting } from '../../components/sorting.js';
import { createApiKey } from './api-key-dialog.js';

const KINDS = {
  api_key: { title: 'API keys', noun: 'API key', none: 'No API keys yet.',
    text: 'Programs authenticate with an API key instead of a password.',
    effect: ({ name, id, user }) =>
      `The API key “${name ?? id}” of ${user} is refused from now on. This cannot be undone.` },
  session: { title: 'Sessions', noun: 'session', none: 'No sessions.',
    text: 'Users who are logged in on this page, on any machine.',
    effect: (session) => `${session.user} has to log in again there.` },
  join: { title: 'Join tokens', noun: 'join token', none: 'No join tokens.',
    text: 'Each admits one new node to the cluster.',
    effect: () => 'No node can join with it from now on.' },
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
    if (await this.#loader.assign(this, 'list', tokens.list)) this.app.update();
  };

  #create = async () => {
    if (await createApiKey(this.app.session)) await this.load();
  };

  #revoke = async (token) => {
    const { noun, effect } = KINDS[token.kind];
    const done = await openDialog({
      title: token.kind === 'session' ? 'End this session?' : `Revoke this ${noun}?`,
      submitLabel: token.kind === 'session' ? 'End session' : 'Revoke',
      danger: true,
      testid: 'token-revoke-dialog',
      body: () => html`<p>${effect(token)}</p>`,
      submit: () => tokens.revoke(token.id),
    });
    if (!done) return;
    toastDone(token.kind === 'session' ? 'The session has ended.' : `The ${noun} is revoked.`);
    await this.load();
  };

  view() {
    if (this.error) {
      return errorBox(this.error, 'tokens-error', html`
        <button class="small" data-testid="tokens-retry" @click=${this.load}>Try again</button>`);
    }
    if (!this.list) return html`<p class="muted">Loading…</p>`;
    const ofKind = (kind) => this.list.filter((token) => token.kind === kind);
    return html`${this.#section('api_key', ofKind('api_key'))}${this.#section('session', ofKind('session'))}
      ${ofKind('join').length ? this.#section('join', ofKind('join')) : nothing}`;
  }

  #section(kind, list) {
    const { title, text, none } = KINDS[kind];
    const id = `tokens-${kind}`;
    return html`<section class="access" aria-labelledby=${id}>
      <div class="section-head"><h2 id=${id}>${title}
          ${this.#admin ? nothing : html`<span class="muted">yours</span>`}</h2>
        ${kind === 'api_key' ? addButton('api-key-create', 'Create API key', this.#create) : nothing}</div>
      <p class="muted">${text}</p>
      ${list.length ? this.#table(kind, list) : html`<p class="muted" data-testid="${id}-none">${none}</p>`}
    </section>`;
  }

  #table(kind, list) {
    const columns = [
      kind === 'api_key' ? ['Name', ({ name }) => name] : ['Id', ({ id }) => id],
      this.#admin && [kind === 'join' ? 'Created by' : 'User', ({ user }) => user],
      kind === 'api_key' && ['Rights', rightsText],
      ['Created', ({ created_ms: created }) => created],
      ['Expires', ({ expires_ms: expires }) => expires ?? Infinity],
    ].filter(Boolean);
    const sorting = this.sortings[kind];
    return tableBox(KINDS[kind].title, html`<table class="docs" data-testid="token-table-${kind}">
      <thead><tr>${sorting.headers(columns)}
        <th class="row-actions"><span class="hidden">Actions</span></th></tr></thead>
      <tbody>${sorting.apply(list, columns).map((token) => this.#row(token))}</tbody></table>`);
  }

  #row(token) {
    const { id, kind, user, name, created_ms: created, expires_ms: expires } = token;
    const label = kind === 'session' ? `End session ${id}` : `Revoke ${name ?? id}`;
    return html`<tr data-testid="token-row" data-kind=${kind} data-id=${id} data-user=${user}>
      <td title=${id}>${kind === 'api_key' ? html`<span>${name}</span>` : html`<code>${id}</code>`}</td>
      ${this.#admin ? html`<td>${user}</td>` : nothing}
      ${kind === 'api_key' ? html`<td data-testid="token-rights"><span>${rightsText(token)}</span></td>` : nothing}
      <td>${timestampMs(created)}</td><td>${expires ? timestampMs(expires) : 'never'}</td>
      <td class="row-actions">${iconButton('trash', label, 'token-revoke', () => this.#revoke(token))}</td></tr>`;
  }
}

/** The rights to which an API key is limited. */
function rightsText({ role, databases }) {
  if (!role && !databases) return 'all of its user';
  return `${role ?? 'all'}${databases ? ` in ${databases.join(', ')}` : ''}`;
}
