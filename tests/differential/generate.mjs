// Prints random requests with mingo's answers, one JSON object a line. See README.md.
import { parseArgs } from "node:util";
import { makeCollections } from "./src/documents.mjs";
import { BASE, Expressions } from "./src/expressions.mjs";
import { FIELDS, Filters } from "./src/filters.mjs";
import { Oracle, toExtended } from "./src/oracle.mjs";
import { Pipelines } from "./src/pipelines.mjs";
import { Random } from "./src/random.mjs";
import { REFUSALS } from "./src/refusals.mjs";
import { Statistics } from "./src/statistics.mjs";
import { Updates } from "./src/updates.mjs";

const COLLECTIONS = 8;
const FILTER_TRIES = 10;
/** More documents than this in a find's answer get a short projection, most of the time. */
const LONG_ANSWER = 25;
/** Fields without null in any document: mingo's way to distinct values drops null. */
const DISTINCT = ["a", "c", "code", "name", "ref", "tags", "nums", "items.sku", "nested.x", "nested.y.z", "nested.y.w"];
const SORTABLE = ["a", "b", "c", "d", "big", "name", "code", "flag", "ref", "nested.x", "nested.y.z", "nested.t"];

class Generator {
  #random;
  #collections;
  #oracle;
  #pipelines;
  #updates;
  #statistics = new Statistics();

  constructor(seed, documents) {
    this.#random = new Random(seed);
    this.#collections = makeCollections(this.#random, COLLECTIONS, documents);
    this.#oracle = new Oracle(this.#collections);
    this.#pipelines = new Pipelines(this.#random, this.#oracle, [...this.#collections.keys()]);
    this.#updates = new Updates(this.#random, this.#oracle);
  }

  *lines(cases) {
    for (const [collection, documents] of this.#collections) {
      yield { kind: "documents", collection, documents };
    }
    for (let number = 1; number <= cases; number++) {
      const made = this.#case();
      this.#statistics.add(made);
      yield { case: number, ...made.line };
    }
  }

  report() {
    return this.#statistics.report();
  }

