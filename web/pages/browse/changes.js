/** The changes of a collection, live, by all users. */
import { html, nothing } from '../../vendor/lit-html.js';
import { address, count, errorBox, plural, timestamp } from '../../components/ui.js';
import { parse, stringify } from '../../values/json.js';
import { deltaDifferences, differenceList, operationLabel } from './differences.js';
import { Feed } from './feed.js';
import { isSameCollection } from './place.js';
import { filterJson } from './query.js';

const EVENTS_MAX = 200; // older ones are discarded
const REDRAW_MS = 100; // however many events arrive

const STATES = {
  off: ['', 'Paused'],
  connecting: ['warn', 'Connecting…'],
  live: ['good', 'Live'],
  retrying: ['warn', 'Connection lost; trying again…'],
  failed: ['bad', 'Stopped'],
};

export class ChangesPane {
  place = {};
  filter = '';
  events = []; // the newest first: {event, key, open}
  received = 0; // the number of all events
  #timer;

  constructor(app) {
    this.app = app;
    this.feed = new Feed(this.#receive, () => this.app.update());
  }

  open(place, parameters) {
    const filter = parameters.get('filter')?.trim() ?? '';
    const same = isSameCollection(place, this.place) && filter === this.filter;
    Object.assign(this, { place, filter });
    if (!same) this.#restart();
  }

  load() {} // changes arrive by themselves

  /** Called when the tab is left; the next visit starts with the changes after it. */
  stop() {
    this.feed.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.place = {};
  }

  #restart = () => {
    Object.assign(this, { events: [], received: 0 });
    this.feed.token = undefined;
    this.#resume();
  };

  #resume = () => this.feed.start(this.place, () => filterJson({ filter: this.filter }));

  #receive = (data) => {
    this.received += 1;
    this.events = [{ event: parse(data), key: this.received, open: false }, ...this.events].slice(0, EVENTS_MAX);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.app.update();
    }, REDRAW_MS);
  };

  view() {
    return html`${this.#toolbar()}${this.#filterNote()}${this.#failure()}
      ${this.events.length ? html`<ul class="feed" data-testid="feed-events">
        ${this.events.map((entry) => this.#row(entry))}</ul>` : this.#noEvents()}`;
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
      <span class="muted" data-testid="feed-count">${plural(this.received, 'change')}${
        this.received > this.events.length ? `, the last ${count(this.events.length)} shown` : ''}</span>
      ${state === 'off'
        ? html`<button type="button" class="primary" data-testid="feed-resume" @click=${this.#resume}>Resume</button>`
        : html`<button type="button" data-testid="feed-pause" ?disabled=${state === 'failed'}
            @click=${() => this.feed.stop()}>Pause</button>`}
      <button type="button" data-testid="feed-clear" ?disabled=${!this.events.length} @click=${clear}>Clear</button>
    </div>`;
  }

  #filterNote() {
    const { db, col } = this.place;
    if (!this.filter) return nothing;
    return html`<p class="muted feed-filter" data-testid="feed-filter">Only documents matching
      <code>${this.filter}</code>. <a href=${address('browse', db, col, 'changes')}
      data-testid="feed-unfilter">Show all changes</a></p>`;
  }

  #failure() {
    const { state, error } = this.feed;
    if (state === 'retrying') return error ? html`<p class="muted">${error.message}</p>` : nothing;
    if (state !== 'failed') return nothing;
    return errorBox(error, 'feed-error', html`
      ${error.code === 'too_old' ? nothing : html`
        <button class="small" data-testid="feed-retry" @click=${this.#resume}>Try again</button>`}
      <button class="small" data-testid="feed-restart" @click=${this.#restart}>Restart from now</button>`);
  }

  #noEvents() {
    if (this.feed.state === 'failed') return nothing;
    return html`<div class="empty" data-testid="feed-empty"><h2>No changes yet</h2>
      <p>Changes by any user appear here from now on. ${this.filter ? nothing
        : 'A filter set under “Documents” applies here too.'}</p></div>`;
  }

  #row(entry) {
    const { event } = entry;
    const operation = event.get('operation');
    const id = event.get('id');
    return html`<li class="card" data-testid="feed-event" data-operation=${operation}
      data-id=${id === undefined ? '' : String(id)}>
      <div class="feed-head">${operationLabel(operation)}
        <code>${id === undefined ? event.get('collection') : String(id)}</code>
        ${event.has('renamed_to') ? html`to <code>${event.get('renamed_to')}</code>` : nothing}
        ${event.get('matches') === false ? html`<span class="tag">no longer matches</span>` : nothing}
        <span class="muted">${event.get('user') ?? 'the database'} · ${timestamp(event.get('time'))} ·
          log index ${String(event.get('index'))}</span></div>
      ${operation === 'update' && event.has('delta') ? differenceList(deltaDifferences(event.get('delta'))) : nothing}
      ${event.has('document') ? this.#document(entry) : nothing}</li>`;
  }

  /** The document, drawn only while it is unfolded. */
  #document(entry) {
    const toggled = (event) => {
      entry.open = event.target.open;
      this.app.update();
    };
    return html`<details .open=${entry.open} @toggle=${toggled}><summary data-testid="feed-document">
      ${entry.event.get('operation') === 'delete' ? 'Deleted document' : 'Document'}</summary>
      ${entry.open ? html`<pre tabindex="0">${stringify(entry.event.get('document'), 2)}</pre>` : nothing}</details>`;
  }
}
