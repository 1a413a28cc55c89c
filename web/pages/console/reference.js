/** A short reference of the three languages; a click puts an example into the input. */
import { html } from '../../vendor/lit-html.js';

const LANGUAGES = {
  JQL: [
    ['FIND IN people WHERE age >= 18 ORDER BY name LIMIT 10', 'finds documents'],
    ['FIND IN people {age: {$gt: 30}}', 'finds documents by a MongoDB filter'],
    ['INSERT INTO people DOC {name: "Ada", age: 36}', 'inserts a document'],
    ['UPDATE IN people SET city = "Berlin" WHERE name = "Ada"', 'updates matching documents'],
    ['DELETE FROM people WHERE name = "Ada"', 'deletes matching documents'],
    ['AGGREGATE IN people PIPELINE [{$group: {_id: "$city", n: {$sum: 1}}}]', 'runs a pipeline'],
    ['CREATE INDEX ON people (city) UNIQUE', 'creates an index'],
    ['SHOW INDEXES ON people', 'lists indexes'],
    ['SHOW COLLECTIONS', 'lists collections'],
    ['EXPLAIN ANALYZE FIND IN people WHERE age > 30', 'shows the plan of a statement'],
  ],
  SQL: [
    ['SELECT name, age FROM people WHERE age > 30 ORDER BY age DESC LIMIT 10', 'finds documents'],
    ['SELECT city, COUNT(*) AS n FROM people GROUP BY city ORDER BY n DESC', 'groups documents'],
    ["INSERT INTO people (name, age) VALUES ('Ada', 36)", 'inserts a document'],
    ["UPDATE people SET age = 37 WHERE name = 'Ada'", 'updates matching documents'],
    ["DELETE FROM people WHERE name = 'Ada'", 'deletes matching documents'],
  ],
  MongoDB: [
    ['db.people.find({age: {$gt: 30}}).sort({age: -1}).limit(10)', 'finds documents'],
    ['db.people.aggregate([{$group: {_id: "$city", n: {$sum: 1}}}])', 'runs a pipeline'],
    ['db.people.insertOne({name: "Ada", age: 36})', 'inserts a document'],
    ['db.people.updateMany({name: "Ada"}, {$set: {age: 37}})', 'updates matching documents'],
    ['db.people.deleteMany({name: "Ada"})', 'deletes matching documents'],
    ['db.people.createIndex({city: 1}, {unique: true})', 'creates an index'],
    ['db.people.countDocuments({city: "Berlin"})', 'counts matching documents'],
    ['db.people.distinct("city")', 'lists the distinct values of a field'],
  ],
};

/** `use(text)` puts an example into the input. */
export const reference = (use) => html`<section aria-labelledby="reference-title">
  <h2 id="reference-title">Reference</h2>
  ${Object.entries(LANGUAGES).map(([language, examples], at) => html`
    <details class="reference" ?open=${at === 0} data-testid="reference-${language.toLowerCase()}">
      <summary>${language}</summary><ul>${examples.map(([text, meaning]) => html`
        <li><span class="muted">${meaning}</span>
          <button type="button" class="statement" data-testid="reference-example"
            @click=${() => use(text)}>${text}</button></li>`)}</ul></details>`)}</section>`;
