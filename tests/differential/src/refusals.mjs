// Requests that both MongoDB and mingo refuse.

const FIND = [
  { filter: { a: { $foo: 1 } } },
  { filter: { $foo: [] } },
  { filter: { $and: { a: 1 } } },
  { filter: { $or: "x" } },
  { filter: { name: { $regex: "(" } } },
  { filter: { $expr: { $foo: 1 } } },
  { filter: { $expr: { $add: ["$name", 1] } } },
  { filter: {}, projection: { a: 1, b: 0 } },
  { filter: {}, projection: { nested: 1, "nested.x": 1 } },
];

const AGGREGATE = [
  [{ $foo: {} }],
  [{ $match: {}, $limit: 1 }],
  [{ $group: { n: { $sum: 1 } } }],
  [{ $group: { _id: null, n: { $foo: 1 } } }],
  [{ $project: { a: 1, b: 0 } }],
  [{ $addFields: { x: { $foo: 1 } } }],
  [{ $addFields: { x: { $divide: ["$a", 0] } } }],
  [{ $addFields: { x: { $add: ["$name", 1] } } }],
  [{ $addFields: { x: { $multiply: ["$name", 2] } } }],
  [{ $addFields: { x: { $concat: ["$a", "b"] } } }],
  [{ $addFields: { x: { $toInt: "$name" } } }],
  [{ $addFields: { x: { $size: "$a" } } }],
  [{ $addFields: { x: { $sqrt: -4 } } }],
  [{ $addFields: { x: "$$nobody" } }],
  [{ $addFields: { x: { $cond: [true, 1] } } }],
  [{ $addFields: { x: { $map: { input: "$a", as: "each", in: 1 } } } }],
  [{ $count: "" }],
  [{ $count: "$n" }],
  [{ $replaceRoot: { newRoot: "$a" } }],
  [{ $bucket: { groupBy: "$a", boundaries: [5, 1] } }],
  [{ $bucket: { groupBy: "$a", boundaries: [100, 101] } }],
  [{ $sort: {} }],
];

const UPDATE = [
  { update: { $foo: { a: 1 } } },
  { update: { $inc: { a: "x" } } },
  { update: { $mul: { a: "x" } } },
  { update: { $set: { a: 1 }, $inc: { a: 1 } } },
  { update: { $set: { nested: {}, "nested.x": 2 } } },
  { update: { $set: { _id: "another" } } },
  { update: { $unset: { _id: "" } } },
  { update: { $push: { tags: { $each: 5 } } } },
  { update: { $push: { tags: { $each: ["a"], $slice: "x" } } } },
  { update: { $addToSet: { tags: { $each: 5 } } } },
  { update: { $pop: { tags: 2 } } },
  { update: { $pullAll: { nums: 5 } } },
  { update: { $rename: { a: 5 } } },
  { update: { $rename: { a: "_id" } } },
  { update: { $set: { "nums.$": 1 } } },
  { update: { $set: { "nums.$[x]": 1 } } },
  { update: [{ $group: { _id: null } }] },
];

/** A request of every kind that must fail, as the case without its collection. */
export const REFUSALS = [
  ...FIND.map((request) => ({ kind: "find", ...request })),
  ...AGGREGATE.map((pipeline) => ({ kind: "aggregate", pipeline })),
  ...UPDATE.map((request) => ({ kind: "update", ...request })),
];
