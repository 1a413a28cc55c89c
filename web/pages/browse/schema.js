/** The JSON Schema of a collection. */
import { html, nothing } from '../../vendor/lit-html.js';
import { schemas } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { editorArea, newEditor, objectOf } from '../../components/json-editor.js';
import { addButton, toastDone } from '../../components/ui.js';
import { stringify } from '../../values/json.js';

const MODES = {
  error: ['Refuse', 'they are not stored'],
  warn: ['Warn', 'they are stored, and the answer contains warnings'],
};
const EXAMPLE = `{
  "type": "object",
  "required": ["name"],
  "properties": {
    "name": {"type": "string", "minLength": 1}
  }
}`;

/** `schema` is the answer of the server as a Map; `changed()` reads it again. */
export function schemaCard(place, schema, changed) {
  const edit = async () => (await editSchema(place, schema)) && changed();
  const drop = async () => (await dropSchema(place)) && changed();
  const text = schema.get('schema');
  return html`<section class="card section" aria-labelledby="schema-title">
    <div class="section-head"><h2 id="schema-title">JSON Schema
      ${text ? html`<span class="tag" data-testid="schema-mode">${schema.get('mode')}</span>` : nothing}</h2>
      ${place.canOwn ? html`<div class="row">
        ${text ? html`<button type="button" class="small" data-testid="schema-edit" @click=${edit}>Edit</button>
          <button type="button" class="small danger-text" data-testid="schema-drop"
            @click=${drop}>Drop</button>`
          : addButton('schema-set', 'Set schema', edit)}</div>` : nothing}</div>
    ${text ? html`<p class="muted">New and changed documents that violate it: ${MODES[schema.get('mode')][1]}.</p>
      <pre tabindex="0" data-testid="schema-text">${stringify(text, 2)}</pre>`
      : html`<p class="muted" data-testid="schema-none">No schema: documents may have any fields.</p>`}
  </section>`;
}

function editSchema({ db, col }, schema) {
  const old = schema.get('schema');
  const editor = newEditor(old ? stringify(old, 2) : EXAMPLE);
  let mode = schema.get('mode');
  const option = (name) => html`<label class="check">
    <input type="radio" name="mode" value=${name} ?checked=${name === mode} data-testid="schema-mode-${name}"
      @change=${() => { mode = name; }}>
    <span>${MODES[name][0]} <span class="muted">${MODES[name][1]}</span></span></label>`;
  return openDialog({
    title: `JSON Schema of ${col}`,
    submitLabel: 'Save',
    wide: true,
    testid: 'schema-dialog',
    submitTestid: 'schema-save',
    unsaved: () => editor.text !== editor.start,
    body: (dialog) => html`${editorArea(editor, dialog, 'schema', 'JSON Schema')}
      <fieldset><legend>New and changed documents that violate it</legend>
        ${option('error')}${option('warn')}</fieldset>
      <p class="muted">Stored documents stay as they are; check them afterwards.</p>`,
    async submit() {
      const body = new Map([['schema', objectOf(editor, 'A schema')], ['mode', mode]]);
      await schemas.set(db, col, stringify(body));
      toastDone(`The schema of ${col} was set.`);
    },
  });
}

const dropSchema = ({ db, col }) => openDialog({
  title: `Drop the schema of ${col}?`,
  submitLabel: 'Drop schema',
  danger: true,
  body: () => html`<p>Documents of ${db}.${col} may then have any fields. The rules stay.</p>`,
  async submit() {
    await schemas.drop(db, col);
    toastDone(`The schema of ${col} was dropped.`);
  },
});
