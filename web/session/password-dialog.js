/** The dialog in which users change their own password. */
import { html } from '../vendor/lit-html.js';
import { session } from '../api/calls.js';
import { openDialog } from '../components/dialog.js';
import { toastDone } from '../components/ui.js';

const field = (name, label, autocomplete) => html`<label>${label}
  <input type="password" name=${name} required autocomplete=${autocomplete}
    data-testid="password-${name}"></label>`;

/** Resolves to whether the password was changed. */
export async function changeOwnPassword() {
  const done = await openDialog({
    title: 'Change password',
    submitLabel: 'Change password',
    body: () => [
      field('old', 'Current password', 'current-password'),
      field('new', 'New password', 'new-password'),
      field('again', 'New password again', 'new-password'),
    ],
    submit(fields) {
      if (fields.new !== fields.again) throw new Error('The two new passwords are not the same.');
      return session.changePassword(fields.old, fields.new);
    },
  });
  if (done) toastDone('Password changed. Log in with the new one.');
  return done;
}
