/** A change feed that resumes where it stopped after the connection was lost. */
import { feedError, watch } from '../../api/calls.js';

const RETRY_MS = 1_000;
const SILENCE_MAX_MS = 30_000; // the server sends something every 10 s

export class Feed {
  /** `off`, `connecting`, `live`, `retrying`, or `failed` with its `error`. */
  state = 'off';
  error = null;
  token; // of the last received event; undefined to start with the next change
  #stop = null; // the AbortController of the running feed

  /** `onChange(data)` receives the JSON of each change; `onState()` is called after the state has changed. */
  constructor(onChange, onState) { Object.assign(this, { onChange, onState }); }

  /** Starts after the token, if there is one. `place` is `{db, col}`; `filter()` returns JSON. */
  start(place, filter) {
    this.stop();
    this.#stop = new AbortController();
    this.#run(place, filter, this.#stop.signal);
  }

  stop() {
    this.#stop?.abort();
    this.#stop = null;
    this.#setState('off');
  }

  #setState(state, error = null) {
    Object.assign(this, { state, error });
    this.onState();
  }

  async #run(place, filter, stopped) {
    this.#setState('connecting');
    while (!stopped.aborted) {
      let failure = null;
      try {
        await this.#read(place, filter, stopped);
      } catch (error) {
        failure = error;
      }
      if (stopped.aborted) return;
      if (failure && !isTransient(failure)) return this.#setState('failed', failure);
      this.#setState('retrying', failure);
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }

  /** Reads until the connection ends, or nothing was received for too long. */
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
        if (this.state !== 'live') this.#setState('live');
        if (id !== undefined) this.token = id;
        if (event === 'change') this.onChange(data);
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Errors after which the feed retries: no connection, or a node that is not ready. */
const TRANSIENT = ['unreachable', 'timeout', 'no_leader', 'starting', 'stopping', 'paused'];
const TRANSIENT_STATUS = [502, 503, 504]; // also of a proxy
const isTransient = ({ code, status }) => TRANSIENT.includes(code) || TRANSIENT_STATUS.includes(status);
