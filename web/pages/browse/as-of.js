/** Reading a collection as it was at a moment in the past. */
import { html, nothing } from '../../vendor/lit-html.js';
import { address } from '../../components/ui.js';

/** The field of the query bar. */
export const AS_OF = { name: 'asof', label: 'As of', hint: 'time or log index', body: 'asOf' };

/** Errors that concern the moment. */
const MOMENT_ERRORS = ['too_old', 'versions_off'];

/**
 * The moment of a query, `{at}` or `{asOf}`; undefined for the present. Whole numbers are log
 * indexes; times without a zone are in the time zone of the browser. Throws an error of the field.
 */
export function momentOf({ asof }) {
  if (!asof) return undefined;
  if (/^\d+$/.test(asof)) return { at: asof };
  const time = new Date(asof);
  if (!Number.isNaN(time.getTime())) return { asOf: time.toISOString() };
  throw ofMoment(Object.assign(new Error(`"${asof}" is neither a time nor a log index.`),
    { hint: 'use a time such as 2026-01-31 12:00, or the number of a version' }));
}

/** The error with the path of the field. */
function ofMoment(error) {
  return Object.assign(error, { details: { ...error.details, path: AS_OF.body } });
}

/** Resolves to `read(moment)` for the moment of the query; errors that concern it get the path of its field. */
export async function readAsOf(query, read) {
  const moment = momentOf(query);
  try {
    return await read(moment);
  } catch (error) {
    const isOfMoment = MOMENT_ERRORS.includes(error.code) || /^(at|asOf)=/.test(error.message);
    throw moment && isOfMoment ? ofMoment(error) : error;
  }
}

/** The notice that the past is shown; `back()` shows the present. */
export function asOfNotice(query, back) {
  if (!query.asof) return nothing;
  const what = /^\d+$/.test(query.asof) ? html`at log index <b>${query.asof}</b>`
    : html`at <b>${new Date(query.asof).toLocaleString()}</b>`;
  return html`<div class="notice warn" role="status" data-testid="asof-notice">
    <div>This is the collection as it was ${what}. It is read-only.</div>
    <button type="button" class="small" data-testid="asof-leave" @click=${back}>Show the present</button></div>`;
}

/** What helps if the moment cannot be read; `goTo(asof)` shows another one. */
export function asOfRemedy(error, { db, col }, goTo) {
  if (error?.code === 'versions_off') {
    return html`<p><a href=${address('browse', db, col, 'versions')} data-testid="asof-versions">Versions of
      this collection</a></p>`;
  }
  const index = error?.code === 'too_old' ? error.details?.oldest_index : undefined;
  if (index === undefined) return nothing;
  return html`<p><button type="button" class="small" data-testid="asof-earliest"
    @click=${() => goTo(String(index))}>Show the earliest readable state</button></p>`;
}
