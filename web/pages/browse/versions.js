/** Whether a collection keeps former documents and how many, and the way to deleted ones. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, versions } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { bytes, count, fact, toastDone, toastError } from '../../components/ui.js';
import { idsMeant } from './documents.js';
import { showHistory } from './history-dialog.js';
import { askRetention, boundsOf } from './limits-dialog.js';

export class VersionsPane {
  place = {};
  settings = null; // the server's answer, null until known
  error = null;
  wanted = ''; // the _id of a deleted document
  #loader = new Loader();

  /** `changed` is called after a document was put back. */
  constructor(app, reads, changed) { Object.assign(this, { app, reads, changed }); }

  open(place) {
    const moved = place.db !== this.place.db || place.col !== this.place.col;
    this.place = place;
    if (moved) Object.assign(this, { settings: null, error: null, wanted: '' });
    this.load();
  }

  load = async () => {
    const { place: { db, col }, reads: { level } } = this;
    const outcome = await this.#loader.run(() => versions.settings(db, col, level));
    if (!outcome) return;
    this.error = outcome.error;
    if (outcome.value) this.settings = outcome.value;
    this.app.update();
  };

  #keep = async () => {
    if (!await askRetention(this.place, this.settings)) return;
    toastDone('Versions are kept.');
    await this.load();
  };

  #forget = async () => {
    const { place: { db, col }, settings } = this;
    const done = await openDialog({
      title: `Keep no more versions of ${col}?`,
      submitLabel: 'Switch off',
      danger: true,
      testid: 'versions-off-dialog',
      body: () => html`<p>The history of all documents of ${db}.${col} is removed:
        ${count(settings.changes)} changes, ${bytes(settings.bytes)}. This cannot be undone.</p>
        <p>The documents stay as they are now. Deleted ones can no longer be brought back.</p>`,
      submit: () => versions.forget(db, col),
    });
    if (!done) return;
    toastDone('No versions are kept any more.');
    await this.load();
  };

  /** Opens the history of what is or was a document. */
  #find = async (event) => {
    event.preventDefault();
    const ids = idsMeant(this.wanted.trim());
    for (const id of ids) {
      try {
        if (await showHistory(this.place, id)) await Promise.all([this.load(), this.changed()]);
        return;
      } catch (error) {
        if (error.status === 404 && id !== ids.at(-1)) continue;
        return toastError(error);
      }
    }
  };

  view() {
    if (this.error) return this.reads.errorBox(this.error, 'versions', this.load);
    if (!this.settings) return html`<p class="loading">Loading…</p>`;
    return html`${this.#settingsCard()}${this.settings.enabled ? this.#deletedCard() : nothing}`;
  }

  #settingsCard() {
    const { settings, place: { canOwn } } = this;
    const { enabled } = settings;
    return html`<section class="card section" aria-labelledby="versions-title">
      <div class="section-head"><h2 id="versions-title">Former documents</h2>
        ${canOwn ? html`<div class="row">
          <button type="button" class=${enabled ? '' : 'primary'} data-testid="versions-keep"
            @click=${this.#keep}>${enabled ? 'Change bounds' : 'Keep versions'}</button>
          ${enabled ? html`<button type="button" class="danger-text" data-testid="versions-off"
            @click=${this.#forget}>Switch off</button>` : nothing}</div>` : nothing}</div>
      <p data-testid="versions-state">${enabled ? html`Kept: ${boundsOf(settings)}.` : html`None are kept.
        <span class="muted">With versions on, every change and deletion keeps what was there before; documents
        can be compared, put back, and the collection be read as it was.</span>`}</p>
      ${enabled ? html`<dl class="facts note">
        ${fact('Changes kept', count(settings.changes), 'versions-changes')}
        ${fact('Size', bytes(settings.bytes), 'versions-bytes')}
        ${fact('Readable back to log index', settings.oldest_index, 'versions-oldest')}</dl>` : nothing}
    </section>`;
  }

  #deletedCard() {
    return html`<section class="card section" aria-labelledby="deleted-title">
      <h2 id="deleted-title">Deleted documents</h2>
      <p class="muted">The history of a document can be opened by its <code>_id</code>, also after it was deleted;
        there it can be brought back.</p>
      <form class="row find note" role="search" @submit=${this.#find}>
        <input .value=${this.wanted} required placeholder="_id" aria-label="_id of the document"
          title='Whole numbers are looked up as integer ids first; "42" in quotes means the string'
          autocomplete="off" spellcheck="false" data-testid="deleted-id"
          @input=${(event) => { this.wanted = event.target.value; }}>
        <button data-testid="deleted-open">Open history</button></form></section>`;
  }
}
