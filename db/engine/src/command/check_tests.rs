use super::*;
use crate::command::{Mutation, Put, PutMode, Returning, WriteLimits};
use crate::id::DocumentId;
use crate::namespace::Namespace;

const LIMITS: WriteLimits = WriteLimits {
    documents_max: 10,
    document_bytes_max: 1 << 20,
    depth_max: 64,
    memory_max: 1 << 20,
    steps_max: 1 << 20,
    written_max: 1 << 30,
};

fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

fn check(command: Command) -> std::result::Result<(), Kind> {
    Proposal::from(command).check().map_err(|error| error.kind)
}

fn put(body: &str) -> Command {
    Command::Put(Put {
        namespace: Namespace::new("shop", "people"),
        target: DocumentId::from(1).into(),
        body: body.into(),
        mode: PutMode::Upsert,
        if_match: None,
        create_database: false,
    })
}

fn write(operation: Operation) -> Command {
    Command::Write(Box::new(Write {
        namespace: Namespace::new("shop", "people"),
        create_database: false,
        operations: vec![operation],
        ordered: true,
        time_ms: 0,
        limits: LIMITS,
    }))
}

fn delete(filter: &str) -> Command {
    let select = Select::Filter { filter: filter.into(), sort: None, hint: None };
    write(Operation::Delete { select, multi: true, returning: Returning::Nothing })
}

fn modify(mutation: Mutation) -> Command {
    let select = Select::Filter { filter: "{}".into(), sort: None, hint: None };
    let (multi, upsert, returning) = (false, None, Returning::Nothing);
    write(Operation::Modify { select, mutation, multi, upsert, returning })
}

#[test]
fn what_apply_could_not_read_is_refused_before_it_is_proposed() {
    let deep = nested(200);
    let update = |text: &str| modify(Mutation::Update { update: text.into(), array_filters: None });
    let index = |partial: &str| Command::CreateIndex {
        namespace: Namespace::new("shop", "people"),
        spec: IndexSpec {
            name: "a_1".into(),
            fields: vec![("a".into(), false)],
            unique: false,
            sparse: false,
            partial: Some(partial.into()),
            expire_after: None,
            sequential: false,
        },
    };
    for (command, expected) in [
        (put(r#"{"a":1}"#), Ok(())),
        (put(r#"{"a":"[[[{{{\"["}"#), Ok(())),
        (put(&deep), Err(Kind::TooDeep)),
        (put("1"), Err(Kind::InvalidJson)),
        (delete(r#"{"a":1}"#), Ok(())),
        (delete(&deep), Err(Kind::InvalidQuery)),
        (delete("{"), Err(Kind::InvalidQuery)),
        (delete(r#"{"a":{"$what":1}}"#), Err(Kind::InvalidQuery)),
        (update(r#"{"$set":{"a":1}}"#), Ok(())),
        (update(&format!(r#"{{"$set":{deep}}}"#)), Err(Kind::InvalidQuery)),
        (modify(Mutation::Merge(deep.clone())), Err(Kind::InvalidQuery)),
        (modify(Mutation::Replace("[]".into())), Err(Kind::InvalidQuery)),
        (index(r#"{"a":{"$gt":1}}"#), Ok(())),
        (index(&deep), Err(Kind::InvalidQuery)),
    ] {
        assert_eq!(check(command.clone()), expected, "{command:?}");
    }
}

#[test]
fn a_key_that_the_storage_does_not_take_is_refused_before_it_is_proposed() {
    let long = DocumentId::from("x".repeat(600));
    let target: Target = long.clone().into();
    let delete =
        Command::Delete { namespace: Namespace::new("shop", "people"), target, if_match: None };
    assert_eq!(check(delete), Err(Kind::IdTooLong));
    let insert = Operation::Insert { id: long, body: "{}".into() };
    assert_eq!(check(write(insert)), Err(Kind::IdTooLong));
    let keys = vec![vec![1; 600].into()];
    let trim = Command::TrimVersions { namespace: Namespace::new("a", "b"), keys };
    assert_eq!(check(trim), Err(Kind::InvalidQuery));
}
