/** The dialog that adds a rule to a collection. */
import { html, nothing } from '../../vendor/lit-html.js';
import { openDialog } from '../../components/dialog.js';
import { numberOf, storeRule } from './rule-documents.js';

const input = (name, label, placeholder = '') => html`<label>${label}
  <input name=${name} required placeholder=${placeholder} autocomplete="off" autocapitalize="none"
    spellcheck="false" data-testid="rule-${name}"></label>`;

const bound = (label) => ({
  inputs: () => input('value', label),
  parts: ({ value }) => [['value', numberOf(value, label)]],
});

/** The types of rules, each with its inputs beside the field. */
const TYPES = {
  not_null: { label: 'Present and not null' },
  not_empty: { label: 'Present and not empty' },
  non_negative: { label: 'Not negative' },
  min_value: { label: 'At least', ...bound('Smallest value') },
  max_value: { label: 'At most', ...bound('Largest value') },
  range: {
    label: 'Within a range',
    inputs: () => [input('min', 'Smallest value'), input('max', 'Largest value')],
    parts: ({ min, max }) => [['value', `${numberOf(min, 'Smallest value')},${numberOf(max, 'Largest value')}`]],
  },
  referenced: {
    label: 'A reference to another document',
    inputs: () => [input('collection', 'Collection', 'customers'), input('external', 'Field of that collection', '_id')],
    parts: ({ collection, external }) =>
      [['collectionreferenced', collection.trim()], ['externalfield', external.trim()]],
  },
};

/** Resolves to whether a rule was added; `documents` are the current rule documents. */
export function addRule({ db, col }, documents) {
  let type = 'not_null';
  const choose = (event, dialog) => {
    type = event.target.value;
    dialog.update();
  };
  return openDialog({
    title: `Add a rule for ${col}`,
    submitLabel: 'Add rule',
    testid: 'rule-dialog',
    submitTestid: 'rule-save',
    body: (dialog) => html`
      <label>Field <input name="field" required autofocus placeholder="age, or lines.price"
        autocomplete="off" autocapitalize="none" spellcheck="false" data-testid="rule-field"></label>
      <label>Must be <select data-testid="rule-type" @change=${(event) => choose(event, dialog)}>
        ${Object.entries(TYPES).map(([name, { label }]) => html`
          <option value=${name} ?selected=${name === type}>${label}</option>`)}</select></label>
      ${TYPES[type].inputs?.() ?? nothing}`,
    submit(fields) {
      const rule = new Map([['type', type], ...TYPES[type].parts?.(fields) ?? []]);
      return storeRule({ db, col }, fields.field.trim(), rule, documents);
    },
  });
}
