//! Tests of the command table and the parser.

use super::*;
use crate::statement::{
    AccessAction, CatalogAction, ClusterAction, DocumentAction, Moment, NewPassword, Rights,
    ShellAction, StructureAction, TransactionAction, VersionAction, WatchAction,
};
use jettra_driver::wire::{
    AggregateBody, BatchBody, BatchOperation, BulkBody, BulkOperation, ChangeContent, Condition,
    CountBody, DeleteBody, ExplainLevel, FindAndModifyBody, ReplaceBody, ReturnForm, SchemaBody,
    SchemaMode, UpdateBody, ValidateBody, VersionsBody,
};
use jettra_driver::{AuditQuery, DocumentId, Find, IndexOptions, ReadLevel, WatchOptions};
use serde_json::json;

fn document_action(text: &str) -> DocumentAction {
    match parse(text) {
        Ok(Statement::Documents { action, .. }) => action,
        other => panic!("{text}: {other:?}"),
    }
}

fn cluster_action(text: &str) -> ClusterAction {
    match parse(text) {
        Ok(Statement::Cluster(action)) => action,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn connect_with_and_without_the_word_node() {
    let stay = |text: &str| match parse(text).unwrap() {
        Statement::Connect { url, stay } => (url, stay),
        other => panic!("{other:?}"),
    };
    assert_eq!(stay("connect http://h:1"), ("http://h:1".into(), false));
    assert_eq!(stay("connect node http://h:1"), ("http://h:1".into(), true));
    assert!(parse("connect").unwrap_err().contains("connect <url>"));
}

#[test]
fn login_may_leave_the_password_out() {
    let login = |password: Option<&str>| Statement::Login {
        user: "ada".into(),
        password: password.map(str::to_owned),
    };
    assert_eq!(parse("login ada").unwrap(), login(None));
    assert_eq!(parse("LOGIN ada 'a b'").unwrap(), login(Some("a b")));
}

#[test]
fn words_of_the_catalog() {
    let catalog = |text: &str| match parse(text) {
        Ok(Statement::Catalog(action)) => action,
        other => panic!("{text}: {other:?}"),
    };
    let created = |name: &str, engine: Option<&str>| CatalogAction::CreateDatabase {
        name: name.into(),
        engine: engine.map(str::to_owned),
    };
    assert_eq!(catalog("show databases"), CatalogAction::ShowDatabases);
    assert_eq!(catalog("Show  DBS ;"), CatalogAction::ShowDatabases);
    assert_eq!(catalog("create database shop"), created("shop", None));
    let engine = created("shop", Some("JettraBasicStore"));
    assert_eq!(catalog("create db shop engine JettraBasicStore"), engine);
    assert_eq!(
        catalog("rename col a b"),
        CatalogAction::RenameCollection { from: "a".into(), to: "b".into() }
    );
    assert!(parse("rename col a").unwrap_err().contains("new name"));
}

#[test]
fn words_of_documents() {
    assert_eq!(document_action("find users"), DocumentAction::Find(Box::new(Find::all())));
    let get = DocumentAction::Get(DocumentId::Int(7));
    assert_eq!(document_action("find users 7"), get);
    assert_eq!(document_action("get users 7"), get);
    assert_eq!(
        document_action(r#"insert users {"a": [1, {"b": 2}]}"#),
        DocumentAction::Insert(json!({"a": [1, {"b": 2}]}))
    );
    assert_eq!(
        document_action(r#"insert users [{"a": 1}, {}]"#),
        DocumentAction::InsertMany(vec![json!({"a": 1}), json!({})])
    );
    assert_eq!(
        document_action("delete users x --revision 3"),
        DocumentAction::Delete { id: "x".into(), revision: Some(3) }
    );
    assert_eq!(
        document_action(r#"patch users 7 {"a": null} --revision 3"#),
        DocumentAction::Patch { id: 7.into(), patch: json!({"a": null}), revision: Some(3) }
    );
}

#[test]
fn queries_with_their_flags() {
    let find = |find: Find| DocumentAction::Find(Box::new(find));
    let filter = || Find::new(json!({"a": 1}));
    let explained = |level| {
        let mut find = filter();
        find.body.explain = Some(level);
        find
    };
    let table = [
        (r#"find u {"a": 1}"#, filter()),
        (
            r#"find u {"a": 1} --sort -a,b --fields a,b --skip 2 --limit 3 --hint by_a"#,
            filter().sort("-a,b").projection("a,b").skip(2).limit(3).hint("by_a"),
        ),
        (r#"find u --limit 3 {"a": 1} --sort {"a": -1}"#, filter().limit(3).sort(json!({"a": -1}))),
        ("find u --sort -age", Find::all().sort("-age")),
        (r#"find u {"a": 1} --explain"#, explained(ExplainLevel::QueryPlanner)),
        (r#"find u {"a": 1} --analyze"#, explained(ExplainLevel::ExecutionStats)),
    ];
    for (text, expected) in table {
        assert_eq!(document_action(text), find(expected), "{text}");
    }
    let (filter, hint) = (Some(json!({"a": 1})), Some(json!("by_a")));
    assert_eq!(
        document_action(r#"count u {"a": 1} --hint by_a"#),
        DocumentAction::Count(CountBody {
            filter: filter.clone(),
            hint: hint.clone(),
            explain: None
        })
    );
    assert_eq!(
        document_action(r#"distinct u city {"a": 1}"#),
        DocumentAction::Distinct { field: "city".into(), filter, explain: None }
    );
    let planner = Some(ExplainLevel::QueryPlanner);
    assert_eq!(
        document_action(r#"count u {"a": 1} --explain"#),
        DocumentAction::Count(CountBody {
            filter: Some(json!({"a": 1})),
            explain: planner,
            ..CountBody::default()
        })
    );
    assert_eq!(
        document_action("distinct u city --explain"),
        DocumentAction::Distinct { field: "city".into(), filter: None, explain: planner }
    );
    assert_eq!(
        document_action(r#"update u {"a": 1} {"$set": {"b": 2}} --multi --analyze"#),
        DocumentAction::UpdateMatching(Box::new(UpdateBody {
            filter: json!({"a": 1}),
            update: json!({"$set": {"b": 2}}),
            multi: true,
            explain: Some(ExplainLevel::ExecutionStats),
            ..UpdateBody::default()
        }))
    );
    assert_eq!(
        document_action(r#"delete u {"a": 1} --explain"#),
        DocumentAction::DeleteMatching(Box::new(DeleteBody {
            filter: json!({"a": 1}),
            multi: true,
            explain: planner,
            ..DeleteBody::default()
        }))
    );
    let pipeline = json!([{"$match": {"a": 1}}]);
    let explain = Some(ExplainLevel::QueryPlanner);
    assert_eq!(
        document_action(r#"aggregate u [{"$match": {"a": 1}}] --hint by_a --explain"#),
        DocumentAction::Aggregate(AggregateBody { pipeline, hint, explain })
    );
}

#[test]
fn a_filter_in_place_of_an_id_means_what_matches() {
    let (filter, update) = (json!({"a": 1}), json!({"$inc": {"b": 1}}));
    let one = || UpdateBody::from((filter.clone(), update.clone()));
    let body = || UpdateBody { multi: true, ..one() };
    let table = [
        ("", body()),
        (" --multi --upsert", UpdateBody { upsert: true, ..body() }),
        (" --one", one()),
        (" --sort b,-c", UpdateBody { sort: Some(json!({"b": 1, "c": -1})), ..one() }),
        (
            r#" --array-filters [{"x": 1}]"#,
            UpdateBody { array_filters: Some(json!([{"x": 1}])), ..body() },
        ),
    ];
    for (flags, expected) in table {
        let text = format!("update u {filter} {update}{flags}");
        let expected = DocumentAction::UpdateMatching(Box::new(expected));
        assert_eq!(document_action(&text), expected, "{text}");
    }
    assert_eq!(
        document_action("replace u 7 {} --revision 2"),
        DocumentAction::ReplaceOne { id: 7.into(), document: json!({}), revision: Some(2) }
    );
    let delete = |multi| {
        let body = DeleteBody { multi, ..DeleteBody::from(filter.clone()) };
        DocumentAction::DeleteMatching(Box::new(body))
    };
    assert_eq!(document_action("delete u {a: 1}"), delete(true));
    assert_eq!(document_action("delete u {a: 1} --multi"), delete(true));
    assert_eq!(document_action("delete u {a: 1} --one"), delete(false));
    assert_eq!(
        document_action(r#"replace u {"a": 1} {"b": 2} --upsert"#),
        DocumentAction::Replace(Box::new(ReplaceBody {
            upsert: true,
            ..ReplaceBody::from((filter.clone(), json!({"b": 2})))
        }))
    );
}

#[test]
fn modify_takes_an_update_a_document_or_remove() {
    let body = || FindAndModifyBody { filter: json!({"a": 1}), ..Default::default() };
    let table = [
        (
            r#"{"$inc": {"b": 1}} --return after --fields b,-_id"#,
            FindAndModifyBody {
                update: Some(json!({"$inc": {"b": 1}})),
                returning: ReturnForm::After,
                projection: Some(json!({"b": 1, "_id": 0})),
                ..body()
            },
        ),
        (r#"{"b": 1}"#, FindAndModifyBody { replacement: Some(json!({"b": 1})), ..body() }),
        (
            "--remove --sort b",
            FindAndModifyBody { remove: true, sort: Some(json!({"b": 1})), ..body() },
        ),
    ];
    for (rest, expected) in table {
        let text = format!(r#"modify u {{"a": 1}} {rest}"#);
        assert_eq!(document_action(&text), DocumentAction::Modify(Box::new(expected)), "{text}");
    }
    for bad in ["modify u {}", "modify u {} {} --remove", "modify u {} {} --return never"] {
        assert!(parse(bad).unwrap_err().contains("write: modify"), "{bad}");
    }
}

#[test]
fn operations_of_a_bulk_are_checked_one_by_one() {
    let text = r#"bulk u [{"insertOne": {"document": {"a": 1}}}, {"deleteMany": {"filter": {}}}]"#;
    let operations = vec![
        BulkOperation::InsertOne { document: json!({"a": 1}) },
        BulkOperation::DeleteMany(DeleteBody::from(json!({}))),
    ];
    let ordered = BulkBody::from(operations.clone());
    assert_eq!(document_action(text), DocumentAction::Bulk(ordered));
    let unordered = DocumentAction::Bulk(BulkBody { operations, ordered: false });
    assert_eq!(document_action(&format!("{text} --unordered")), unordered);
    let error = parse(r#"bulk u [{"deleteOne": {"filter": {}}}, {"insert": {}}]"#).unwrap_err();
    assert!(error.contains("operation 1"), "{error}");
}

#[test]
fn words_of_indexes_and_schemas() {
    let structure = |text: &str| match parse(text) {
        Ok(Statement::Structure { collection, action }) if collection == "u" => action,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(structure("indexes u"), StructureAction::Indexes);
    let options = IndexOptions {
        sparse: true,
        expire_after_seconds: Some(60),
        partial_filter_expression: Some(json!({"a": 1})),
        name: Some("x".into()),
        ..IndexOptions::unique()
    };
    assert_eq!(
        structure(
            r#"create index u a,-b.c --unique --sparse --expire 60 --partial {"a": 1} --name x"#
        ),
        StructureAction::CreateIndex {
            keys: json!({"a": 1, "b.c": -1}),
            options: Box::new(options)
        }
    );
    assert_eq!(structure("drop index u x"), StructureAction::DropIndex("x".into()));
    let body = |schema, definition, mode| SchemaBody { schema, definition, mode };
    assert_eq!(
        structure("schema set u {} --warn"),
        StructureAction::SetSchema(body(Some(json!({})), None, SchemaMode::Warn))
    );
    assert_eq!(
        structure(r#"schema set u {"a": "int"} --definition"#),
        StructureAction::SetSchema(body(None, Some(json!({"a": "int"})), SchemaMode::Error))
    );
    assert_eq!(structure("schema drop u"), StructureAction::DropSchema);
    assert_eq!(structure("schema u"), StructureAction::Schema);
    let checked = |documents, schema| StructureAction::Validate(ValidateBody { documents, schema });
    assert_eq!(structure("validate u"), checked(None, None));
    assert_eq!(structure("validate u [{}]"), checked(Some(vec![json!({})]), None));
    assert_eq!(structure("validate u --schema {}"), checked(None, Some(json!({}))));
    assert_eq!(structure("stats u"), StructureAction::Stats);
    assert_eq!(
        parse("hash shop").unwrap(),
        Statement::Catalog(CatalogAction::Hash(Some("shop".into())))
    );
}

#[test]
fn the_moment_that_is_read_stands_among_the_flags() {
    let moment = |text: &str| match parse(text) {
        Ok(Statement::Documents { moment, .. }) => moment,
        other => panic!("{text}: {other:?}"),
    };
    let time = || Some(Moment::Time("2026-03-01T12:00:00Z".into()));
    let table = [
        ("find u", None),
        ("find u --at 12", Some(Moment::Index(12))),
        (r#"find u --limit 3 {"a": 1} --as-of 2026-03-01T12:00:00Z --sort a"#, time()),
        ("find u 7 --at 12", Some(Moment::Index(12))),
        ("get u --as-of 2026-03-01T12:00:00Z 7", time()),
        (r#"count u {"a": 1} --at 12 --hint by_a"#, Some(Moment::Index(12))),
    ];
    for (text, expected) in table {
        assert_eq!(moment(text), expected, "{text}");
    }
    assert_eq!(document_action("find u --at 12 7"), DocumentAction::Get(7.into()));
    assert!(parse("find u --at 1 --as-of 2").unwrap_err().contains("only one of"));
    assert!(parse("get u 7 --at now").unwrap_err().contains("whole number"));
}

#[test]
fn words_of_transactions() {
    let table = [
        ("begin", TransactionAction::Begin),
        ("BEGIN TRANSACTION;", TransactionAction::Begin),
        ("start transaction", TransactionAction::Begin),
        ("commit;", TransactionAction::Commit),
        ("rollback", TransactionAction::Rollback),
        ("show transactions", TransactionAction::Show),
        ("end transaction t1", TransactionAction::End("t1".into())),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text), Ok(Statement::Transaction(expected)), "{text}");
    }
    assert!(parse("end transaction").unwrap_err().contains("the transaction is missing"));
    let text = r#"batch {"if": [{"database": "d", "collection": "c", "id": 7, "exists": false}],
        "then": [{"delete": {"database": "d", "collection": "c", "filter": {}, "multi": true}}]}"#;
    let expected = BatchBody::default()
        .when(Condition::absent("d", "c", 7))
        .then(BatchOperation::delete("d", "c", json!({}), true));
    assert_eq!(parse(text), Ok(Statement::Batch(expected)));
    let error = parse(r#"batch {"then": [{"explode": {}}]}"#).unwrap_err();
    assert!(error.contains("explode") && error.contains("for example"), "{error}");
}

fn access_action(text: &str) -> AccessAction {
    match parse(text) {
        Ok(Statement::Access(action)) => action,
        other => panic!("{text}: {other:?}"),
    }
}

fn rights(role: Option<&str>, databases: Option<&[&str]>, grants: &[(&str, &str)]) -> Rights {
    let grant = |(database, role): &(&str, &str)| {
        ((*database).to_owned(), Some((*role).to_owned()).filter(|role| role != "none"))
    };
    Rights {
        role: role.map(str::to_owned),
        databases: databases.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        grants: grants.iter().map(grant).collect(),
    }
}

#[test]
fn users_are_made_with_what_they_may_do() {
    let file = || Some(NewPassword::File("ada.txt".into()));
    let all = || rights(Some("owner"), Some(&["a", "b"]), &[("c", "reader"), ("d=e", "owner")]);
    let table = [
        ("create user", None, Rights::default(), None),
        ("Create User ada", Some("ada"), Rights::default(), None),
        ("create user ada --password-file ada.txt", Some("ada"), Rights::default(), file()),
        (
            "create user ada --role OWNER --databases a,b, --grant c=reader --grant d=e=owner",
            Some("ada"),
            all(),
            None,
        ),
        (
            "create user --role owner --databases 'a, b' ada --grant c=reader --grant d=e=owner",
            Some("ada"),
            all(),
            None,
        ),
        ("create user ada --databases ''", Some("ada"), rights(None, Some(&[]), &[]), None),
    ];
    for (text, name, rights, password) in table {
        let name = name.map(str::to_owned);
        assert_eq!(
            access_action(text),
            AccessAction::CreateUser { name, rights, password },
            "{text}"
        );
    }
}

#[test]
fn users_are_changed_in_what_is_named() {
    let alter = |rights, password, disabled| AccessAction::AlterUser {
        name: "ada".into(),
        rights,
        password,
        disabled,
    };
    let table = [
        ("--role reader", alter(rights(Some("reader"), None, &[]), None, None)),
        ("--databases *", alter(rights(None, Some(&["*"]), &[]), None, None)),
        (
            "--grant a=owner --grant b=none",
            alter(rights(None, None, &[("a", "owner"), ("b", "none")]), None, None),
        ),
        ("--password --enable", alter(Rights::default(), Some(NewPassword::Ask), Some(false))),
        ("--disable", alter(Rights::default(), None, Some(true))),
    ];
    for (text, expected) in table {
        assert_eq!(access_action(&format!("alter user ada {text}")), expected, "{text}");
    }
}

#[test]
fn words_of_tokens_and_the_audit_log() {
    let key = |role: Option<&str>, databases: Option<&[&str]>, days| {
        let Rights { role, databases, .. } = rights(role, databases, &[]);
        AccessAction::CreateKey { name: "ci".into(), role, databases, days }
    };
    let revoked = || AccessAction::RevokeToken("0f".into());
    let query = AuditQuery {
        limit: Some(5),
        before: Some(9),
        user: Some("ada".into()),
        action: Some("login".into()),
    };
    let table = [
        ("show users", AccessAction::ShowUsers),
        ("show user ada", AccessAction::ShowUser("ada".into())),
        ("drop user ada", AccessAction::DropUser("ada".into())),
        ("show tokens", AccessAction::ShowTokens),
        ("show keys", AccessAction::ShowTokens),
        ("create key ci", key(None, None, None)),
        (
            "create key ci --role reader --databases a --days 30",
            key(Some("reader"), Some(&["a"]), Some(30)),
        ),
        ("revoke token 0f", revoked()),
        ("revoke token jettra_0f_secret", revoked()),
        ("revoke key jettra_join_0f_secret", revoked()),
        ("show audit", AccessAction::Audit(AuditQuery::default())),
        ("show audit --action login --limit 5 --user ada --before 9", AccessAction::Audit(query)),
    ];
    for (text, expected) in table {
        assert_eq!(access_action(text), expected, "{text}");
    }
    assert_eq!(cluster_action("cluster token"), ClusterAction::Token { hours: None });
    assert_eq!(
        cluster_action("federated token --hours 2"),
        ClusterAction::Token { hours: Some(2) }
    );
}

#[test]
fn rights_that_are_none_are_refused() {
    let table = [
        ("create user ada --role boss", "there are admin, owner, writereader, reader"),
        ("create user ada --grant shop", "such as shop=reader"),
        ("create user ada --grant =reader", "such as shop=reader"),
        ("create user ada --grant shop=admin", "no role for one database"),
        ("create user ada --grant shop=none", "could take away"),
        ("create user ada --grant a=owner --grant a=reader", "second grant"),
        ("create user ada hunter2", "nothing more is expected at \"hunter2\""),
        ("alter user ada", "say what to change"),
        ("alter user ada --enable --disable", "given twice"),
        ("alter user ada --password --password-file f", "given twice"),
        ("alter user ada --explode", "--explode is unknown here"),
        ("create key", "the name of the key is missing"),
        ("revoke token", "the token is missing"),
        ("show audit --limit many", "not a whole number"),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected) && error.contains("; write: "), "{text}: {error}");
    }
}

#[test]
fn words_of_versions() {
    let id = || DocumentId::Int(7);
    let table = [
        ("history u 7", VersionAction::History(id())),
        ("show version u 7 42.1", VersionAction::Show { id: id(), version: "42.1".into() }),
        ("diff u 7 42", VersionAction::Diff { id: id(), from: "42".into(), to: None }),
        (
            "diff u 7 42 50",
            VersionAction::Diff { id: id(), from: "42".into(), to: Some("50".into()) },
        ),
        ("revert u 7 42", VersionAction::Revert { id: id(), version: "42".into() }),
        ("undelete u 7", VersionAction::Undelete(id())),
        ("versions u", VersionAction::Settings),
        ("versions on u", VersionAction::Keep(VersionsBody::default())),
        (
            "versions on u --keep 20 --days 30",
            VersionAction::Keep(VersionsBody { keep: Some(20), keep_seconds: Some(2_592_000) }),
        ),
        ("versions off u", VersionAction::Forget { force: false }),
        ("versions off u --force", VersionAction::Forget { force: true }),
    ];
    for (text, expected) in table {
        let expected = Statement::Versions { collection: "u".into(), action: expected };
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    assert!(parse("revert u 7").unwrap_err().contains("the version, such as 42"));
}

#[test]
fn what_is_watched() {
    let table = [
        ("watch", None, WatchOptions::new(), None),
        ("watch u", Some("u"), WatchOptions::new(), None),
        ("watch --count 2", None, WatchOptions::new(), Some(2)),
        (
            r#"watch u {"a": 1} --content delta --after x.1 --count 5"#,
            Some("u"),
            WatchOptions::new().filter(json!({"a": 1})).content(ChangeContent::Delta).after("x.1"),
            Some(5),
        ),
        (r#"watch --count 1 {"a": 1}"#, None, WatchOptions::new().filter(json!({"a": 1})), Some(1)),
    ];
    for (text, collection, watch, count) in table {
        let collection = collection.map(str::to_owned);
        let expected = Statement::Watch(WatchAction { collection, watch, count });
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
    assert!(parse("watch u --content all").unwrap_err().contains("not one of document, delta"));
}

#[test]
fn statements_of_the_query_languages_are_passed_on_as_they_are() {
    let table = [
        ("select * from a;", "select * from a"),
        (" db.a.find({a: 1}) ; ", "db.a.find({a: 1})"),
        ("find in a where b = 'x;'", "find in a where b = 'x;'"),
        ("sql SELECT 1", "SELECT 1"),
        ("Jql whatever it is", "whatever it is"),
        ("mongo show dbs", "show dbs"),
    ];
    for (text, expected) in table {
        assert_eq!(parse(text).unwrap(), Statement::Text(expected.into()), "{text}");
    }
    assert!(parse("sql").unwrap_err().contains("the statement is missing"));
}

#[test]
fn the_revision_may_stand_before_or_after_the_document() {
    for text in ["replace u 1 --revision 9 {}", "replace u 1 {} --revision 9"] {
        let DocumentAction::ReplaceOne { revision, .. } = document_action(text) else {
            panic!("{text}");
        };
        assert_eq!(revision, Some(9), "{text}");
    }
}

#[test]
fn an_update_of_one_document_has_operators_or_stages() {
    let patch = json!({"$inc": {"n": 1}});
    assert_eq!(
        document_action("update u 7 {$inc: {n: 1}} --revision 3"),
        DocumentAction::Patch { id: 7.into(), patch: patch.clone(), revision: Some(3) }
    );
    let body = |update, upsert| Box::new(UpdateBody { update, upsert, ..UpdateBody::default() });
    assert_eq!(
        document_action("update u x {$inc: {n: 1}} --upsert"),
        DocumentAction::UpdateOne { id: "x".into(), body: body(patch, true) }
    );
    assert_eq!(
        document_action("update u 7 [{$set: {a: 1}}]"),
        DocumentAction::UpdateOne { id: 7.into(), body: body(json!([{"$set": {"a": 1}}]), false) }
    );
    for (target, shown) in [("7", "7"), ("x", "\"x\""), ("{a: 1}", "{\"a\":1}")] {
        let error = parse(&format!("update u {target} {{age: 1}}")).unwrap_err();
        let replace = format!("\n  replace u {shown} {{\"age\":1}}\n");
        let set = format!("\n  update u {shown} {{\"$set\": {{\"age\":1}}}}");
        assert!(error.contains(&replace) && error.ends_with(&set), "{error}");
    }
}

#[test]
fn words_of_a_command_line_are_one_statement() {
    let table: [(&[&str], &str); 7] = [
        (&["show", "dbs"], "show dbs"),
        (&["SELECT * FROM people"], "SELECT * FROM people"),
        (&["SELECT", "*", "FROM", "people"], "SELECT * FROM people"),
        (&["find", "people", "{\"a\": 1}", "--limit", "3"], "find people {\"a\": 1} --limit 3"),
        (&["get", "people", "Ada King"], "get people \"Ada King\""),
        (&["sql", "SELECT * FROM people"], "sql SELECT * FROM people"),
        (&["login", "ada", ""], "login ada \"\""),
    ];
    for (words, expected) in table {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(statement_of(&words), expected);
    }
}

#[test]
fn federated_is_another_word_for_cluster() {
    for action in ["show", "nodes", "leader", "stop n1", "add http://h:1", "resume n1"] {
        assert_eq!(
            cluster_action(&format!("cluster {action}")),
            cluster_action(&format!("federated {action}"))
        );
    }
    assert_eq!(cluster_action("federated node-leader"), ClusterAction::Leader);
}

#[test]
fn force_may_stand_on_either_side_of_the_node() {
    let forced = ClusterAction::Deregister { node: "node3".into(), force: true };
    assert_eq!(cluster_action("cluster remove node3 --force"), forced);
    assert_eq!(cluster_action("cluster deregister --force node3"), forced);
    assert_ne!(cluster_action("cluster remove node3"), forced);
}

#[test]
fn a_description_is_the_rest_of_the_line() {
    let ClusterAction::Register { description, .. } =
        cluster_action("cluster add http://h:1 the one in the cellar")
    else {
        panic!("not a registration");
    };
    assert_eq!(description.as_deref(), Some("the one in the cellar"));
}

#[test]
fn settings_name_their_values_when_one_is_wrong() {
    assert_eq!(parse(".timer on").unwrap(), Statement::Shell(ShellAction::Timer(true)));
    let level = |level| Statement::Shell(ShellAction::Level(level));
    assert_eq!(parse(".level strong").unwrap(), level(ReadLevel::Linearizable));
    assert_eq!(parse(".level session").unwrap(), level(ReadLevel::Session(0)));
    let half = std::time::Duration::from_millis(500);
    assert_eq!(parse(".level bounded 500ms").unwrap(), level(ReadLevel::Bounded(half)));
    assert!(parse(".level quick").unwrap_err().contains("linearizable|leader"));
    assert!(parse(".level bounded").unwrap_err().contains("needs a time"));
    assert!(parse(".level session x").unwrap_err().contains("needs a log index"));
    assert!(parse(".mode xml").unwrap_err().contains("ndjson"));
}

#[test]
fn errors_tell_the_next_step() {
    let table = [
        ("isnert users {}", "did you mean insert?"),
        ("frobnicate", "type help"),
        ("cluster", "needs one word more"),
        ("cluster explode", "use cluster with"),
        ("show collection", "did you mean show collections?"),
        ("count", "the collection is missing; write: count <collection>"),
        ("find u --limti 3", "--limti is unknown here, perhaps --limit is meant; write: find"),
        ("update u {\"a\": 1}", "the update, such as"),
        ("delete u", "the id, or a filter such as {age: {$gt: 30}}, is missing"),
        ("find u where age > 3", "\n  FIND IN <collection> WHERE age > 3"),
        ("aggregate u {}", "the pipeline, such as [{\"$match\": {\"age\": 36}}] must be a list"),
        ("where a = 1", "begins no statement"),
        ("count users now", "nothing more is expected at \"now\""),
        ("insert users {\"a\": }", "expected a value, found \"}\" at character 7"),
        ("find users {age: {$gt: 90}", "expected \",\" or \"}\" at the end"),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
