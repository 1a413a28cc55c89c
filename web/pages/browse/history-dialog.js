/** The dialog with what became of one document: its versions, what each changed, and the way back. */
import { html, nothing } from '../../vendor/lit-html.js';
import { inTransaction, versions } from '../../api/calls.js';
import { changeList, operationWord, when } from './differences.js';
import { openDialog } from '../../components/dialog.js';
import { bytes, errorBox, plural, segmented, tableBox } from '../../components/ui.js';
import { differences } from '../../values/diff.js';
import { parse, stringify } from '../../values/json.js';

const WAYS = [['before', 'What changed'], ['current', 'Against now'], ['document', 'Document']];
const ROWS_MAX = 500; // more are hard to tell apart
const COLUMNS = ['Version', 'What', 'When', 'By', 'Size'];

/** Shows the versions of a document; resolves to whether one was put back. */
export async function showHistory(place, id) {
  const history = new History(place, id);
  await history.load();
  await openDialog({
    title: `History of ${id.text}`,
    wide: true,
    testid: 'history-dialog',
    body: (dialog) => history.view(dialog),
  });
  return history.restored;
}

class History {
  restored = false;
  versions = [];
  chosen = 0; // place in the list, the newest is 0
  way = 'before';
  shown = null; // the template for it, null while it is read
  #forms = new Map(); // parsed documents by version, null where there was none

  constructor(place, id) { Object.assign(this, { place, id }); }

  async load() {
    const { place: { db, col }, id } = this;
    this.versions = await versions.list(db, col, id);
    this.chosen = 0;
    await this.#show();
  }

  get deleted() { return this.versions[0].revision === undefined; }

  /** The document in a version; null where it was deleted. */
  async #form(version) {
    if (version.revision === undefined) return null;
    const { place: { db, col }, id } = this;
    if (!this.#forms.has(version.version)) {
      this.#forms.set(version.version, parse(await versions.get(db, col, id, version.version)));
    }
    return this.#forms.get(version.version);
  }

  async #show() {
    const { chosen, way } = this;
    let shown;
    try {
      shown = await this.#detail(this.versions[chosen], this.versions[chosen + 1], way);
    } catch (error) {
      shown = errorBox(error, 'history-error');
    }
    if (chosen === this.chosen && way === this.way) this.shown = shown;
  }

  async #detail(version, before, way) {
    if (way === 'document') {
      const form = await this.#form(version);
      return form ? html`<pre tabindex="0" data-testid="version-document">${stringify(form, 2)}</pre>`
        : html`<p class="muted">It was deleted.</p>`;
    }
    if (way === 'current') return compared(await this.#form(version), await this.#form(this.versions[0]));
    if (!before && version.operation !== 'insert') {
      return html`<p class="muted" data-testid="history-unknown">What was there before is not kept.</p>`;
    }
    return compared(before ? await this.#form(before) : null, await this.#form(version));
  }

  async #choose(change, dialog) {
    Object.assign(this, change, { shown: null });
    dialog.error = null;
    dialog.update();
    await this.#show();
    dialog.update();
  }

  /** Asks, puts `version` back, or without one the form before the deletion, and reads anew. */
  async #putBack(version, dialog) {
    const { place: { db, col }, id } = this;
    const done = await openDialog({
      title: version ? `Restore version ${version.version}?` : `Bring ${id.text} back?`,
      submitLabel: version ? 'Restore' : 'Undelete',
      testid: 'restore-dialog',
      body: () => html`<p>${version
        ? html`The document <code>${id.text}</code> of ${db}.${col} becomes what it was in that version.
          What it is now becomes a former version.`
        : html`The document <code>${id.text}</code> of ${db}.${col} is stored again as it was
          before it was deleted.`}</p>
        ${inTransaction() ? html`<p class="warn">This is done at once: it does not belong to the open
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
          @click=${() => this.#putBack(null, dialog)}>Undelete</button>` : nothing}</div>` : nothing}
      ${this.#table(dialog)}
      ${this.#note()}
      <div class="toolbar history-tools">
        ${segmented('What to show', 'history', WAYS, this.way, (way) => this.#choose({ way }, dialog))}
        <span class="info muted" data-testid="history-chosen">Version ${version.version}</span>
        ${former && canWrite ? html`<button type="button" class="small" data-testid="version-restore"
          @click=${() => this.#putBack(version, dialog)}>Restore this version</button>` : nothing}</div>
      <div class="history-detail" aria-live="polite">${this.shown ?? html`<p class="muted">Reading…</p>`}</div>`;
  }

  #note() {
    const oldest = this.versions.at(-1);
    if (this.versions.length > 1 || oldest.operation) {
      const more = this.versions.length - ROWS_MAX;
      return html`<p class="muted note">${more > 0 ? `${plural(more, 'older version')} not shown. ` : ''}A version's number is its log index. Written into “As of”, it shows
        the whole collection as it was then.</p>`;
    }
    return html`<p class="muted note" data-testid="history-none">No former versions are kept of it. Whether
      they are is set for the collection, under “Versions”.</p>`;
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
        ${current ? html`<span class="tag" data-testid="version-current">now</span>` : nothing}</div></td>
      <td><div>${operationWord(operation)}</div></td><td>${when(time)}</td>
      <td>${user ?? (operation ? 'the database' : '–')}</td>
      <td class="num">${revision === undefined ? '–' : bytes(version.bytes)}</td></tr>`;
  }
}

function compared(before, after) {
  const found = differences(before, after);
  return found.length ? changeList(found)
    : html`<p class="muted" data-testid="history-same">No field differs.</p>`;
}
