/** Modal dialogs on the native <dialog>: forms and confirmations, with their errors. */
import { html, nothing, render } from '../vendor/lit-html.js';
import { errorText } from './ui.js';

/**
 * Opens a dialog and resolves to the result of `submit`, or to undefined if it is cancelled.
 *
 * `body(dialog)` returns the template; call `dialog.update()` after its data has changed.
 * `submit(fields, dialog)` receives the fields of the form; an error it throws is shown in the
 * dialog, which stays open. `typed` is text the user has to type to enable the button. `force` is
 * `{code, label, typed}`: after an error with that code, typing `force.typed` submits again with
 * `fields.force`. `unsaved()` returns whether closing would lose input; `caret` is the position of
 * the caret in a text area.
 */
export function openDialog(options) {
  return new Promise((resolve) => new Dialog(options, resolve).open());
}

let opened = 0; // a dialog may be open above another

class Dialog {
  titleId = `dialog-title-${++opened}`;
  error = null;
  busy = false;
  forcing = false;
  leaving = false;
  matches = false;

  constructor(options, resolve) {
    this.options = options;
    this.resolve = resolve;
    this.element = document.createElement('dialog');
    this.element.className = options.wide ? 'wide' : '';
    this.element.dataset.testid = options.testid ?? 'dialog';
  }

  open() {
    document.body.append(this.element);
    this.element.addEventListener('cancel', (event) => {
      event.preventDefault();
      this.cancel();
    });
    this.update();
    this.element.showModal();
    const area = this.element.querySelector('textarea');
    area?.setSelectionRange(this.options.caret ?? 0, this.options.caret ?? 0);
    if (area) area.scrollTop = 0;
  }

  close(result) {
    this.element.close();
    this.element.remove();
    this.resolve(result);
  }

  cancel() {
    if (this.busy) return;
    const losesWork = this.options.unsaved?.() && !this.leaving;
    if (!losesWork) return this.close();
    this.leaving = true;
    this.update();
  }

  get typed() { return this.forcing ? this.options.force.typed : this.options.typed; }

  async submit(event) {
    event.preventDefault();
    if (this.busy) return;
    const fields = Object.fromEntries(new FormData(event.target));
    if (this.forcing) fields.force = true;
    Object.assign(this, { busy: true, error: null, leaving: false });
    this.update();
    try {
      const result = await this.options.submit(fields, this);
      if (result !== Dialog.STAY) return this.close(result ?? true);
    } catch (error) {
      this.error = error;
      const { force } = this.options;
      if (force && error.code === force.code) Object.assign(this, { forcing: true, matches: false });
    }
    this.busy = false;
    this.update();
  }

  update() { render(this.view(), this.element); }

  view() {
    const { title, body, submit } = this.options;
    return html`
      <form @submit=${(event) => this.submit(event)} aria-labelledby=${this.titleId}>
        <h2 id=${this.titleId}>${title}</h2>
        <div class="dialog-body">${body(this)}</div>
        ${this.typed ? this.typedField() : nothing}
        ${this.error ? html`<div class="notice bad" role="alert" data-testid="dialog-error">
          <div>${errorText(this.error)}</div></div>` : nothing}
        ${this.leaving ? html`<div class="notice warn" role="alert">
          <div>Your changes are not saved. Cancel again to discard them.</div></div>` : nothing}
        <footer>
          <button type="button" data-testid="dialog-cancel" @click=${() => this.cancel()}>
            ${submit ? 'Cancel' : 'Close'}</button>
          ${submit ? this.submitButton() : nothing}
        </footer>
      </form>`;
  }

  submitButton() {
    const { submitLabel, danger, force, submitTestid = 'confirm-ok', ready } = this.options;
    const off = this.busy || (this.typed && !this.matches) || ready?.() === false;
    const label = this.forcing ? force.label : submitLabel;
    return html`<button class=${danger || this.forcing ? 'danger' : 'primary'} ?disabled=${off}
      data-testid=${submitTestid}>${this.busy ? 'Working…' : label}</button>`;
  }

  typedField() {
    const onInput = (event) => {
      this.matches = event.target.value === this.typed;
      this.update();
    };
    return html`<label>Type <code>${this.typed}</code> to continue
      <input data-testid="confirm-input" autocomplete="off" spellcheck="false" @input=${onInput}></label>`;
  }
}

/** The result of a `submit` that keeps its dialog open without an error. */
export const STAY = (Dialog.STAY = Symbol('stay'));

/** Asks for a name, initially `value`; `submit` receives the name. */
export const askName = (title, submitLabel, value, submit) => openDialog({
  title,
  submitLabel,
  body: () => html`<label>Name
    <input name="name" .value=${value} required autofocus autocomplete="off" spellcheck="false"
      data-testid="name-input"></label>`,
  submit: (fields) => submit(fields.name.trim()),
});
