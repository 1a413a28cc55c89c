/** The frame around the pages: session, routes, theme. Pages are drawn again with `app.update`. */
import { html, nothing, render } from './vendor/lit-html.js';
import { onSignedOut, session } from './api/calls.js';
import { address, clearErrors, errorBox, icon, iconButton, moveFocus, toastError } from './components/ui.js';
import { Failover } from './session/failover.js';
import { may, maySomewhere } from './session/rights.js';

/**
 * The pages; each is loaded when it is first shown. A page has `title()` and `view()`, and may have
 * `start()` and `stop()` (it is shown, or no longer), `routed()` (the address has changed) and
 * `reload()` (read everything again).
 */
const LOADERS = {
  login: async () => (await import('./pages/login.js')).LoginPage,
  cluster: async () => (await import('./pages/cluster/page.js')).ClusterPage,
  browse: async () => (await import('./pages/browse/page.js')).BrowsePage,
  console: async () => (await import('./pages/console/page.js')).ConsolePage,
  access: async () => (await import('./pages/access/page.js')).AccessPage,
  audit: async () => (await import('./pages/audit.js')).AuditPage,
};
const FIRST = 'cluster';
const RETRY_MS = 2_000;
const TICK_MS = 1_000; // while a transaction is open
const root = document.getElementById('app');

const app = {
  /** `{username, role, allowed_dbs, grants}`; null if nobody is logged in, undefined until that is known. */
  session: undefined,
  bootError: null,
  route: { page: FIRST, path: [], query: new URLSearchParams() },
  /** The database that was opened last. */
  database: undefined,
  /** The page's transaction; null until one was begun. */
  transaction: null,
  async loadTransaction() {
    const { PageTransaction } = await import('./session/transaction.js');
    app.transaction ??= new PageTransaction(async () => {
      app.update();
      await current?.reload?.();
    });
    return app.transaction;
  },
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
  /** Whether the user has at least this role in the database, or in any if none is given. */
  may: (role, db) => (db === undefined ? maySomewhere(app.session, role) : may(app.session, role, db)),
  /** Reads the rights of the session again. */
  async renewSession() {
    try {
      const now = await session.get();
      if (!app.session) return;
      if (now.role !== app.session.role) return app.signIn(now); // other pages become visible
      app.session = now;
      app.update();
    } catch (error) {
      if (error.status !== 401) toastError(error); // the end of the session has its own message
    }
  },
  /** Lets users change their own password, which takes the old one. */
  async changePassword() {
    try {
      const { changeOwnPassword } = await import('./session/password-dialog.js');
      if (await changeOwnPassword()) app.signIn(null); // every session of the user has ended
    } catch (error) {
      toastError(error);
    }
  },
  signIn(who) {
    app.session = who;
    app.bootError = null;
    current?.stop?.();
    current = null;
    app.database = undefined;
    pages = {}; // they may hold data of the previous user
    if (who) clearErrors();
    else forgetUser();
    follow();
    failover.useSession(who);
  },
};

const failover = new Failover(app);
let updating = false;
let pages = {}; // the loaded ones of this session, by name
let current = null;
let turn = 0; // the number of routes followed

/** Removes what the previous user has left in this tab. */
function forgetUser() {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is blocked: there is nothing in it.
  }
}

const exists = (page) => Object.hasOwn(LOADERS, page ?? '') && page !== 'login'
  && (page !== 'audit' || app.session?.role === 'admin');

function parseRoute() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  let parts;
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = []; // not an address of this page
  }
  const [page, ...rest] = parts;
  return { page: exists(page) ? page : FIRST, path: rest, query: new URLSearchParams(query) };
}

/** Shows the page that the address names. */
async function follow() {
  app.route = parseRoute();
  if (app.session === undefined) return app.update();
  const mine = ++turn;
  const next = await pageOf(app.session ? app.route.page : 'login');
  if (mine !== turn) return; // the address has changed meanwhile
  if (next !== current) {
    current?.stop?.();
    current = next;
    current.start?.();
  }
  current.routed?.();
  document.title = `${current.title()} · Jettra`;
  app.update();
}

async function pageOf(name) {
  try {
    return pages[name] ??= new (await LOADERS[name]())(app);
  } catch (error) {
    failover.check();
    return { title: () => 'Jettra', view: () => errorBox(notLoaded(error), 'page-error', html`
      <button class="small" @click=${() => location.reload()}>Reload</button>`) };
  }
}

const notLoaded = (error) => Object.assign(new Error('This part of the page could not be loaded.'),
  { hint: 'check that the node is running, then reload the page', details: { cause: String(error) } });

/** The address has changed; errors concern what was shown before. */
function navigated() {
  clearErrors();
  follow();
}

async function boot() {
  try {
    const who = await session.get();
    if (sessionStorage.getItem('jettra-transaction')) await (await app.loadTransaction()).resume(who.username);
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
    await app.transaction?.abandon();
    await session.logout();
    app.signIn(null);
  } catch (error) {
    toastError(error);
  }
}

/** Switches to the other theme; choosing the system's theme means following it again. */
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
    <a class="brand" href="#/${FIRST}">
      <img src=${icon.brand} alt="" width="24" height="24"><span>Jettra</span></a>
    <nav aria-label="Pages" data-tabs="a">
      ${navLink('cluster', 'Cluster')}${navLink('browse', 'Browse')}${navLink('console', 'Console')}
      ${navLink('access', 'Access')}${app.session.role === 'admin' ? navLink('audit', 'Audit') : nothing}</nav>
    <span class="who" data-testid="session-user"><span class="name">${app.session.username}</span>
      ${app.session.role ? html`<span class="tag">${app.session.role}</span>` : nothing}</span>
    ${themeButton()}
    ${iconButton('key', 'Change password', 'change-password', app.changePassword)}
    <button type="button" class="quiet" data-testid="logout" @click=${logOut} aria-label="Log out">
      ${icon('exit')}<span class="wide-only">Log out</span></button>
  </header>`;

/** Fragments of the address are routes, so this moves the focus itself. */
function skip(event) {
  event.preventDefault();
  document.getElementById('main').focus();
}

const main = (content) => html`<main class="page" id="main" tabindex="-1">${content}</main>`;
const loading = html`<p class="loading">Loading…</p>`;

function view() {
  if (app.session) {
    return html`<a class="skip" href="#main" data-testid="skip-link" @click=${skip}>Skip to the content</a>
      ${topBar()}${app.transaction?.view() ?? nothing}${failover.view()}${main(current?.view() ?? loading)}`;
  }
  if (app.session === null) return html`<div class="corner">${themeButton()}</div>${current?.view() ?? loading}`;
  return app.bootError ? main(errorBox(app.bootError, 'boot-error', 'Trying again…')) : loading;
}

onSignedOut(() => {
  if (app.session === undefined) return;
  const ended = app.session;
  app.transaction?.forget();
  app.signIn(null);
  if (ended) toastError(new Error('Your session has ended. Log in again to continue.'));
});
addEventListener('hashchange', navigated);
addEventListener('keydown', moveFocus);
setInterval(() => {
  if (!app.transaction?.open) return;
  app.update(); // its age is shown
  if (!app.transaction.leftMs) app.transaction.check();
}, TICK_MS);
root.replaceChildren(); // lit does not replace the "Loading" of index.html
app.update();
boot();
