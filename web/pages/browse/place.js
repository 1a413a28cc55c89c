/** A place is what the browse page shows: `{db, col, tab, canWrite, canOwn}`, as far as the address names it. */
import { SYSTEM } from '../../api/calls.js';

/** The place of the address, with the rights of the user there. */
export function placeOf(app) {
  const [db, col, tab] = app.route.path;
  const may = (role) => db !== undefined && db !== SYSTEM && app.may(role, db);
  return { db, col, tab, canWrite: may('writereader'), canOwn: may('owner') };
}

/** Whether two places are the same collection. */
export const isSameCollection = (a, b) => a.db === b.db && a.col === b.col;
