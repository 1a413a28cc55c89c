/** The recent statements of the console, kept until the tab is closed or the user logs out. */
import { html, nothing } from '../../vendor/lit-html.js';

const KEY = 'jettra-recent-statements';
const STATEMENTS_MAX = 20;
const CHARS_MAX = 20_000; // longer statements are not kept

export class RecentStatements {
  /** Starts with the statements that this user has run in the tab before. */
  constructor(user) {
    this.user = user;
    this.statements = stored(user);
  }

  add(text) {
    if (text.length > CHARS_MAX) return;
    const others = this.statements.filter((other) => other !== text);
    this.statements = [text, ...others].slice(0, STATEMENTS_MAX);
    try {
      sessionStorage.setItem(KEY, JSON.stringify({ user: this.user, statements: this.statements }));
    } catch {
      // Storage is blocked or full: the statements are kept until the page is left.
    }
  }

  /** `use(text)` puts a statement back into the input. */
  view(use) {
    if (!this.statements.length) return nothing;
    return html`<section aria-labelledby="recent-title"><h2 id="recent-title">Recent statements</h2>
      <ol class="recent" data-rows="button" data-testid="recent-statements">${this.statements.map((text) => html`
        <li><button type="button" class="statement" title=${text} data-testid="recent-statement"
          @click=${() => use(text)}>${text}</button></li>`)}</ol></section>`;
  }
}

function stored(user) {
  try {
    const { user: owner, statements } = JSON.parse(sessionStorage.getItem(KEY)) ?? {};
    return owner === user && Array.isArray(statements) ? statements.map(String) : [];
  } catch {
    return [];
  }
}
