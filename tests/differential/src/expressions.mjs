// Aggregation expressions by type: a number is only ever compared with a number, and whatever may
// be null or missing is guarded with $ifNull, because that is where mingo leaves MongoDB.
import { DAY_MS, WORDS, date } from "./documents.mjs";

/**
 * The fields of a stored document for expressions, path → type. A `?` after the type: may be null
 * or missing. `text` is any string, `ascii` one that case mapping and byte indexes cannot disturb;
 * `any` and `big` are looked at but not computed with; of `joined` (see $lookup) only the size is.
 */
export const BASE = {
  a: "int", b: "any?", c: "number?", d: "date?", big: "big", name: "text", code: "ascii?",
  flag: "bool?", ref: "int", tags: "strings?", nums: "ints?", refs: "ints?", items: "items?",
  "nested.x": "int?", "nested.y.z": "ascii?", "nested.y.w": "ints?", "nested.t": "date?",
  "items.qty": "ints?", "items.price": "numbers?", "items.sku": "strings?",
};

const reference = (path) => (path.startsWith("$$") ? path : `$${path}`);

export class Expressions {
  #random;
  #fields;
  #exact;

  /**
   * `fields`: path → type, as in BASE; `$$name` is a variable. `exact`: numbers are fractions of a
   * power of two only, whose sum is the same in any order.
   */
  constructor(random, fields, exact = false) {
    this.#random = random;
    this.#fields = fields;
    this.#exact = exact;
  }

  make(type, depth = 2) {
    switch (type) {
      case "int":
      case "number": return this.number(depth);
      case "ascii": return this.ascii(depth);
      case "text": return this.text(depth);
      case "bool": return this.bool(depth);
      case "date": return this.date(depth);
      case "ints": return this.ints(depth);
      case "strings": return this.strings(depth);
      default: throw new Error(`no expressions of type ${type}`);
    }
  }

