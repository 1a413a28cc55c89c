/** The log-in page; it also says why the node cannot serve, if so. */
import { html, nothing } from '../vendor/lit-html.js';
import { health, session } from '../api/calls.js';
import { errorBox, icon } from '../components/ui.js';

/** What is wrong with the node, by the status of its health. */
const PROBLEMS = {
  waiting: 'This node is not a member of a cluster yet. Add it under Cluster, on the page of a member.',
  no_leader: 'The cluster has no leader at the moment. Logging in may fail until one is elected.',
  paused: 'This node is paused. Resume it on the page of another node.',
  removed: 'This node was removed from its cluster. Use the page of another node.',
  failed: 'This node has failed and no longer serves calls. Its log has the reason.',
};

export class LoginPage {
  #error = null;
  #busy = false;
  #health = null; // null until known

  constructor(app) { this.app = app; }

  title() { return 'Log in'; }

  async start() {
    this.#error = null;
    this.#busy = false;
    try {
      this.#health = await health();
    } catch (error) {
      this.#error = error;
    }
    this.app.update();
  }

  #submit = async (event) => {
    event.preventDefault();
    const { username, password } = Object.fromEntries(new FormData(event.target));
    this.#busy = true;
    this.#error = null;
    this.app.update();
    try {
      await session.login(username, password);
      this.app.signIn(await session.get());
    } catch (error) {
      this.#error = error;
    }
    this.#busy = false;
    this.app.update();
  };

  view() {
    const node = this.#health;
    return html`<main class="login">
      <form class="card" @submit=${this.#submit}>
        <img src=${icon.brand} alt="" width="44" height="44">
        <h1>Log in to Jettra</h1>
        <p class="muted">
          ${node ? html`This is node <b>${node.node_id}</b>` : 'Replicated JSON documents'}</p>
        ${node && node.status !== 'ok' ? html`<div class="notice warn" data-testid="login-notice">
          <div>${PROBLEMS[node.status] ?? `Not ready: ${node.reason ?? node.status}.`}</div></div>` : nothing}
        <label>User name <input name="username" required autofocus autocomplete="username"
          autocapitalize="none" spellcheck="false" data-testid="login-username"></label>
        <label>Password <input name="password" type="password" required
          autocomplete="current-password" data-testid="login-password"></label>
        ${this.#error ? errorBox(this.#error, 'login-error') : nothing}
        <button class="primary" ?disabled=${this.#busy} data-testid="login-submit">
          ${this.#busy ? 'Logging in…' : 'Log in'}</button>
      </form>
    </main>`;
  }
}
