/** The shell of the page: session, routes, theme. Pages draw themselves through `app.update`. */
import { html, nothing, render } from './vendor/lit-html.js';
import { onSignedOut, session } from './api.js';
import { address, icon, iconButton, errorBox, toastDone, toastError } from './components/ui.js';
import { openDialog } from './components/dialog.js';
import { loginPage } from './pages/login.js';
import { accessPage } from './pages/access.js';
import { auditPage } from './pages/audit.js';
import { clusterPage } from './pages/cluster.js';
import { browsePage } from './pages/browse.js';
import { consolePage } from './pages/console.js';
import { forget } from './pages/console-history.js';
import { transactionBar } from './components/transaction-bar.js';
import { may, maySomewhere } from './rights.js';
import { PageTransaction } from './transaction.js';

const RETRY_MS = 2_000;
const TICK_MS = 1_000; // while a transaction is open
const root = document.getElementById('app');

const app = {
  /** `{username, role, allowed_dbs, grants}`; null when nobody is logged in, undefined until that is known. */
  session: undefined,
  bootError: null,
  route: { page: 'cluster', path: [], query: new URLSearchParams() },
  /** The database that was looked at last. */
  database: undefined,
  /** The transaction that the documents of the page belong to. */
  transaction: new PageTransaction(async () => {
    app.update();
    await current?.reload?.();
  }),
  update() {
    if (updating) return;
    updating = true;
    queueMicrotask(() => {
      updating = false;
      render(view(), root);
    });
  },
  go(page, path = [], query = {}) {
    const text = new URLSearchParams(query).toString();
    location.hash = address(page, ...path) + (text && `?${text}`);
  },
  /** Whether the person has at least this role in the database, or without one in any. */
  may: (role, db) => (db === undefined ? maySomewhere(app.session, role) : may(app.session, role, db)),
  /** Finds out what the person may do now. */
  async renewSession() {
    try {
      const now = await session.get();
      if (!app.session) return;
      if (now.role !== app.session.role) return app.signIn(now); // other pages are shown
      app.session = now;
      app.update();
    } catch (error) {
      if (error.status !== 401) toastError(error); // that one the session's end tells of
    }
  },
  signIn(who) {
    app.session = who;
    app.bootError = null;
    current?.stop?.();
    current = null;
    app.database = undefined;
    if (!who) forget();
    pages = who ? newPages() : {}; // nobody sees what the one before saw
    follow();
  },
};

let updating = false;
const newPages = () => ({
  cluster: clusterPage(app),
  browse: browsePage(app),
  console: consolePage(app),
  access: accessPage(app),
  ...(app.session.role === 'admin' && { audit: auditPage(app) }),
});
let pages = {};
const login = loginPage(app);
let current = null;

function parseRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  let parts;
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = []; // not an address this page made
  }
  const [page, ...rest] = parts;
  const known = Object.hasOwn(pages, page) ? page : 'cluster';
  return { page: known, path: rest, query: new URLSearchParams(query) };
}

/** Makes the page of the address the current one. */
function follow() {
  app.route = parseRoute();
  const next = app.session ? pages[app.route.page] : app.session === null ? login : null;
  if (next !== current) {
    current?.stop?.();
    current = next;
    current?.start?.();
  }
  current?.routed?.();
  document.title = `${current?.title() ?? 'Jettra'} · Jettra`;
  app.update();
}

async function boot() {
  try {
    const who = await session.get();
    await app.transaction.takeUp(who.username);
    app.signIn(who);
  } catch (error) {
    if (error.status === 401) return app.signIn(null);
    app.bootError = error;
    app.update();
    setTimeout(boot, RETRY_MS);
  }
}

async function logOut() {
  try {
    await app.transaction.leave();
    await session.logout();
    app.signIn(null);
  } catch (error) {
    toastError(error);
  }
}

async function changePassword() {
  const field = (name, label, autocomplete) => html`<label>${label}
    <input type="password" name=${name} required autocomplete=${autocomplete}
      data-testid="password-${name}"></label>`;
  const done = await openDialog({
    title: 'Change password',
    submitLabel: 'Change password',
    body: () => [
      field('old', 'Current password', 'current-password'),
      field('new', 'New password', 'new-password'),
      field('again', 'New password again', 'new-password'),
    ],
    submit(fields) {
      if (fields.new !== fields.again) throw new Error('The two new passwords differ.');
      return session.changePassword(fields.old, fields.new);
    },
  });
  if (!done) return;
  toastDone('Password changed. Log in with the new one.'); // it has ended every session
  app.signIn(null);
}

/** Turns to the other theme; going back to the system's own means following it again. */
function toggleTheme() {
  const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const { dataset } = document.documentElement;
  const theme = (dataset.theme ?? system) === 'dark' ? 'light' : 'dark';
  if (theme === system) delete dataset.theme;
  else dataset.theme = theme;
  try {
    if (theme === system) localStorage.removeItem('jettra-theme');
    else localStorage.setItem('jettra-theme', theme);
  } catch {
    // Storage is blocked: the choice lasts until the page is closed.
  }
}

const themeButton = () =>
  iconButton('theme', 'Switch between light and dark', 'theme-toggle', toggleTheme);

const navLink = (page, label) => html`
  <a href="#/${page}" data-testid="nav-${page}"
    aria-current=${app.route.page === page ? 'page' : nothing}>${label}</a>`;

const topBar = () => html`
  <header class="top">
    <a class="brand" href="#/cluster">
      <img src="favicon.svg" alt="" width="24" height="24"><span>Jettra</span></a>
    <nav aria-label="Pages">
      ${navLink('cluster', 'Cluster')}${navLink('browse', 'Browse')}${navLink('console', 'Console')}
      ${navLink('access', 'Access')}${app.session.role === 'admin' ? navLink('audit', 'Audit') : nothing}</nav>
    <span class="who" data-testid="session-user">${app.session.username}
      ${app.session.role ? html`<span class="tag">${app.session.role}</span>` : nothing}</span>
    ${themeButton()}
    ${iconButton('key', 'Change password', 'change-password', changePassword)}
    <button type="button" class="quiet" data-testid="logout" @click=${logOut} aria-label="Log out">
      ${icon('exit')}<span class="wide-only">Log out</span></button>
  </header>`;

function view() {
  if (app.session) return html`${topBar()}${transactionBar(app.transaction)}<main class="page">${current.view()}</main>`;
  if (app.session === null) return html`<div class="corner">${themeButton()}</div>${login.view()}`;
  return app.bootError
    ? html`<main class="page">${errorBox(app.bootError, 'boot-error', 'Trying again…')}</main>`
    : html`<p class="loading">Loading…</p>`;
}

onSignedOut(() => {
  if (app.session) toastError(new Error('Your session has ended. Log in again to go on.'));
  if (app.session === undefined) return;
  app.transaction.lose();
  app.signIn(null);
});
addEventListener('hashchange', follow);
setInterval(() => {
  if (!app.transaction.open) return;
  app.update(); // its age grows
  if (!app.transaction.leftMs) app.transaction.check();
}, TICK_MS);
root.replaceChildren(); // the first "Loading" is not lit's to replace
app.update();
boot();
