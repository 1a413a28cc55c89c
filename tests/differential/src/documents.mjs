// The documents. Every field has a discipline (see FIELDS in filters.mjs and BASE in
// expressions.mjs), because mingo deviates from MongoDB where types meet carelessly.

export const WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haze", "iris"];
const NAMES = [
  "Ada", "Änne", "Zoë", "Łukasz", "Ömer", "渡辺", "Мария", "José", "Nguyễn", "Søren", "李雷",
  "Ελένη", "O'Neil", "smörgås", "rocket 🚀", "😀 smile", "naïve", "Straße",
];
const CODES = ["AB", "ab", "Cd", "XY", "q"];

export const DAY_MS = 86_400_000;

/** A date after 2002 whose day of the month is at most 28: mingo adds months wrongly to others. */
export function date(random) {
  const year = random.int(2003, 2029);
  const ms = random.chance(0.3) ? random.pick([250, 500, 7, 990]) : 0;
  return new Date(Date.UTC(year, random.int(0, 11), random.int(1, 28), random.int(0, 23),
    random.int(0, 59), random.int(0, 59), ms));
}

/** A multiple of 0.25: sums of those are exact, so both sides print the same digits. */
export const quarter = (random, low, high) => random.int(low * 4, high * 4) / 4;

export const name = (random) =>
  random.chance(0.6) ? random.pick(NAMES) : `${random.pick(NAMES)} ${random.pick(WORDS)}`;

export const code = (random) => {
  const text = `${random.pick(CODES)}-${random.int(1, 40)}`;
  return random.chance(0.1) ? ` ${text} ` : text;
};

/** Any scalar but missing: `b` is where the types meet. */
export function mixed(random) {
  return random.weighted([
    [4, () => random.int(-10, 10)],
    [2, () => quarter(random, -10, 10)],
    [3, () => random.pick(WORDS)],
    [1, () => random.pick(NAMES)],
    [1.5, () => null],
    [1.5, () => random.chance(0.5)],
    [1.5, () => date(random)],
  ])();
}

const mixedArray = (random) =>
  random.list(random.int(0, 4), () =>
    random.weighted([[4, random.int(0, 9)], [3, random.pick(WORDS)], [1, null], [1, true]]));

export function item(random, sku) {
  const made = { sku, qty: random.int(0, 20), price: quarter(random, 0, 30) };
  if (random.chance(0.6)) made.tags = random.sample(WORDS, random.int(0, 3));
  return made;
}

/** Objects with a `sku` that is unique in the array: sorting them by it has no ties. */
export const items = (random) =>
  random.sample(WORDS, random.int(0, 4)).map((sku) => item(random, sku));

export function nested(random) {
  const made = {};
  if (random.chance(0.88)) made.x = random.int(-5, 15);
  made.y = { z: random.pick(WORDS), w: random.list(random.int(0, 4), () => random.int(0, 9)) };
  if (random.chance(0.5)) made.t = date(random);
  return made;
}

function document(random, id, count) {
  const made = { _id: id, a: random.int(0, 20) };
  const sometimes = (probability, field, value) => {
    if (random.chance(probability)) made[field] = value();
  };
  sometimes(0.93, "b", () => mixed(random));
  sometimes(0.88, "c", () => quarter(random, -40, 40));
  sometimes(0.85, "d", () => (random.chance(0.07) ? null : date(random)));
  made.big = random.int(-9007199254740990, 9007199254740990);
  made.name = name(random);
  sometimes(0.88, "code", () => code(random));
  sometimes(0.85, "flag", () => (random.chance(0.07) ? null : random.chance(0.5)));
  sometimes(0.92, "tags", () => random.sample(WORDS, random.int(0, 4)));
  sometimes(0.92, "nums", () => random.list(random.int(0, 6), () => random.int(-3, 12)));
  sometimes(0.9, "mix", () => (random.chance(0.5) ? mixedArray(random) : mixed(random)));
  sometimes(0.9, "items", () => items(random));
  sometimes(0.9, "nested", () => nested(random));
  sometimes(0.4, "grid", () =>
    random.list(random.int(1, 3), () => random.list(random.int(1, 3), () => random.int(0, 4))));
  made.ref = random.int(0, count);
  sometimes(0.8, "refs", () => random.sample(random.list(9, (n) => n * 7 + 1), random.int(0, 3)));
  return made;
}

/** `collections` with `total` documents between them: name → documents in order of insertion. */
export function makeCollections(random, collections, total) {
  const made = new Map();
  for (let index = 0; index < collections; index++) {
    const count = Math.floor(total / collections) + (index < total % collections ? 1 : 0);
    const ids = random.list(count, (n) => (random.chance(0.75) ? n : `k${n}`));
    made.set(`c${index}`, ids.map((id) => document(random, id, count)));
  }
  return made;
}
