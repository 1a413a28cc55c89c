/**
 * Every call to the server. Documents go in and out as text; parsing them is for json.js.
 * Writes carry a key of their own, so that one of which nobody knows whether it arrived can be
 * sent again: the server carries it out once.
 * Paths are relative, so the page also works behind a proxy that adds a prefix.
 */

/** A refusal by the server (`status` 4xx/5xx) or a server out of reach (`status` 0). */
export class ApiError extends Error {
  constructor(status, { message, code, hint, details, request_id: requestId }) {
    super(message);
    Object.assign(this, { status, code, hint, details, requestId });
  }
}

/** The database of the cluster itself: readable here, changed only by the server. */
export const SYSTEM = '_system';
/** The collection of each database whose documents are the rules of the others. */
export const RULES = '_rules';

const TIMEOUT_MS = 15_000;
const TIMEOUT_POLL_MS = 3_000;
const TIMEOUT_CLUSTER_MS = 60_000; // a change of members waits for the cluster to agree
const TIMEOUT_QUERY_MS = 120_000; // the server ends long queries itself, and says why

/** The level of lists, unless another is asked for. */
export const LINEARIZABLE = 'linearizable';
/** How old an answer of the level `bounded` may be. */
export const FRESHNESS = '2s';

let lastIndex = 0; // the highest log index that an answer has named

let signedOut = () => {};
/** Calls `listener` when the server no longer accepts the session. */
export function onSignedOut(listener) { signedOut = listener; }

let outOfReachListener = () => {};
/** Calls `listener` when a call got no answer from the node. */
export function onOutOfReach(listener) { outOfReachListener = listener; }

let transaction = null; // the id of the open one
let listener = {};
/**
 * From now on the calls for documents belong to the transaction with this id; null for none.
 * `used()` is called when one was answered, `lost(error)` when the server knows it no longer.
 */
export function useTransaction(id, { used, lost } = {}) {
  transaction = id;
  listener = { used, lost };
}
/** Whether a transaction is open. */
export const inTransaction = () => transaction !== null;
const isInside = (path) => transaction !== null && path.includes(`tx=${transaction}`);

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
    outOfReachListener();
    throw outOfReach(cause, method, timeoutMs);
  }
  lastIndex = Math.max(lastIndex, Number(response.headers.get('X-Jettra-Index')));
  if (isInside(path)) listener.used();
  if (response.ok || anyStatus) return { text, headers: response.headers };
  throw refused(response, text, path);
}

/** The error of an answer; who has to know of it is told. */
function refused(response, text, path) {
  const error = refusal(response, text);
  if (error.code === 'not_authenticated') signedOut();
  if (error.code === 'transaction_lost' && isInside(path)) listener.lost(error);
  return error;
}

/** Loads of which only the newest counts. */
export class Loader {
  #turn = 0;

  /** What `work` gives as `{value}`, or as `{error}`; null when a newer load has begun meanwhile. */
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
}

/** 128 random bits. `crypto.randomUUID` is missing on pages without TLS. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Refusals after which nobody knows whether the write was made. */
const IN_DOUBT = ['unreachable', 'outcome_unknown'];

/** A write. When it is in doubt it is sent once more, under the same key. */
async function write(method, path, options) {
  const keyed = { ...options, key: newKey() };
  try {
    return await send(method, path, keyed);
  } catch (error) {
    if (!IN_DOUBT.includes(error.code)) throw error;
    return send(method, path, keyed);
  }
}

function outOfReach(cause, method, timeoutMs) {
  const late = cause.name === 'TimeoutError';
  return new ApiError(0, {
    code: late ? 'timeout' : 'unreachable',
    message: late ? `The node did not answer within ${timeoutMs / 1000} s.`
      : 'The node cannot be reached.',
    hint: method === 'GET' ? 'Check that the node runs, or open the page of another node.'
      : 'The change may or may not have been made: look before you try again.',
  });
}

function refusal(response, text) {
  try {
    const { error } = JSON.parse(text);
    if (error.message) return new ApiError(response.status, error);
  } catch {
    // Not one of our answers: a proxy, or a node that is too old.
  }
  return new ApiError(response.status, {
    code: `http_${response.status}`,
    message: 'The answer is not one of Jettra.',
    hint: 'a proxy between this browser and the node may have given it; try again',
  });
}

