/** The table of open transactions: the user's own, or those of all users for an administrator. */
import { html, nothing } from '../../vendor/lit-html.js';
import { Loader, transactions } from '../../api/calls.js';
import { bytes, count, duration, errorBox, openDialog, tableBox, toastDone } from '../../components/ui.js';

const POLL_MS = 2_000;
const ID_CHARS = 8; // enough to tell transactions apart
const COLUMNS = ['Id', 'User', 'Age', 'Idle', 'Reads', 'Writes', 'Size'];

export class OpenTransactions {
  list = null; // null until known
  error = null;
  #loader = new Loader();
  #timer;

  constructor(app) { this.app = app; }

  start() {
    clearInterval(this.#timer);
    if (!this.app.may('reader')) return; // others cannot begin one
    this.#timer = setInterval(() => document.hidden || this.load(), POLL_MS);
    this.load();
  }

  stop() { clearInterval(this.#timer); }

  load = async () => {
    const outcome = await this.#loader.run(transactions.list);
    if (!outcome) return;
    this.error = outcome.error;
    this.list = outcome.value ?? null; // an old list is not shown
    this.app.update();
  };

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
    await this.load();
  }

  view() {
    if (!this.list && !this.error) return nothing;
    if (this.error?.status === 0) return nothing; // the page already shows that the node does not answer
    return html`<section class="open-transactions" aria-labelledby="transactions-title">
      <div class="section-head"><h2 id="transactions-title">Open transactions</h2>
        ${this.app.session.role === 'admin' ? nothing : html`<span class="muted">yours</span>`}</div>
      ${this.error ? errorBox(this.error, 'transactions-error') : this.#content()}</section>`;
  }

  #content() {
    if (!this.list.length) return html`<p class="muted" data-testid="transactions-none">No open transactions.</p>`;
    const mayEnd = this.app.may('writereader');
    return tableBox('Open transactions', html`<table class="docs" data-testid="transactions-table">
      <thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}
        ${mayEnd ? html`<th class="row-actions"><span class="hidden">Actions</span></th>` : nothing}</tr></thead>
      <tbody>${this.list.map((transaction) => this.#row(transaction, mayEnd))}</tbody></table>`);
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
