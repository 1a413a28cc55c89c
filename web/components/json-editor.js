/**
 * A text area for JSON that shows syntax errors while typing; it also accepts the notation of the
 * shell. Numbers keep their text, so a 64-bit integer is sent exactly as it was read.
 */
import { html, nothing } from '../vendor/lit-html.js';
import { JsonError, stringify } from '../values/json.js';
import { parseNotation } from '../values/notation.js';

/** The text with two spaces per level. */
export const pretty = (text) => stringify(parseNotation(text), 2);

/** The state of an editor: `start` is the text before editing, `problem` its syntax error. */
export const newEditor = (text, readOnly = false) => ({ text, start: text, readOnly, problem: null });

/** A syntax error with its position. */
const problemText = (error) => `Line ${error.line}, column ${error.column}: ${error.message}.`;

/** The object in the editor; throws if the text is not an object. `what` starts the message: "A document". */
export function objectOf(editor, what) {
  let value;
  try {
    value = parseNotation(editor.text);
  } catch (error) {
    throw new Error(`The text is not valid JSON. ${problemText(error)}`);
  }
  if (value instanceof Map) return value;
  throw new Error(`${what} must be a JSON object: it starts with { and ends with }.`);
}

/** Changes the text; `dialog` contains the editor. */
export function edit(editor, text, dialog) {
  editor.text = text;
  editor.problem = problemOf(text);
  dialog.error = null;
  dialog.update();
}

function problemOf(text) {
  try {
    parseNotation(text);
    return null;
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}

/** The text area with its status line; `name` is the prefix of the test ids. */
export const editorArea = (editor, dialog, name, label) => html`
  <textarea class="editor" .value=${editor.text} ?readonly=${editor.readOnly} autofocus
    spellcheck="false" autocapitalize="none" aria-label=${label}
    aria-describedby="editor-status" data-testid="${name}-editor"
    @input=${(event) => edit(editor, event.target.value, dialog)}
    @keydown=${submitOnCtrlEnter}></textarea>
  ${editor.readOnly ? nothing : statusLine(editor, dialog, name)}`;

export function submitOnCtrlEnter(event) {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
}

function statusLine(editor, dialog, name) {
  const { problem } = editor;
  return html`<div class="editor-status" id="editor-status" role="status">
    ${problem
      ? html`<button type="button" class="link bad" data-testid="json-error" title="Go to the error"
          @click=${(event) => goTo(event, problem)}>${problemText(problem)}</button>`
      : html`<span class="good" data-testid="json-ok">No syntax errors</span>`}
    <button type="button" class="small" ?disabled=${Boolean(problem)} data-testid="${name}-format"
      @click=${() => edit(editor, pretty(editor.text), dialog)}>Format</button></div>`;
}

function goTo(event, { position }) {
  const area = event.target.form.querySelector('textarea');
  area.focus();
  area.setSelectionRange(position, position + 1);
}
