//! The route table against every role, and databases that only a body names.

use super::{Actor, WORD, actors, make_place, make_users};
use jettra_tests::source::{self, Route};
use jettra_tests::{Cluster, Http, Node, Settings, send};
use serde_json::json;
use std::collections::BTreeSet;

/// A valid call to a route for the database `shop`. It changes as little as possible: what it
/// names in the database does not exist where that would do harm.
pub(crate) fn call(route: &Route) -> (String, String) {
    let mut path = route.path.clone();
    for (name, value) in [
        ("{db}", "shop"),
        ("{col}", "things"),
        ("{id}", "1"),
        ("{version}", "1"),
        ("{name}", "none"),
        ("{tx}", "none"),
        ("{user}", "nobody"),
        ("{token}", "none"),
    ] {
        path = path.replace(name, value);
    }
    let place = "db=shop&col=things&id=1&version=1&field=a&name=none";
    let (query, body) = match (route.method.as_str(), route.path.as_str()) {
        ("POST", "/api/dbs") => ("", json!({"name": "shop"})),
        ("DELETE", "/api/dbs") => ("name=shop", json!({})),
        ("POST", "/api/dbs/rename") => ("", json!({"oldName": "shop", "newName": "shop2"})),
        ("POST", "/api/cols") => ("", json!({"database": "shop", "collection": "more"})),
        ("POST", "/api/cols/rename") => {
            ("", json!({"database": "shop", "oldName": "things", "newName": "more"}))
        }
        ("POST", "/api/command") => ("db=shop", json!({"command": "db.things.find()"})),
        ("POST", "/api/index") => {
            ("", json!({"database": "shop", "collection": "things", "field": "a"}))
        }
        ("POST", "/api/restore-version") => {
            ("", json!({"db": "shop", "col": "things", "id": "1", "version": "1"}))
        }
        ("POST", "/api/v1/batch") => {
            let insert = json!({"database": "shop", "collection": "things", "document": {}});
            ("", json!({"then": [{"insert": insert}]}))
        }
        // The configuration names their collection: `shop.things`.
        ("GET", "/api/kv/get") => ("key=shop", json!({})),
        ("POST", "/api/kv/set") => ("", json!({"key": "shop", "value": 1})),
        ("POST", "/api/kv/delete") => ("", json!({"key": "shop"})),
        ("DELETE", "/api/users") => ("id=nobody", json!({})),
        // A change feed has no end.
        ("GET", path) if path.ends_with("/watch") => ("filter=x", json!({})),
        (_, path) if path.starts_with("/api/cluster/") => {
            ("", json!({"node": "no-such-node", "url": "x"}))
        }
        (_, path) if path.starts_with("/api/tx/") => ("txID=none", json!({})),
        (_, path)
            if path.contains('{') || path.starts_with("/api/v1/") || path.starts_with("/raft") =>
        {
            ("", json!({}))
        }
        _ if route.access == "Open"
            || route.access.contains("Login")
            || route.access.contains("Admin") =>
        {
            ("", json!({}))
        }
        _ => (place, json!({})),
    };
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    (format!("{path}{query}"), body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_admits_the_callers_that_the_table_lists() {
    let place = |settings: Settings| settings.key("KvCollection", "shop.things");
    let cluster = Cluster::start_with("access-table", 2, place).await;
    let admin = cluster.nodes[0].http();
    make_users(&admin).await;
    make_place(&admin).await;
    let routes = source::routes();
    let mut checked = BTreeSet::new();
    for node in &cluster.nodes {
        for route in &routes {
            for actor in actors() {
                check(node, route, &actor, &admin).await;
            }
            checked.insert(route.access.clone());
        }
    }
    let all =
        ["Node", "Open", "User(Admin)", "User(Login)", "User(Own)", "User(Read)", "User(Write)"];
    assert_eq!(checked, all.map(str::to_owned).into());
}

async fn check(node: &Node, route: &Route, actor: &Actor, admin: &Http) {
    let (target, body) = call(route);
    let caller = Http::new(&node.url()).login(actor.name, WORD);
    let answer = send(caller.request(&route.method, &target).body(body.clone())).await;
    let told = format!(
        "{} as {}: {route:?} {target} {body} {} {}",
        node.name, actor.name, answer.status, answer.text
    );
    let named = target.contains("shop") || body.contains("shop");
    let may = if named { actor.here } else { actor.anywhere };
    let permission = route.access.strip_prefix("User(").and_then(|rest| rest.strip_suffix(')'));
    match permission {
        None if route.access == "Node" => assert_eq!(answer.code(), "bad_cluster_secret", "{told}"),
        None => assert_ne!(answer.status, 403, "{told}"),
        Some(permission) if may.contains(&permission) => {
            assert!(!matches!(answer.status, 401 | 403 | 500..), "{told}");
            if route.method != "GET" {
                make_place(admin).await;
            }
        }
        Some(_) => {
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{told}")
        }
    }
}

/// Symptom: a database named in a statement or a list, and not by the route, was not checked.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_named_in_a_statement_or_a_list_is_checked_too() {
    let cluster = Cluster::start("access-inside", 1).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let as_user = |name: &str| Http::new(&node.url()).login(name, WORD);
    let command = |text: &str| json!({"command": text});
    let insert = |database: &str| json!({"insert": {"database": database, "collection": "things", "document": {}}});
    let get = json!({"get": {"database": "shop", "collection": "things", "id": "1"}});
    let condition = json!({"database": "shop", "collection": "things", "id": "1"});
    let rest = "/api/v1/databases/shop/collections";
    for (name, target, body) in [
        ("reader", "/api/command?db=shop", command("INSERT INTO things {\"a\":1}")),
        ("reader", "/api/command?db=shop", command("DELETE FROM things")),
        ("reader", "/api/command?db=shop", command("db.things.aggregate([{\"$out\":\"copy\"}])")),
        ("writer", "/api/command?db=shop", command("db.things.createIndex({\"a\":1})")),
        ("writer", "/api/command?db=shop", command("db.things.drop()")),
        ("stranger", "/api/command?db=shop", command("db.things.find()")),
        ("stranger", "/api/command?db=shop", command("show collections")),
        ("stranger", "/api/v1/batch", json!({"then": [insert("lab"), insert("shop")]})),
        ("stranger", "/api/v1/batch", json!({"then": [get]})),
        ("stranger", "/api/v1/batch", json!({"if": [condition], "then": [insert("lab")]})),
        ("granted", "/api/v1/batch", json!({"then": [insert("shop")]})),
        ("reader", &format!("{rest}/things/aggregate"), json!({"pipeline": [{"$out": "copy"}]})),
        // Rules restrict what others may write.
        ("writer", &format!("{rest}/_rules/documents"), json!({"things": []})),
    ] {
        let answer = as_user(name).post(target, &body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "forbidden"),
            "{name} {target} {body} {}",
            answer.text
        );
    }
    // Inside a transaction every call is checked, as outside.
    let begun = as_user("writer").post("/api/v1/transactions", &json!({})).await.ok();
    let tx = begun.json()["id"].as_str().expect("an id").to_owned();
    let writer = as_user("writer");
    writer.post(&format!("{rest}/things/documents?tx={tx}"), &json!({"_id": "2"})).await.ok();
    let lab = format!("/api/v1/databases/lab/collections/things/documents?tx={tx}");
    writer.post(&lab, &json!({})).await.refused(403, "forbidden");
    admin.json("PATCH", "/api/v1/users/writer", &json!({"role": "reader"})).await.ok();
    let commit = format!("/api/v1/transactions/{tx}/commit");
    writer.post(&commit, &json!({})).await.refused(403, "forbidden");
    // A list shows the databases that the caller may read.
    for (name, expected) in [("reader", vec!["shop"]), ("stranger", vec![]), ("nothing", vec![])] {
        let listed = as_user(name).get("/api/dbs").await.ok().json();
        let names: Vec<_> =
            listed.as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
        assert_eq!(json!(names), json!(expected), "{name}");
    }
    // Only an owner may create a database by writing to it.
    let writer =
        json!({"username": "both", "password": WORD, "role": "writereader", "allowed_dbs": ["*"]});
    admin.post("/api/v1/users", &writer).await.ok();
    let both = as_user("both");
    both.post("/api/doc?db=fresh&col=a", &json!({})).await.refused(404, "database_not_found");
    let collection = json!({"database": "fresh", "collection": "a"});
    both.post("/api/cols", &collection).await.refused(404, "database_not_found");
}
