// mingo, with the few corrections listed in README.md ("Corrected after mingo").
import mingo from "mingo";

export const isDate = (value) => value instanceof Date;
const isPlain = (value) => value !== null && typeof value === "object" && !isDate(value);

/** A deep copy without undefined members: mingo writes those where MongoDB has no field. */
export function clean(value) {
  if (value === undefined) return null;
  if (isDate(value)) return new Date(value);
  if (Array.isArray(value)) return Array.from(value, clean);
  if (!isPlain(value)) return value;
  const made = {};
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined) made[key] = clean(value[key]);
  }
  return made;
}

/** Relaxed Extended JSON: of our types only dates need a wrapper. */
export function toExtended(value) {
  if (isDate(value)) return { $date: value.toISOString().replace(".000Z", "Z") };
  if (Array.isArray(value)) return Array.from(value, (item) => toExtended(item ?? null));
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new Error(`a number JSON cannot write: ${value}`);
  }
  if (!isPlain(value)) return value;
  const made = {};
  for (const key of Object.keys(value)) {
    if (value[key] !== undefined) made[key] = toExtended(value[key]);
  }
  return made;
}

/** Stages whose answer is some of their documents, untouched. */
const SELECTING = new Set(["$match", "$sort", "$limit", "$skip"]);
/** Stages that read their documents only; the others may change them in place. */
const GATHERING = new Set(["$group", "$sortByCount", "$bucket", "$count", "$lookup", "$replaceRoot", "$replaceWith"]);

export class Oracle {
  #collections;
  #options;

  /** `collections`: name → documents. They stay as they are: mingo changes only copies. */
  constructor(collections) {
    this.#collections = collections;
    this.#options = { collectionResolver: (name) => collections.get(name) };
  }

  documents(collection) {
    return this.#collections.get(collection);
  }

  /** The documents that match, not copied. */
  matching(documents, filter) {
    const query = new mingo.Query(clean(filter), this.#options);
    return documents.filter((document) => query.test(document));
  }

  find(collection, { filter, sort, projection, skip, limit }) {
    const cursor = mingo.find(this.documents(collection).slice(), clean(filter), {}, this.#options);
    if (sort) cursor.sort(sort);
    if (skip !== undefined) cursor.skip(skip);
    if (limit !== undefined) cursor.limit(limit);
    const found = clean(cursor.all());
    return projection ? clean(mingo.find(found, {}, clean(projection), this.#options).all()) : found;
  }

  /** One stage over `documents`, which stay as they were. */
  stage(documents, stage) {
    const operator = Object.keys(stage)[0];
    if (operator === "$count" && documents.length === 0) return [];
    if (operator === "$facet") return [this.#facet(documents, stage.$facet)];
    if (SELECTING.has(operator)) return mingo.aggregate(documents.slice(), [stage], this.#options);
    const input = GATHERING.has(operator) ? documents.slice() : clean(documents);
    const output = clean(mingo.aggregate(input, [clean(stage)], this.#options));
    if (operator === "$bucket") return output.filter((bucket) => bucket.count > 0);
    if (operator === "$lookup") return output.map((row) => withoutHoles(row, stage.$lookup.as));
    return output;
  }

  /** A whole pipeline in one call, for the cases that must fail. */
  aggregate(collection, pipeline) {
    return mingo.aggregate(clean(this.documents(collection)), clean(pipeline), this.#options);
  }

  /** A pipeline stage by stage, each over clean documents. */
  run(documents, pipeline) {
    return pipeline.reduce((rows, stage) => this.stage(rows, stage), documents);
  }

  /** The document after `update`, and whether the filter matched it. */
  update(document, { filter, update, arrayFilters }) {
    const documents = [clean(document)];
    const { matchedCount } = mingo.updateOne(documents, clean(filter), clean(update),
      { arrayFilters: clean(arrayFilters ?? []), cloneMode: "deep" }, this.#options);
    return { document: clean(documents[0]), matched: matchedCount === 1 };
  }

  /** The different values of `field`, array elements one by one; never for fields with null. */
  distinct(collection, field, filter) {
    const root = field.split(".")[0];
    const unwinds = [...new Set([root, field])].map((path) => ({ $unwind: `$${path}` }));
    const pipeline = [{ $match: filter }, ...unwinds, { $group: { _id: `$${field}` } }];
    return this.run(this.documents(collection), pipeline).map((row) => row._id);
  }

  #facet(documents, facets) {
    const made = {};
    for (const [name, pipeline] of Object.entries(facets)) {
      made[name] = this.run(documents, pipeline);
    }
    return made;
  }
}

function withoutHoles(row, field) {
  return { ...row, [field]: row[field].filter((joined) => joined !== null) };
}
