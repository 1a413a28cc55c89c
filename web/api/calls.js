/**
 * Every call to the server. Documents are sent and returned as text; `values/json.js` parses them.
 * Each write carries an idempotency key, so a write whose outcome is unknown can be sent again:
 * the server executes it once.
 * Paths are relative, so the page also works behind a proxy that adds a prefix.
 */

/** An error answer of the server (`status` 4xx or 5xx), or an unreachable server (`status` 0). */
class ApiError extends Error {
  constructor(status, { message, code, hint, details, request_id: requestId }) {
    super(message);
    Object.assign(this, { status, code, hint, details, requestId });
  }
}

/** The database of the cluster itself; clients can only read it. */
export const SYSTEM = '_system';
/** The collection whose documents are the rules of the database's other collections. */
export const RULES = '_rules';

const TIMEOUT_MS = 15_000;
const TIMEOUT_POLL_MS = 3_000;
const TIMEOUT_MEMBERSHIP_MS = 60_000; // the cluster has to agree on the change
const TIMEOUT_QUERY_MS = 120_000; // the server ends long queries itself, and gives the reason

/** The read level of calls that name no other. */
export const LINEARIZABLE = 'linearizable';
/** The greatest staleness of a read at the level `bounded`. */
export const FRESHNESS = '2s';

const lastIndexes = new Map(); // the highest log index of any answer, by the group whose log it is in

/** Notes the position of an answer: `17` in the system group, `17@3` in group 3. */
function notePosition(text) {
  const [index, group = '0'] = (text ?? '0').split('@');
  lastIndexes.set(group, Math.max(lastIndexes.get(group) ?? 0, Number(index)));
}
const lastPositions = () => [...lastIndexes]
  .map(([group, index]) => (group === '0' ? index : `${index}@${group}`)).join(',');

let signedOut = () => {};
/** Calls `listener` when the server no longer accepts the session. */
export function onSignedOut(listener) { signedOut = listener; }

let unreachable = () => {};
/** Calls `listener` when the node did not answer a call. */
export function onUnreachable(listener) { unreachable = listener; }

let transaction = null; // the id of the open transaction
let transactionListener = {};
/**
 * Document calls belong to the transaction with this id from now on; null for none.
 * `used()` is called after each answer, `lost(error)` when the transaction is no longer open.
 */
export function useTransaction(id, { used, lost } = {}) {
  transaction = id;
  transactionListener = { used, lost };
}
/** Whether a transaction is open. */
export const inTransaction = () => transaction !== null;
const isInTransaction = (path) => transaction !== null && path.includes(`tx=${transaction}`);

