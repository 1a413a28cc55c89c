/** Loads of which only the newest counts. */
export class Loader {
  #turn = 0;

  /** What `work` gives as `{value}`, or as `{error}`; null when a newer load has begun meanwhile. */
  async run(work) {
    const turn = ++this.#turn;
    let outcome;
    try {
      outcome = { value: await work(), error: null };
    } catch (error) {
      outcome = { error };
    }
    return turn === this.#turn ? outcome : null;
  }
}
