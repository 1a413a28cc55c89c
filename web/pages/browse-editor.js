/**
 * The document editor. It works on the text of the document and never on parsed numbers,
 * so a 64-bit integer is saved exactly as it was read.
 */
import { html, nothing } from '../vendor/lit-html.js';
import { documents } from '../api.js';
import { STAY, openDialog } from '../components/dialog.js';
import { toastDone } from '../components/ui.js';
import { JsonError, idOf, parse, stringify } from '../json.js';

const pretty = (text) => stringify(parse(text), 2);

/** Asks for a new document; resolves to whether one was added. */
export function addDocument({ db, col }) {
  const editor = newEditor('{\n  \n}');
  return openDialog({
    ...editorDialog(editor, `Add a document to ${col}`),
    submitLabel: 'Add document',
    caret: 4, // between the braces
    async submit() {
      check(editor);
      const answer = parse((await documents.add(db, col, editor.text)).text);
      toastDone(`Document ${answer.get('id')} added.`);
    },
  });
}

/** Opens a document; resolves to whether it was changed. */
export async function editDocument({ db, col }, id, canWrite) {
  const { text, etag } = await documents.get(db, col, id);
  const editor = newEditor(pretty(text), etag, !canWrite);
  const dialog = editorDialog(editor, `${canWrite ? 'Edit' : 'View'} ${id.text}`);
  if (!canWrite) return openDialog(dialog);
  return openDialog({
    ...dialog,
    submitLabel: 'Save',
    async submit() {
      check(editor, id);
      try {
        await documents.put(db, col, id, editor.text, editor.etag);
      } catch (error) {
        if (error.status !== 412 && error.status !== 404) throw error;
        editor.conflict = await current(db, col, id);
        return STAY;
      }
      toastDone(`Document ${id.text} saved.`);
      return true;
    },
  });
}

/** The document as it is now; `{text: null}` when it is gone. */
async function current(db, col, id) {
  try {
    const { text, etag } = await documents.get(db, col, id);
    return { text: pretty(text), etag };
  } catch (error) {
    if (error.status === 404) return { text: null, etag: null };
    throw error;
  }
}

const newEditor = (text, etag = null, readOnly = false) =>
  ({ text, start: text, etag, readOnly, problem: null, conflict: null });

/** Throws when the text must not be sent. */
function check(editor, id) {
  let document;
  try {
    document = parse(editor.text);
  } catch (error) {
    throw new Error(`The text is not JSON. ${placed(error)}`);
  }
  if (!(document instanceof Map)) {
    throw new Error('A document is a JSON object: it starts with { and ends with }.');
  }
  if (!id || !document.has('_id')) return;
  const written = idOf(document);
  if (written.text === id.text && written.type === id.type) return;
  const kept = id.type === 'int' ? id.text : JSON.stringify(id.text);
  throw new Error(`The _id of a document cannot change. Put ${kept} back, or add a new document.`);
}

const placed = (error) => `Line ${error.line}, column ${error.column}: ${error.message}.`;

function editorDialog(editor, title) {
  return {
    title,
    wide: true,
    testid: 'doc-dialog',
    submitTestid: 'doc-save',
    unsaved: () => !editor.readOnly && editor.text !== editor.start,
    ready: () => !editor.conflict,
    body: (dialog) => html`
      ${editor.conflict ? conflictPanel(editor, dialog) : nothing}
      <textarea class="editor" .value=${editor.text} ?readonly=${editor.readOnly} autofocus
        spellcheck="false" autocapitalize="none" aria-label="Document as JSON"
        aria-describedby="editor-status" data-testid="doc-editor"
        @input=${(event) => edited(editor, event.target.value, dialog)}
        @keydown=${submitOnCtrlEnter}></textarea>
      ${editor.readOnly ? nothing : statusLine(editor, dialog)}`,
  };
}

function submitOnCtrlEnter(event) {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
}

function edited(editor, text, dialog) {
  editor.text = text;
  editor.problem = problemOf(text);
  dialog.error = null;
  dialog.update();
}

function problemOf(text) {
  try {
    parse(text);
    return null;
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
}

function statusLine(editor, dialog) {
  const { problem } = editor;
  return html`<div class="editor-status" id="editor-status" role="status">
    ${problem
      ? html`<button type="button" class="link bad" data-testid="json-error" title="Go to the mistake"
          @click=${(event) => showMistake(event, problem)}>${placed(problem)}</button>`
      : html`<span class="good" data-testid="json-ok">Valid JSON</span>`}
    <button type="button" class="small" ?disabled=${Boolean(problem)} data-testid="doc-format"
      @click=${() => edited(editor, pretty(editor.text), dialog)}>Format</button></div>`;
}

function showMistake(event, { position }) {
  const area = event.target.form.querySelector('textarea');
  area.focus();
  area.setSelectionRange(position, position + 1);
}

function conflictPanel(editor, dialog) {
  const { conflict } = editor;
  const gone = conflict.text === null;
  const settle = (text) => {
    Object.assign(editor, { text, etag: conflict.etag, conflict: null });
    if (text === conflict.text) editor.start = text;
    edited(editor, text, dialog);
  };
  const overwrite = (event) => {
    const { form } = event.target;
    settle(editor.text);
    form.requestSubmit();
  };
  return html`<div class="notice warn conflict" role="alert" data-testid="doc-conflict"><div>
    <p class="error-message">${gone ? 'This document was deleted while you were editing.'
      : 'This document was changed while you were editing.'}</p>
    ${gone ? nothing : html`<p>As it is now:</p><pre data-testid="conflict-theirs">${conflict.text}</pre>`}
    <div class="row">
      ${gone ? nothing : html`<button type="button" data-testid="conflict-reload"
        @click=${() => settle(conflict.text)}>Reload and lose my changes</button>`}
      <button type="button" class="danger" data-testid="conflict-overwrite" @click=${overwrite}>
        ${gone ? 'Save mine as new' : 'Overwrite with mine'}</button>
    </div></div></div>`;
}
