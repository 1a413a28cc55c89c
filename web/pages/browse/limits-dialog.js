/** The dialog that sets how many versions a collection keeps, and for how long. */
import { html } from '../../vendor/lit-html.js';
import { versions } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { plural } from '../../components/ui.js';

const UNITS = [['days', 86_400], ['hours', 3_600], ['minutes', 60], ['seconds', 1]];

/** The largest unit in which the seconds are a whole number. */
const inUnit = (seconds) => UNITS.find(([, length]) => seconds % length === 0);

/** The limits in words. */
export function limitsText({ keep, keep_seconds: seconds }) {
  const parts = [];
  if (keep) parts.push(`${plural(keep, 'change')} of each document`);
  if (seconds) {
    const [unit, length] = inUnit(seconds);
    parts.push(`for ${plural(seconds / length, unit.slice(0, -1))}`);
  }
  return parts.join(', ') || 'every change, forever';
}

/** Resolves to whether the limits were set; the second argument are the present settings. */
export function editLimits({ db, col }, { enabled, keep, keep_seconds: seconds }) {
  const [unit, length] = seconds ? inUnit(seconds) : UNITS[0];
  const number = (name, value, hint) => html`<input name=${name} type="number" min="1" step="1"
    .value=${value ?? ''} placeholder=${hint} data-testid="limit-${name}">`;
  return openDialog({
    title: enabled ? `Limits of the versions of ${col}` : `Keep versions of ${col}`,
    submitLabel: enabled ? 'Save' : 'Keep versions',
    testid: 'versions-dialog',
    submitTestid: 'versions-save',
    body: () => html`
      ${enabled ? html`<p class="muted">Versions beyond the new limits are deleted.</p>` : ''}
      <label>Changes kept per document ${number('keep', keep, 'all')}</label>
      <fieldset><legend>Kept for</legend><div class="row key-row">
        ${number('time', seconds ? seconds / length : undefined, 'ever')}
        <select name="unit" aria-label="Unit" data-testid="limit-unit">${UNITS.map(([name]) => html`
          <option value=${name} ?selected=${name === unit}>${name}</option>`)}</select></div></fieldset>`,
    submit: ({ keep: changes, time, unit: chosen }) => versions.keep(db, col, {
      ...(changes && { keep: Number(changes) }),
      ...(time && { keep_seconds: Number(time) * UNITS.find(([name]) => name === chosen)[1] }),
    }),
  });
}