const get = async (path, options) => JSON.parse((await send('GET', path, options)).text);
const post = async (path, fields = {}, options) =>
  JSON.parse((await send('POST', path, { body: JSON.stringify(fields), ...options })).text || '{}');
const writeFields = (path, fields) => write('POST', path, { body: JSON.stringify(fields) });

/** One path segment. Browsers resolve "." and ".." even when escaped, so they must not be sent. */
function segment(name) {
  if (!/^\.{0,2}$/.test(name)) return encodeURIComponent(name);
  throw new ApiError(0, {
    code: 'bad_name',
    message: `"${name}" cannot be part of an address.`,
    hint: 'Use the jettra shell for this one.',
  });
}

/** The node's own state; a node that is not well answers it with an error status. */
export const health = () => get('health', { anyStatus: true, timeoutMs: TIMEOUT_POLL_MS });

export const session = {
  get: () => get('api/v1/session'),
  login: (username, password) => post('api/login', { username, password }),
  logout: () => post('api/logout'),
  changePassword: (oldPassword, newPassword) =>
    post('api/change-password', { oldPassword, newPassword }),
};

const change = (action) => (fields) =>
  post(`api/cluster/${action}`, fields, { timeoutMs: TIMEOUT_CLUSTER_MS });

let known = null;
/** The cluster as it was told last; null before that. */
export const lastCluster = () => known;

export const cluster = {
  status: async () => (known = await get('api/cluster', { timeoutMs: TIMEOUT_POLL_MS })),
  register: change('register'),
  deregister: change('deregister'),
  stop: change('stop'),
  pause: change('pause'),
  resume: change('resume'),
  promote: change('promote'),
  restart: change('restart'),
};

const query = (fields) => new URLSearchParams(fields);

/** The users, for administrators. */
export const users = {
  list: () => get('api/v1/users'),
  create: async (fields) => JSON.parse((await writeFields('api/v1/users', fields)).text),
  update: async (name, fields) => JSON.parse((await write('PATCH', `api/v1/users/${segment(name)}`,
    { body: JSON.stringify(fields) })).text),
  delete: (name) => write('DELETE', `api/v1/users/${segment(name)}`),
};

/** Sessions, API keys and join tokens: one's own, for administrators everybody's. */
export const tokens = {
  list: async () => (await get('api/v1/tokens')).tokens,
  /** Makes an API key of one's own; only this answer has its secret, as `token`. Not sent again when
   * in doubt: it would be another key. */
  createApiKey: (fields) => post('api/v1/tokens', fields),
  /** Makes a token with which one node can join. */
  createJoinToken: (fields) => post('api/v1/cluster/tokens', fields),
  revoke: (id) => write('DELETE', `api/v1/tokens/${segment(id)}`),
};

/** Who did what, the latest first: `{entries, next}`. */
export const audit = (fields) => get(`api/v1/audit?${query(fields)}`);

/** The parameters of a read level, and `more`. */
const at = (level, more = {}) => query({ level, ...more,
  ...(level === 'session' && { index: lastIndex }),
  ...(level === 'bounded' && { freshness: FRESHNESS }) });

export const databases = {
  list: (level = LINEARIZABLE) => get(`api/dbs?${at(level)}`),
  create: (name) => writeFields('api/dbs', { name }),
  rename: (oldName, newName) => writeFields('api/dbs/rename', { oldName, newName }),
  drop: (name) => write('DELETE', `api/dbs?${query({ name })}`),
};

export const collections = {
  list: (database, level = LINEARIZABLE) => get(`api/dbs/${segment(database)}/cols?${at(level)}`),
  create: (database, collection) => writeFields('api/cols', { database, collection }),
  rename: (database, oldName, newName) => writeFields('api/cols/rename', { database, oldName, newName }),
  drop: (database, collection) => write('DELETE', `api/cols?${query({ database, collection })}`),
  /** Figures and indexes, as text. */
  stats: async (db, col, level) => (await send('GET', `${collectionPath(db, col)}/stats?${at(level)}`)).text,
  /** Checks the stored documents against the rules and the schema; answers with text. */
  validate: (db, col, level) => ask(db, col, 'validate', level, '{}'),
};

