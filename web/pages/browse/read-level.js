/** How fresh the reads of the browse page are, chosen once for its tree and its documents. */
import { html, nothing } from '../../vendor/lit-html.js';
import { FRESHNESS, LINEARIZABLE } from '../../api/calls.js';
import { errorBox } from '../../components/ui.js';

const LOCAL = 'local';
const LOCAL_HELPS = ['no_leader', 'timeout']; // refusals of reads that must be up to date
const LEVELS = [
  [LINEARIZABLE, 'up to date'],
  ['leader', 'up to date by the leader’s lease'],
  ['session', 'at least what this page has seen'],
  ['bounded', `at most ${FRESHNESS} old`],
  ['auto', 'this copy on a node without a vote'],
  [LOCAL, 'this node’s copy'],
];

export class Reads {
  level = LINEARIZABLE;

  /** `reload` reads everything again. */
  constructor(reload) { this.reload = reload; }

  #use(level) {
    this.level = level;
    this.reload();
  }

  chooser() {
    return html`<label class="row muted side-level">Reads <select data-testid="read-level"
      @change=${(event) => this.#use(event.target.value)}>${LEVELS.map(([level, text]) => html`
        <option value=${level} .selected=${level === this.level}>${text}</option>`)}</select></label>`;
  }

  notice() {
    if (this.level !== LOCAL) return nothing;
    return html`<div class="notice warn" role="status" data-testid="local-notice">
      <div>This is the copy of the node you are at; it may be behind the cluster.</div>
      <button class="small" @click=${() => this.#use(LINEARIZABLE)}>Read up to date</button></div>`;
  }

  /** A failed read; `name` begins the test ids, `retry` reads again. */
  errorBox(error, name, retry) {
    const local = LOCAL_HELPS.includes(error.code) && this.level !== LOCAL;
    return errorBox(error, `${name}-error`, html`
      <button class="small" data-testid="${name}-retry" @click=${retry}>Try again</button>
      ${local ? html`<button class="small" data-testid="read-local"
        @click=${() => this.#use(LOCAL)}>Show this node's copy</button>` : nothing}`);
  }
}