  /** `{line, matched?, of?}`: a case, and how many documents of how many its filter took. */
  #case() {
    const collection = this.#random.pick([...this.#collections.keys()]);
    return this.#random.weighted([
      [40, () => this.#find(collection)],
      [29, () => this.#aggregate(collection)],
      [20, () => this.#update(collection)],
      [4, () => this.#distinct(collection)],
      [4, () => this.#count(collection)],
      [3, () => this.#refusal(collection)],
    ])();
  }

  #filters(collection) {
    const make = new Expressions(this.#random, BASE);
    return new Filters(this.#random, this.#oracle.documents(collection), FIELDS, () => make.bool(2));
  }

  /** A filter that mingo accepts, most of the time one that takes some documents and not all. */
  #filter(collection) {
    const documents = this.#oracle.documents(collection);
    const filters = this.#filters(collection);
    let made = { filter: {}, matched: documents.length, of: documents.length };
    for (let attempt = 0; attempt < FILTER_TRIES; attempt++) {
      const filter = filters.make();
      const matched = this.#oracle.matching(documents, filter).length;
      made = { filter, matched, of: documents.length };
      const share = matched / documents.length;
      if ((share >= 0.01 && share <= 0.9) || this.#random.chance(0.12)) break;
    }
    return made;
  }

  #find(collection) {
    const random = this.#random;
    const { filter, matched, of } = this.#filter(collection);
    const request = { filter };
    if (random.chance(0.5)) this.#addOrder(request, matched);
    if (random.chance(0.3)) request.projection = this.#projection();
    let expect = this.#oracle.find(collection, request);
    if (expect.length > LONG_ANSWER && !request.projection && random.chance(0.85)) {
      request.projection = { [random.pick(["a", "b", "name", "nested.x"])]: 1 };
      expect = this.#oracle.find(collection, request);
    }
    const ordered = request.sort !== undefined;
    return { line: { kind: "find", collection, ...request, ordered, expect }, matched, of };
  }

  #addOrder(request, matched) {
    const random = this.#random;
    const paths = random.sample(SORTABLE, random.int(0, 2));
    request.sort = Object.fromEntries(paths.map((path) => [path, random.pick([1, -1])]));
    request.sort._id = random.pick([1, 1, -1]);
    if (random.chance(0.35)) request.skip = random.int(0, Math.max(1, Math.floor(matched / 2)));
    if (random.chance(0.5)) request.limit = random.int(1, 30);
  }

  #projection() {
    const random = this.#random;
    const fields = ["a", "b", "c", "d", "name", "flag", "tags", "nums", "mix", "items.qty", "items.tags", "nested.x", "nested.y.z", "nested.nowhere", "grid"];
    const chosen = (mark, least) => Object.fromEntries(random.sample(fields, random.int(least, 4)).map((field) => [field, mark]));
    return random.weighted([
      [4, () => ({ ...chosen(random.pick([1, true]), 1), ...(random.chance(0.2) && { _id: 0 }) })],
      [3, () => ({ ...chosen(random.pick([0, false]), 1), ...(random.chance(0.2) && { _id: 0 }) })],
      [2, () => ({ a: 1, refs: { $slice: this.#slice() }, [random.pick(["name", "nested.x"])]: 1 })],
      [1, () => ({ flag: 1, nums: { $slice: this.#slice() } })],
      [2, () => ({ ...(random.chance(0.5) && { a: 1 }), items: { $elemMatch: this.#itemCriteria() } })],
      [1, () => ({ name: 1, total: { $add: ["$a", { $ifNull: ["$c", 0] }] } })],
    ])();
  }

  #slice() {
    const random = this.#random;
    return random.chance(0.5) ? random.pick([-2, -1, 1, 2, 3]) : [random.int(-4, 3), random.int(1, 3)];
  }

  #itemCriteria() {
    return this.#filters(this.#random.pick([...this.#collections.keys()])).itemCriteria();
  }

  #aggregate(collection) {
    const { pipeline, rows, ordered, unorderedFields } = this.#pipelines.make(collection);
    const line = { kind: "aggregate", collection, pipeline, ordered };
    if (unorderedFields.length > 0) line.unorderedFields = unorderedFields;
    return { line: { ...line, expect: rows } };
  }

  #update(collection) {
    for (;;) {
      const made = this.#updates.make(this.#random.pick(this.#oracle.documents(collection)));
      if (made !== null) return { line: { kind: "update", ...made } };
    }
  }

  #distinct(collection) {
    const { filter, matched, of } = this.#filter(collection);
    const field = this.#random.pick(DISTINCT);
    const expect = this.#oracle.distinct(collection, field, filter);
    return { line: { kind: "distinct", collection, field, filter, expect }, matched, of };
  }

  #count(collection) {
    const { filter, matched, of } = this.#filter(collection);
    return { line: { kind: "count", collection, filter, expect: matched }, matched, of };
  }

  /** A request that must be refused; that mingo refuses it too is checked here. */
  #refusal(collection) {
    const { kind, ...request } = this.#random.pick(REFUSALS);
    const document = this.#random.pick(this.#oracle.documents(collection));
    if (kind === "update") request.filter = { _id: document._id };
    const attempts = {
      find: () => this.#oracle.find(collection, request),
      aggregate: () => this.#oracle.aggregate(collection, request.pipeline),
      update: () => this.#oracle.update(document, request),
    };
    if (!throws(attempts[kind])) throw new Error(`mingo accepts ${kind} ${JSON.stringify(request)}`);
    const subject = kind === "update" ? { document } : { collection };
    return { line: { kind, ...subject, ...request, error: true } };
  }
}

function throws(action) {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    cases: { type: "string", default: "3000" },
    documents: { type: "string", default: "1500" },
  },
});
const generator = new Generator(Number(values.seed), Number(values.documents));
for (const line of generator.lines(Number(values.cases))) {
  process.stdout.write(`${JSON.stringify(toExtended(line))}\n`);
}
process.stderr.write(generator.report());
