/** The read level of the browse page, for its lists and its documents. */
import { html, nothing } from '../../vendor/lit-html.js';
import { FRESHNESS, LINEARIZABLE } from '../../api/calls.js';
import { errorBox } from '../../components/ui.js';

const LOCAL = 'local';
const LOCAL_HELPS = ['no_leader', 'timeout']; // errors that a read at the level `local` cannot have
const LEVELS = [
  [LINEARIZABLE, 'linearizable: up to date'],
  ['leader', 'leader: up to date by its lease'],
  ['session', 'session: at least your writes'],
  ['bounded', `bounded: at most ${FRESHNESS} old`],
  ['auto', 'auto: local on learners'],
  [LOCAL, 'local: copy of this node'],
];

export class ReadLevel {
  level = LINEARIZABLE;

  /** `reload()` reads the whole page again. */
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
      <div>This is the copy of the node that serves the page. It may lag behind the cluster.</div>
      <button class="small" @click=${() => this.#use(LINEARIZABLE)}>Read up to date</button></div>`;
  }

  /** The error of a read; `name` is the prefix of the test ids, `retry()` reads again. */
  errorBox(error, name, retry) {
    const local = LOCAL_HELPS.includes(error.code) && this.level !== LOCAL;
    return errorBox(error, `${name}-error`, html`
      <button class="small" data-testid="${name}-retry" @click=${retry}>Try again</button>
      ${local ? html`<button class="small" data-testid="read-local"
        @click=${() => this.#use(LOCAL)}>Show the copy of this node</button>` : nothing}`);
  }
}
