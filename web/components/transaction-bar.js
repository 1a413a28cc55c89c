/** The bar of the open transaction with the buttons that end it, and the button that begins one. */
import { html, nothing } from '../vendor/lit-html.js';
import { toastError } from './ui.js';

const SOON_MS = 10_000; // before the server ends it

/** Shown on every page while a transaction is open; `transaction` is a `PageTransaction`. */
export function transactionBar(transaction) {
  if (!transaction.open) return nothing;
  const { leftMs, busy } = transaction;
  const age = Date.now() - transaction.open.begunAt;
  return html`<div class="transaction" role="region" aria-label="Open transaction" data-testid="transaction-bar">
    <span><b>Transaction <code data-testid="transaction-name">${transaction.name}</code></b>
      <span class="muted" data-testid="transaction-age">open for ${seconds(age)}</span>
      <span class=${leftMs < SOON_MS ? 'bad' : 'muted'} data-testid="transaction-left">ends
        in ${seconds(leftMs)}<span class="wide-only"> unless it is used</span></span></span>
    <span class="row">
      <button type="button" class="small primary" ?disabled=${busy} data-testid="transaction-commit"
        @click=${transaction.commit}>Commit</button>
      <button type="button" class="small" ?disabled=${busy} data-testid="transaction-rollback"
        @click=${transaction.rollBack}>Roll back</button></span></div>`;
}

const seconds = (ms) => `${Math.ceil(ms / 1000)} s`;

/** The button that begins a transaction; nothing while one is open. */
export const beginButton = (app) => (app.transaction?.open || !app.may('writereader') ? nothing : html`
  <button type="button" data-testid="transaction-begin"
    title="Other users see what you write only after you commit"
    @click=${() => begin(app)}>Begin transaction</button>`);

async function begin(app) {
  try {
    await (await app.loadTransaction()).begin(app.session.username);
  } catch (error) {
    toastError(error);
  }
}
