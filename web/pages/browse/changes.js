/** The changes of a collection as they happen, whoever makes them. */
import { html, nothing } from '../../vendor/lit-html.js';
import { changeList, deltaDifferences, operationWord, when } from './differences.js';
import { Feed } from './feed.js';
import { address, count, errorBox, plural } from '../../components/ui.js';
import { parse, stringify } from '../../values/json.js';
import { filterJson } from './query.js';

const EVENTS_MAX = 200; // the oldest are let go
const REDRAW_MS = 100; // however many come

const STATES = {
  off: ['', 'Paused'],
  connecting: ['warn', 'Connecting…'],
  live: ['good', 'Live'],
  retrying: ['warn', 'The connection is lost; trying again…'],
  failed: ['bad', 'Stopped'],
};

export class ChangesPane {
  place = {};
  filter = '';
  events = []; // the newest first: {event, key, open}
  seen = 0; // all that came
  #timer;

  constructor(app) {
    this.app = app;
    this.feed = new Feed(this.#came, () => this.app.update());
  }

  open(place, parameters) {
    const filter = parameters.get('filter')?.trim() ?? '';
    const same = place.db === this.place.db && place.col === this.place.col && filter === this.filter;
    Object.assign(this, { place, filter });
    if (!same) this.#startAnew();
  }

  load() {} // changes come by themselves

  /** Ends with the page; the next visit begins with what happens then. */
  stop() {
    this.feed.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.place = {};
  }

  #startAnew = () => {
    Object.assign(this, { events: [], seen: 0 });
    this.feed.token = undefined;
    this.#goOn();
  };

  #goOn = () => this.feed.start(this.place, () => filterJson({ filter: this.filter }));

  #came = (data) => {
    this.seen += 1;
    this.events = [{ event: parse(data), key: this.seen, open: false }, ...this.events].slice(0, EVENTS_MAX);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.app.update();
    }, REDRAW_MS);
  };

  view() {
    return html`${this.#toolbar()}${this.#about()}${this.#failure()}
      ${this.events.length ? html`<ul class="feed" data-testid="feed-events">
        ${this.events.map((entry) => this.#row(entry))}</ul>` : this.#nothing()}`;
  }

  #toolbar() {
    const { state } = this.feed;
    const [tone, text] = STATES[state];
    const clear = () => {
      this.events = [];
      this.app.update();
    };
    return html`<div class="toolbar">
      <span class="status ${tone} info" role="status" data-testid="feed-state" data-state=${state}>
        <span class="dot ${tone}"></span>${text}</span>
      <span class="muted" data-testid="feed-count">${plural(this.seen, 'change')}${
        this.seen > this.events.length ? `, the last ${count(this.events.length)} shown` : ''}</span>
      ${state === 'off'
        ? html`<button type="button" class="primary" data-testid="feed-resume" @click=${this.#goOn}>Go on</button>`
        : html`<button type="button" data-testid="feed-pause" ?disabled=${state === 'failed'}
            @click=${() => this.feed.stop()}>Pause</button>`}
      <button type="button" data-testid="feed-clear" ?disabled=${!this.events.length} @click=${clear}>Clear</button>
    </div>`;
  }

  #about() {
    const { db, col } = this.place;
    if (!this.filter) return nothing;
    return html`<p class="muted feed-filter" data-testid="feed-filter">Only documents that match
      <code>${this.filter}</code>. <a href=${address('browse', db, col, 'changes')}
      data-testid="feed-unfilter">Show all changes</a></p>`;
  }

  #failure() {
    const { state, error } = this.feed;
    if (state === 'retrying') return error ? html`<p class="muted">${error.message}</p>` : nothing;
    if (state !== 'failed') return nothing;
    return errorBox(error, 'feed-error', html`
      ${error.code === 'too_old' ? nothing : html`
        <button class="small" data-testid="feed-retry" @click=${this.#goOn}>Try again</button>`}
      <button class="small" data-testid="feed-anew" @click=${this.#startAnew}>Start again from now</button>`);
  }

  #nothing() {
    if (this.feed.state === 'failed') return nothing;
    return html`<div class="empty" data-testid="feed-empty"><h2>Nothing has changed yet</h2>
      <p>What anybody changes from now on appears here. ${this.filter ? nothing
        : 'A filter set under “Documents” holds here too.'}</p></div>`;
  }

  #row(entry) {
    const { event } = entry;
    const operation = event.get('operation');
    const id = event.get('id');
    return html`<li class="card" data-testid="feed-event" data-operation=${operation}
      data-id=${id === undefined ? '' : String(id)}>
      <div class="feed-head">${operationWord(operation)}
        <code>${id === undefined ? event.get('collection') : String(id)}</code>
        ${event.has('renamed_to') ? html`to <code>${event.get('renamed_to')}</code>` : nothing}
        ${event.get('matches') === false ? html`<span class="tag">matches no longer</span>` : nothing}
        <span class="muted">${event.get('user') ?? 'the database'} · ${when(event.get('time'))} ·
          log index ${String(event.get('index'))}</span></div>
      ${operation === 'update' && event.has('delta') ? changeList(deltaDifferences(event.get('delta'))) : nothing}
      ${event.has('document') ? this.#document(entry) : nothing}</li>`;
  }

  /** The document, written out only while somebody looks. */
  #document(entry) {
    const toggled = (event) => {
      entry.open = event.target.open;
      this.app.update();
    };
    return html`<details .open=${entry.open} @toggle=${toggled}><summary data-testid="feed-document">
      ${entry.event.get('operation') === 'delete' ? 'The document as it was' : 'The document'}</summary>
      ${entry.open ? html`<pre tabindex="0">${stringify(entry.event.get('document'), 2)}</pre>` : nothing}</details>`;
  }
}
