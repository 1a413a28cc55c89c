/** Modal dialogs on the native <dialog>: forms, confirmations, and their errors. */
import { html, nothing, render } from '../vendor/lit-html.js';
import { errorText } from './ui.js';

/**
 * Opens a dialog and resolves with what `submit` returned, or undefined when cancelled.
 *
 * `body(dialog)` is the template; call `dialog.update()` after changing what it shows.
 * `submit(fields, dialog)` gets the form's fields; what it throws is shown in the dialog,
 * which stays open. `typed` is text to type before the button works. `force` is
 * `{code, label}`: after that refusal, typing `force.typed` submits with `fields.force`.
 * `unsaved()` tells whether closing would lose work; `caret` is where a text area starts.
 */
export function openDialog(options) {
  return new Promise((resolve) => new Dialog(options, resolve).open());
}

let opened = 0; // one dialog may stand on another

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
          <div>Your changes are not saved. Close once more to discard them.</div></div>` : nothing}
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
    return html`<label>Type <code>${this.typed}</code> to go on
      <input data-testid="confirm-input" autocomplete="off" spellcheck="false" @input=${onInput}></label>`;
  }
}

/** What a `submit` returns to keep its dialog open without an error. */
export const STAY = (Dialog.STAY = Symbol('stay'));

/** Asks for a name, at first `value`; `submit` gets what was typed. */
export const askName = (title, submitLabel, value, submit) => openDialog({
  title,
  submitLabel,
  body: () => html`<label>Name
    <input name="name" .value=${value} required autofocus autocomplete="off" spellcheck="false"
      data-testid="name-input"></label>`,
  submit: (fields) => submit(fields.name.trim()),
});
