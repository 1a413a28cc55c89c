/**
 * Every call to the server. Documents go in and out as text; parsing them is for json.js.
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
export const UP_TO_DATE = 'linearizable';
/** How old an answer of the level `bounded` may be. */
export const FRESHNESS = '2s';

let lastIndex = 0; // the highest log index that an answer has named

let signedOut = () => {};
/** Calls `listener` when the server no longer accepts the session. */
export function onSignedOut(listener) { signedOut = listener; }

async function send(method, path, { body, etag, anyStatus = false, timeoutMs = TIMEOUT_MS } = {}) {
  const headers = { Accept: 'application/json', 'X-Jettra-Client': 'page' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (etag) headers['If-Match'] = etag;
  const signal = AbortSignal.timeout(timeoutMs);
  let response, text;
  try {
    response = await fetch(path, { method, headers, body, signal, cache: 'no-store' });
    text = await response.text();
  } catch (cause) {
    throw outOfReach(cause, method, timeoutMs);
  }
  lastIndex = Math.max(lastIndex, Number(response.headers.get('X-Jettra-Index')));
  if (response.ok || anyStatus) return { text, headers: response.headers };
  const error = refusal(response, text);
  if (error.code === 'not_authenticated') signedOut();
  throw error;
}

function outOfReach(cause, method, timeoutMs) {
  const late = cause.name === 'TimeoutError';
  return new ApiError(0, {
    code: late ? 'timeout' : 'unreachable',
    message: late ? `The server did not answer within ${timeoutMs / 1000} s.`
      : 'The server cannot be reached.',
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
  const message = `The server answered ${response.status} ${response.statusText}.`;
  return new ApiError(response.status, { message, code: `http_${response.status}` });
}

const get = async (path, options) => JSON.parse((await send('GET', path, options)).text);
const post = async (path, fields = {}, options) =>
  JSON.parse((await send('POST', path, { body: JSON.stringify(fields), ...options })).text || '{}');

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

export const cluster = {
  get: () => get('api/cluster', { timeoutMs: TIMEOUT_POLL_MS }),
  register: change('register'),
  deregister: change('deregister'),
  stop: change('stop'),
  pause: change('pause'),
  resume: change('resume'),
  promote: change('promote'),
  restart: change('restart'),
};

const query = (fields) => new URLSearchParams(fields);
/** The parameters of a read level. */
const at = (level) => query({ level,
  ...(level === 'session' && { index: lastIndex }),
  ...(level === 'bounded' && { freshness: FRESHNESS }) });

export const databases = {
  list: (level = UP_TO_DATE) => get(`api/dbs?${at(level)}`),
  create: (name) => post('api/dbs', { name }),
  rename: (oldName, newName) => post('api/dbs/rename', { oldName, newName }),
  drop: (name) => send('DELETE', `api/dbs?${query({ name })}`),
};

export const collections = {
  list: (database, level = UP_TO_DATE) => get(`api/dbs/${segment(database)}/cols?${at(level)}`),
  create: (database, collection) => post('api/cols', { database, collection }),
  rename: (database, oldName, newName) => post('api/cols/rename', { database, oldName, newName }),
  drop: (database, collection) => send('DELETE', `api/cols?${query({ database, collection })}`),
};

const collectionPath = (db, col) => `api/v1/databases/${segment(db)}/collections/${segment(col)}`;
const documentsPath = (db, col) => `${collectionPath(db, col)}/documents`;
const documentPath = (db, col, id) =>
  `${documentsPath(db, col)}/${segment(id.text)}?${query({ id_type: id.type })}`;

/** Sends a query, as text, to a part of a collection; answers with text. */
const ask = async (db, col, part, level, body) => (await send('POST',
  `${collectionPath(db, col)}/${part}?${at(level)}`, { body, timeoutMs: TIMEOUT_QUERY_MS })).text;

/** Documents as text. `id` is `{text, type: 'int'|'string'}`, `level` a read level. */
export const documents = {
  /** `body` is that of a find, as text; so is the answer: `documents`, and `cursor` if there are more. */
  find: (db, col, level, body) => ask(db, col, 'find', level, body),
  /** How many match; `filter` is its text, empty for all. */
  async count(db, col, level, filter) {
    const body = filter ? `{"filter":${filter}}` : '{}';
    return JSON.parse(await ask(db, col, 'count', level, body)).count;
  },
  async get(db, col, id) {
    const answer = await send('GET', documentPath(db, col, id));
    return { text: answer.text, etag: answer.headers.get('ETag') };
  },
  add: async (db, col, text) => (await send('POST', documentsPath(db, col), { body: text })).text,
  /** Replaces the document; with `etag` only if that is still its revision (else 412). */
  put: async (db, col, id, text, etag) =>
    (await send('PUT', documentPath(db, col, id), { body: text, etag })).text,
  remove: (db, col, id, etag) => send('DELETE', documentPath(db, col, id), { etag }),
};

/** What belongs to a collection beside its documents. Answers and bodies are text where they hold values. */
export const collection = {
  stats: async (db, col, level) => (await send('GET', `${collectionPath(db, col)}/stats?${at(level)}`)).text,
  createIndex: (db, col, text) => send('POST', `${collectionPath(db, col)}/indexes`, { body: text }),
  dropIndex: (db, col, name) => send('DELETE', `${collectionPath(db, col)}/indexes/${segment(name)}`),
  schema: async (db, col, level) => (await send('GET', `${collectionPath(db, col)}/schema?${at(level)}`)).text,
  setSchema: (db, col, text) => send('PUT', `${collectionPath(db, col)}/schema`, { body: text }),
  removeSchema: (db, col) => send('DELETE', `${collectionPath(db, col)}/schema`),
  /** Checks what is stored against rules and schema. */
  validate: (db, col, level) => ask(db, col, 'validate', level, '{}'),
};

/** Carries out a statement in JQL, SQL or Mongo's shell language; answers with text. */
export const command = async (db, statement) => (await send('POST', `api/command?${query(db ? { db } : {})}`,
  { body: JSON.stringify({ command: statement }), timeoutMs: TIMEOUT_QUERY_MS })).text;
