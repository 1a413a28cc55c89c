/** Log in; says beforehand when the node is not able to. */
import { html, nothing } from '../vendor/lit-html.js';
import { health, session } from '../api/calls.js';
import { errorBox, icon } from '../components/ui.js';

const TROUBLE = {
  waiting: 'This node waits to be registered by a cluster. Register it from the page of a member.',
  no_leader: 'The cluster has no leader at the moment; logging in may fail until one is elected.',
  paused: 'This node is paused. Resume it from the page of another node.',
  removed: 'This node was removed from its cluster. Use the page of another node.',
  failed: 'This node has failed and stopped serving. Its log says why.',
};

export function loginPage(app) {
  let error, busy, node;

  async function start() {
    error = null;
    busy = false;
    try {
      node = await health();
    } catch (cause) {
      error = cause;
    }
    app.update();
  }

  async function submit(event) {
    event.preventDefault();
    const { username, password } = Object.fromEntries(new FormData(event.target));
    busy = true;
    error = null;
    app.update();
    try {
      await session.login(username, password);
      app.signIn(await session.get());
    } catch (cause) {
      error = cause;
    }
    busy = false;
    app.update();
  }

  const view = () => html`
    <main class="login">
      <form class="card" @submit=${submit}>
        <img src=${icon.brand} alt="" width="44" height="44">
        <h1>Log in to Jettra</h1>
        <p class="muted">
          ${node ? html`You are at node <b>${node.node_id}</b>` : 'Replicated JSON documents'}</p>
        ${node && node.status !== 'ok' ? html`<div class="notice warn" data-testid="login-notice">
          <div>${TROUBLE[node.status] ?? `Not ready: ${node.reason ?? node.status}.`}</div></div>` : nothing}
        <label>User name <input name="username" required autofocus autocomplete="username"
          autocapitalize="none" spellcheck="false" data-testid="login-username"></label>
        <label>Password <input name="password" type="password" required
          autocomplete="current-password" data-testid="login-password"></label>
        ${error ? errorBox(error, 'login-error') : nothing}
        <button class="primary" ?disabled=${busy} data-testid="login-submit">
          ${busy ? 'Logging in…' : 'Log in'}</button>
      </form>
    </main>`;

  return { title: () => 'Log in', start, view };
}
