// Updates of one document. What an update touches depends on what the document has, because mingo
// passes over in silence what MongoDB refuses ($inc of a string, $push to a scalar).
import { WORDS, code, date, item, items, mixed, name, nested, quarter } from "./documents.mjs";
import { BASE, Expressions } from "./expressions.mjs";

const UPDATE_TRIES = 20;
const NUMERIC = ["a", "c", "nested.x"];

export class Updates {
  #random;
  #oracle;

  constructor(random, oracle) {
    this.#random = random;
    this.#oracle = oracle;
  }

  /** `{document, filter, update, arrayFilters?, expect}`, or null when no try made one. */
  make(document) {
    for (let attempt = 0; attempt < UPDATE_TRIES; attempt++) {
      const request = this.#request(document);
      if (request === null) continue;
      const { document: expect, matched } = this.#oracle.update(document, request);
      if (matched || request.missesOnPurpose) {
        delete request.missesOnPurpose;
        return { document, ...request, expect };
      }
    }
    return null;
  }

  #request(document) {
    const filter = { _id: document._id };
    return this.#random.weighted([
      [10, () => ({ filter, update: this.#operators(document) })],
      [3, () => this.#positional(document)],
      [3, () => this.#everyElement(document)],
      [3, () => this.#filteredElements(document)],
      [1.5, () => ({ filter, update: this.#pipeline() })],
      [0.4, () => ({ filter: { a: -1 }, update: { $set: { a: 1 } }, missesOnPurpose: true })],
    ])();
  }

  /** One to three operators, no two on the same root. */
  #operators(document) {
    const random = this.#random;
    const update = {};
    const taken = new Set();
    const count = random.weighted([[4, 1], [3, 2], [2, 3]]);
    for (let attempt = 0; attempt < 12 && taken.size < count; attempt++) {
      const made = this.#operation(document);
      if (made === null) continue;
      const [operator, path, value] = made;
      const roots = [path, ...(operator === "$rename" ? [value] : [])].map((at) => at.split(".")[0]);
      if (roots.some((root) => taken.has(root))) continue;
      for (const root of roots) taken.add(root);
      update[operator] = { ...update[operator], [path]: value };
    }
    return taken.size === 0 ? { $set: { a: 0 } } : update;
  }

  /** `[operator, path, argument]`. */
  #operation(document) {
    const random = this.#random;
    return random.weighted([
      [5, () => this.#set(document)],
      [2, () => ["$unset", this.#anyPath(document), random.pick(["", 1, true])]],
      [4, () => [random.pick(["$inc", "$mul"]), this.#numericPath(document), this.#amount()]],
      [3, () => this.#bound()],
      [2, () => this.#rename(document)],
      [5, () => this.#push(document)],
      [3, () => this.#pull(document)],
      [2, () => this.#pullAll(document)],
      [3, () => this.#addToSet(document)],
      [2, () => ["$pop", random.pick(["nums", "tags", "items", "refs"]), random.pick([1, -1])]],
    ])();
  }

  #amount() {
    return this.#random.chance(0.6) ? this.#random.int(-6, 6) : quarter(this.#random, -4, 4);
  }

  #numericPath(document) {
    const paths = [...NUMERIC, "counter", "made.count"];
    if (document.nums?.length > 0) paths.push(`nums.${this.#random.int(0, document.nums.length - 1)}`);
    if (document.items?.length > 0) paths.push("items.0.qty", "items.0.price");
    return this.#random.pick(paths);
  }

  #anyPath(document) {
    const paths = ["a", "b", "c", "d", "flag", "tags", "items", "nested", "nested.x", "nested.y.z", "nowhere", "nested.no.where"];
    if (document.nums?.length > 1) paths.push("nums.1");
    if (document.items?.length > 0) paths.push("items.0.tags", "items.0.sku");
    return this.#random.pick(paths);
  }

  #set(document) {
    const random = this.#random;
    const [path, value] = random.weighted([
      [2, () => ["a", random.int(0, 99)]],
      [2, () => ["b", mixed(random)]],
      [1, () => ["d", date(random)]],
      [1, () => ["name", name(random)]],
      [1, () => ["tags", random.sample(WORDS, 2)]],
      [1, () => ["items", items(random)]],
      [1, () => ["nested", nested(random)]],
      [1, () => ["extra", { deep: [1, { er: null }], code: code(random) }]],
      [1, () => ["made.up.path", mixed(random)]],
      [1, () => ["nested.x", random.int(0, 9)]],
      [1, () => ["nested.y.v", random.chance(0.5)]],
      [document.nums ? 2 : 0, () => [`nums.${random.int(0, 7)}`, random.int(20, 30)]],
      [document.items?.length > 0 ? 2 : 0, () => ["items.0.sku", "changed"]],
    ])();
    return ["$set", path, value];
  }

  #bound() {
    const random = this.#random;
    const [path, value] = random.pick([
      () => [random.pick([...NUMERIC, "counter"]), quarter(random, -20, 20)],
      () => ["d", date(random)],
      () => ["b", mixed(random)],
      () => ["name", name(random)],
    ])();
    return [random.pick(["$min", "$max"]), path, value];
  }

  #rename(document) {
    const pairs = [["a", "a2"], ["b", "c"], ["code", "other.code"], ["tags", "labels"], ["nowhere", "here"], ["d", "flag"]];
    if (document.nested) pairs.push(["nested.x", "x"], ["nested.y", "why"], ["ref", "nested.ref"]);
    return ["$rename", ...this.#random.pick(pairs)];
  }

  #push(document) {
    const random = this.#random;
    const [path, value, sort] = random.weighted([
      [3, () => ["nums", () => random.int(-3, 12), random.pick([1, -1])]],
      [3, () => ["tags", () => random.pick(WORDS), random.pick([1, -1])]],
      [2, () => ["items", (n) => item(random, `new${n ?? 0}`), { sku: random.pick([1, -1]) }]],
      [1, () => ["nested.y.w", () => random.int(0, 9), random.pick([1, -1])]],
    ])();
    const there = path === "nested.y.w" ? document.nested?.y?.w : document[path];
    const simple = there === undefined || random.chance(0.25);
    if (simple && random.chance(0.6)) return ["$push", path, value()];
    const spec = { $each: random.list(random.int(simple ? 1 : 0, 3), value) };
    if (!simple) this.#addModifiers(spec, sort);
    return ["$push", path, spec];
  }

  #addModifiers(spec, sort) {
    const random = this.#random;
    if (random.chance(0.4)) spec.$position = random.int(-2, 3);
    if (random.chance(0.5)) spec.$slice = random.int(-4, 4);
    if (random.chance(0.5)) spec.$sort = sort;
  }

  #pull(document) {
    const random = this.#random;
    const [path, value] = random.weighted([
      [2, () => ["nums", random.pick(document.nums ?? [1]) ?? 1]],
      [2, () => ["nums", { [random.pick(["$gt", "$lt", "$gte", "$lte", "$ne"])]: random.int(0, 8) }]],
      [1, () => ["nums", { $in: random.list(3, () => random.int(-3, 12)) }]],
      [2, () => ["tags", random.pick(document.tags ?? []) ?? "amber"]],
      [1, () => ["tags", { $regex: random.pick(["^[a-d]", "e", "r$"]) }]],
      [2, () => ["items", { qty: { [random.pick(["$gte", "$lt"])]: random.int(3, 17) } }]],
      [1, () => ["items", { sku: random.pick(document.items ?? [])?.sku ?? "amber" }]],
      [1, () => ["items", { qty: { $gt: 5 }, price: { $lt: 20 } }]],
    ])();
    return ["$pull", path, value];
  }

  #pullAll(document) {
    const random = this.#random;
    return random.chance(0.5)
      ? ["$pullAll", "nums", random.list(random.int(1, 4), () => random.int(-3, 12))]
      : ["$pullAll", "tags", [...random.sample(document.tags ?? [], 2), random.pick(WORDS)]];
  }

  #addToSet(document) {
    const random = this.#random;
    const path = random.pick(["tags", "labels", "refs"]);
    const make = path === "refs" ? (n) => n * 7 + 1 : (n) => WORDS[n];
    const values = random.sample(random.list(9, make), random.int(1, 3));
    return ["$addToSet", path, random.chance(0.5) ? values[0] : { $each: values }];
  }

  // Elements of arrays

  /** `$`: the element the filter found. */
  #positional(document) {
    const random = this.#random;
    if (document.nums?.length > 0 && random.chance(0.5)) {
      const value = random.pick(document.nums);
      const test = random.pick([value, { $gte: value }, { $elemMatch: { $gte: value, $lt: value + 3 } }]);
      return { filter: { _id: document._id, nums: test }, update: this.#changeElement("nums.$") };
    }
    if (!(document.items?.length > 0)) return null;
    const found = random.pick(document.items);
    const filter = random.pick([
      { "items.sku": found.sku },
      { "items.qty": { $lte: found.qty } },
      { items: { $elemMatch: { qty: { $gte: found.qty }, price: { $lte: found.price } } } },
    ]);
    return { filter: { _id: document._id, ...filter }, update: this.#changeItem("items.$") };
  }

  #everyElement(document) {
    const filter = { _id: document._id };
    if (document.nums && this.#random.chance(0.5)) return { filter, update: this.#changeElement("nums.$[]") };
    return document.items ? { filter, update: this.#changeItem("items.$[]") } : null;
  }

  #filteredElements(document) {
    const random = this.#random;
    const filter = { _id: document._id };
    if (document.nums && random.chance(0.5)) {
      const arrayFilters = [{ x: { [random.pick(["$gt", "$lte", "$ne"])]: random.int(0, 8) } }];
      return { filter, update: this.#changeElement("nums.$[x]"), arrayFilters };
    }
    if (!document.items) return null;
    const arrayFilters = [random.pick([
      { "x.qty": { $gte: random.int(2, 15) } },
      { "x.sku": { $in: random.sample(WORDS, 4) } },
      { "x.price": { $lt: 15 }, "x.qty": { $gt: 4 } },
    ])];
    return { filter, update: this.#changeItem("items.$[x]"), arrayFilters };
  }

  #changeElement(path) {
    const random = this.#random;
    const operator = random.pick(["$set", "$inc", "$mul", "$min", "$max"]);
    return { [operator]: { [path]: random.int(-4, 9) } };
  }

  #changeItem(path) {
    const random = this.#random;
    return random.weighted([
      [3, () => ({ [random.pick(["$inc", "$mul", "$min", "$max"])]: { [`${path}.qty`]: random.int(-3, 9) } })],
      [2, () => ({ $set: { [`${path}.${random.pick(["seen", "qty", "sku"])}`]: random.pick([true, 7, "set"]) } })],
      [1, () => ({ $unset: { [`${path}.price`]: "" } })],
      [1, () => ({ $push: { [`${path}.tags`]: "pushed" } })],
      [1, () => ({ $set: { [path]: { sku: "whole", qty: 1 } }, $inc: { a: 1 } })],
    ])();
  }

  /** An update written as a pipeline. */
  #pipeline() {
    const random = this.#random;
    const make = new Expressions(random, BASE);
    const stages = [{ $set: { made: make.number(2), word: make.text(1), test: make.bool(2) } }];
    if (random.chance(0.4)) stages.push({ $unset: random.pick(["b", "items", "nested"]) });
    if (random.chance(0.4)) stages.push({ $addFields: { twice: { $multiply: ["$made", 2] } } });
    if (random.chance(0.15)) stages.push({ $project: { made: 1, word: 1, name: 1, tags: 1 } });
    return stages;
  }
}
