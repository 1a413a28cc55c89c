/** The table of open transactions: the user's own, or those of all users for an administrator. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Poller, transactions } from '../../api/calls.js';
import { bytes, count, duration, errorBox, openDialog, tableBox, toastDone } from '../../components/ui.js';

const POLL_MS = 2_000;
const ID_CHARS = 8; // enough to tell transactions apart
const COLUMNS = ['Id', 'User', 'Age', 'Idle', 'Reads', 'Writes', 'Size'];

export class OpenTransactions {
  #list;

  constructor(app) {
    this.app = app;
    this.#list = new Poller(POLL_MS, transactions.list, () => app.update());
  }

  start() {
    this.stop();
    if (this.app.may('reader')) this.#list.start(); // others cannot begin one
  }

  stop() { this.#list.stop(); }

  async #end({ id, user, writes }) {
    const done = await openDialog({
      title: 'End this transaction?',
      submitLabel: 'End',
      danger: true,
      testid: 'transaction-end-dialog',
      body: () => html`<p>The transaction <code>${id}</code> of ${user} is rolled back.
        Its writes (${count(writes)}) are discarded, and ${user} has to begin again.</p>`,
      submit: () => transactions.end(id),
    });
    if (!done) return;
    toastDone('The transaction was rolled back.');
    if (id === this.app.transaction?.open?.id) this.app.transaction.forget();
    await this.#list.load();
  }

  view() {
    const { value: list, error } = this.#list;
    if (!list && !error) return nothing;
    if (error?.status === 0) return nothing; // the page already shows that the node does not answer
    return html`<section class="long-work" aria-labelledby="transactions-title">
      <div class="section-head"><h2 id="transactions-title">Open transactions</h2>
        ${this.app.session.role === 'admin' ? nothing : html`<span class="muted">yours</span>`}</div>
      ${error ? errorBox(error, 'transactions-error') : this.#content(list)}</section>`;
  }

  #content(list) {
    if (!list.length) return html`<p class="muted" data-testid="transactions-none">No open transactions.</p>`;
    const mayEnd = this.app.may('writereader');
    return tableBox('Open transactions', html`<table class="docs" data-testid="transactions-table">
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}
        ${mayEnd ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}</tr></thead>
      <tbody>${list.map((transaction) => this.#row(transaction, mayEnd))}</tbody></table>`);
  }

  #row(transaction, mayEnd) {
    const { id, user, age_ms: age, idle_ms: idle, reads, writes, bytes: size } = transaction;
    return html`<tr data-testid="transaction-row" data-id=${id}>
      <td><div class="row tags"><code title=${id}>${id.slice(0, ID_CHARS)}</code>
        ${id === this.app.transaction?.open?.id ? html`<span class="tag">this page</span>` : nothing}</div></td>
      <td data-testid="transaction-user">${user}</td>
      <td class="num">${duration(age)}</td><td class="num">${duration(idle)}</td>
      <td class="num">${count(reads)}</td><td class="num" data-testid="transaction-writes">${count(writes)}</td>
      <td class="num">${bytes(size)}</td>
      ${mayEnd ? html`<td class="row-actions"><button type="button" class="small danger-text"
        data-testid="transaction-end" aria-label="End transaction ${id}"
        @click=${() => this.#end(transaction)}>End</button></td>` : nothing}</tr>`;
  }
}
