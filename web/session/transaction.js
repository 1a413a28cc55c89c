/** The transaction that the page has open, if any: begun, kept over a reload, ended. */
import { html } from '../vendor/lit-html.js';
import { transactions, useTransaction } from '../api/calls.js';
import { transactionBar } from '../components/transaction-bar.js';
import { errorText, openDialog, plural, toastDone, toastError } from '../components/ui.js';

const KEY = 'jettra-transaction';
const OVER = ['transaction_conflict', 'transaction_lost'];

export class PageTransaction {
  /** `{id, user, begunAt, usedAt, idleMs, maxMs}`, times of Date.now(); `doubt` once a commit was sent. */
  open = null;
  busy = false;

  /** `changed` is called when what documents look like has changed. */
  constructor(changed) { this.changed = changed; }

  /** The marker of an open one. */
  view() { return transactionBar(this); }

  /** Its first letters, enough to tell it from others. */
  get name() { return this.open?.id.slice(0, 4); }

  /** Milliseconds until it ends by itself unless it is used. */
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
    this.#set({ ...this.open, doubt: true });
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

  /** Sees whether it is over; called when its time is up. */
  async check() {
    if (!this.open || this.busy) return;
    const { id, idleMs } = this.open;
    const known = await transactions.list().catch(() => null);
    if (!known || this.open?.id !== id) return; // unknown: asked again
    const still = known.find((other) => other.id === id);
    if (still) this.#set({ ...this.open, usedAt: Date.now() - still.idle_ms });
    else this.#gone({ message: 'The server has ended it. Nothing was written.',
      hint: `somebody ended it, it was not used for ${idleMs / 1000} s, or it was open for too long` });
  }

  /** It is not open any more. A commit without an answer is repeated: that gives the first outcome. */
  #gone(error) {
    if (this.open?.doubt) this.commit();
    else this.#over(error);
  }

  /** Takes the one up again that this user had open before the page was loaded anew. */
  async takeUp(user) {
    const before = stored();
    if (before?.user !== user) return this.#set(null);
    try {
      const known = (await transactions.list()).find(({ id }) => id === before.id);
      const unsure = before.doubt ? before : null; // found out when its time is up
      this.#set(known ? { ...before, usedAt: Date.now() - known.idle_ms } : unsure);
    } catch {
      this.#set(before); // no node answers: what became of it is found out later
    }
  }

  /** Lets go of it, for whoever logs out; at the latest it ends by itself. */
  async leave() {
    const { open } = this;
    this.#set(null);
    if (open) await transactions.end(open.id).catch(() => {});
  }

  /** Forgets it: it was ended elsewhere, or the session was. */
  lose() { this.#set(null); }

  async #work(step) {
    if (this.busy) return;
    this.busy = true;
    try {
      await step();
    } catch (error) {
      if (OVER.includes(error.code)) this.#over(error);
      else toastError(error);
    }
    this.busy = false;
  }

  /** Says why it is over and offers to begin again. */
  async #over(error) {
    if (!this.open) return;
    const { user } = this.open;
    this.#set(null);
    this.changed();
    const again = await openDialog({
      title: error.code === 'transaction_conflict' ? 'The transaction could not be committed'
        : 'The transaction is over',
      testid: 'transaction-over',
      submitLabel: 'Begin again',
      submitTestid: 'transaction-again',
      body: () => html`<div class="notice bad" data-testid="transaction-error"><div>
          ${errorText(error)}</div></div>
        <p>A new transaction sees the documents as they are now; the changes have to be made once more in it.</p>`,
      submit: () => true,
    });
    if (again) await this.begin(user);
  }

  #set(open) {
    this.open = open;
    useTransaction(open?.id ?? null, {
      used: () => { open.usedAt = Date.now(); },
      lost: (error) => this.#gone(error),
    });
    try {
      if (open) sessionStorage.setItem(KEY, JSON.stringify(open));
      else sessionStorage.removeItem(KEY);
    } catch {
      // Storage is blocked: a reload leaves the transaction to end by itself.
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
