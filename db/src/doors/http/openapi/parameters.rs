//! The parameters of calls: in the path, in the query and in the head.

use crate::config::WAIT_MS_MAX;
use crate::doors::http::describe::{Description, Effect};
use crate::doors::http::routes::Route;
use serde_json::{Map, Value, json};

pub(super) fn of_route(route: &Route, description: &Description) -> Vec<Value> {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<_> = in_path.map(|name| described("path", name, true)).collect();
    for name in &description.query {
        let plain = name.trim_end_matches('!');
        all.push(described("query", plain, plain != *name));
    }
    let (transaction, past) = (route.about.is_documents(), route.reads_documents());
    let reads = matches!(description.effect, Effect::Reads | Effect::ReadsOrWrites);
    let writes = matches!(description.effect, Effect::Writes | Effect::ReadsOrWrites);
    let knows = description.answers.iter().any(|answer| answer.status == 304);
    let further = [
        (transaction, &["tx"][..]),
        (past, &["at", "asOf"]),
        (reads, &["level", "index", "freshness"]),
        (reads || writes, &["extended_json"]),
        (!route.runs.is_here(), &["redirect", "noforward"]),
        (description.if_match, &["If-Match"]),
        (description.if_match || knows, &["If-None-Match"]),
        (writes || description.keyed, &["Idempotency-Key"]),
    ];
    let names = further.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, names)| names);
    let link = |name: &&str| json!({"$ref": format!("#/components/parameters/{name}")});
    all.extend(names.map(link));
    all
}

/// Parameters that many calls take, with the part of the request where they stand.
pub(super) const SHARED: [(&str, &str); 12] = [
    ("query", "tx"),
    ("query", "at"),
    ("query", "asOf"),
    ("query", "level"),
    ("query", "index"),
    ("query", "freshness"),
    ("query", "extended_json"),
    ("query", "redirect"),
    ("query", "noforward"),
    ("header", "If-Match"),
    ("header", "If-None-Match"),
    ("header", "Idempotency-Key"),
];

pub(super) fn shared() -> Map<String, Value> {
    let make = |(place, name): (&str, &str)| (name.to_owned(), described(place, name, false));
    SHARED.into_iter().map(make).collect()
}

fn described(place: &str, name: &str, required: bool) -> Value {
    let (description, schema) = parameter(name).unwrap_or_default();
    let mut parameter =
        json!({"name": name, "in": place, "required": required, "description": description});
    // An object in a query is JSON text.
    match schema["type"] == "object" {
        true => parameter["content"] = json!({"application/json": {"schema": schema}}),
        false => parameter["schema"] = schema,
    }
    parameter
}

/// All names of read levels.
fn level_names() -> Vec<&'static str> {
    use jettra_driver::ReadLevel;
    let others = ReadLevel::OTHER_NAMES.iter().map(|(other, _)| *other);
    ReadLevel::NAMES.into_iter().chain(others).collect()
}

/// `*`, or entity tags with commas between them.
const ETAGS: &str = "^(\\*|\"[0-9]{1,19}\"(, ?\"[0-9]{1,19}\")*)$";

/// What a parameter of a call about tasks is.
fn task_parameter(name: &str) -> Option<(&'static str, Value)> {
    use jettra_driver::wire::{TASK_KINDS, TaskState};
    Some(match name {
        "task" => (
            "The id of a task, such as `index-build-17`.",
            json!({"type": "string", "minLength": 1}),
        ),
        "state" => (
            "Only tasks in this state.",
            json!({"type": "string", "enum": TaskState::ALL.map(TaskState::name)}),
        ),
        "kind" => ("Only tasks of this kind.", json!({"type": "string", "enum": TASK_KINDS})),
        _ => return None,
    })
}

/// What a parameter of a call about groups, shards and nodes is.
fn group_parameter(name: &str) -> Option<(&'static str, Value)> {
    Some(match name {
        "group" => (
            "The number of a group; 0 is the system group.",
            json!({"type": "string", "pattern": "^[0-9]{1,9}$", "example": "3"}),
        ),
        "shard" => (
            "The name of a shard, made of the number of its group.",
            json!({"type": "string", "pattern": "^shard-[0-9]{2,9}$", "example": "shard-03"}),
        ),
        "timeout_ms" => (
            "Longest time to wait, in milliseconds; 0: that of any call.",
            json!({"type": "integer", "minimum": 0, "maximum": WAIT_MS_MAX}),
        ),
        "snapshot" => (
            "Whether each node keeps the directory of its replica, in `removed-groups`.",
            json!({"type": "boolean"}),
        ),
        "dry_run" => ("Whether only to say what would be done.", json!({"type": "boolean"})),
        "wait" => (
            "Waits until it is done: `ready` until a group serves, `stopped` until all its replicas are closed, `connected` until a node is.",
            json!({"type": "string", "enum": ["ready", "stopped", "connected"]}),
        ),
        "node" => ("The name or address of a node.", json!({"type": "string", "minLength": 1})),
        "drain" => (
            "Whether the replicas of the node go to others first; else a node that holds any is not removed.",
            json!({"type": "boolean"}),
        ),
        _ => return task_parameter(name),
    })
}

