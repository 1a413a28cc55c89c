/** The dialog that creates an index. */
import { html, nothing } from '../../vendor/lit-html.js';
import { indexes } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { iconButton } from '../../components/ui.js';
import { Num, stringify } from '../../values/json.js';
import { parseNotation } from '../../values/notation.js';

const FLAGS = [
  ['unique', 'Unique', 'no two documents may have the same values'],
  ['sparse', 'Sparse', 'excludes documents without any of the fields'],
  ['sequential', 'Sequential', 'a document without the field is given the next number'],
];

/** Resolves to the name of the new index, or to undefined if cancelled. */
export function createIndex({ db, col }) {
  const keys = [{ field: '', direction: '1' }];
  return openDialog({
    title: `Create an index on ${col}`,
    submitLabel: 'Create index',
    testid: 'index-dialog',
    submitTestid: 'index-save',
    unsaved: () => keys.some(({ field }) => field),
    body: (dialog) => html`
      <fieldset><legend>Fields</legend>
        ${keys.map((key, at) => keyRow(keys, key, at, dialog))}
        <button type="button" class="small" data-testid="index-field-add"
          @click=${() => addField(keys, dialog)}>Add field</button></fieldset>
      <fieldset><legend>Kind</legend>${FLAGS.map(flagRow)}</fieldset>
      <label>Expire after <span class="muted">seconds after the date in the field; optional</span>
        <input name="seconds" inputmode="numeric" pattern="[0-9]+" title="a whole number of seconds"
          autocomplete="off" data-testid="index-ttl"></label>
      <label>Partial filter <span class="muted">only matching documents are indexed; optional</span>
        <input name="partial" class="mono" placeholder='{active: true}' autocomplete="off"
          spellcheck="false" data-testid="index-partial"></label>
      <label>Name <span class="muted">optional</span>
        <input name="name" autocomplete="off" spellcheck="false" data-testid="index-name"></label>`,
    async submit(values) {
      const { text, name } = indexBody(keys, values);
      await indexes.create(db, col, text);
      return name;
    },
  });
}

function addField(keys, dialog) {
  keys.push({ field: '', direction: '1' });
  dialog.update();
  dialog.element.querySelector(`[data-testid="index-field-${keys.length - 1}"]`).focus();
}

function keyRow(keys, key, at, dialog) {
  const remove = () => {
    keys.splice(at, 1);
    dialog.update();
  };
  return html`<div class="row key-row">
    <input .value=${key.field} required aria-label="Field ${at + 1}" placeholder="address.city"
      autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="index-field-${at}"
      ?autofocus=${at === 0} @input=${(event) => { key.field = event.target.value; }}>
    <select aria-label="Direction of field ${at + 1}" data-testid="index-direction-${at}"
      .value=${key.direction} @change=${(event) => { key.direction = event.target.value; }}>
      <option value="1">ascending</option><option value="-1">descending</option></select>
    ${keys.length > 1 ? iconButton('close', `Remove field ${at + 1}`, `index-field-remove-${at}`, remove)
      : nothing}</div>`;
}

const flagRow = ([name, label, text]) => html`<label class="check">
  <input type="checkbox" name=${name} data-testid="index-${name}">
  <span>${label} <span class="muted">${text}</span></span></label>`;

/** The body of the call, and the name of the new index. */
function indexBody(keys, { name, seconds, partial, ...flags }) {
  const fields = new Map(keys.map(({ field, direction }) => [field.trim(), new Num(direction)]));
  if (fields.size < keys.length) throw new Error('Two fields are the same.');
  const body = new Map([['keys', fields], ['wait', false]]);
  for (const [flag] of FLAGS) if (flags[flag]) body.set(flag, true);
  if (seconds) body.set('expireAfterSeconds', new Num(String(BigInt(seconds))));
  if (partial.trim()) body.set('partialFilterExpression', filterOf(partial));
  if (name.trim()) body.set('name', name.trim());
  const given = [...fields].map(([field, direction]) => `${field}_${direction}`).join('_');
  return { text: stringify(body), name: name.trim() || given };
}

function filterOf(text) {
  try {
    return parseNotation(text);
  } catch (error) {
    throw new Error(`The partial filter is not valid: ${error.message}.`);
  }
}
