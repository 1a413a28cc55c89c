// Pipelines, made a stage at a time over the documents the stages before it gave, so that a stage
// asks for fields that are there and does not leave nothing over.
import { BASE, Expressions } from "./expressions.mjs";
import { FIELDS, Filters } from "./filters.mjs";

const SCALARS = ["int", "number", "real", "ascii", "text", "bool", "date", "big"];
const COMPUTED = ["number", "ascii", "text", "bool", "date", "ints", "strings"];
const STAGE_TRIES = 8;

/** What is known of the documents at a point of a pipeline. */
class Shape {
  /** path → type, as in BASE. */
  fields = { ...BASE };
  /** Paths whose values together are different in every document; null when there are none. */
  key = ["_id"];
  /** Whether the order of the documents is defined. */
  ordered = false;
  /** Paths of arrays whose order is not defined. */
  unordered = [];

  copy() {
    const made = Object.assign(new Shape(), this);
    made.fields = { ...this.fields };
    made.unordered = [...this.unordered];
    return made;
  }

  /** The same documents with other fields. */
  with(changes) {
    return Object.assign(this.copy(), changes);
  }

  paths(types) {
    return Object.keys(this.fields).filter((path) => types.includes(this.fields[path].replace("?", "")));
  }

  /** Without the fields at and below the root of `path`. */
  without(root) {
    const made = this.copy();
    for (const path of Object.keys(made.fields)) {
      if (path === root || path.startsWith(`${root}.`)) delete made.fields[path];
    }
    made.unordered = made.unordered.filter((path) => path !== root);
    if (made.key?.includes(root)) made.key = null;
    return made;
  }
}

const computedType = (type) => (type === "number" ? "real" : type);

export class Pipelines {
  #random;
  #oracle;
  #collections;

  constructor(random, oracle, collections) {
    this.#random = random;
    this.#oracle = oracle;
    this.#collections = collections;
  }

  /** `{pipeline, rows, ordered, unorderedFields}`: a pipeline and what it gives. */
  make(collection) {
    const random = this.#random;
    const documents = this.#oracle.documents(collection);
    let state = { shape: new Shape(), rows: documents, pipeline: [], collection };
    const length = random.weighted([[1.5, 1], [3, 2], [3, 3], [2, 4], [1.5, 5]]);
    while (state.pipeline.length < length) {
      const last = state.pipeline.length === length - 1;
      const next = this.#extend(state, last);
      if (next === null) break;
      state = next;
      if (state.shape.terminal) break;
    }
    const { shape, rows, pipeline } = state;
    if (pipeline.length === 0) return this.make(collection);
    return { pipeline, rows, ordered: shape.ordered, unorderedFields: shape.unordered };
  }

  /** The state after one more stage, or null when no try gave a stage that leaves rows over. */
  #extend(state, last) {
    for (let attempt = 0; attempt < STAGE_TRIES; attempt++) {
      const made = this.#stage(state, last);
      if (made === null) continue;
      const [stage, shape] = made;
      let rows;
      try {
        rows = this.#oracle.stage(state.rows, stage);
      } catch (error) {
        if (process.env.SHOW_REFUSED) console.error(JSON.stringify(stage), error.message);
        continue;
      }
      if (rows.length === 0 && !this.#random.chance(0.03)) continue;
      if (rows.length > 4 * state.rows.length + 200) continue;
      return { ...state, rows, shape, pipeline: [...state.pipeline, stage] };
    }
    return null;
  }

