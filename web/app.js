/** The frame of the page: session, routes, theme. Pages draw themselves through `app.update`. */
import { html, nothing, render } from './vendor/lit-html.js';
import { onSignedOut, session } from './api/calls.js';
import { address, clearErrors, errorBox, icon, iconButton, moveFocus, toastError } from './components/ui.js';
import { Failover } from './session/failover.js';
import { may, maySomewhere } from './session/rights.js';

/** The pages; each is loaded when it is first shown. */
const LOADERS = {
  login: async () => (await import('./pages/login.js')).loginPage,
  cluster: async () => (await import('./pages/cluster/page.js')).clusterPage,
  browse: async () => (await import('./pages/browse/page.js')).browsePage,
  console: async () => (await import('./pages/console/page.js')).consolePage,
  access: async () => (await import('./pages/access/page.js')).accessPage,
  audit: async () => (await import('./pages/audit.js')).auditPage,
};
const FIRST = 'cluster';
const RETRY_MS = 2_000;
const TICK_MS = 1_000; // while a transaction is open
const root = document.getElementById('app');

const app = {
  /** `{username, role, allowed_dbs, grants}`; null when nobody is logged in, undefined until that is known. */
  session: undefined,
  bootError: null,
  route: { page: FIRST, path: [], query: new URLSearchParams() },
  /** The database that was looked at last. */
  database: undefined,
  /** The transaction that the documents of the page belong to; null until one was begun. */
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
    pages = {}; // nobody sees what the one before saw
    if (who) clearErrors();
    else forget();
    follow();
    failover.useSession(who);
  },
};

const failover = new Failover(app);
let updating = false;
let pages = {}; // those that were loaded for this session, by name
let current = null;
let turn = 0; // of the routes that were followed

/** What the one before has left in this tab. */
function forget() {
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
    parts = []; // not an address this page made
  }
  const [page, ...rest] = parts;
  return { page: exists(page) ? page : FIRST, path: rest, query: new URLSearchParams(query) };
}

/** Makes the page of the address the current one. */
async function follow() {
  app.route = parseRoute();
  if (app.session === undefined) return app.update();
  const mine = ++turn;
  const next = await pageOf(app.session ? app.route.page : 'login');
  if (mine !== turn) return; // another is wanted by now
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
    return pages[name] ??= (await LOADERS[name]())(app);
  } catch (error) {
    failover.suspect();
    return { title: () => 'Jettra', view: () => errorBox(notLoaded(error), 'page-error', html`
      <button class="small" @click=${() => location.reload()}>Load again</button>`) };
  }
}

const notLoaded = (error) => Object.assign(new Error('This part of the page could not be loaded.'),
  { hint: 'check that the node runs, then load the page again', details: { cause: String(error) } });

/** Errors are about what was shown before. */
function moved() {
  clearErrors();
  follow();
}

async function boot() {
  try {
    const who = await session.get();
    if (sessionStorage.getItem('jettra-transaction')) await (await app.loadTransaction()).takeUp(who.username);
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
    await app.transaction?.leave();
    await session.logout();
    app.signIn(null);
  } catch (error) {
    toastError(error);
  }
}

const changePassword = async () => {
  try {
    const { changeOwnPassword } = await import('./session/password-dialog.js');
    if (await changeOwnPassword()) app.signIn(null); // it has ended every session
  } catch (error) {
    toastError(error);
  }
};

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
    <a class="brand" href="#/${FIRST}">
      <img src=${icon.brand} alt="" width="24" height="24"><span>Jettra</span></a>
    <nav aria-label="Pages" data-tabs="a">
      ${navLink('cluster', 'Cluster')}${navLink('browse', 'Browse')}${navLink('console', 'Console')}
      ${navLink('access', 'Access')}${app.session.role === 'admin' ? navLink('audit', 'Audit') : nothing}</nav>
    <span class="who" data-testid="session-user"><span class="name">${app.session.username}</span>
      ${app.session.role ? html`<span class="tag">${app.session.role}</span>` : nothing}</span>
    ${themeButton()}
    ${iconButton('key', 'Change password', 'change-password', changePassword)}
    <button type="button" class="quiet" data-testid="logout" @click=${logOut} aria-label="Log out">
      ${icon('exit')}<span class="wide-only">Log out</span></button>
  </header>`;

/** The address belongs to the routes, so the link moves the focus by itself. */
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
  app.transaction?.lose();
  app.signIn(null);
  if (ended) toastError(new Error('Your session has ended. Log in again to go on.'));
});
addEventListener('hashchange', moved);
addEventListener('keydown', moveFocus);
setInterval(() => {
  if (!app.transaction?.open) return;
  app.update(); // its age grows
  if (!app.transaction.leftMs) app.transaction.check();
}, TICK_MS);
root.replaceChildren(); // the first "Loading" is not lit's to replace
app.update();
boot();
