/** Shows a secret that the server sends only once. */
import { html, nothing } from '../vendor/lit-html.js';
import { openDialog } from './dialog.js';

/** Resolves when the dialog is closed. `usage` is the template that explains how to use the secret. */
export function showSecret(title, secret, usage) {
  let copied = null;
  const copy = async (dialog) => {
    copied = await copyFrom(dialog.element.querySelector('[data-testid="secret"]'));
    dialog.update();
  };
  return openDialog({
    title,
    wide: true,
    testid: 'secret-dialog',
    body: (dialog) => html`
      <div class="notice warn"><div>It is shown only once, and the server does not store it. Keep it where
        only those who need it can read it.</div></div>
      <div class="row key-row"><input class="mono" readonly autofocus .value=${secret} aria-label="The secret"
          data-testid="secret" @focus=${(event) => event.target.select()}>
        <button type="button" data-testid="secret-copy" @click=${() => copy(dialog)}>Copy</button></div>
      <p class="muted" role="status" data-testid="secret-copied">${copied === null ? nothing
        : copied ? 'Copied.' : 'The browser does not allow it: select the text and copy it by hand.'}</p>
      ${usage}`,
  });
}

/** Copies the value of a field. Pages without TLS have no `navigator.clipboard`. */
async function copyFrom(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.select();
    return document.execCommand('copy');
  }
}
