"""Gives the calls that Schemathesis invents a meaning: a JSON Schema cannot say what a query is,
and of random ones not a single one would reach the planner."""

import zlib

import schemathesis

# Parameters of which a random value fails: most calls go without.
RARE = ("tx", "at", "asOf", "level", "index", "freshness", "redirect")

VALUES = {
    "filter": [
        {},
        {"n": {"$gt": 1}},
        {"_id": 1},
        {"name": {"$regex": "^b"}},
        {"$or": [{"n": 1}, {"n": 2}]},
        {"$expr": {"$gt": ["$n", 1]}},
    ],
    "update": [
        {"$inc": {"n": 1}},
        {"$set": {"a.b": [1, "x"]}},
        {"$unset": {"a": 1}},
        {"$push": {"list": 1}},
        [{"$set": {"m": {"$add": ["$n", 1]}}}],
    ],
    "pipeline": [
        [{"$match": {"n": {"$gt": 1}}}],
        [{"$group": {"_id": "$name", "sum": {"$sum": "$n"}}}],
        [{"$unwind": "$list"}, {"$sort": {"n": -1}}, {"$limit": 2}],
        [{"$out": "made"}],
        [{"$merge": {"into": "made"}}],
    ],
    "sort": [{"n": 1}, "-n", {"_id": -1}],
    "projection": [{"n": 1}, "name,-_id", {"n": 0}],
    "hint": ["$natural", {"_id": 1}],
    "field": ["n", "name", "a.b"],
    "replacement": [{"n": 9}, {}],
    "document": [{"n": 4}, {"_id": 1, "n": 5}],
    "keys": [{"n": 1}, {"name": -1, "n": 1}],
    "schema": [{"type": "object"}, {"properties": {"n": {"type": "number"}}}],
    "definition": [{"name": "string"}],
    "role": ["admin", "owner", "writereader", "reader"],
    "allowed_dbs": [["*"], ["shop"]],
    "databases": [["shop"]],
    "grants": [{"shop": "reader"}],
    "password": ["a fine long password"],
    "command": [
        "SELECT * FROM stock WHERE n > 1",
        "INSERT INTO stock (n) VALUES (7)",
        "UPDATE stock SET n = 8 WHERE n = 7",
        "DELETE FROM stock WHERE n = 8",
        "EXPLAIN SELECT * FROM stock",
        "db.stock.find({n: 1})",
        "db.stock.aggregate([{$group: {_id: '$name'}}])",
    ],
}

# What the other calls need stays: the data, and the user that makes them.
KEPT = ("shop", "stock", "made", "admin")
TAKES_AWAY = (
    ("DELETE", "/api/dbs"),
    ("DELETE", "/api/cols"),
    ("POST", "/api/dbs/rename"),
    ("POST", "/api/cols/rename"),
    ("DELETE", "/api/users"),
    ("PATCH", "/api/v1/users/{user}"),
    ("DELETE", "/api/v1/users/{user}"),
)


def number(value):
    """A number that looks random and is the same in every run."""
    return zlib.crc32(repr(value).encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    if (case.method.upper(), case.path) in TAKES_AWAY:
        for part in (case.path_parameters, case.query, case.body):
            for name in ("name", "collection", "id", "user", "oldName"):
                if isinstance(part, dict) and part.get(name) in KEPT:
                    part[name] = "spare"


def meaningful(value, seed):
    if isinstance(value, list):
        return [meaningful(item, seed >> 2) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for at, (name, part) in enumerate(value.items()):
        known = VALUES.get(name)
        # Some stay as they are: nonsense is to be refused too.
        if known and (seed + at) % 4:
            result[name] = known[(seed >> 3) % len(known)]
        else:
            result[name] = meaningful(part, seed >> 1)
    return result


@schemathesis.hook
def map_query(context, query):
    if not query:
        return query
    if number(query) % 4:
        query = {name: value for name, value in query.items() if name not in RARE}
    return query


@schemathesis.hook
def map_body(context, body):
    return meaningful(body, number(body))
