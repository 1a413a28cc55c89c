/** The collection as it was: at which moment it is read, and how that is shown. */
import { html, nothing } from '../../vendor/lit-html.js';
import { address } from '../../components/ui.js';

/** The field of the query bar. */
export const MOMENT = { name: 'asof', label: 'As of', hint: 'time or log index', body: 'asOf' };

/** Refusals that are about the moment. */
const ABOUT = ['too_old', 'versions_off'];

/**
 * The moment of a query, `{at}` or `{asOf}`; undefined for now. Whole numbers are log indexes;
 * times without a zone are those of the person. Throws an error for the field.
 */
export function momentOf({ asof }) {
  if (!asof) return undefined;
  if (/^\d+$/.test(asof)) return { at: asof };
  const time = new Date(asof);
  if (!Number.isNaN(time.getTime())) return { asOf: time.toISOString() };
  throw aboutMoment(Object.assign(new Error(`"${asof}" is neither a time nor a log index.`),
    { hint: 'write a time such as 2026-01-31 12:00, or the number of a version' }));
}

/** Gives an error that is about the moment the place of its field. */
export function aboutMoment(error) {
  return Object.assign(error, { details: { ...error.details, path: MOMENT.body } });
}

/** Reads with `work(moment)` as the query says; what is wrong with the moment is told at its field. */
export async function readingAsOf(query, work) {
  const moment = momentOf(query);
  try {
    return await work(moment);
  } catch (error) {
    const about = ABOUT.includes(error.code) || (moment && /^(at|asOf)=/.test(error.message));
    throw moment && about ? aboutMoment(error) : error;
  }
}

/** Says that the past is shown; `back()` shows what is now. */
export function pastNotice(query, back) {
  if (!query.asof) return nothing;
  const what = /^\d+$/.test(query.asof) ? html`at log index <b>${query.asof}</b>`
    : html`at <b>${new Date(query.asof).toLocaleString()}</b>`;
  return html`<div class="notice warn" role="status" data-testid="asof-notice">
    <div>You see the collection as it was ${what}. Nothing can be changed here.</div>
    <button type="button" class="small" data-testid="asof-leave" @click=${back}>Back to now</button></div>`;
}

/** What to do when the moment cannot be shown; `goTo(asof)` shows another. */
export function otherMoment(error, { db, col }, goTo) {
  if (error?.code === 'versions_off') {
    return html`<p><a href=${address('browse', db, col, 'versions')} data-testid="asof-versions">Versions of
      this collection</a></p>`;
  }
  const index = error?.code === 'too_old' ? error.details?.oldest_index : undefined;
  if (index === undefined) return nothing;
  return html`<p><button type="button" class="small" data-testid="asof-earliest"
    @click=${() => goTo(String(index))}>Show the earliest that is kept</button></p>`;
}
