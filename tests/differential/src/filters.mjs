// Filters over documents of a known shape. Values are taken from the documents themselves, so
// that a filter matches some of them and not all.
import { WORDS, mixed } from "./documents.mjs";

/**
 * What may be asked of a field. `kind` says which values it has; `through` marks a path that
 * crosses an array of objects, where null, missing and whole arrays are not asked for.
 */
export const FIELDS = [
  { path: "_id", kind: "mixed" },
  { path: "a", kind: "int" },
  { path: "b", kind: "mixed", sparse: true },
  { path: "c", kind: "number", sparse: true },
  { path: "d", kind: "date", sparse: true },
  { path: "big", kind: "number" },
  { path: "name", kind: "string" },
  { path: "code", kind: "string", sparse: true },
  { path: "flag", kind: "bool", sparse: true },
  { path: "ref", kind: "int" },
  { path: "tags", kind: "strings", sparse: true },
  { path: "nums", kind: "ints", sparse: true },
  { path: "refs", kind: "ints", sparse: true },
  { path: "mix", kind: "mixed-array", sparse: true },
  { path: "items", kind: "objects", sparse: true },
  { path: "items.sku", kind: "string", through: true },
  { path: "items.qty", kind: "int", through: true },
  { path: "items.price", kind: "number", through: true },
  { path: "items.tags", kind: "string-lists", through: true },
  { path: "items.0.qty", kind: "int", through: true },
  { path: "nested", kind: "object", sparse: true },
  { path: "nested.x", kind: "int", sparse: true },
  { path: "nested.y", kind: "object", sparse: true },
  { path: "nested.y.z", kind: "string", sparse: true },
  { path: "nested.y.w", kind: "ints", sparse: true },
  { path: "nested.t", kind: "date", sparse: true },
  { path: "tags.0", kind: "string", through: true },
  { path: "nums.1", kind: "int", through: true },
  { path: "nested.y.w.0", kind: "int", through: true },
  { path: "grid", kind: "grid" },
  { path: "grid.0.1", kind: "int", through: true },
];

const RANGE = ["$gt", "$gte", "$lt", "$lte"];

/** The values at `path`, arrays of objects crossed, the array at the end not taken apart. */
export function valuesAt(value, path) {
  const [head, ...rest] = path.split(".");
  if (value === null || typeof value !== "object") return [];
  if (Array.isArray(value) && !/^\d+$/.test(head)) {
    return value.flatMap((item) => valuesAt(item, path));
  }
  if (value[head] === undefined) return [];
  return rest.length === 0 ? [value[head]] : valuesAt(value[head], rest.join("."));
}

export class Filters {
  #random;
  #documents;
  #fields;
  #condition;

  /** `condition`: makes an aggregation condition for $expr, or nothing. */
  constructor(random, documents, fields, condition) {
    this.#random = random;
    this.#documents = documents;
    this.#fields = fields;
    this.#condition = condition;
  }

