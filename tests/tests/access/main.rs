//! Authorization: the route table against every role, and changes of rights that take effect at once.

mod audit;
mod changes;
mod credentials;
mod load;
mod routes;

use jettra_tests::{Answer, Http, Node, send};
use serde_json::{Value, json};

const WORD: &str = "a password for tests";

/// A caller, with the permissions that the route table grants it in the database `shop`.
struct Actor {
    name: &'static str,
    /// The user to create, without name and password.
    user: Value,
    /// Its permissions in `shop`.
    here: &'static [&'static str],
    /// Its permissions for routes without a database.
    anywhere: &'static [&'static str],
}

fn actors() -> Vec<Actor> {
    let user = |role: &str, databases: &[&str]| json!({"role": role, "allowed_dbs": databases});
    let actor = |name, user, here, anywhere| Actor { name, user, here, anywhere };
    const READ: &[&str] = &["Login", "Read"];
    const WRITE: &[&str] = &["Login", "Read", "Write"];
    const OWN: &[&str] = &["Login", "Read", "Write", "Own"];
    const ALL: &[&str] = &["Login", "Read", "Write", "Own", "Admin"];
    let places = ["shop", "shop2"];
    vec![
        actor("reader", user("reader", &places), READ, READ),
        actor("writer", user("writereader", &places), WRITE, WRITE),
        actor("owner", user("owner", &places), OWN, OWN),
        actor("stranger", user("owner", &["lab"]), &["Login"], OWN),
        actor(
            "granted",
            json!({"role": "owner", "allowed_dbs": ["lab"], "grants": {"shop": "reader", "shop2": "reader"}}),
            READ,
            OWN,
        ),
        actor("nothing", user("owner", &[]), &["Login"], &["Login"]),
        actor("chief", user("admin", &["*"]), ALL, ALL),
    ]
}

async fn make_place(admin: &Http) {
    for name in ["shop2", "shop"] {
        admin.post("/api/dbs", &json!({"name": name})).await.ok();
    }
    send(admin.request("DELETE", "/api/dbs?name=shop2")).await.ok();
    admin.json("PUT", "/api/doc?db=shop&col=things&id=1", &json!({"a": 1})).await;
    admin.post("/api/doc?db=shop&col=things", &json!({"_id": "1", "a": 1})).await.ok();
}

async fn make_users(admin: &Http) {
    for actor in actors() {
        let mut user = actor.user;
        user["username"] = json!(actor.name);
        user["password"] = json!(WORD);
        admin.post("/api/v1/users", &user).await.ok();
    }
}

/// The credentials of a program or a page.
enum Proof {
    Basic(String),
    Key(String),
    Cookie(String),
}

async fn read(node: &Node, proof: &Proof, method: &str) -> Answer {
    let target = match method {
        "GET" => "/api/v1/databases/shop/collections/things/documents/1",
        _ => "/api/v1/databases/shop/collections/things/documents",
    };
    let request = Http::new(&node.url()).request(method, target).header("x-jettra-client", "test");
    send(
        match proof {
            Proof::Basic(name) => request.basic_auth(name, Some(WORD)),
            Proof::Key(key) => request.bearer_auth(key),
            Proof::Cookie(cookie) => request.header("cookie", cookie),
        }
        .body("{}"),
    )
    .await
}

/// Refused because of the change, or because the node does not know yet whether there is one.
fn is_refused(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403) || answer.code() == "user_changed"
}
