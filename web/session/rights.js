/** The rights of a session, by the rules of the server, which has the final say. */

/** The roles; each includes the rights of those before it. */
export const ROLES = ['reader', 'writereader', 'owner', 'admin'];
/** Stands for all databases in a list of databases. */
export const ALL = '*';

const rank = (role) => ROLES.indexOf(role); // -1 for no role

/** The rank of the session's role in `db`: the higher of the user's role, if it applies there, and the grant. */
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

/** Whether the session may create any database; `names` are the existing ones. */
export const mayCreateDatabase = (session, names) => may(session, 'owner', ALL)
  || [...(session.allowed_dbs ?? []), ...Object.keys(session.grants ?? {})]
    .some((db) => !names.includes(db) && may(session, 'owner', db));
