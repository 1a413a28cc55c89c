/** Whether and how long a collection keeps versions, and the search for deleted documents. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, versions } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { bytes, count, fact, plural, toastDone, toastError } from '../../components/ui.js';
import { showHistory } from './history-dialog.js';
import { editLimits, limitsText } from './limits-dialog.js';
import { firstFound, idInput } from './id-input.js';
import { isSameCollection } from './place.js';

export class VersionsPane {
  place = {};
  settings = null; // the answer of the server, null until known
  error = null;
  idText = ''; // of the search for a deleted document
  #loader = new Loader();

  /** `changed()` is called after a document was restored. */
  constructor(app, readLevel, changed) { Object.assign(this, { app, readLevel, changed }); }

  open(place) {
    if (!isSameCollection(place, this.place)) Object.assign(this, { settings: null, error: null, idText: '' });
    this.place = place;
    this.load();
  }

  load = async () => {
    const { place: { db, col }, readLevel: { level } } = this;
    const read = () => versions.settings(db, col, level);
    if (await this.#loader.assign(this, 'settings', read)) this.app.update();
  };

  #keep = async () => {
    if (!await editLimits(this.place, this.settings)) return;
    toastDone(`Versions of ${this.place.col} are kept.`);
    await this.load();
  };

  #forget = async () => {
    const { place: { db, col }, settings } = this;
    const done = await openDialog({
      title: `Switch versions of ${col} off?`,
      submitLabel: 'Switch off',
      danger: true,
      testid: 'versions-off-dialog',
      body: () => html`<p>The versions of all documents of ${db}.${col} are deleted:
        ${plural(settings.changes, 'change')}, ${bytes(settings.bytes)}. This cannot be undone.</p>
        <p>The documents stay as they are now. Deleted documents can no longer be restored.</p>`,
      submit: () => versions.forget(db, col),
    });
    if (!done) return;
    toastDone(`Versions of ${col} are no longer kept.`);
    await this.load();
  };

  /** Opens the history of a document, which may be deleted. */
  #openHistory = async (event) => {
    event.preventDefault();
    try {
      const restored = await firstFound(this.idText, (id) => showHistory(this.place, id));
      if (restored) await Promise.all([this.load(), this.changed()]);
    } catch (error) {
      toastError(error);
    }
  };

  view() {
    if (this.error) return this.readLevel.errorBox(this.error, 'versions', this.load);
    if (!this.settings) return html`<p class="loading">Loading…</p>`;
    return html`${this.#settingsCard()}${this.settings.enabled ? this.#deletedCard() : nothing}`;
  }

  #settingsCard() {
    const { settings, place: { canOwn } } = this;
    const { enabled } = settings;
    return html`<section class="card section" aria-labelledby="versions-title">
      <div class="section-head"><h2 id="versions-title">Versions</h2>
        ${canOwn ? html`<div class="row">
          <button type="button" class=${enabled ? '' : 'primary'} data-testid="versions-keep"
            @click=${this.#keep}>${enabled ? 'Change limits' : 'Keep versions'}</button>
          ${enabled ? html`<button type="button" class="danger-text" data-testid="versions-off"
            @click=${this.#forget}>Switch off</button>` : nothing}</div>` : nothing}</div>
      <p data-testid="versions-state">${enabled ? html`Kept: ${limitsText(settings)}.` : html`No versions are kept.
        <span class="muted">With versions, each change and deletion keeps the document as it was before. Documents
        can be compared and restored, and the collection can be read as it was.</span>`}</p>
      ${enabled ? html`<dl class="facts note">
        ${fact('Changes kept', count(settings.changes), 'versions-changes')}
        ${fact('Size', bytes(settings.bytes), 'versions-bytes')}
        ${fact('Oldest readable log index', settings.oldest_index, 'versions-oldest')}</dl>` : nothing}
    </section>`;
  }

  #deletedCard() {
    return html`<section class="card section" aria-labelledby="deleted-title">
      <h2 id="deleted-title">Deleted documents</h2>
      <p class="muted">A deleted document can be restored from its history. Open it by the <code>_id</code>.</p>
      <form class="row find note" role="search" @submit=${this.#openHistory}>
        ${idInput(this.idText, 'deleted-id', (text) => { this.idText = text; })}
        <button data-testid="deleted-open">Open history</button></form></section>`;
  }
}
