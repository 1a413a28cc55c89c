/** A small seeded generator (mulberry32): the same seed gives the same cases on every machine. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, 1). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** An integer in [low, high], both included. */
  int(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.int(0, list.length - 1)];
  }

  /** `count` different items of `list`, or all of them when it is shorter, in random order. */
  sample(list, count) {
    const rest = list.slice();
    const taken = [];
    while (taken.length < count && rest.length > 0) {
      taken.push(rest.splice(this.int(0, rest.length - 1), 1)[0]);
    }
    return taken;
  }

  /** The value of one of `[weight, value]`. */
  weighted(table) {
    let left = this.next() * table.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of table) {
      left -= weight;
      if (left < 0) return value;
    }
    return table[table.length - 1][1];
  }

  /** `count` values made by `make(index)`. */
  list(count, make) {
    return Array.from({ length: count }, (_, index) => make(index));
  }
}
