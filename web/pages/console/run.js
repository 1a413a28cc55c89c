/**
 * Runs a statement to a result: `{rows, cursor, ms, …}` for documents, `{value, text, ms}` for
 * anything else, or `{cancelled: true}`.
 */
import { html } from '../../vendor/lit-html.js';
import { statements, timed } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { plural, sentence } from '../../components/ui.js';
import { parse } from '../../values/json.js';

/** Runs a statement; the user has to confirm it if it changes or deletes many documents. */
export async function resultOf(db, statement) {
  const run = (confirmed) => timed(() => statements.run(db, statement, { confirmed }));
  let answer;
  try {
    answer = await run(false);
  } catch (error) {
    if (error.code !== 'needs_confirmation') throw error;
    answer = await confirm(error, statement, () => run(true));
    if (!answer) return { cancelled: true };
  }
  const { value: text, ms } = answer;
  const reply = parse(text);
  if (!reply.has('documents')) return { value: reply.get('answer'), text, ms };
  const result = { db, statement, rows: rowsOf(reply.get('documents')), cursor: reply.get('cursor'), ms };
  if (!result.rows.length) await readMore(result);
  return result;
}

/** Adds the next rows of a result, if there are any. A page may be empty and still not be the last. */
export async function readMore(result) {
  const before = result.rows.length;
  while (result.cursor && result.rows.length === before) {
    const reply = parse(await statements.run(result.db, result.statement, { cursor: result.cursor }));
    result.rows = [...result.rows, ...rowsOf(reply.get('documents'))];
    result.cursor = reply.get('cursor');
  }
  result.error = null;
}

/** Values as rows; one that is no document becomes the field `value`. */
export const rowsOf = (values) =>
  values.map((value) => (value instanceof Map ? value : new Map([['value', value]])));

const VERBS = { delete: 'Delete', update: 'Update', drop: 'Drop', overwrite: 'Replace' };

/** Resolves to the result of `run`, or to undefined if the user cancels. */
function confirm(error, statement, run) {
  const verb = VERBS[error.details.action];
  return openDialog({
    title: `${verb} ${plural(error.details.documents, 'document')}?`,
    submitLabel: verb,
    danger: true,
    testid: 'confirmation-dialog',
    body: () => html`<p data-testid="confirmation-text">${sentence(error.message)}, on every node.</p>
      <pre tabindex="0">${statement}</pre>`,
    submit: run,
  });
}
