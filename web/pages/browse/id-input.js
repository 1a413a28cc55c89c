/** The input for the `_id` of a document, and what its text may mean. */
import { stringify } from '../../values/json.js';
import { parseNotation } from '../../values/notation.js';
import { html } from '../../vendor/lit-html.js';

export const idInput = (text, testid, onInput) => html`
  <input .value=${text} required placeholder="_id" aria-label="_id of the document"
    title='Whole numbers are looked up as integer ids first; "42" in quotes is the string'
    autocomplete="off" spellcheck="false" data-testid=${testid}
    @input=${(event) => onInput(event.target.value)}>`;

/** Resolves to the result of `read` for the first id the text may mean that exists. */
export async function firstFound(text, read) {
  const ids = possibleIds(text.trim());
  for (const id of ids) {
    try {
      return await read(id);
    } catch (error) {
      if (error.status !== 404 || id === ids.at(-1)) throw error;
    }
  }
}

/** Whole numbers are integer ids first, and `ObjectId("…")` is its value; quotes make any id a string. */
function possibleIds(text) {
  const quoted = /^"(.*)"$/.exec(text);
  const ids = [{ text: quoted ? quoted[1] : text, type: 'string' }];
  if (/^(?:\{|\w+\()/.test(text)) {
    try {
      ids.unshift({ text: stringify(parseNotation(text)), type: 'json' });
    } catch { /* It is a text all the same. */ }
  }
  if (/^-?\d+$/.test(text)) ids.unshift({ text, type: 'int' });
  return ids;
}