async function send(method, path, { body, etag, key, anyStatus = false, timeoutMs = TIMEOUT_MS } = {}) {
  const headers = { Accept: 'application/json', 'X-Jettra-Client': 'page' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (etag) headers['If-Match'] = etag;
  if (key) headers['Idempotency-Key'] = key;
  const signal = AbortSignal.timeout(timeoutMs);
  let response, text;
  try {
    response = await fetch(path, { method, headers, body, signal, cache: 'no-store' });
    text = await response.text();
  } catch (cause) {
    unreachable();
    throw noAnswer(cause, method, timeoutMs);
  }
  notePosition(response.headers.get('X-Jettra-Index'));
  if (isInTransaction(path)) transactionListener.used();
  if (response.ok || anyStatus) return { text, headers: response.headers };
  throw reported(response, text, path);
}

/** The error of an answer, after the listeners it concerns were called. */
function reported(response, text, path) {
  const error = errorOf(response, text);
  if (error.code === 'not_authenticated') signedOut();
  if (error.code === 'transaction_lost' && isInTransaction(path)) transactionListener.lost(error);
  return error;
}

/** Runs loads, and discards the result of each that a newer one has overtaken. */
export class Loader {
  #turn = 0;

  /** Resolves to `{value}`, to `{error}`, or to null if a newer load has begun. */
  async run(work) {
    const turn = ++this.#turn;
    let outcome;
    try {
      outcome = { value: await work(), error: null };
    } catch (error) {
      outcome = { error };
    }
    return turn === this.#turn ? outcome : null;
  }

  /**
   * Assigns the result of `work` to `target[name]`, which keeps its value if `work` fails, and
   * `target.error`. Returns whether it did, which it does not if a newer load has begun.
   */
  async assign(target, name, work) {
    const outcome = await this.run(work);
    if (!outcome) return false;
    target.error = outcome.error;
    if (!outcome.error) target[name] = outcome.value;
    return true;
  }
}

/** Loads something repeatedly while it is shown; `value` is null until it is known. */
export class Poller {
  value = null;
  error = null;
  #loader = new Loader();
  #timer;

  /** `changed` is called after each load. */
  constructor(pauseMs, work, changed) { Object.assign(this, { pauseMs, work, changed }); }

  start() {
    this.stop();
    this.#timer = setInterval(() => document.hidden || this.load(), this.pauseMs);
    this.load();
  }

  stop() { clearInterval(this.#timer); }

  async load() {
    const outcome = await this.#loader.run(this.work);
    if (!outcome) return;
    this.error = outcome.error;
    this.value = outcome.value ?? null; // an old value is not shown
    this.changed();
  }
}

/** The result of `work` and the milliseconds it took: `{value, ms}`. */
export async function timed(work) {
  const started = performance.now();
  const value = await work();
  return { value, ms: performance.now() - started };
}

/** 128 random bits. `crypto.randomUUID` is missing on pages without TLS. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Errors after which it is unknown whether the write was executed. */
const UNKNOWN_OUTCOME = ['unreachable', 'outcome_unknown'];

/** A write. If its outcome is unknown it is sent once more, with the same idempotency key. */
async function write(method, path, options) {
  const keyed = { ...options, key: newKey() };
  try {
    return await send(method, path, keyed);
  } catch (error) {
    if (!UNKNOWN_OUTCOME.includes(error.code)) throw error;
    return send(method, path, keyed);
  }
}

function noAnswer(cause, method, timeoutMs) {
  const late = cause.name === 'TimeoutError';
  return new ApiError(0, {
    code: late ? 'timeout' : 'unreachable',
    message: late ? `The node did not answer within ${timeoutMs / 1000} s.`
      : 'The node cannot be reached.',
    hint: method === 'GET' ? 'Check that the node is running, or open the page of another node.'
      : 'The change may or may not have been made: check before you try again.',
  });
}

function errorOf(response, text) {
  try {
    const { error } = JSON.parse(text);
    if (error.message) return new ApiError(response.status, error);
  } catch {
    // Not an answer of Jettra: it may be from a proxy.
  }
  return new ApiError(response.status, {
    code: `http_${response.status}`,
    message: 'The answer is not from Jettra.',
    hint: 'it may be from a proxy between this browser and the node; try again',
  });
}

const get = async (path, options) => JSON.parse((await send('GET', path, options)).text);
const post = async (path, fields = {}, options) =>
  JSON.parse((await send('POST', path, { body: JSON.stringify(fields), ...options })).text || '{}');
const writeFields = (path, fields) => write('POST', path, { body: JSON.stringify(fields) });

/** One segment of a path. Browsers resolve "." and ".." even when escaped, so these are refused. */
function segment(name) {
  if (!/^\.{0,2}$/.test(name)) return encodeURIComponent(name);
  throw new ApiError(0, {
    code: 'bad_name',
    message: `"${name}" cannot be part of a URL.`,
    hint: 'Use the jettra shell for this name.',
  });
}

/** The state of this node; a node that is not ready answers with an error status. */
export const health = () => get('health', { anyStatus: true, timeoutMs: TIMEOUT_POLL_MS });

export const session = {
  get: () => get('api/v1/session'),
  login: (username, password) => post('api/login', { username, password }),
  logout: () => post('api/logout'),
  changePassword: (oldPassword, newPassword) =>
    post('api/change-password', { oldPassword, newPassword }),
};

const clusterAction = (action) => (fields) =>
  post(`api/cluster/${action}`, fields, { timeoutMs: TIMEOUT_MEMBERSHIP_MS });

let knownCluster = null;
/** The last known status of the cluster; null before the first answer. */
export const lastCluster = () => knownCluster;

export const cluster = {
  status: async () => (knownCluster = await get('api/cluster', { timeoutMs: TIMEOUT_POLL_MS })),
  register: clusterAction('register'),
  deregister: clusterAction('deregister'),
  stop: clusterAction('stop'),
  pause: clusterAction('pause'),
  resume: clusterAction('resume'),
  promote: clusterAction('promote'),
  restart: clusterAction('restart'),
};

const parameters = (fields) => new URLSearchParams(fields);

/** Users; for administrators. */
export const users = {
  list: () => get('api/v1/users'),
  create: async (fields) => JSON.parse((await writeFields('api/v1/users', fields)).text),
  update: async (name, fields) => JSON.parse((await write('PATCH', `api/v1/users/${segment(name)}`,
    { body: JSON.stringify(fields) })).text),
  delete: (name) => write('DELETE', `api/v1/users/${segment(name)}`),
};

/** Sessions, API keys and join tokens: those of the user, or of all users for an administrator. */
export const tokens = {
  list: async () => (await get('api/v1/tokens')).tokens,
  /** Creates an API key for the user; only this answer contains its secret, as `token`. It is not
   * sent again if its outcome is unknown: that would create a second key. */
  createApiKey: (fields) => post('api/v1/tokens', fields),
  /** Creates a token that admits one node to the cluster. */
  createJoinToken: (fields) => post('api/v1/cluster/tokens', fields),
  revoke: (id) => write('DELETE', `api/v1/tokens/${segment(id)}`),
};

/** The groups of replicas, which hold the databases; for administrators. */
export const groups = { list: () => get('api/v1/groups', { timeoutMs: TIMEOUT_POLL_MS }) };

/** Entries of the audit log, the newest first: `{entries, next}`. */
export const audit = (fields) => get(`api/v1/audit?${parameters(fields)}`);

/** The parameters of a read level, and `more`. */
const at = (level, more = {}) => parameters({ level, ...more,
  ...(level === 'session' && { index: lastPositions() }),
  ...(level === 'bounded' && { freshness: FRESHNESS }) });

export const databases = {
  list: (level = LINEARIZABLE) => get(`api/dbs?${at(level)}`),
  create: (name) => writeFields('api/dbs', { name }),
  rename: (oldName, newName) => writeFields('api/dbs/rename', { oldName, newName }),
  drop: (name) => write('DELETE', `api/dbs?${parameters({ name })}`),
};

export const collections = {
  list: (database, level = LINEARIZABLE) => get(`api/dbs/${segment(database)}/cols?${at(level)}`),
  create: (database, collection) => writeFields('api/cols', { database, collection }),
  rename: (database, oldName, newName) => writeFields('api/cols/rename', { database, oldName, newName }),
  drop: (database, collection) => write('DELETE', `api/cols?${parameters({ database, collection })}`),
  /** Figures and indexes, as text. */
  stats: async (db, col, level) => (await send('GET', `${collectionPath(db, col)}/stats?${at(level)}`)).text,
  /** Checks the stored documents against the rules and the schema; answers with text. */
  validate: (db, col, level) => ask(db, col, 'validate', level, '{}'),
};

const collectionPath = (db, col) => `api/v1/databases/${segment(db)}/collections/${segment(col)}`;
const documentsPath = (db, col) => `${collectionPath(db, col)}/documents`;
const documentPath = (db, col, id, ...parts) =>
  [documentsPath(db, col), segment(id.text), ...parts].join('/');
const typed = (id, more = {}) => parameters({ id_type: id.type, ...more });
/** The parameter of calls that belong to the open transaction. */
const inTheTransaction = () => (transaction ? { tx: transaction } : {});
/** The parameters of a read: of a moment in the past, `{at}` or `{asOf}`, or of the present. */
const readOf = (moment) => moment ?? inTheTransaction();

/** Posts a query, as text, to a part of a collection; answers with text. */
const ask = async (db, col, part, level, body, more = {}) => (await send('POST',
  `${collectionPath(db, col)}/${part}?${at(level, more)}`, { body, timeoutMs: TIMEOUT_QUERY_MS })).text;

/**
 * Documents as text. `id` is `{text, type: 'int'|'string'}`, `level` a read level, `moment` the
 * `{at}` or `{asOf}` of a read of the past. All other calls belong to the open transaction.
 */
export const documents = {
  /** `body` is the body of a find, as text. So is the answer: `documents`, and `cursor` if there are more. */
  find: (db, col, level, body, moment) => ask(db, col, 'find', level, body, readOf(moment)),
  /** The number of matching documents; `filter` is JSON, empty for all documents. */
  async count(db, col, level, filter, moment) {
    const body = filter ? `{"filter":${filter}}` : '{}';
    return JSON.parse(await ask(db, col, 'count', level, body, readOf(moment))).count;
  },
  async get(db, col, id, moment) {
    const answer = await send('GET', `${documentPath(db, col, id)}?${typed(id, readOf(moment))}`);
    return { text: answer.text, etag: answer.headers.get('ETag') };
  },
  /** As `get`, in canonical Extended JSON, in which no type is lost. */
  getCanonical: (db, col, id, moment) =>
    documents.get(db, col, id, { ...readOf(moment), extended_json: 'canonical' }),
  insert: async (db, col, text) =>
    (await write('POST', `${documentsPath(db, col)}?${parameters(inTheTransaction())}`, { body: text })).text,
  /** Replaces the document; with `etag` only if that is still its revision (else 412). */
  save: async (db, col, id, text, etag) => (await write('PUT',
    `${documentPath(db, col, id)}?${typed(id, inTheTransaction())}`, { body: text, etag })).text,
  delete: (db, col, id, etag) =>
    write('DELETE', `${documentPath(db, col, id)}?${typed(id, inTheTransaction())}`, { etag }),
};

/** Versions of documents. These calls never belong to a transaction. */
export const versions = {
  settings: (db, col, level) => get(`${collectionPath(db, col)}/versions?${at(level)}`),
  /** `limits` are `keep` and `keep_seconds`, each absent for no limit. */
  keep: (db, col, limits) =>
    write('PUT', `${collectionPath(db, col)}/versions`, { body: JSON.stringify(limits) }),
  forget: (db, col) => write('DELETE', `${collectionPath(db, col)}/versions`),
  list: async (db, col, id) =>
    (await get(`${documentPath(db, col, id, 'versions')}?${typed(id)}`)).versions,
  get: async (db, col, id, version) =>
    (await send('GET', `${documentPath(db, col, id, 'versions', version)}?${typed(id)}`)).text,
  restore: (db, col, id, version) =>
    write('POST', `${documentPath(db, col, id, 'versions', version, 'restore')}?${typed(id)}`),
  undelete: (db, col, id) => write('POST', `${documentPath(db, col, id, 'undelete')}?${typed(id)}`),
};

export const transactions = {
  list: async () => (await get('api/v1/transactions')).transactions,
  begin: () => post('api/v1/transactions'),
  commit: async (id) => JSON.parse((await write('POST', `api/v1/transactions/${segment(id)}/commit`)).text),
  /** Rolls back; succeeds if the transaction has ended already. */
  end: (id) => write('DELETE', `api/v1/transactions/${segment(id)}`),
};

export const tasks = {
  /** `{tasks, total}`; there may be more than are listed. */
  list: () => get('api/v1/tasks'),
  /** Drops the index that is being built. */
  cancel: (id) => write('POST', `api/v1/tasks/${segment(id)}/cancel`),
};

/**
 * The changes of a collection after the token `after`, or from now on, each as `{event, id, data}`.
 * `filter` is JSON. This is not an EventSource: that neither gives the reason of an error nor sends
 * our header.
 */
export async function* watch(db, col, { filter, after, signal }) {
  const path = `${collectionPath(db, col)}/watch?${parameters({ content: 'both', ...(filter && { filter }) })}`;
  const headers = { Accept: 'text/event-stream', 'X-Jettra-Client': 'page' };
  if (after) headers['Last-Event-ID'] = after;
  try {
    const response = await fetch(path, { headers, signal, cache: 'no-store' });
    if (!response.ok) throw reported(response, await response.text(), path);
    const { eventsIn } = await import('./events.js');
    yield* eventsIn(response.body);
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    if (!signal.aborted) unreachable();
    throw noAnswer(cause, 'GET');
  }
}

/** The error that a feed ended with. */
export const feedError = (data) => new ApiError(0, JSON.parse(data).error);

/** The indexes of a collection; `collections.stats` lists them. */
export const indexes = {
  create: (db, col, text) => write('POST', `${collectionPath(db, col)}/indexes`, { body: text }),
  drop: (db, col, name) => write('DELETE', `${collectionPath(db, col)}/indexes/${segment(name)}`),
};

/** The JSON Schema of a collection, as text. */
export const schemas = {
  get: async (db, col, level) => (await send('GET', `${collectionPath(db, col)}/schema?${at(level)}`)).text,
  set: (db, col, text) => write('PUT', `${collectionPath(db, col)}/schema`, { body: text }),
  drop: (db, col) => write('DELETE', `${collectionPath(db, col)}/schema`),
};

/** Documents of a statement that are read at once. */
const STATEMENT_PAGE = 100;

/** Statements in JQL, SQL or MongoDB's shell language. */
export const statements = {
  /**
   * Executes a statement. Answers with text: `{documents}`, with `cursor` while there are more, or
   * `{answer}` for a result that is not a list of documents. `cursor` continues after the previous
   * page. A statement that changes or deletes many documents is refused with their number
   * (`needs_confirmation`) unless it is `confirmed`.
   */
  async run(db, statement, { cursor, confirmed = false } = {}) {
    const fields = { ...(db && { db }), ...inTheTransaction(), ...(!confirmed && { confirm: 'ask' }) };
    const body = JSON.stringify({ command: statement, page: STATEMENT_PAGE, ...(cursor && { cursor }) });
    const options = { body, timeoutMs: TIMEOUT_QUERY_MS };
    return (await write('POST', `api/command?${parameters(fields)}`, options)).text;
  },
};
