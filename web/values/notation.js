/**
 * Values in the notation of MongoDB's shell: JSON with unquoted keys, single quotes, a trailing
 * comma, comments, regular expressions, and calls such as `ISODate("…")`. The server accepts the
 * same notation in statements; here it is parsed to the values of `json.js`.
 */
import { Num, Reader, whole } from './json.js';

/** Calls that create a value, and the key of Extended JSON with the same meaning. */
const CALLS = {
  ISODate: '$date', Date: '$date', ObjectId: '$oid', ObjectID: '$oid', NumberLong: '$numberLong',
  Long: '$numberLong', NumberInt: '$numberInt', Int32: '$numberInt', NumberDecimal: '$numberDecimal',
  Decimal128: '$numberDecimal', Double: '$numberDouble', UUID: '$uuid', Int64: '$numberLong',
  Decimal: '$numberDecimal', Timestamp: '$timestamp', MinKey: '$minKey', MaxKey: '$maxKey', Code: '$code',
};
const ENDS = { MinKey: '$minKey', MaxKey: '$maxKey' };
const WORDS = { true: true, false: false, null: null };
const DOUBLES = ['Infinity', '-Infinity', 'NaN'];

const SPACE = /(?:[ \t\n\r]|\/\/[^\n]*|\/\*[^]*?\*\/)*/y;
const NAME = /[A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*/y;
const KEY = /[\w$\u0080-\uffff]+/y;
const NUMBER = /[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.$])/y;
const DOUBLE = /[+-]?Infinity(?![\w$])/y;
const QUOTED = /'(?:[^'\\\n]|\\[^])*'/y;
const REGEX = /\/((?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)\/(\w*)/y;
const REGEX_FLAGS = /^[imsx]*$/;
const FIRST_OF_NUMBER = /[-+.\d]/;

/** Parses one value; throws JsonError. */
export const parseNotation = (text) => whole(new NotationReader(text));

class NotationReader extends Reader {
  space() {
    this.take(SPACE);
    return this.text[this.at];
  }

  endsAfterComma(close) { return this.space() === close; }

  key() {
    const next = this.text[this.at];
    if (next === '"' || next === "'") return this.string();
    return this.take(KEY) ?? this.fail('Expected a key');
  }

  string() {
    if (this.text[this.at] === '"') return super.string();
    const start = this.at;
    const token = this.take(QUOTED) ?? this.fail('This string is never closed', start);
    const inner = token.slice(1, -1).replace(/\\'|"/g, (found) => (found === '"' ? '\\"' : "'"));
    try {
      return JSON.parse(`"${inner}"`);
    } catch {
      return this.fail('Unknown escape; write \\\\ for a backslash', start);
    }
  }

  value(depth) {
    const next = this.space();
    if (next === "'") return this.string();
    if (next === '/') return this.regex();
    if (next !== undefined && FIRST_OF_NUMBER.test(next)) return this.number();
    const start = this.at;
    let name = this.take(NAME);
    if (name === undefined) return super.value(depth);
    if (name === 'new') {
      this.space();
      name = this.take(NAME);
    }
    if (this.space() === '(') return this.call(name, start, depth);
    if (Object.hasOwn(WORDS, name)) return WORDS[name];
    if (Object.hasOwn(ENDS, name)) return new Map([[ENDS[name], new Num('1')]]);
    if (DOUBLES.includes(name)) return new Map([['$numberDouble', name]]);
    return this.fail(`Expected a value, not ${name}; put text in quotes`, start);
  }

  /** The number as JSON writes it: without a plus sign, with digits on both sides of the point. */
  number() {
    const start = this.at;
    const double = this.take(DOUBLE);
    if (double) return new Map([['$numberDouble', double.replace('+', '')]]);
    const token = this.take(NUMBER) ?? this.fail('This is not a number', start);
    const digits = token.replace(/^\+/, '').replace(/^(-?)\./, '$10.').replace(/\.(?!\d)/, '.0');
    if (/^-?0\d/.test(digits)) this.fail('A number cannot start with 0', start);
    return new Num(digits);
  }

  regex() {
    const start = this.at;
    const token = this.take(REGEX) ?? this.fail('This regular expression is never closed', start);
    const end = token.lastIndexOf('/');
    return this.pattern(token.slice(1, end).replaceAll('\\/', '/'), token.slice(end + 1), start);
  }

  pattern(text, flags, start) {
    if (!REGEX_FLAGS.test(flags)) this.fail('The flags of a regular expression are i, m, s and x', start);
    return new Map([['$regularExpression', new Map([['pattern', text], ['options', flags]])]]);
  }

  call(name, start, depth) {
    const items = [];
    this.list(')', () => items.push(this.value(depth + 1)));
    if (name === 'RegExp' && items.length && items.every((item) => typeof item === 'string')) {
      return this.pattern(items[0], items[1] ?? '', start);
    }
    if (!Object.hasOwn(CALLS, name)) this.fail(`${name} is unknown`, start);
    if (Object.hasOwn(ENDS, name) && !items.length) return new Map([[ENDS[name], new Num('1')]]);
    if (name === 'Timestamp' && items.length === 2) {
      return new Map([['$timestamp', new Map([['t', items[0]], ['i', items[1]]])]]);
    }
    if (name === 'Code' && items.length === 2) return new Map([['$code', items[0]], ['$scope', items[1]]]);
    if (items.length !== 1) this.fail(`${name} takes one value`, start);
    const text = items[0] instanceof Num && CALLS[name] !== '$date' ? items[0].text : items[0];
    return new Map([[CALLS[name], text]]);
  }
}