  /** A field of one of `types`, guarded by `fallback`; `fallback` alone where there is none. */
  #field(types, fallback) {
    const paths = Object.keys(this.#fields).filter((path) =>
      types.includes(this.#fields[path].replace("?", "")));
    if (paths.length === 0) return fallback;
    const path = this.#random.pick(paths);
    if (!this.#fields[path].endsWith("?")) return reference(path);
    return { $ifNull: [reference(path), fallback] };
  }

  #with(variables) {
    return new Expressions(this.#random, { ...this.#fields, ...variables }, this.#exact);
  }

  /** A choice between values: the three ways to write one. */
  #choice(depth, make) {
    const condition = () => this.bool(depth);
    return this.#random.weighted([
      [2, () => ({ $cond: [condition(), make(), make()] })],
      [1, () => ({ $cond: { if: condition(), then: make(), else: make() } })],
      [1, () => ({
        $switch: {
          branches: this.#random.list(this.#random.int(1, 3), () => ({ case: condition(), then: make() })),
          default: make(),
        },
      })],
    ])();
  }

  // Numbers

  /** Any number; a `real` may have any digits. */
  #operand() {
    const types = this.#exact ? ["int", "number"] : ["int", "number", "real"];
    return this.#field(types, this.#random.int(0, 9));
  }

  /** An integer or a multiple of a quarter, which rounding cannot surprise. */
  #smallNumber() {
    return this.#field(["int", "number"], this.#random.int(0, 9));
  }

  #integer() {
    return this.#field(["int"], this.#random.int(0, 9));
  }

  number(depth) {
    const random = this.#random;
    if (depth <= 0) return random.chance(0.75) ? this.#operand() : random.int(-5, 12);
    const next = () => this.number(depth - 1);
    const ints = () => this.ints(depth - 1);
    const text = () => this.text(depth - 1);
    const when = () => this.date(depth - 1);
    const rough = this.#exact ? 0 : 1;
    return random.weighted([
      [4, () => ({ $add: random.list(random.int(2, 3), next) })],
      [3, () => ({ $subtract: [next(), next()] })],
      [3, () => ({ $multiply: [this.#operand(), next()] })],
      [2, () => ({ $divide: [next(), random.pick(this.#exact ? [2, 4, 0.5] : [2, 3, 4, 7, 0.5])] })],
      [2, () => ({ $mod: [this.#integer(), random.int(2, 6)] })],
      [1, () => ({ $abs: next() })],
      [1, () => ({ [random.pick(["$ceil", "$floor"])]: this.#smallNumber() })],
      [1, () => ({ [random.pick(["$trunc", "$round"])]: [this.#smallNumber(), 0] })],
      [rough, () => ({ $sqrt: { $abs: this.#smallNumber() } })],
      [1, () => ({ $pow: [this.#integer(), random.int(0, 3)] })],
      [rough, () => ({ $ln: { $add: [{ $abs: this.#integer() }, 1] } })],
      [2, () => ({ $size: random.pick([ints, () => this.strings(depth - 1)])() })],
      [1, () => ({ [random.pick(["$strLenCP", "$strLenBytes"])]: text() })],
      [3, () => ({ [random.pick(DATE_PARTS)]: when() })],
      [1, () => this.#dateDifference(when)],
      [rough, () => ({ $divide: [{ $subtract: [when(), when()] }, DAY_MS] })],
      [2, () => this.#choice(depth - 1, next)],
      [1, () => ({ $cmp: [next(), next()] })],
      [1, () => ({ $cmp: [text(), text()] })],
      [1, () => ({ $strcasecmp: [this.ascii(depth - 1), this.ascii(depth - 1)] })],
      [1, () => ({ $indexOfArray: [ints(), random.int(0, 6)] })],
      [1, () => ({ $indexOfBytes: [this.ascii(depth - 1), random.pick(["a", "-", "er", "b-1"])] })],
      [2, () => ({ $ifNull: [{ $arrayElemAt: [ints(), random.int(-2, 3)] }, random.int(-1, 1)] })],
      [1, () => ({ $ifNull: [{ $first: ints() }, -1] })],
      [2, () => ({ $sum: this.#numberList() })],
      [this.#fields.joined === "joined" ? 12 : 0, () => ({ $size: "$joined" })],
      [rough, () => ({ $ifNull: [{ $avg: this.#numberList() }, 0] })],
      [1, () => ({ $ifNull: [{ [random.pick(["$max", "$min"])]: ints() }, 0] })],
      [1, () => ({ [random.pick(["$max", "$min", "$sum"])]: [next(), next(), random.int(0, 9)] })],
      [2, () => this.#reduceNumbers(ints)],
      [1, () => ({ [random.pick(["$toInt", "$toDouble"])]: this.bool(depth - 1) })],
      [1, () => ({ [random.pick(["$toInt", "$toLong"])]: this.#smallNumber() })],
      [1, () => this.#let(depth)],
    ])();
  }

  #numberList() {
    return this.#field(["ints", "numbers"], { $literal: [] });
  }

  #dateDifference(when) {
    const unit = this.#random.pick(["year", "quarter", "month", "day", "hour", "minute"]);
    return { $dateDiff: { startDate: when(), endDate: when(), unit } };
  }

  #reduceNumbers(input) {
    return this.#random.pick([
      { $reduce: { input: input(), initialValue: 0, in: { $add: ["$$value", "$$this"] } } },
      { $reduce: { input: input(), initialValue: 0,
        in: { $cond: [{ $gt: ["$$this", "$$value"] }, "$$this", "$$value"] } } },
      { $reduce: { input: input(), initialValue: this.#integer(),
        in: { $subtract: ["$$value", { $multiply: ["$$this", 2] }] } } },
    ]);
  }

  #let(depth) {
    const inner = this.#with({ "$$one": "int", "$$two": "number" });
    return {
      $let: { vars: { one: this.#integer(), two: this.#smallNumber() }, in: inner.number(depth - 1) },
    };
  }

  // Strings

  ascii(depth) {
    const random = this.#random;
    const word = () => random.pick(WORDS);
    if (depth <= 0) return random.chance(0.8) ? this.#field(["ascii"], word()) : word();
    const next = () => this.ascii(depth - 1);
    return random.weighted([
      [3, () => ({ $concat: [next(), random.pick(["-", "/", " "]), next()] })],
      [2, () => ({ [random.pick(["$toUpper", "$toLower"])]: next() })],
      [2, () => ({ $substrCP: [next(), random.int(0, 3), random.int(0, 5)] })],
      [2, () => ({ [random.pick(["$trim", "$ltrim", "$rtrim"])]: { input: next() } })],
      [1, () => ({ $trim: { input: next(), chars: random.pick(["a", "er", "-AB", " 1"]) } })],
      [2, () => ({ $toString: random.pick([this.#integer(), this.bool(0)]) })],
      [1, () => ({ $toString: this.date(depth - 1) })],
      [2, () => this.#formattedDate(depth)],
      [2, () => this.#choice(depth - 1, next)],
      [1, () => this.#replace(next)],
      [1, () => ({ $ifNull: [{ $arrayElemAt: [{ $split: [next(), "-"] }, random.int(-2, 1)] }, "none"] })],
      [1, () => ({ $reduce: { input: this.strings(depth - 1), initialValue: "",
        in: { $concat: ["$$value", "$$this", ";"] } } })],
      [1, () => this.#typeOfField()],
    ])();
  }

  #formattedDate(depth) {
    const format = this.#random.pick(["%Y-%m-%d", "%H:%M:%S.%L", "%d/%m/%Y %H:%M", "%Y%j", "%u %V", "%Y-%m-%dT%H:%M:%S.%LZ"]);
    return { $dateToString: { date: this.date(depth - 1), format } };
  }

  #replace(input) {
    const find = this.#random.pick(["a", "e", "-", "er", "AB"]);
    return { [this.#random.pick(["$replaceAll", "$replaceOne"])]: { input: input(), find, replacement: this.#random.pick(["", "*", "\\1", "__"]) } };
  }

  #typeOfField() {
    return { $type: this.#stored() };
  }

  /** A field as it was stored: what is computed has no type both sides agree on (2 or 2.0). */
  #stored() {
    const paths = Object.keys(this.#fields).filter((path) => path in BASE);
    return paths.length === 0 ? "$nowhere" : reference(this.#random.pick(paths));
  }

  text(depth) {
    const random = this.#random;
    const any = () => this.#field(["text", "ascii"], random.pick(WORDS));
    if (depth <= 0) return any();
    const next = () => this.text(depth - 1);
    return random.weighted([
      [2, () => this.ascii(depth)],
      [2, () => ({ $concat: [next(), random.pick([" ", "é", "→"]), next()] })],
      [2, () => ({ $substrCP: [next(), random.int(0, 2), random.int(1, 6)] })],
      [1, () => ({ $replaceAll: { input: next(), find: random.pick(["é", "ö", "a", "雷"]), replacement: "·" } })],
      [1, () => this.#choice(depth - 1, next)],
    ])();
  }

  // Booleans

  bool(depth) {
    const random = this.#random;
    if (depth <= 0 && random.chance(0.4)) return this.#field(["bool"], random.chance(0.5));
    const below = Math.max(depth - 1, 0);
    const compare = (make) => ({ [random.pick(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])]: [make(), make()] });
    const simple = [
      [5, () => ({ [random.pick(["$gt", "$gte", "$lt", "$lte"])]: [this.number(below), random.int(-2, 15)] })],
      [2, () => compare(() => this.number(below))],
      [1, () => compare(() => this.text(below))],
      [1, () => compare(() => this.date(below))],
      [1, () => ({ $eq: [this.bool(0), random.chance(0.5)] })],
    ];
    if (depth <= 0) return random.weighted(simple.slice(0, 4))();
    const next = () => this.bool(depth - 1);
    return random.weighted([
      ...simple,
      [2, () => ({ $and: [next(), next()] })],
      [2, () => ({ $or: [next(), next()] })],
      [1, () => ({ $not: [next()] })],
      [2, () => ({ $in: [this.number(0), this.ints(depth - 1)] })],
      [1, () => ({ $in: [random.pick(WORDS), this.strings(depth - 1)] })],
      [1, () => ({ $regexMatch: { input: this.text(0), regex: random.pick(["a", "^[A-Z]", "\\d$", "e.?r"]), options: random.pick(["", "i"]) } })],
      [1, () => ({ [random.pick(["$isArray", "$isNumber"])]: this.#stored() })],
      [1, () => ({ $setIsSubset: [this.strings(0), this.strings(depth - 1)] })],
      [1, () => ({ $setEquals: [this.ints(0), this.ints(depth - 1)] })],
      [1, () => this.#quantifier(depth)],
    ])();
  }

  #quantifier(depth) {
    const inner = this.#with({ "$$each": "real" });
    const tests = { $map: { input: this.ints(0), as: "each", in: inner.bool(depth - 1) } };
    return { [this.#random.pick(["$anyElementTrue", "$allElementsTrue"])]: [tests] };
  }

  // Dates

  date(depth) {
    const random = this.#random;
    const field = () => this.#field(["date"], date(random));
    if (depth <= 0) return field();
    return random.weighted([
      [3, field],
      [2, () => ({ $dateAdd: { startDate: this.date(depth - 1), unit: random.pick(["day", "hour", "minute", "week"]), amount: random.int(-40, 40) } })],
      [1, () => ({ $dateAdd: { startDate: field(), unit: random.pick(["month", "year", "quarter"]), amount: random.int(0, 14) } })],
      [1, () => ({ $dateSubtract: { startDate: field(), unit: random.pick(["day", "hour"]), amount: random.int(0, 50) } })],
      [2, () => ({ $dateTrunc: { date: this.date(depth - 1), unit: random.pick(["year", "quarter", "month", "day", "hour", "minute"]) } })],
      [1, () => ({ $add: [this.date(depth - 1), random.int(-5, 5) * 3_600_000] })],
      [1, () => ({ $subtract: [this.date(depth - 1), random.int(1, 5000)] })],
      [1, () => this.#choice(depth - 1, field)],
      [1, () => ({ $toDate: { $toLong: field() } })],
    ])();
  }

  // Arrays

  ints(depth) {
    const random = this.#random;
    const literal = () => ({ $literal: random.list(random.int(0, 4), () => random.int(0, 9)) });
    if (depth <= 0) return random.chance(0.85) ? this.#field(["ints"], literal()) : literal();
    const next = () => this.ints(depth - 1);
    const inner = this.#with({ "$$each": "real" });
    return random.weighted([
      [3, () => ({ $map: { input: next(), as: "each", in: inner.number(Math.min(depth - 1, 1)) } })],
      [3, () => ({ $filter: { input: next(), as: "each", cond: inner.bool(Math.min(depth - 1, 1)) } })],
      [2, () => ({ $concatArrays: [next(), next()] })],
      [2, () => ({ $slice: [next(), random.pick([-3, -1, 1, 2, 3])] })],
      [1, () => ({ $slice: [next(), random.int(-2, 2), random.int(1, 3)] })],
      [1, () => ({ $reverseArray: next() })],
      [1, () => ({ $sortArray: { input: next(), sortBy: random.pick([1, -1]) } })],
      [1, () => ({ $range: [random.int(0, 3), { $mod: [{ $abs: this.#integer() }, 7] }, random.int(1, 2)] })],
      [2, () => sorted({ [random.pick(SETS)]: [next(), next()] })],
      [1, () => this.#choice(depth - 1, next)],
    ])();
  }

  strings(depth) {
    const random = this.#random;
    const literal = () => ({ $literal: random.sample(WORDS, random.int(0, 4)) });
    if (depth <= 0) return random.chance(0.85) ? this.#field(["strings"], literal()) : literal();
    const next = () => this.strings(depth - 1);
    const inner = this.#with({ "$$word": "ascii" });
    return random.weighted([
      [2, () => ({ $map: { input: next(), as: "word", in: inner.ascii(Math.min(depth - 1, 1)) } })],
      [2, () => ({ $filter: { input: next(), as: "word", cond: { [random.pick(["$gt", "$lt", "$ne"])]: ["$$word", random.pick(WORDS)] } } })],
      [1, () => ({ $concatArrays: [next(), next()] })],
      [1, () => ({ $slice: [next(), random.pick([-2, 1, 2])] })],
      [1, () => ({ $split: [this.ascii(depth - 1), random.pick(["-", "e", " "])] })],
      [2, () => sorted({ [random.pick(SETS)]: [next(), next()] })],
    ])();
  }

  /** An array of objects out of `items`, or of the key-value pairs of `nested.y`. */
  objects() {
    const inner = this.#with({ "$$item.qty": "int", "$$item.price": "number", "$$item.sku": "ascii" });
    const items = { $ifNull: ["$items", { $literal: [] }] };
    return this.#random.weighted([
      [3, () => ({ $map: { input: items, as: "item", in: { sku: "$$item.sku", made: inner.number(1) } } })],
      [2, () => ({ $filter: { input: items, as: "item", cond: inner.bool(1) } })],
      [1, () => ({ $sortArray: { input: items, sortBy: { sku: -1 } } })],
      [1, () => ({ $objectToArray: { $ifNull: ["$nested.y", {}] } })],
    ])();
  }

  /** An object of computed members. */
  object() {
    return this.#random.weighted([
      [2, () => ({ p: { $ifNull: [this.number(1), 0] }, q: this.ascii(1) })],
      [1, () => ({ $mergeObjects: [{ p: this.number(1) }, { $ifNull: ["$nested.y", {}] }] })],
      [1, () => ({ $arrayToObject: { $map: { input: this.#field(["strings"], { $literal: ["p"] }), as: "key",
        in: { k: "$$key", v: this.number(0) } } } })],
    ])();
  }

  hasItems() {
    return this.#fields.items === "items?";
  }
}

const SETS = ["$setUnion", "$setIntersection", "$setDifference"];
const DATE_PARTS = [
  "$year", "$month", "$dayOfMonth", "$hour", "$minute", "$second", "$millisecond", "$dayOfWeek",
  "$isoDayOfWeek", "$dayOfYear", "$isoWeek",
];

/** The order of a set is not defined, so it gets one. */
const sorted = (input) => ({ $sortArray: { input, sortBy: 1 } });
