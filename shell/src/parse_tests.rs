//! Tests of the command table and the parser.

use super::*;
use jettra_driver::DocumentId;
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
    assert_eq!(catalog("show databases"), CatalogAction::ShowDatabases);
    assert_eq!(catalog("Show  DBS ;"), CatalogAction::ShowDatabases);
    assert_eq!(catalog("create database shop"), CatalogAction::CreateDatabase("shop".into()));
    assert_eq!(
        catalog("rename col a b"),
        CatalogAction::RenameCollection { from: "a".into(), to: "b".into() }
    );
    assert!(parse("rename col a").unwrap_err().contains("new name"));
}

#[test]
fn words_of_documents() {
    assert_eq!(document_action("find users"), DocumentAction::Find);
    let get = DocumentAction::Get(DocumentId::Int(7));
    assert_eq!(document_action("find users 7"), get);
    assert_eq!(document_action("get users 7"), get);
    assert_eq!(
        document_action(r#"insert users {"a": [1, {"b": 2}]}"#),
        DocumentAction::Insert(json!({"a": [1, {"b": 2}]}))
    );
    assert_eq!(
        document_action("delete users x --revision 3"),
        DocumentAction::Delete { id: "x".into(), revision: Some(3) }
    );
}

#[test]
fn the_revision_may_stand_before_or_behind_the_document() {
    for text in ["update u 1 --revision 9 {}", "update u 1 {} --revision 9"] {
        let DocumentAction::Update { revision, .. } = document_action(text) else {
            panic!("{text}");
        };
        assert_eq!(revision, Some(9), "{text}");
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
    assert!(parse(".level strong").unwrap_err().contains("linearizable|local"));
    assert!(parse(".mode xml").unwrap_err().contains("ndjson"));
}

#[test]
fn errors_tell_the_next_step() {
    let table = [
        ("isnert users {}", "did you mean insert?"),
        ("frobnicate", "type help"),
        ("cluster", "needs one word more"),
        ("cluster explode", "use cluster with"),
        ("count", "the collection is missing; write: count <collection>"),
        ("count users now", "\"now\" is too much"),
        ("insert users {\"a\": }", "not JSON"),
    ];
    for (text, expected) in table {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