  #stage(state, last) {
    const { shape, rows } = state;
    if (last && rows.length > 40 && this.#random.chance(0.85)) return this.#shrink(state);
    return this.#random.weighted([
      [5, () => this.#match(state)],
      [3, () => this.#project(shape)],
      [4, () => this.#addFields(shape)],
      [1.5, () => this.#unset(shape)],
      [5, () => this.#group(shape)],
      [4, () => this.#sort(shape)],
      [shape.ordered ? 4 : 0, () => this.#limit(state)],
      [shape.ordered ? 2 : 0, () => this.#skip(state)],
      [4, () => this.#unwind(shape)],
      [last && rows.length > 15 ? 0 : 4, () => this.#lookup(state)],
      [last ? 0.7 : 0.1, () => this.#count(shape)],
      [1, () => this.#sortByCount(shape)],
      [last ? 1.5 : 0, () => this.#facet(state)],
      [1.3, () => this.#bucket(shape)],
      [1.5, () => this.#replaceRoot(shape)],
      [1, () => this.#unionWith(shape)],
    ])();
  }

  /** A last stage that keeps the answer small. */
  #shrink({ shape, rows, ...state }) {
    return this.#random.weighted([
      [4, () => this.#group(shape)],
      [shape.ordered ? 5 : 0, () => this.#limit({ shape, rows })],
      [3, () => this.#project(shape)],
      [1, () => this.#count(shape)],
      [1, () => this.#sortByCount(shape)],
      [1, () => this.#bucket(shape)],
      [1.5, () => this.#facet({ shape, rows, ...state })],
      [1.5, () => this.#match({ shape, rows, ...state })],
    ])();
  }

  #expressions(shape) {
    return new Expressions(this.#random, shape.fields);
  }

  /** For what is summed up or rounded, where the last digit could show. */
  #exactExpressions(shape) {
    return new Expressions(this.#random, shape.fields, true);
  }

  #filters(shape, rows) {
    const intact = FIELDS.filter(({ path }) => path !== "_id" && this.#isIntact(shape, path));
    const computed = Object.entries(shape.fields)
      .filter(([path, type]) => !(path in BASE) && kindOf(type))
      .map(([path, type]) => ({ path, kind: kindOf(type), sparse: type.endsWith("?") }));
    const fields = [...intact, ...computed];
    if (fields.length === 0) return null;
    const condition = () => this.#expressions(shape).bool(2);
    return new Filters(this.#random, rows, fields, condition);
  }

  /** Whether `path` still has what the stored documents have there. */
  #isIntact(shape, path) {
    const root = path.split(".")[0];
    if (!shape.intact) return true;
    return shape.intact.includes(root);
  }

  #match({ shape, rows }) {
    const filters = this.#filters(shape, rows);
    if (filters === null) return null;
    for (let attempt = 0; attempt < STAGE_TRIES; attempt++) {
      const filter = filters.make();
      const share = this.#oracle.matching(rows, filter).length / rows.length;
      if (share >= 0.02 && share <= 0.9) return [{ $match: filter }, shape];
    }
    return null;
  }

  #project(shape) {
    const random = this.#random;
    if (random.chance(0.2)) return this.#exclude(shape);
    const kept = random.sample(this.#roots(shape), random.int(1, 4));
    const spec = Object.fromEntries(kept.map((root) => [root, random.pick([1, true])]));
    let after = this.#keepOnly(shape, kept);
    if (random.chance(0.25) && this.#has(shape, "nested") && !kept.includes("nested")) {
      spec["nested.y.z"] = 1;
      if (shape.fields["nested.y.z"]) after.fields["nested.y.z"] = shape.fields["nested.y.z"];
    } else if (random.chance(0.2) && this.#has(shape, "items") && !kept.includes("items")) {
      spec["items.qty"] = 1;
    }
    after = this.#compute(shape, after, spec, random.int(0, 3), projected);
    if (random.chance(0.15)) {
      spec._id = 0;
      after = after.without("_id").with({ key: null });
    }
    return [{ $project: spec }, after];
  }

  #exclude(shape) {
    const gone = this.#random.sample(this.#roots(shape), this.#random.int(1, 3));
    if (gone.length === 0) return null;
    const after = gone.reduce((made, root) => this.#drop(made, root), shape);
    return [{ $project: Object.fromEntries(gone.map((root) => [root, 0])) }, after];
  }

  #unset(shape) {
    const gone = this.#random.sample(this.#roots(shape), this.#random.int(1, 4));
    if (gone.length === 0) return null;
    const after = gone.reduce((made, root) => this.#drop(made, root), shape);
    return [{ $unset: gone.length === 1 ? gone[0] : gone }, after];
  }

  #drop(shape, root) {
    const after = shape.without(root);
    after.intact = (shape.intact ?? STORED_ROOTS).filter((intact) => intact !== root);
    return after;
  }

  #keepOnly(shape, roots) {
    const after = shape.copy();
    const keeps = (path) => path === "_id" || path.startsWith("_id.") || roots.includes(path.split(".")[0]);
    after.fields = Object.fromEntries(Object.entries(shape.fields).filter(([path]) => keeps(path)));
    after.unordered = shape.unordered.filter(keeps);
    after.intact = (shape.intact ?? STORED_ROOTS).filter((root) => roots.includes(root));
    if (shape.key && !shape.key.every(keeps)) after.key = null;
    return after;
  }

  /** The roots of the fields that can be named, without _id. */
  #roots(shape) {
    const computed = Object.keys(shape.fields).filter((path) => !(path in BASE)).map((path) => path.split(".")[0]);
    const roots = new Set([...(shape.intact ?? STORED_ROOTS), ...computed, ...shape.unordered]);
    roots.delete("_id");
    return [...roots];
  }

  #has(shape, root) {
    return (shape.intact ?? STORED_ROOTS).includes(root);
  }

  #addFields(shape) {
    const spec = {};
    const after = this.#compute(shape, shape.copy(), spec, this.#random.int(1, 3), (value) => value);
    return [{ [this.#random.pick(["$addFields", "$addFields", "$set"])]: spec }, after];
  }

  /** Puts `count` computed fields of new names into `spec`, and into the shape after it. */
  #compute(shape, after, spec, count, wrap) {
    const random = this.#random;
    const make = this.#expressions(shape);
    for (let index = 0; index < count; index++) {
      const name = this.#newName(after, spec);
      if (random.chance(0.12) && this.#has(shape, "items") && make.hasItems()) {
        spec[name] = make.objects();
      } else if (random.chance(0.08) && this.#has(shape, "nested")) {
        spec[name] = make.object();
      } else {
        const type = random.pick(COMPUTED);
        spec[name] = wrap(make.make(type));
        after.fields[name] = computedType(type);
      }
    }
    return after;
  }

  #newName(shape, spec) {
    for (let index = 1; ; index++) {
      const name = `f${index}`;
      if (!(name in shape.fields) && !(name in spec) && !shape.used?.includes(name)) {
        shape.used = [...(shape.used ?? []), name];
        return name;
      }
    }
  }

  // Groups

  #group(shape) {
    const random = this.#random;
    const [id, idFields] = this.#groupId(shape);
    const spec = { _id: id };
    const after = Object.assign(new Shape(), { fields: idFields, key: groupKey(idFields), intact: [] });
    const count = random.int(1, 3);
    for (let index = 0; index < count; index++) {
      const [accumulator, type] = this.#accumulator(shape);
      const name = `g${index + 1}`;
      spec[name] = accumulator;
      if (type === "bag") after.unordered.push(name);
      else if (type) after.fields[name] = type;
    }
    after.used = ["g1", "g2", "g3"];
    return [{ $group: spec }, after];
  }

  /** `[expression, fields of the group key]`. */
  #groupId(shape) {
    const random = this.#random;
    const make = this.#exactExpressions(shape);
    const stored = shape.paths(["int", "bool", "ascii"]);
    const plain = () => {
      const path = random.pick(stored);
      const type = shape.fields[path].replace("?", "");
      return [`$${path}`, { _id: `${type}?` }];
    };
    const guarded = (type) => make.make(type, 0);
    return random.weighted([
      [stored.length > 0 ? 5 : 0, plain],
      [1, () => [null, { _id: "any" }]],
      [2, () => [{ $mod: [{ $abs: { $floor: guarded("number") } }, random.int(2, 6)] }, { _id: "int" }]],
      [1, () => [make.bool(1), { _id: "bool" }]],
      [1, () => [{ $year: make.date(0) }, { _id: "int" }]],
      [1.5, () => [{ p: make.bool(1), q: guarded("ascii") }, { "_id.p": "bool", "_id.q": "ascii" }]],
      [1, () => [{ p: { $month: make.date(0) }, q: { $gt: [guarded("number"), 3] } },
        { "_id.p": "int", "_id.q": "bool" }]],
    ])();
  }

  /** `[accumulator, type]`: the type is `bag` for an array without order, null when not used. */
  #accumulator(shape) {
    const random = this.#random;
    const make = this.#exactExpressions(shape);
    const number = () => make.number(1);
    const numeric = shape.paths(["int", "number"]);
    const raw = () => (numeric.length > 0 ? `$${random.pick(numeric)}` : number());
    return random.weighted([
      [3, () => [{ $sum: random.pick([1, raw(), number()]) }, "real"]],
      [2, () => [{ $avg: random.pick([raw(), number()]) }, "real?"]],
      [2, () => [{ [random.pick(["$min", "$max"])]: random.pick([raw(), number()]) }, "real?"]],
      [1, () => [{ [random.pick(["$min", "$max"])]: make.text(1) }, "text"]],
      [1, () => [{ [random.pick(["$min", "$max"])]: make.date(0) }, "date"]],
      [1, () => [{ $count: {} }, "int"]],
      [1, () => [{ $stdDevPop: number() }, null]],
      [2, () => [{ $push: random.pick([number(), make.ascii(1), { p: make.number(0), q: make.text(0) }]) },
        shape.ordered ? null : "bag"]],
      [2, () => [{ $addToSet: random.pick([make.ascii(0), make.bool(1), { $mod: [{ $floor: make.number(0) }, 5] }]) }, "bag"]],
      [shape.ordered ? 3 : 0, () => [{ [random.pick(["$first", "$last"])]: number() }, "real"]],
      [shape.ordered ? 1 : 0, () => [{ [random.pick(["$first", "$last"])]: "$_id" }, null]],
    ])();
  }

  #sortByCount(shape) {
    const [id, idFields] = this.#groupId(shape);
    if (!isCountable(id)) return null;
    const after = Object.assign(new Shape(), {
      fields: { ...idFields, count: "int" }, key: groupKey(idFields), intact: [],
    });
    return [{ $sortByCount: id }, after];
  }

  #bucket(shape) {
    const random = this.#random;
    const paths = shape.paths(["int", "number"]).filter((path) => path !== "_id");
    if (paths.length === 0) return null;
    // Boundaries between the values there are: mingo puts a value on a boundary into the bucket
    // below it.
    const bounds = random.sample([-20, -8, -3, 0, 2, 4, 7, 10, 13, 16, 25], random.int(2, 5));
    const boundaries = bounds.sort((x, y) => x - y).map((bound) => bound + 0.125);
    const make = this.#exactExpressions(shape);
    const bucket = { groupBy: `$${random.pick(paths)}`, boundaries, default: random.pick(["other", -1000, 1000]) };
    bucket.output = { count: { $sum: 1 } };
    if (random.chance(0.6)) bucket.output.total = { $sum: make.number(1) };
    if (random.chance(0.3)) bucket.output.most = { $max: make.number(0) };
    const fields = { count: "int", ...(bucket.output.total && { total: "real" }) };
    const ordered = bucket.default !== -1000;
    return [{ $bucket: bucket }, Object.assign(new Shape(), { fields, key: ["_id"], ordered, intact: [] })];
  }

  #count(shape) {
    const made = Object.assign(new Shape(), { fields: { n: "int" }, key: null, ordered: true, intact: [], terminal: true });
    return [{ $count: "n" }, made];
  }

  // Order

  /** A sort by fields of the shape that ends with its key, so that the order is total. */
  #sort(shape) {
    const random = this.#random;
    if (shape.key === null) return null;
    const candidates = shape.paths([...SCALARS, "any"])
      .filter((path) => !shape.key.includes(path) && path !== "_id");
    const spec = {};
    for (const path of random.sample(candidates, random.int(0, 2))) spec[path] = random.pick([1, -1]);
    for (const path of shape.key) spec[path] = random.pick([1, 1, -1]);
    return [{ $sort: spec }, shape.with({ ordered: true })];
  }

  #limit({ shape, rows }) {
    return [{ $limit: this.#random.int(1, Math.max(1, Math.min(30, rows.length))) }, shape];
  }

  #skip({ shape, rows }) {
    return rows.length < 2 ? null : [{ $skip: this.#random.int(1, Math.ceil(rows.length / 2)) }, shape];
  }

  // Shapes

  #unwind(shape) {
    const random = this.#random;
    const arrays = ["nums", "tags", "refs", "items", "nested.y.w"].filter((path) => shape.fields[path]
      && this.#has(shape, path.split(".")[0]));
    const computed = shape.paths(["ints", "strings"]).filter((path) => !(path in BASE));
    if (arrays.length + computed.length === 0) return null;
    const path = random.pick([...arrays, ...computed]);
    const spec = { path: `$${path}` };
    const after = this.#unwound(shape, path);
    const index = random.chance(0.5);
    if (index) {
      spec.includeArrayIndex = this.#indexName(shape);
      after.fields[spec.includeArrayIndex] = "any";
    }
    if (random.chance(0.4)) spec.preserveNullAndEmptyArrays = random.chance(0.8);
    after.key = index && shape.key ? [...shape.key, spec.includeArrayIndex] : null;
    const short = Object.keys(spec).length === 1 && random.chance(0.7);
    return [{ $unwind: short ? spec.path : spec }, after];
  }

  #indexName(shape) {
    return shape.fields.at ? (shape.fields.at2 ? "at3" : "at2") : "at";
  }

  #unwound(shape, path) {
    const element = { ints: "real?", strings: "text?" }[shape.fields[path].replace("?", "")];
    const after = this.#drop(shape, path.split(".")[0]);
    after.key = shape.key;
    if (path === "items") {
      Object.assign(after.fields, { "items.qty": "int?", "items.price": "number?", "items.sku": "ascii?" });
    } else {
      after.fields[path] = path in BASE && element === "real?" ? "int?" : element;
      if (path === "tags") after.fields[path] = "ascii?";
    }
    return after;
  }

  #replaceRoot(shape) {
    const random = this.#random;
    const make = this.#expressions(shape);
    const made = { p: make.number(1), q: make.make(random.pick(["ascii", "text"]), 1), r: make.bool(1) };
    const fields = { p: "real", q: "text", r: "bool" };
    const root = { fields, key: null, ordered: shape.ordered, intact: [] };
    if (random.chance(0.6)) {
      made._id = "$_id";
      root.key = shape.key?.length === 1 && shape.key[0] === "_id" ? ["_id"] : null;
    }
    const after = Object.assign(new Shape(), root);
    if (random.chance(0.4) && this.#has(shape, "nested")) {
      const newRoot = { $mergeObjects: [{ $ifNull: ["$nested", {}] }, made] };
      return [this.#rootStage(newRoot), after];
    }
    return [this.#rootStage(made), after];
  }

  #rootStage(newRoot) {
    return this.#random.chance(0.7) ? { $replaceRoot: { newRoot } } : { $replaceWith: newRoot };
  }

  // Other collections

  #lookup({ shape, rows, collection }) {
    const random = this.#random;
    if (shape.used?.includes("joined")) return null;
    const from = random.pick(this.#collections.filter((name) => name !== collection));
    const after = shape.copy();
    after.used = [...(after.used ?? []), "joined"];
    // A pipeline runs once for every row; mingo takes its time over it.
    const byField = rows.length > 60 || random.chance(0.3);
    const stage = byField ? this.#joinByField(shape, from) : this.#joinByPipeline(shape, from);
    if (stage === null) return null;
    const sorted = stage.$lookup.pipeline?.some((inner) => inner.$sort) ?? false;
    if (!sorted) after.unordered.push("joined");
    after.fields.joined = "joined";
    return [stage, after];
  }

  #joinByField(shape, from) {
    const local = ["ref", "a", "refs", "nested.x", "code"].filter((path) => shape.fields[path] === BASE[path]);
    if (local.length === 0) return null;
    const localField = this.#random.pick(local);
    const foreignField = localField === "code" ? "code" : "_id";
    return { $lookup: { from, localField, foreignField, as: "joined" } };
  }

  #joinByPipeline(shape, from) {
    const random = this.#random;
    const make = this.#exactExpressions(shape);
    const numeric = random.chance(0.6);
    const value = numeric ? { $mod: [{ $abs: { $floor: make.number(0) } }, 21] } : make.ascii(0);
    const foreign = numeric ? "$a" : { $ifNull: [random.pick(["$code", "$nested.y.z"]), "none"] };
    const pipeline = [{ $match: { $expr: { $eq: [foreign, "$$wanted"] } } }];
    if (random.chance(0.5)) {
      pipeline.push({ $sort: { [random.pick(["c", "name", "big"])]: random.pick([1, -1]), _id: 1 } });
      pipeline.push({ $limit: random.int(1, 4) });
    }
    pipeline.push({ $project: { [random.pick(["a", "name", "flag"])]: 1, seen: { $concat: ["<", "$name", ">"] } } });
    return { $lookup: { from, let: { wanted: value }, pipeline, as: "joined" } };
  }

  #unionWith(shape) {
    const random = this.#random;
    const coll = random.pick(this.#collections);
    const documents = this.#oracle.documents(coll);
    const match = this.#match({ shape: new Shape(), rows: documents });
    if (match === null) return null;
    const kept = random.sample(this.#roots(shape).filter((root) => root in BASE), 4);
    if (kept.length === 0) return null;
    const pipeline = [match[0], { $project: Object.fromEntries(kept.map((root) => [root, 1])) }];
    const fields = Object.fromEntries(Object.entries(shape.fields).map(([path, type]) =>
      [path, `${type.replace("?", "")}?`]));
    return [{ $unionWith: { coll, pipeline } }, shape.with({ fields, key: null, ordered: false })];
  }

  // Facets

  #facet(state) {
    const random = this.#random;
    const facets = {};
    const unordered = [];
    for (const name of ["one", "two", "three"].slice(0, random.int(2, 3))) {
      const made = this.#facetPipeline(state);
      if (made === null) continue;
      facets[name] = made.pipeline;
      if (!made.ordered) unordered.push(name);
    }
    if (Object.keys(facets).length === 0) return null;
    const after = Object.assign(new Shape(), { fields: {}, key: null, ordered: true, unordered, intact: [], terminal: true });
    return [{ $facet: facets }, after];
  }

  #facetPipeline({ shape }) {
    const random = this.#random;
    const make = this.#exactExpressions(shape);
    const [id] = this.#groupId(shape);
    const group = { $group: { _id: id, n: { $sum: 1 }, total: { $sum: make.number(1) } } };
    const sort = this.#sort(shape);
    return random.weighted([
      [3, () => ({ pipeline: [group], ordered: false })],
      [2, () => ({ pipeline: [{ $count: "n" }], ordered: true })],
      [sort ? 3 : 0, () => ({
        pipeline: [sort[0], { $limit: random.int(1, 8) }, { $project: { x: projected(make.number(1)) } }],
        ordered: true,
      })],
      [1, () => (!isCountable(id) ? null : { pipeline: [{ $sortByCount: id }], ordered: false })],
    ])();
  }
}

const STORED_ROOTS = [...new Set(FIELDS.map(({ path }) => path.split(".")[0]))].filter((root) => root !== "_id");

/** In a $project a bare value would mean to keep or to drop the field. */
const projected = (value) =>
  (typeof value === "string" && value.startsWith("$")) || isExpression(value) ? value : { $literal: value };

const isExpression = (value) =>
  value !== null && typeof value === "object" && !(value instanceof Date) && !Array.isArray(value);

/** $sortByCount takes a path or an operator, no literal and no object of expressions. */
const isCountable = (id) =>
  typeof id === "string" ? id.startsWith("$") : isExpression(id) && Object.keys(id)[0].startsWith("$");

const groupKey = (fields) => ("_id" in fields ? ["_id"] : Object.keys(fields));

/** The kind (see FIELDS) of a computed field, or nothing when filters leave it alone. */
function kindOf(type) {
  const kinds = { int: "int", number: "number", real: "number", ascii: "string", text: "string", bool: "bool", date: "date", ints: "numbers", strings: "strings" };
  const kind = kinds[type.replace("?", "")];
  return kind === "numbers" ? null : kind;
}
