/** The open transaction of the page, if any: begun, kept across reloads, ended. */
import { html } from '../vendor/lit-html.js';
import { transactions, useTransaction } from '../api/calls.js';
import { transactionBar } from '../components/transaction-bar.js';
import { errorText, openDialog, plural, toastDone, toastError } from '../components/ui.js';

const KEY = 'jettra-transaction';
const ENDED = ['transaction_conflict', 'transaction_lost'];

export class PageTransaction {
  /**
   * `{id, user, begunAt, usedAt, idleMs, maxMs}`, times of Date.now(); `committing` once a commit was
   * sent. Null while no transaction is open.
   */
  open = null;
  busy = false;

  /** `changed` is called when the documents have to be read again. */
  constructor(changed) { this.changed = changed; }

  /** The bar that shows the open transaction. */
  view() { return transactionBar(this); }

  /** The first characters of the id, enough to tell transactions apart. */
  get name() { return this.open?.id.slice(0, 4); }

  /** Milliseconds until the server ends it, unless it is used. */
  get leftMs() {
    const { begunAt, usedAt, idleMs, maxMs } = this.open;
    return Math.max(0, Math.min(begunAt + maxMs, usedAt + idleMs) - Date.now());
  }

  begin = (user) => this.#work(async () => {
    const { id, idle_ms: idleMs, max_ms: maxMs } = await transactions.begin();
    const now = Date.now();
    this.#set({ id, user, begunAt: now, usedAt: now, idleMs, maxMs });
    await this.changed();
  });

  commit = () => this.#work(async () => {
    this.#set({ ...this.open, committing: true });
    const { writes } = await transactions.commit(this.open.id);
    this.#set(null);
    toastDone(`Committed: ${plural(writes, 'document')} written.`);
    await this.changed();
  });

  rollBack = () => this.#work(async () => {
    await transactions.end(this.open.id);
    this.#set(null);
    toastDone('Rolled back. Nothing was written.');
    await this.changed();
  });

  /** Asks the server whether it is still open; called when its time is up. */
  async check() {
    if (!this.open || this.busy) return;
    const { id, idleMs } = this.open;
    const known = await transactions.list().catch(() => null);
    if (!known || this.open?.id !== id) return; // no answer: asked again later
    const still = known.find((other) => other.id === id);
    if (still) this.#set({ ...this.open, usedAt: Date.now() - still.idle_ms });
    else this.#closed({ message: 'The server has ended the transaction. Nothing was written.',
      hint: `another user ended it, it was idle for ${idleMs / 1000} s, or it was open for too long` });
  }

  /** It is no longer open. A commit without an answer is repeated, which returns its outcome. */
  #closed(error) {
    if (this.open?.committing) this.commit();
    else this.#ended(error);
  }

  /** Resumes the transaction that this user had open before the page was reloaded. */
  async resume(user) {
    const before = stored();
    if (before?.user !== user) return this.#set(null);
    try {
      const known = (await transactions.list()).find(({ id }) => id === before.id);
      const unknown = before.committing ? before : null; // checked when its time is up
      this.#set(known ? { ...before, usedAt: Date.now() - known.idle_ms } : unknown);
    } catch {
      this.#set(before); // no node answers: checked when its time is up
    }
  }

  /** Rolls back before the user logs out. If that fails, the server ends it later. */
  async abandon() {
    const { open } = this;
    this.#set(null);
    if (open) await transactions.end(open.id).catch(() => {});
  }

  /** Forgets it: it was ended elsewhere, or the session has ended. */
  forget() { this.#set(null); }

  async #work(step) {
    if (this.busy) return;
    this.busy = true;
    try {
      await step();
    } catch (error) {
      if (ENDED.includes(error.code)) this.#ended(error);
      else toastError(error);
    }
    this.busy = false;
  }

  /** Shows why it has ended and offers to begin another. */
  async #ended(error) {
    if (!this.open) return;
    const { user } = this.open;
    this.#set(null);
    this.changed();
    const again = await openDialog({
      title: error.code === 'transaction_conflict' ? 'The transaction could not be committed'
        : 'The transaction has ended',
      testid: 'transaction-ended',
      submitLabel: 'Begin again',
      submitTestid: 'transaction-again',
      body: () => html`<div class="notice bad" data-testid="transaction-error"><div>
          ${errorText(error)}</div></div>
        <p>A new transaction reads the documents as they are now. Your changes have to be made again in it.</p>`,
      submit: () => true,
    });
    if (again) await this.begin(user);
  }

  #set(open) {
    this.open = open;
    useTransaction(open?.id ?? null, {
      used: () => { open.usedAt = Date.now(); },
      lost: (error) => this.#closed(error),
    });
    try {
      if (open) sessionStorage.setItem(KEY, JSON.stringify(open));
      else sessionStorage.removeItem(KEY);
    } catch {
      // Storage is blocked: after a reload the server ends the transaction.
    }
  }
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}
