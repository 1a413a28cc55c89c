/** A change feed that goes on where it stopped when the connection is lost. */
import { feedError, watch } from '../../api/calls.js';

const RETRY_MS = 1_000;
const SILENCE_MAX_MS = 30_000; // the server says something every 10 s

export class Feed {
  /** `off`, `connecting`, `live`, `retrying`, or `failed` with its `error`. */
  state = 'off';
  error = null;
  token; // behind the last event that was received; undefined for now
  #stop = null; // of what runs

  /** `onChange(event)` gets each change, unparsed; `onState()` is called when the state is another. */
  constructor(onChange, onState) { Object.assign(this, { onChange, onState }); }

  /** Goes on after the token, if there is one. `place` is `{db, col}`, `filter()` its JSON. */
  start(place, filter) {
    this.stop();
    this.#stop = new AbortController();
    this.#run(place, filter, this.#stop.signal);
  }

  stop() {
    this.#stop?.abort();
    this.#stop = null;
    this.#become('off');
  }

  #become(state, error = null) {
    Object.assign(this, { state, error });
    this.onState();
  }

  async #run(place, filter, stopped) {
    this.#become('connecting');
    while (!stopped.aborted) {
      let failure = null;
      try {
        await this.#read(place, filter, stopped);
      } catch (error) {
        failure = error;
      }
      if (stopped.aborted) return;
      if (failure && !passes(failure)) return this.#become('failed', failure);
      this.#become('retrying', failure);
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }

  /** Reads until the connection ends or is silent for too long. */
  async #read({ db, col }, filter, stopped) {
    const silent = new AbortController();
    const signal = AbortSignal.any([stopped, silent.signal]);
    let timer;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MAX_MS);
    };
    heard();
    try {
      for await (const { event, id, data } of watch(db, col, { filter: filter(), after: this.token, signal })) {
        if (stopped.aborted) return;
        heard();
        if (event === 'error') throw feedError(data);
        if (this.state !== 'live') this.#become('live');
        if (id !== undefined) this.token = id;
        if (event === 'change') this.onChange(data);
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What passes by itself: no connection, and a node that is not ready. */
const PASSING = ['unreachable', 'timeout', 'no_leader', 'starting', 'stopping', 'paused'];
const PASSING_STATUS = [502, 503, 504]; // also of a proxy
const passes = ({ code, status }) => PASSING.includes(code) || PASSING_STATUS.includes(status);
