/** The differences between two parsed documents. Pure. */
import { Num } from './json.js';

/**
 * The fields that differ, as `{path, kind, before, after}` with `kind` `added`, `changed` or
 * `removed`. Objects are compared field by field, arrays as a whole; null stands for no document.
 */
export function differences(before, after) {
  const found = [];
  compare(before ?? new Map(), after ?? new Map(), [], found);
  return found;
}

function compare(before, after, path, found) {
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(key), after.get(key)];
    const here = [...path, key];
    if (old instanceof Map && now instanceof Map) compare(old, now, here, found);
    else if (!same(old, now)) found.push({ path: here.join('.'), kind: kindOf(old, now), before: old, after: now });
  }
}

function kindOf(before, after) {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

/** Whether two values are equal, regardless of the order of keys. */
function same(a, b) {
  if (a instanceof Num && b instanceof Num) return a.text === b.text;
  if (a instanceof Map && b instanceof Map) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && same(value, b.get(key)));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, at) => same(value, b[at]));
  }
  return a === b;
}
