/**
 * A text area for JSON that shows mistakes while they are made; keys without quotes and the like
 * are read too. Numbers keep their text, so a 64-bit integer is sent exactly as it was read.
 */
import { html, nothing } from '../vendor/lit-html.js';
import { JsonError, stringify } from '../values/json.js';
import { parseNotation } from '../values/notation.js';

/** The text with two spaces a level. */
export const pretty = (text) => stringify(parseNotation(text), 2);

/** `start` is what there is to lose; `problem` the mistake in the text. */
export const newEditor = (text, readOnly = false) => ({ text, start: text, readOnly, problem: null });

/** Where a mistake is and what it is. */
export const placed = (error) => `Line ${error.line}, column ${error.column}: ${error.message}.`;

/** The object that is written there; throws when it is none. `what` begins a sentence: "A document". */
export function objectOf(editor, what) {
  let value;
  try {
    value = parseNotation(editor.text);
  } catch (error) {
    throw new Error(`The text cannot be read. ${placed(error)}`);
  }
  if (value instanceof Map) return value;
  throw new Error(`${what} is a JSON object: it starts with { and ends with }.`);
}

/** Changes the text; `dialog` is the one that shows it. */
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

/** The area with its status line; `name` begins the test ids. */
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
      ? html`<button type="button" class="link bad" data-testid="json-error" title="Go to the mistake"
          @click=${(event) => showMistake(event, problem)}>${placed(problem)}</button>`
      : html`<span class="good" data-testid="json-ok">No mistakes</span>`}
    <button type="button" class="small" ?disabled=${Boolean(problem)} data-testid="${name}-format"
      @click=${() => edit(editor, pretty(editor.text), dialog)}>Format</button></div>`;
}

function showMistake(event, { position }) {
  const area = event.target.form.querySelector('textarea');
  area.focus();
  area.setSelectionRange(position, position + 1);
}
