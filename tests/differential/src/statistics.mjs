/** Counts of what was generated, for a person to see that the cases are worth their time. */
export class Statistics {
  #kinds = new Map();
  #shares = new Map();
  #answers = new Map();
  #operators = new Map();

  add({ line, matched, of }) {
    const kind = line.error ? `${line.kind} (refused)` : line.kind;
    count(this.#kinds, kind);
    if (of !== undefined) count(this.#shares, `${line.kind}: ${shareBand(matched / of)}`);
    if (line.kind === "aggregate" && !line.error) {
      count(this.#answers, `${line.pipeline.length} stages`);
      count(this.#answers, `rows: ${rowsBand(line.expect.length)}`);
      count(this.#answers, line.ordered ? "ordered" : "unordered");
    }
    for (const part of [line.filter, line.update, line.pipeline, line.projection]) this.#look(part);
  }

  #look(value) {
    if (value === null || typeof value !== "object" || value instanceof Date) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key.startsWith("$")) count(this.#operators, key);
      this.#look(inner);
    }
  }

  report() {
    return [
      section("cases", this.#kinds),
      section("documents a filter takes", this.#shares),
      section("pipelines", this.#answers),
      `operators (${this.#operators.size})\n  ${sorted(this.#operators).map(([name, n]) => `${name} ${n}`).join(", ")}\n`,
    ].join("");
  }
}

const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
const sorted = (map) => [...map].sort(([x], [y]) => (x < y ? -1 : 1));
const section = (title, map) =>
  `${title}\n${sorted(map).map(([key, n]) => `  ${String(n).padStart(5)}  ${key}\n`).join("")}`;

function shareBand(share) {
  if (share === 0) return "none";
  if (share < 0.01) return "under 1 %";
  return share <= 0.9 ? "1 to 90 %" : "over 90 %";
}

function rowsBand(rows) {
  if (rows === 0) return "none";
  return rows <= 5 ? "1 to 5" : rows <= 40 ? "6 to 40" : "over 40";
}
