/** What a document breaks of the rules and the schema of its collection. */
import { html } from '../vendor/lit-html.js';

/** `violations` are `{path, rule, expected, found}`; an empty path is the whole document. */
export const violationList = (violations) => html`<ul class="violations">${violations.map((violation) => html`
  <li data-testid="violation" data-path=${violation.path}><code>${violation.path || 'the document'}</code>
    must be ${violation.expected}, found <code>${violation.found}</code>
    <span class="tag">${violation.rule}</span></li>`)}</ul>`;
