/** The indexes of a collection, which are part of its figures. */
import { html, nothing } from '../../vendor/lit-html.js';
import { indexes } from '../../api/calls.js';
import { openDialog } from '../../components/dialog.js';
import { addButton, count, emptyState, iconButton, tableBox, toastDone } from '../../components/ui.js';
import { Sorting } from '../../components/sorting.js';
import { stringify } from '../../values/json.js';
import { createIndex } from './index-dialog.js';

const COLUMNS = [
  ['Name', (index) => index.get('name')],
  ['Fields', (index) => [...index.get('keys').keys()].join()],
  ['State', (index) => index.get('state')],
  ['Kind'],
  ['Entries', (index) => index.get('entries')],
];
const FLAGS = ['unique', 'sparse', 'sequential', 'multikey'];

export class IndexesPane {
  constructor(app, stats) { Object.assign(this, { stats, sorting: new Sorting(app.update) }); }

  open(place) { this.place = place; }

  load() {} // the figures contain the indexes

  action() { return this.place.canOwn ? addButton('index-create', 'Create index', this.#create) : nothing; }

  #create = async () => {
    const name = await createIndex(this.place);
    if (!name) return;
    toastDone(`Index ${name} is being built.`);
    await this.stats.load();
  };

  async #drop(name) {
    const { db, col } = this.place;
    const done = await openDialog({
      title: `Drop index ${name}?`,
      submitLabel: 'Drop index',
      danger: true,
      body: () => html`<p>Queries of ${db}.${col} that use <code>${name}</code> will read more documents.
        No document is deleted.</p>`,
      submit: () => indexes.drop(db, col, name),
    });
    if (!done) return;
    toastDone(`Index ${name} dropped.`);
    await this.stats.load();
  }

  view() {
    const { stats } = this;
    if (stats.error) return stats.readLevel.errorBox(stats.error, 'indexes', stats.load);
    if (!stats.figures) return html`<p class="loading">Loading indexes…</p>`;
    const note = html`<p class="muted note">Finding documents by <code>_id</code> needs no index.</p>`;
    if (!stats.indexes.length) {
      return emptyState('No indexes yet', html`With an index, queries find documents by their fields
        without a scan of the collection. Finding them by <code>_id</code> needs no index.`,
        this.place.canOwn && addButton('empty-index-create', 'Create the first index', this.#create));
    }
    return html`${tableBox('Indexes table', html`<table class="docs" data-testid="index-table">
      <thead><tr>${this.sorting.headers(COLUMNS)}
        ${this.place.canOwn ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}
      </tr></thead>
      <tbody>${this.sorting.apply(stats.indexes, COLUMNS).map((index) => this.#row(index))}</tbody></table>`)}${note}`;
  }

  #row(index) {
    const name = index.get('name');
    return html`<tr data-testid="index-row" data-name=${name} data-state=${index.get('state')}>
      <td title=${name}><span>${name}</span></td>
      <td><div>${fields(index.get('keys'))}</div></td>
      <td data-testid="index-state">${state(index)}</td><td>${kind(index)}</td>
      <td class="num">${count(index.get('entries'))}</td>
      ${this.place.canOwn ? html`<td class="row-actions">
        ${iconButton('trash', `Drop index ${name}`, 'index-drop', () => this.#drop(name))}</td>` : nothing}</tr>`;
  }
}

const fields = (keys) => [...keys].map(([field, direction], at) => {
  const down = String(direction) === '-1';
  return html`${at ? ', ' : nothing}<code>${field}</code>&nbsp;<span
    title=${down ? 'descending' : 'ascending'}>${down ? '↓' : '↑'}</span>`;
});

function kind(index) {
  const seconds = index.get('expireAfterSeconds');
  const partial = index.get('partialFilterExpression');
  return html`<div class="row tags">
    ${FLAGS.filter((flag) => index.get(flag)).map((flag) => html`<span class="tag">${flag}</span>`)}
    ${seconds ? html`<span class="tag">expires after ${count(seconds)} s</span>` : nothing}
    ${partial ? html`<span class="tag">only <code>${stringify(partial)}</code></span>` : nothing}</div>`;
}

const progress = (index) => `${count(index.get('done') ?? 0)} of ${count(index.get('total') ?? 0)}`;

function state(index) {
  const [tone, text] = {
    building: ['warn', `Building, ${progress(index)}`],
    ready: ['good', 'Ready'],
    failed: ['bad', 'Failed'],
  }[index.get('state')];
  return html`<div class="status ${tone}"><span class="dot ${tone}"></span>${text}</div>
    ${index.has('error') ? html`<p class="index-error">${index.get('error')}</p>` : nothing}`;
}