const collectionPath = (db, col) => `api/v1/databases/${segment(db)}/collections/${segment(col)}`;
const documentsPath = (db, col) => `${collectionPath(db, col)}/documents`;
const documentPath = (db, col, id, ...parts) =>
  [documentsPath(db, col), segment(id.text), ...parts].join('/');
const typed = (id, more = {}) => query({ id_type: id.type, ...more });
/** The parameter of calls that belong to the open transaction. */
const inside = () => (transaction ? { tx: transaction } : {});
/** What a read of documents looks at: a moment in the past, `{at}` or `{asOf}`, else now. */
const view = (moment) => moment ?? inside();

/** Sends a query, as text, to a part of a collection; answers with text. */
const ask = async (db, col, part, level, body, more = {}) => (await send('POST',
  `${collectionPath(db, col)}/${part}?${at(level, more)}`, { body, timeoutMs: TIMEOUT_QUERY_MS })).text;

/**
 * Documents as text. `id` is `{text, type: 'int'|'string'}`, `level` a read level, `moment` what
 * `view` says. All belong to the open transaction, but for reads of the past.
 */
export const documents = {
  /** `body` is that of a find, as text; so is the answer: `documents`, and `cursor` if there are more. */
  find: (db, col, level, body, moment) => ask(db, col, 'find', level, body, view(moment)),
  /** How many match; `filter` is its text, empty for all. */
  async count(db, col, level, filter, moment) {
    const body = filter ? `{"filter":${filter}}` : '{}';
    return JSON.parse(await ask(db, col, 'count', level, body, view(moment))).count;
  },
  async get(db, col, id, moment) {
    const answer = await send('GET', `${documentPath(db, col, id)}?${typed(id, view(moment))}`);
    return { text: answer.text, etag: answer.headers.get('ETag') };
  },
  insert: async (db, col, text) =>
    (await write('POST', `${documentsPath(db, col)}?${query(inside())}`, { body: text })).text,
  /** Replaces the document; with `etag` only if that is still its revision (else 412). */
  save: async (db, col, id, text, etag) => (await write('PUT',
    `${documentPath(db, col, id)}?${typed(id, inside())}`, { body: text, etag })).text,
  delete: (db, col, id, etag) =>
    write('DELETE', `${documentPath(db, col, id)}?${typed(id, inside())}`, { etag }),
};

/** Former documents. They do not belong to a transaction. */
export const versions = {
  settings: (db, col, level) => get(`${collectionPath(db, col)}/versions?${at(level)}`),
  /** `limits` are `keep` and `keep_seconds`, each absent for no bound. */
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
  /** Rolls back; one that is over already is no error. */
  end: (id) => write('DELETE', `api/v1/transactions/${segment(id)}`),
};

/**
 * The changes of a collection behind the token `after`, or from now on, as `{event, id, data}`;
 * each tells what was done, and the document. `filter` is its text. Not an EventSource: that
 * neither tells why a feed is refused nor sends our header.
 */
export async function* watch(db, col, { filter, after, signal }) {
  const path = `${collectionPath(db, col)}/watch?${query({ content: 'both', ...(filter && { filter }) })}`;
  const headers = { Accept: 'text/event-stream', 'X-Jettra-Client': 'page' };
  if (after) headers['Last-Event-ID'] = after;
  try {
    const response = await fetch(path, { headers, signal, cache: 'no-store' });
    if (!response.ok) throw refused(response, await response.text(), path);
    const { eventsIn } = await import('./events.js');
    yield* eventsIn(response.body);
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    if (!signal.aborted) outOfReachListener();
    throw outOfReach(cause, 'GET');
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
    const fields = { ...(db && { db }), ...inside(), ...(!confirmed && { confirm: 'ask' }) };
    const body = JSON.stringify({ command: statement, page: STATEMENT_PAGE, ...(cursor && { cursor }) });
    const options = { body, timeoutMs: TIMEOUT_QUERY_MS };
    return (await write('POST', `api/command?${query(fields)}`, options)).text;
  },
};
