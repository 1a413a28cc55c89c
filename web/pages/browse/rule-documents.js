/**
 * The rules of a database: the documents of its `_rules` collection, each
 * `{"<collection>": [{"<field>": {"type": …}}]}`. They are read and written as parsed documents
 * (see `json.js`), so unknown parts stay as they are.
 */
import { RULES, documents } from '../../api/calls.js';
import { Num, idOf, parse, stringify } from '../../values/json.js';

/** All documents of `_rules`; none if the collection does not exist. */
export async function ruleDocuments(db, level) {
  const found = [];
  let cursor;
  do {
    const page = await readPage(db, level, cursor);
    found.push(...page.get('documents'));
    cursor = page.get('cursor');
  } while (cursor);
  return found;
}

async function readPage(db, level, cursor) {
  try {
    return parse(await documents.find(db, RULES, level, JSON.stringify({ cursor })));
  } catch (error) {
    if (error.code === 'collection_not_found') return new Map([['documents', []]]);
    throw error;
  }
}

/** The rules in the documents: `{id, col, at, field, rule}`, with the id of the document and the index in its list. */
export function rulesIn(ruleDocs) {
  const rules = [];
  for (const document of ruleDocs) {
    for (const [col, list] of document) {
      if (col.startsWith('_') || !Array.isArray(list)) continue;
      list.forEach((entry, at) => {
        if (!(entry instanceof Map)) return;
        for (const [field, rule] of entry) rules.push({ id: idOf(document), col, at, field, rule });
      });
    }
  }
  return rules;
}

const isObject = (value) => value instanceof Map;
/** A part of a rule, which may also be inside its value. */
const part = (rule, key) => [rule, rule.get('value')].filter(isObject).find((object) => object.has(key))?.get(key);
const shown = (value) => (typeof value === 'string' ? value : stringify(value ?? null));

const DESCRIPTIONS = {
  not_null: () => 'present and not null',
  not_empty: () => 'present and not empty',
  non_negative: () => 'at least 0',
  min_value: (rule) => `at least ${shown(rule.get('value'))}`,
  max_value: (rule) => `at most ${shown(rule.get('value'))}`,
  range: (rule) => `from ${[rule.get('value')].flat().map(shown).join(' to ').replace(',', ' to ')}`,
  referenced: (rule) =>
    `the ${shown(part(rule, 'externalfield'))} of a document of ${shown(part(rule, 'collectionreferenced'))}`,
};
const SAME = { notnull: 'not_null', notempty: 'not_empty' };

/** What the field must be, in words. */
export function describe(rule) {
  if (!isObject(rule)) return stringify(rule);
  const word = String(rule.get('type') === 'validation' ? rule.get('value') : rule.get('type'));
  const type = SAME[word] ?? word;
  return Object.hasOwn(DESCRIPTIONS, type) ? DESCRIPTIONS[type](rule) : stringify(rule);
}

/** The collection that a rule refers to; undefined if it is of another type. */
export const targetOf = (rule) =>
  (isObject(rule) && rule.get('type') === 'referenced' ? part(rule, 'collectionreferenced') : undefined);

/** Adds a rule to the document that has the rules of the collection, or to a new one. */
export async function storeRule({ db, col }, field, rule, ruleDocs) {
  const entry = new Map([[field, rule]]);
  const home = ruleDocs.find((document) => Array.isArray(document.get(col)))
    ?? ruleDocs.find((document) => document.get('_id') === col);
  if (!home) return documents.insert(db, RULES, stringify(new Map([['_id', col], [col, [entry]]])));
  return change(db, idOf(home), (document) => document.set(col, [...document.get(col) ?? [], entry]));
}

/** Deletes a rule, and the document with its last rule if nothing else is in it. */
export const deleteRule = (db, { id, col, at, field, rule }) => change(db, id, (document) => {
  const entry = document.get(col)?.[at];
  if (!isObject(entry) || stringify(entry.get(field) ?? null) !== stringify(rule)) {
    throw new Error('The rules were changed meanwhile. Close this dialog and reload them.');
  }
  entry.delete(field);
  document.set(col, document.get(col).filter((other) => !isObject(other) || other.size));
  if (!document.get(col).length) document.delete(col);
});

async function change(db, id, edit) {
  const { text, etag } = await documents.get(db, RULES, id);
  const document = parse(text);
  edit(document);
  const isEmpty = [...document.keys()].every((key) => key === '_id');
  return isEmpty ? documents.delete(db, RULES, id, etag) : documents.save(db, RULES, id, stringify(document), etag);
}

/** The typed number; throws if the text is not a number. */
export function numberOf(text, label) {
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text.trim())) return new Num(text.trim());
  throw new Error(`${label} must be a number such as 18 or 0.5.`);
}
