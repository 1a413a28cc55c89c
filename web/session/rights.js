/** What a session may do: the same arithmetic as the server's, which decides in the end. */

/** Each role may do what those before it may. */
export const ROLES = ['reader', 'writereader', 'owner', 'admin'];
/** In a list of databases: all of them. */
export const ALL = '*';

const rank = (role) => ROLES.indexOf(role); // -1 for none

/** The rank of the role in `db`: the higher of the user's role, where it holds, and the grant. */
function rankIn({ role, allowed_dbs: names = [], grants = {} }, db) {
  if (role === 'admin') return rank(role);
  const held = names.includes(ALL) || names.includes(db) ? rank(role) : -1;
  return Math.max(held, rank(Object.hasOwn(grants, db) ? grants[db] : undefined));
}

/** Whether the session has at least the role `needed` in `db`. */
export const may = (session, needed, db) => rankIn(session, db) >= rank(needed);

/** Whether the session has at least the role `needed` in any database. */
export const maySomewhere = (session, needed) =>
  [ALL, ...(session.allowed_dbs ?? []), ...Object.keys(session.grants ?? {})]
    .some((db) => may(session, needed, db));

/** Whether there is a database that the session may create; `names` are those that exist. */
export const mayCreateDatabase = (session, names) => may(session, 'owner', ALL)
  || [...(session.allowed_dbs ?? []), ...Object.keys(session.grants ?? {})]
    .some((db) => !names.includes(db) && may(session, 'owner', db));