/// What a parameter of a path, a query or a head is, by its name, with its JSON Schema.
pub(super) fn parameter(name: &str) -> Option<(&'static str, Value)> {
    let text = || json!({"type": "string"});
    let name_of = || json!({"type": "string", "minLength": 1});
    let number = || json!({"type": "integer", "minimum": 0, "maximum": u64::MAX});
    Some(match name {
        "db" | "database" => ("The database.", name_of()),
        "col" | "collection" => ("The collection.", name_of()),
        "id" => (
            "The `_id` of the document, or the name of the user. A text that could be a number means either, the number first.",
            name_of(),
        ),
        "id_type" => (
            "What the text of `id` is: a string, an integer, an ObjectId, a UUID, or Extended JSON. Without it a text that could be a number means either, the number first.",
            json!({"type": "string", "enum": ["string", "int", "oid", "uuid", "json"]}),
        ),
        "name" => ("The name.", name_of()),
        "field" => ("The name of the index, or its fields with commas between them.", name_of()),
        "version" => (
            "A version, as the list of versions names it.",
            json!({"type": "string", "minLength": 1, "example": "17"}),
        ),
        "to" => ("The version to compare with; `current` when left out.", text()),
        "tx" => ("The transaction that the call belongs to.", name_of()),
        "txID" => ("The transaction.", text()),
        "filter" => ("Only documents that match this.", json!({"type": "object"})),
        "sort" => ("The order: `-age,name`, or JSON.", text()),
        "fields" => ("What of the documents is wanted: `name,-_id`, or JSON.", text()),
        "skip" | "offset" => ("Documents to leave out first.", number()),
        "limit" => ("How many at most; 100 when left out.", number()),
        "user" => ("The name of a user.", name_of()),
        "token" => ("The public part of a token, as the list of tokens names it.", name_of()),
        "action" => ("Only what was done of this kind, such as `login`.", text()),
        "before" => (
            "Only what came before: the `next` of the page before, one number for each group as `17,40@3`.",
            text(),
        ),
        "cursor" => ("The cursor of the page before.", text()),
        "hint" => ("Name of the index to use, its fields as JSON, or `$natural`.", text()),
        "explain" => (
            "Asks for the plan instead of the documents.",
            json!({"type": "string", "enum": ["queryPlanner", "executionStats"]}),
        ),
        "confirm" => (
            "Refuses the call, with their number, when it would change or delete all documents or more than a handful.",
            json!({"type": "string", "enum": ["ask"]}),
        ),
        "content" => (
            "Which content of a change is delivered.",
            json!({"type": "string", "enum": ["document", "delta", "both"]}),
        ),
        "after" => ("The token behind which the feed begins; now when left out.", text()),
        "at" => (
            "Reads the collection as it was at this log index.",
            json!({"type": "string", "pattern": "^[0-9]{1,19}$", "example": "17"}),
        ),
        "asOf" => {
            ("Reads the collection as it was at this time, such as `2026-01-31T12:00:00Z`.", text())
        }
        "level" => (
            "How fresh the answer must be; `session` and `bounded` need `index` and `freshness`. \
             Other names: `strong` for `linearizable`, `weak` for `leader`, `none`, `serializable` and \
             `stale` for `local`.",
            json!({"type": "string", "enum": level_names()}),
        ),
        "index" => ("With `level=session`: the `X-Jettra-Index` of earlier answers.", text()),
        "freshness" => (
            "With `level=bounded`: how old the answer may be, such as `500ms`, `2s` or `1m`.",
            text(),
        ),
        "extended_json" => (
            "The form of Extended JSON that values of documents come in: in canonical form every number says its type.",
            json!({"type": "string", "enum": ["relaxed", "canonical"]}),
        ),
        "key" => ("The key.", text()),
        "noforward" => {
            ("Is refused (503 `not_leader`) instead of being forwarded to the leader.", text())
        }
        "redirect" => ("Asks for the leader's address (307) instead of being forwarded.", text()),
        _ => return header(name),
    })
}

/// As `parameter`, for what stands in the head of a call.
fn header(name: &str) -> Option<(&'static str, Value)> {
    let etags = || json!({"type": "string", "pattern": ETAGS});
    Some(match name {
        "If-Match" => (
            "The `ETag` of the revision that is to be changed, a list of several, or `*` for any: the document must exist.",
            etags(),
        ),
        "If-None-Match" => (
            "For a reader the `ETag` that it has: 304 when that is the revision still. For a writer `*`: the document must not exist.",
            etags(),
        ),
        "Idempotency-Key" => (
            "A key under which the call is made exactly once, however often it is repeated.",
            json!({"type": "string", "pattern": "^[!-~]{1,200}$"}),
        ),
        _ => return group_parameter(name),
    })
}
