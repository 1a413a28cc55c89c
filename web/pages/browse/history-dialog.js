/** The history of a document: its versions, what each changed, and the buttons that restore them. */
import { html, nothing } from '../../vendor/lit-html.js';
import { inTransaction, versions } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { bytes, errorBox, plural, segmented, tableBox, timestamp } from '../../components/ui.js';
import { differences } from '../../values/diff.js';
import { parse, stringify } from '../../values/json.js';
import { differenceList, operationLabel } from './differences.js';

const MODES = [['before', 'Changes'], ['current', 'Against current'], ['document', 'Document']];
const ROWS_MAX = 500;
const COLUMNS = ['Version', 'Operation', 'When', 'User', 'Size'];

/** Shows the versions of a document; resolves to whether one was restored. */
export async function showHistory(place, id) {
  const history = new DocumentHistory(place, id);
  await history.load();
  await openDialog({
    title: `History of ${id.text}`,
    wide: true,
    testid: 'history-dialog',
    body: (dialog) => history.view(dialog),
  });
  return history.restored;
}

class DocumentHistory {
  restored = false;
  versions = [];
  chosen = 0; // index in the list, the newest is 0
  mode = 'before';
  detail = null; // the template of the chosen version, null while it is read
  #documents = new Map(); // parsed, by version

  constructor(place, id) { Object.assign(this, { place, id }); }

  async load() {
    const { place: { db, col }, id } = this;
    this.versions = await versions.list(db, col, id);
    this.chosen = 0;
    await this.#show();
  }

  get deleted() { return this.versions[0].revision === undefined; }

  /** The document in a version; null if it was deleted. */
  async #document(version) {
    if (version.revision === undefined) return null;
    const { place: { db, col }, id } = this;
    if (!this.#documents.has(version.version)) {
      this.#documents.set(version.version, parse(await versions.get(db, col, id, version.version)));
    }
    return this.#documents.get(version.version);
  }

  async #show() {
    const { chosen, mode } = this;
    let detail;
    try {
      detail = await this.#detailOf(this.versions[chosen], this.versions[chosen + 1], mode);
    } catch (error) {
      detail = errorBox(error, 'history-error');
    }
    if (chosen === this.chosen && mode === this.mode) this.detail = detail;
  }

  async #detailOf(version, before, mode) {
    if (mode === 'document') {
      const document = await this.#document(version);
      return document ? html`<pre tabindex="0" data-testid="version-document">${stringify(document, 2)}</pre>`
        : html`<p class="muted">The document was deleted.</p>`;
    }
    if (mode === 'current') return comparison(await this.#document(version), await this.#document(this.versions[0]));
    if (!before && version.operation !== 'insert') {
      return html`<p class="muted" data-testid="history-unknown">The version before is not kept.</p>`;
    }
    return comparison(before ? await this.#document(before) : null, await this.#document(version));
  }

  async #choose(change, dialog) {
    Object.assign(this, change, { detail: null });
    dialog.error = null;
    dialog.update();
    await this.#show();
    dialog.update();
  }

  /** Restores `version` after confirmation, or if it is null undeletes the document. */
  async #restore(version, dialog) {
    const { place: { db, col }, id } = this;
    const done = await openDialog({
      title: version ? `Restore version ${version.version}?` : `Undelete ${id.text}?`,
      submitLabel: version ? 'Restore' : 'Undelete',
      testid: 'restore-dialog',
      body: () => html`<p>${version
        ? html`The document <code>${id.text}</code> of ${db}.${col} is replaced by that version.
          The current document is kept as a version.`
        : html`The document <code>${id.text}</code> of ${db}.${col} is stored again as it was
          before it was deleted.`}</p>
        ${inTransaction() ? html`<p class="warn">This takes effect at once: it is not part of the open
          transaction.</p>` : nothing}`,
      submit: () => (version ? versions.restore(db, col, id, version.version) : versions.undelete(db, col, id)),
    });
    if (!done) return;
    this.restored = true;
    try {
      await this.load();
    } catch (error) {
      dialog.error = error;
    }
    dialog.update();
  }

  view(dialog) {
    const version = this.versions[this.chosen];
    const { canWrite } = this.place;
    const former = this.chosen > 0 && version.revision !== undefined;
    return html`
      ${this.deleted ? html`<div class="notice warn" data-testid="history-deleted">
        <div>This document is deleted.</div>
        ${canWrite ? html`<button type="button" class="small" data-testid="history-undelete"
          @click=${() => this.#restore(null, dialog)}>Undelete</button>` : nothing}</div>` : nothing}
      ${this.#table(dialog)}
      ${this.#note()}
      <div class="toolbar history-tools">
        ${segmented('View of the version', 'history', MODES, this.mode, (mode) => this.#choose({ mode }, dialog))}
        <span class="info muted" data-testid="history-chosen">Version ${version.version}</span>
        ${former && canWrite ? html`<button type="button" class="small" data-testid="version-restore"
          @click=${() => this.#restore(version, dialog)}>Restore this version</button>` : nothing}</div>
      <div class="history-detail" aria-live="polite">${this.detail ?? html`<p class="muted">Loading…</p>`}</div>`;
  }

  #note() {
    const oldest = this.versions.at(-1);
    if (this.versions.length > 1 || oldest.operation) {
      const more = this.versions.length - ROWS_MAX;
      return html`<p class="muted note">${more > 0 ? `${plural(more, 'older version')} not shown. ` : ''}The number
        of a version is its log index. Entered in “As of”, it shows the whole collection as it was then.</p>`;
    }
    return html`<p class="muted note" data-testid="history-none">No older versions of the document are kept. The
      collection can keep versions: see its tab “Versions”.</p>`;
  }

  #table(dialog) {
    return tableBox('Versions', html`<table class="docs versions" data-testid="version-table">
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${this.versions.slice(0, ROWS_MAX).map((version, at) => this.#row(version, at, dialog))}</tbody></table>`);
  }

  #row(version, at, dialog) {
    const { version: number, operation, time, user, revision, current } = version;
    return html`<tr class=${at === this.chosen ? 'chosen' : ''} data-testid="version-row" data-version=${number}
      data-operation=${operation ?? 'unknown'} aria-current=${at === this.chosen ? 'true' : nothing}>
      <td class="num"><div class="row tags"><button type="button" class="link" data-testid="version-open"
        @click=${() => this.#choose({ chosen: at }, dialog)}>${number}</button>
        ${current ? html`<span class="tag" data-testid="version-current">current</span>` : nothing}</div></td>
      <td><div>${operationLabel(operation)}</div></td><td>${timestamp(time)}</td>
      <td>${user ?? (operation ? 'the database' : '–')}</td>
      <td class="num">${revision === undefined ? '–' : bytes(version.bytes)}</td></tr>`;
  }
}

function comparison(before, after) {
  const found = differences(before, after);
  return found.length ? differenceList(found)
    : html`<p class="muted" data-testid="history-same">No difference.</p>`;
}
