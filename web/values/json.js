/**
 * JSON that keeps what JSON.parse loses: the text of numbers (64-bit integers do not fit
 * a JavaScript number), the order of keys, and the position of a syntax error.
 * Objects become Map, numbers become Num; all else is as in JSON.parse.
 */

/** A number exactly as it was written. */
export class Num {
  constructor(text) { this.text = text; }
  toString() { return this.text; }
}

/** A syntax error in a JSON text; `line` and `column` count from 1. */
export class JsonError extends Error {
  constructor(problem, text, position) {
    const before = text.slice(0, position).split('\n');
    super(problem);
    this.position = position;
    this.line = before.length;
    this.column = before.at(-1).length + 1;
  }
}

const DEPTH_MAX = 512; // well below a stack overflow
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const STRING_BODY = /[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*/y;
const WORDS = { true: true, false: false, null: null };

/** Parses one JSON value; throws JsonError. Duplicate keys are refused, as by the server. */
export const parse = (text) => whole(new Reader(text));

/** Reads one value, which must be the whole text of `reader`. */
export function whole(reader) {
  const value = reader.value(0);
  reader.space();
  if (reader.at < reader.text.length) reader.fail('Nothing may follow the end of the document');
  return value;
}

/** Reads JSON from left to right; `notation.js` extends it. */
export class Reader {
  constructor(text) { this.text = text; this.at = 0; }

  fail(problem, at = this.at) { throw new JsonError(problem, this.text, at); }

  take(pattern) {
    pattern.lastIndex = this.at;
    const token = pattern.exec(this.text)?.[0];
    if (token !== undefined) this.at += token.length;
    return token;
  }

  /** Skips white space and returns the next character, undefined at the end. */
  space() {
    this.take(SPACE);
    return this.text[this.at];
  }

  value(depth) {
    if (depth > DEPTH_MAX) this.fail(`More than ${DEPTH_MAX} levels of nesting`);
    const next = this.space();
    if (next === '{') return this.object(depth + 1);
    if (next === '[') return this.array(depth + 1);
    if (next === '"') return this.string();
    const word = this.take(WORD);
    if (word) return WORDS[word];
    const number = this.take(NUMBER);
    if (number) return new Num(number);
    return this.fail(next === undefined ? 'Expected a value, not the end of the text'
      : next === "'" ? 'Strings need double quotes' : `Expected a value, not ${next}`);
  }

  string() {
    const start = this.at++;
    this.take(STRING_BODY);
    const end = this.text[this.at];
    if (end === undefined) this.fail('This string is never closed', start);
    if (end === '\\') this.fail('Unknown escape; write \\\\ for a backslash');
    if (end !== '"') this.fail('Line breaks and tabs in a string are written as \\n and \\t');
    this.at++;
    return JSON.parse(this.text.slice(start, this.at));
  }

  array(depth) {
    const items = [];
    this.list(']', () => items.push(this.value(depth)));
    return items;
  }

  object(depth) {
    const fields = new Map();
    this.list('}', () => this.field(fields, depth));
    return fields;
  }

  key() {
    if (this.text[this.at] !== '"') this.fail('Expected a key in double quotes');
    return this.string();
  }

  field(fields, depth) {
    const start = this.at;
    const key = this.key();
    if (fields.has(key)) this.fail(`The key "${key}" is used twice`, start);
    if (this.space() !== ':') this.fail(`Expected : after the key "${key}"`);
    this.at++;
    fields.set(key, this.value(depth));
  }

  /** JSON has no comma after the last item. */
  endsAfterComma() { return false; }

  list(close, item) {
    this.at++;
    if (this.space() === close) return void this.at++;
    for (;;) {
      this.space();
      item();
      const next = this.space();
      if (next !== ',' && next !== close) this.fail(`Expected , or ${close}`);
      this.at++;
      if (next === close) return;
      if (this.endsAfterComma(close)) return void this.at++;
    }
  }
}

/** Writes a parsed value with `indent` spaces per level, 0 for one line. */
export function stringify(value, indent = 0, margin = '\n') {
  if (value instanceof Num) return value.text;
  const isMap = value instanceof Map;
  if (!isMap && !Array.isArray(value)) return JSON.stringify(value);
  const colon = indent ? ': ' : ':';
  const inner = indent ? margin + ' '.repeat(indent) : '';
  const parts = isMap
    ? [...value].map(([key, v]) => JSON.stringify(key) + colon + stringify(v, indent, inner))
    : value.map((v) => stringify(v, indent, inner));
  const [open, close] = isMap ? '{}' : '[]';
  if (!parts.length) return open + close;
  return open + inner + parts.join(`,${inner}`) + (indent ? margin : '') + close;
}

/** Whether the text of a number shows its type, by the name that the type has in Extended JSON. */
const PLAIN = new Map([
  ['$numberInt', () => true],
  ['$numberDouble', isFinite],
  ['$numberLong', (text) => Number(text) !== (text | 0)],
]);

/**
 * Canonical Extended JSON as a person edits it: numbers are plain where their text says their type,
 * and dates are texts. A 64-bit integer that would fit 32 bits stays `{"$numberLong": "5"}`.
 */
export function typed(value) {
  if (Array.isArray(value)) return value.map(typed);
  if (!(value instanceof Map)) return value;
  const [[name, inner] = []] = value;
  if (value.size === 1 && PLAIN.get(name)?.(inner)) return new Num(inner);
  if (value.size === 1 && name === '$date') return new Map([[name, dateText(inner)]]);
  return new Map([...value].map(([key, v]) => [key, typed(v)]));
}

/** The milliseconds of a date as a text; as they are outside of the years that have one. */
function dateText(ms) {
  const date = new Date(Number(ms.get('$numberLong')));
  return date.getUTCFullYear() >= 1970 && date.getUTCFullYear() <= 9999
    ? date.toISOString().replace('.000Z', 'Z') : ms;
}

const INTEGER = /^-?\d{1,18}$/;
const NO_PART_OF_AN_ADDRESS = ['', '.', '..'];

/**
 * The id of a parsed document: its text and its type in an address, an integer, a string, or any
 * other value as Extended JSON.
 */
export function idOf(document) {
  const id = document.get('_id');
  if (id instanceof Num && INTEGER.test(id.text)) return { text: id.text, type: 'int' };
  if (typeof id === 'string' && !NO_PART_OF_AN_ADDRESS.includes(id)) return { text: id, type: 'string' };
  return { text: stringify(id, 0), type: 'json' };
}
