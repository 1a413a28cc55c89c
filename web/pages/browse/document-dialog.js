/** The dialog that inserts, shows and changes a document. */
import { html, nothing } from '../../vendor/lit-html.js';
import { documents } from '../../api/calls.js';
import { differenceList } from './differences.js';
import { STAY, openDialog } from '../../components/dialog.js';
import { edit, editorArea, newEditor, objectOf } from '../../components/json-editor.js';
import { icon, toastDone } from '../../components/ui.js';
import { differences } from '../../values/diff.js';
import { Num, idOf, parse, stringify, typed } from '../../values/json.js';
import { parseNotation } from '../../values/notation.js';
import { showHistory } from './history-dialog.js';

/** Asks for a new document; resolves to whether it was inserted. */
export function insertDocument({ db, col }) {
  const editor = newEditor('{\n  \n}');
  return openDialog({
    ...editorDialog(editor, `Insert a document into ${col}`),
    submitLabel: 'Insert document',
    caret: 4, // between the braces
    async submit() {
      const answer = await documents.insert(db, col, checked(editor));
      toastDone(`Document ${parse(answer).get('id')} inserted.`, warningsIn(answer));
    },
  });
}

/** Opens a document, as it was at `moment` if given; resolves to whether it was changed. */
export async function editDocument(place, id, canWrite, moment) {
  const { db, col } = place;
  const { text, etag } = await read(db, col, id, moment);
  const editor = { ...newEditor(text, !canWrite), etag, restored: false };
  const options = editorDialog(editor, `${canWrite ? 'Edit' : 'View'} ${id.text}`);
  const body = (dialog) => [options.body(dialog), historyButton({ ...place, canWrite }, id, editor, dialog)];
  if (!canWrite) return openDialog({ ...options, body });
  const saved = await openDialog({
    ...options,
    body,
    submitLabel: 'Save',
    async submit() {
      const text = checked(editor, id);
      let answer;
      try {
        answer = await documents.save(db, col, id, text, editor.etag);
      } catch (error) {
        if (error.status !== 412 && error.status !== 404) throw error;
        editor.conflict = await current(db, col, id);
        return STAY;
      }
      toastDone(`Document ${id.text} saved.`, warningsIn(answer));
      return true;
    },
  });
  return saved || editor.restored;
}

/** The button that shows the versions of the document; a restored version is shown at once. */
function historyButton(place, id, editor, dialog) {
  const show = async () => {
    try {
      if (!await showHistory(place, id)) return;
      editor.restored = true;
      if (editor.text !== editor.start) return; // saving will show the conflict
      const { text, etag } = await current(place.db, place.col, id);
      Object.assign(editor, { start: text, etag });
      edit(editor, text, dialog);
    } catch (error) {
      dialog.error = error;
      dialog.update();
    }
  };
  return html`<p><button type="button" class="small" data-testid="editor-history"
    @click=${show}>${icon('history')}History</button></p>`;
}

/** The document as it is edited, and its revision. The `_id` is written as in the list of documents. */
async function read(db, col, id, moment) {
  const { text, etag } = await documents.getCanonical(db, col, id, moment);
  const document = typed(parse(text));
  if (id.type === 'int') document.set('_id', new Num(id.text));
  return { text: stringify(document, 2), etag };
}

/** The present document; `{text: null}` if it does not exist. */
async function current(db, col, id) {
  try {
    return await read(db, col, id);
  } catch (error) {
    if (error.status === 404) return { text: null, etag: null };
    throw error;
  }
}

/** The document as JSON; throws if it is not valid. */
function checked(editor, id) {
  const document = objectOf(editor, 'A document');
  if (!id || !document.has('_id')) return stringify(document);
  const written = idOf(document);
  if (written.text === id.text && written.type === id.type) return stringify(document);
  const kept = id.type === 'string' ? JSON.stringify(id.text) : id.text;
  throw new Error(`The _id of a document cannot be changed. Restore ${kept}, or insert a new document.`);
}

/** The violations of a schema that only warns; the answer of a write contains them. */
const warningsIn = (answer) => JSON.parse(answer).warnings;

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
      ${editorArea(editor, dialog, 'doc', 'Document as JSON')}`,
  };
}

/** What another user has changed since the document was opened, and what saving would change. */
function comparison({ text, start, problem }, conflict) {
  const theirs = parse(conflict.text);
  return html`${changes('Changed meanwhile:', parse(start), theirs, 'conflict-theirs')}
    ${problem ? nothing : changes('What saving your text would change:', theirs, parseNotation(text), 'conflict-mine')}`;
}

function changes(title, before, after, testid) {
  const found = differences(before, after);
  return html`<p>${title}</p><div class="conflict-differences" data-testid=${testid}>${found.length
    ? differenceList(found) : html`<span class="muted">No difference.</span>`}</div>`;
}

function conflictPanel(editor, dialog) {
  const { conflict } = editor;
  const gone = conflict.text === null;
  const resolve = (text) => {
    Object.assign(editor, { text, etag: conflict.etag, conflict: null });
    if (text === conflict.text) editor.start = text;
    edit(editor, text, dialog);
  };
  const overwrite = (event) => {
    const { form } = event.target;
    resolve(editor.text);
    form.requestSubmit();
  };
  return html`<div class="notice warn conflict" role="alert" data-testid="doc-conflict"><div>
    <p class="error-message">${gone ? 'This document was deleted while you were editing.'
      : 'This document was changed while you were editing.'}</p>
    ${gone ? nothing : comparison(editor, conflict)}
    <div class="row">
      ${gone ? nothing : html`<button type="button" data-testid="conflict-reload"
        @click=${() => resolve(conflict.text)}>Reload and discard my changes</button>`}
      <button type="button" class="danger" data-testid="conflict-overwrite" @click=${overwrite}>
        ${gone ? 'Insert mine as a new document' : 'Overwrite with mine'}</button>
    </div></div></div>`;
}