  make(depth = 1) {
    const random = this.#random;
    if (depth > 0 && random.chance(0.22)) {
      const operator = random.pick(["$and", "$or", "$or", "$nor"]);
      const filter = { [operator]: random.list(random.int(2, 3), () => this.make(depth - 1)) };
      return random.chance(0.3) ? merge(filter, this.#leaf()) : filter;
    }
    if (this.#condition && random.chance(0.1)) return { $expr: this.#condition() };
    const count = random.weighted([[6, 1], [3, 2], [1, 3]]);
    return random.list(count, () => this.#leaf()).reduce(merge);
  }

  #leaf() {
    const field = this.#random.pick(this.#fields);
    const test = this.#test(field);
    return { [field.path]: this.#maybeNot(field, test) };
  }

  #maybeNot(field, test) {
    const operators = isOperators(test);
    return operators && this.#random.chance(0.12) ? { $not: test } : test;
  }

  /** Scalars of the field in the documents, arrays taken apart. */
  #scalar(field) {
    for (let attempt = 0; attempt < 12; attempt++) {
      const found = valuesAt(this.#random.pick(this.#documents), field.path).flat(2);
      const scalars = found.filter((value) => value !== null && isScalar(value));
      if (scalars.length > 0) return this.#random.pick(scalars);
    }
    return this.#random.int(0, 9);
  }

  #whole(field) {
    for (let attempt = 0; attempt < 12; attempt++) {
      const found = valuesAt(this.#random.pick(this.#documents), field.path);
      if (found.length > 0) return this.#random.pick(found);
    }
    return this.#scalar(field);
  }

  #test(field) {
    const random = this.#random;
    if (field.sparse && random.chance(0.1)) return { $exists: random.chance(0.5) };
    if (field.sparse && field.kind !== "object" && random.chance(0.06)) return this.#nullTest();
    switch (field.kind) {
      case "bool": return this.#equality(field);
      case "int": return random.chance(0.15) ? this.#modulo() : this.#comparison(field);
      case "string": return random.chance(0.3) ? this.#regex() : this.#comparison(field);
      case "mixed": return random.chance(0.2) ? this.#type() : this.#comparison(field);
      case "strings":
      case "ints": return this.#arrayTest(field);
      case "mixed-array": return this.#mixedArrayTest(field);
      case "objects": return this.#objectsTest(field);
      case "object": return random.chance(0.5) ? { $type: "object" } : this.#whole(field);
      case "string-lists": return this.#listsTest(field);
      case "grid": return random.chance(0.6) ? this.#innerArray(field) : { $size: random.int(1, 3) };
      default: return this.#comparison(field);
    }
  }

  #comparison(field) {
    const random = this.#random;
    return random.weighted([
      [3, () => ({ [random.pick(RANGE)]: this.#scalar(field) })],
      [2, () => this.#between(field)],
      [3, () => this.#equality(field)],
      [2, () => ({ [random.pick(["$in", "$in", "$nin"])]: this.#several(field) })],
    ])();
  }

  #between(field) {
    const random = this.#random;
    return {
      [random.pick(["$gt", "$gte"])]: this.#scalar(field),
      [random.pick(["$lt", "$lte"])]: this.#scalar(field),
    };
  }

  #equality(field) {
    const value = this.#scalar(field);
    return this.#random.pick([value, { $eq: value }, { $ne: value }]);
  }

  #several(field) {
    const values = this.#random.list(this.#random.int(1, 6), () => this.#scalar(field));
    if (field.sparse && this.#random.chance(0.15)) values.push(null);
    return values;
  }

  #nullTest() {
    return this.#random.pick([null, { $eq: null }, { $ne: null }, { $in: [null, "cedar", 3] }]);
  }

  #modulo() {
    const divisor = this.#random.int(2, 5);
    return { $mod: [divisor, this.#random.int(0, divisor - 1)] };
  }

  #regex() {
    const word = this.#random.pick(WORDS);
    const pattern = this.#random.pick([
      "^[a-d]", "e$", "^A", "r", "[0-9]+$", "-1", "a.*e", "^(ab|x)", "é|ö|ä", "^\\s", "o{1}", "[^a-z ]",
      word.slice(0, 2), `^${word}`, `${word.slice(-2)}$`,
    ]);
    return this.#random.chance(0.35) ? { $regex: pattern, $options: "i" } : { $regex: pattern };
  }

  #type() {
    const names = ["number", "string", "bool", "date", "null", 2, 8, 9, 10];
    return { $type: this.#random.chance(0.7) ? this.#random.pick(names) : this.#random.sample(names, 2) };
  }

  #arrayTest(field) {
    const random = this.#random;
    const text = field.kind === "strings";
    return random.weighted([
      [2, () => this.#comparison(field)],
      [1, () => (text ? this.#regex() : this.#modulo())],
      [1, () => ({ $size: random.int(0, 4) })],
      [2, () => ({ $all: random.list(random.int(1, 2), () => this.#scalar(field)) })],
      [2, () => ({ $elemMatch: text ? this.#comparisonOnly(field) : this.#between(field) })],
      [0.6, () => this.#whole(field)],
      [0.4, () => ({ $type: "array" })],
    ])();
  }

  #comparisonOnly(field) {
    return { [this.#random.pick(RANGE)]: this.#scalar(field), $ne: this.#scalar(field) };
  }

  #mixedArrayTest(field) {
    const random = this.#random;
    return random.weighted([
      [3, () => this.#comparison(field)],
      [1, () => this.#regex()],
      [1, () => ({ $elemMatch: { [random.pick(RANGE)]: this.#scalar(field) } })],
      [1, () => ({ [random.pick(RANGE)]: mixed(random) ?? 3 })],
    ])();
  }

  #objectsTest(field) {
    const random = this.#random;
    const criteria = () => this.itemCriteria();
    return random.weighted([
      [4, () => ({ $elemMatch: criteria() })],
      [1, () => ({ $all: [{ $elemMatch: criteria() }, { $elemMatch: criteria() }] })],
      [1, () => ({ $size: random.int(0, 4) })],
      [0.7, () => random.pick([this.#whole(field)].flat()) ?? { $size: 0 }],
      [0.5, () => ({ $type: "array" })],
    ])();
  }

  /** Criteria for one object of `items`. */
  itemCriteria() {
    const random = this.#random;
    const fields = FIELDS.filter(({ path }) => ["items.sku", "items.qty", "items.price"].includes(path));
    return Object.fromEntries(random.sample(fields, random.int(1, 2)).map((field) =>
      [field.path.slice("items.".length), this.#comparison(field)]));
  }

  #listsTest(field) {
    const value = this.#scalar(field);
    return this.#random.weighted([[3, value], [1, { $ne: value }], [1, this.#regex()]]);
  }

  #innerArray(field) {
    return this.#random.pick([this.#whole(field)].flat());
  }
}

const isScalar = (value) => value === null || typeof value !== "object" || value instanceof Date;

const isOperators = (test) =>
  test !== null && typeof test === "object" && Object.keys(test).some((key) => key.startsWith("$"));

/** Both filters at once; a field asked twice goes below $and. */
function merge(left, right) {
  const twice = Object.keys(right).some((key) => key in left);
  return twice ? { $and: [left, right] } : { ...left, ...right };
}
