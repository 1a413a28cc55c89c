//! Authorization: the route table against every role, and changes of rights that take effect at once.

use jettra_tests::source::{self, Route};
use jettra_tests::{Answer, Cluster, Http, Node, Settings, send, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

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

/// A valid call to a route for the database `shop`. It changes as little as possible: what it
/// names in the database does not exist where that would do harm.
fn call(route: &Route) -> (String, String) {
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

#[tokio::test(flavor = "multi_thread")]
async fn every_route_admits_the_callers_that_the_table_lists() {
    let cluster = Cluster::start("access-table", 2).await;
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

async fn proofs(node: &Node, name: &str) -> Vec<Proof> {
    let user = Http::new(&node.url()).login(name, WORD);
    let key = user.post("/api/v1/tokens", &json!({"name": "test"})).await.ok().json();
    let login = json!({"username": name, "password": WORD});
    let cookie = user.post("/api/login", &login).await.ok();
    let cookie = cookie.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let key = key["token"].as_str().expect("a key").to_owned();
    vec![Proof::Basic(name.to_owned()), Proof::Key(key), Proof::Cookie(cookie)]
}

/// A right that was revoked is gone on every node and for all kinds of credentials, once the
/// administrator's call has succeeded.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_right_is_gone_everywhere_at_once() {
    let cluster = Cluster::start("access-at-once", 3).await;
    let admin = cluster.nodes[0].http();
    make_place(&admin).await;
    for round in 0..6 {
        let (name, path) = (format!("u{round}"), format!("/api/v1/users/u{round}"));
        let user = json!({"username": name, "password": WORD, "role": "writereader", "allowed_dbs": ["shop"]});
        admin.post("/api/v1/users", &user).await.ok();
        let proofs = proofs(&cluster.nodes[round % 3], &name).await;
        for (node, proof) in all(&cluster, &proofs) {
            read(node, proof, "GET").await.ok();
            read(node, proof, "POST").await.ok();
        }
        let through = cluster.nodes[(round + 1) % 3].http();
        let (change, reads) = match round % 3 {
            0 => (json!({"role": "reader"}), true),
            1 => (json!({"disabled": true}), false),
            _ => (json!({"allowed_dbs": ["lab"]}), false),
        };
        through.json("PATCH", &path, &change).await.ok();
        for (node, proof) in all(&cluster, &proofs) {
            let written = read(node, proof, "POST").await;
            assert!(is_refused(&written), "{} {change} {}", node.name, written.text);
            let found = read(node, proof, "GET").await;
            let fits = if reads {
                found.status == 200 || found.code() == "user_changed"
            } else {
                is_refused(&found)
            };
            assert!(fits, "{} {change} {}", node.name, found.text);
        }
        // Deleted and created again with the same name and password: the API keys and sessions of the
        // former user stay invalid.
        send(through.request("DELETE", &path)).await.ok();
        admin.post("/api/v1/users", &user).await.ok();
        for (node, proof) in all(&cluster, &proofs) {
            if !matches!(proof, Proof::Basic(_)) {
                let found = read(node, proof, "GET").await;
                assert!(is_refused(&found), "{} {}", node.name, found.text);
            }
        }
    }
}

fn all<'a>(cluster: &'a Cluster, proofs: &'a [Proof]) -> Vec<(&'a Node, &'a Proof)> {
    let nodes = cluster.nodes.iter();
    nodes.flat_map(|node| proofs.iter().map(move |proof| (node, proof))).collect()
}

/// Refused because of the change, or because the node does not know yet whether there is one.
fn is_refused(answer: &Answer) -> bool {
    matches!(answer.status, 401 | 403) || answer.code() == "user_changed"
}

/// Calls all routes of a follower that has not applied the change of a user yet.
async fn calls_of_a_changed_user(node: &Node, routes: &[Route], proof: &Proof, stays: bool) {
    let calls = routes.iter().map(|route| async move {
        let (target, body) = call(route);
        let request = Http::new(&node.url()).request(&route.method, &target).body(body);
        let answer = send(match proof {
            Proof::Basic(name) => request.basic_auth(name, Some(WORD)),
            Proof::Key(key) => request.bearer_auth(key),
            Proof::Cookie(cookie) => request.header("cookie", cookie),
        })
        .await;
        if stays && route.access == "User(Login)" {
            let role = answer.json()["role"].clone();
            assert_ne!(role, "admin", "{route:?} {} {}", answer.status, answer.text);
        } else {
            // Many wrong passwords at once exceed the limit, and the follower may lag for too long.
            let unanswered = matches!(answer.status, 401 | 403 | 429 | 503);
            assert!(unanswered, "{route:?} {} {}", answer.status, answer.text);
        }
    });
    futures_util::future::join_all(calls).await;
}

/// Symptom: `whoami` with the old password succeeded on a follower right after the password was
/// changed. No route may succeed, whatever it waits for.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_serves_the_old_credentials_on_a_follower_that_lags() {
    const LAG: Duration = Duration::from_millis(300);
    // A node without a leader decides by its own copy, so the lag must end before that.
    let patient =
        |settings: Settings| settings.key("ElectionMinMs", 5000).key("ElectionMaxMs", 6000);
    let (cluster, links) = Cluster::start_with_links("access-lag", 3, patient).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let (admin, node) = (cluster.nodes[leader].http(), &cluster.nodes[follower]);
    make_place(&admin).await;
    let mut routes = source::routes();
    routes.retain(|route| route.place.starts_with("Here") && route.access.starts_with("User"));
    assert!(routes.len() > 25, "{routes:?}");
    // Verifying a password takes long, so not every route is called with it.
    let few = ["/api/v1/session", "/api/cluster", "/api/dbs", "/api/count"];
    let some: Vec<_> =
        routes.iter().filter(|route| few.contains(&route.path.as_str())).cloned().collect();
    links.delay(leader, follower, LAG);
    let changes = [
        ("PATCH", json!({"password": "another password for tests"})),
        ("PATCH", json!({"disabled": true})),
        ("PATCH", json!({"role": "owner", "allowed_dbs": []})),
        ("DELETE", json!({})),
        ("revoke", json!({})),
    ];
    for (round, (method, change)) in changes.into_iter().enumerate() {
        let name = format!("u{round}");
        let user = json!({"username": name, "password": WORD, "role": "admin"});
        admin.post("/api/v1/users", &user).await.ok();
        let user = Http::new(&node.url()).login(&name, WORD);
        let made = user.post("/api/v1/tokens", &json!({"name": "test"})).await.ok().json();
        let key = Proof::Key(made["token"].as_str().expect("a key").to_owned());
        let (basic, id) = (Proof::Basic(name.clone()), made["id"].as_str().expect("its name"));
        // The follower has verified and cached both.
        user.get("/api/v1/session").await.ok();
        let request = Http::new(&node.url()).request("GET", "/api/v1/session");
        send(request.bearer_auth(made["token"].as_str().expect("a key"))).await.ok();
        let path = format!("/api/v1/users/{name}");
        match method {
            "revoke" => send(admin.request("DELETE", &format!("/api/v1/tokens/{id}"))).await.ok(),
            _ => send(admin.request(method, &path).json(&change)).await.ok(),
        };
        let stays = change.get("role").is_some();
        if method != "revoke" {
            calls_of_a_changed_user(node, &some, &basic, stays).await;
        }
        // An API key outlives the password with which it was created.
        if change.get("password").is_none() {
            calls_of_a_changed_user(node, &routes, &key, stays).await;
        }
    }
    assert!(links.hits() > 0, "nothing was late");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_has_its_role_until_it_expires() {
    let cluster = Cluster::start("access-keys", 2).await;
    let (first, second) = (&cluster.nodes[0], &cluster.nodes[1]);
    let admin = first.http();
    make_place(&admin).await;
    admin.post("/api/dbs", &json!({"name": "lab"})).await.ok();
    let new = json!({"name": "job", "role": "reader", "databases": ["shop"]});
    let made = admin.post("/api/v1/tokens", &new).await.ok().json();
    let key = Proof::Key(made["token"].as_str().expect("a key").to_owned());
    for node in [first, second] {
        read(node, &key, "GET").await.ok();
        read(node, &key, "POST").await.refused(403, "forbidden");
        let Proof::Key(key) = &key else { unreachable!("it is one") };
        let by_key =
            |method, target: &str| Http::new(&node.url()).request(method, target).bearer_auth(key);
        send(by_key("GET", "/api/v1/databases/lab/collections/a/documents"))
            .await
            .refused(403, "forbidden");
        send(by_key("GET", "/api/v1/users")).await.refused(403, "forbidden");
        send(by_key("POST", "/api/v1/tokens").body("{\"name\":\"more\"}"))
            .await
            .refused(403, "forbidden");
        let other = send(by_key("DELETE", "/api/v1/tokens/0000000000000000")).await;
        other.refused(403, "forbidden");
        let listed = send(by_key("GET", "/api/v1/tokens")).await.ok().json();
        assert_eq!(listed["tokens"].as_array().map(Vec::len), Some(1), "{listed}");
        send(by_key("POST", "/api/change-password").body("{\"newPassword\":\"taken over\"}"))
            .await
            .refused(400, "invalid_body");
        // An API key is not accepted as a cookie, and other tokens are not accepted as API keys.
        let cookie = format!("jettra_session={key}");
        read(node, &Proof::Cookie(cookie), "GET").await.refused(401, "not_authenticated");
        read(node, &Proof::Key(format!("{key}0")), "GET").await.refused(401, "not_authenticated");
        read(node, &Proof::Key(key[..key.len() - 1].to_owned()), "GET")
            .await
            .refused(401, "not_authenticated");
    }
    let id = made["id"].as_str().expect("an id");
    send(second.http().request("DELETE", &format!("/api/v1/tokens/{id}"))).await.ok();
    for node in [first, second] {
        assert!(is_refused(&read(node, &key, "GET").await));
    }
    let short =
        admin.post("/api/v1/tokens", &json!({"name": "short", "expires_in_ms": 1})).await.ok();
    let short = Proof::Key(short.json()["token"].as_str().expect("a key").to_owned());
    wait_until("the key has ended", async || {
        let answer = read(first, &short, "GET").await;
        if answer.status == 401 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_does_not_end_sessions() {
    let cluster = Cluster::start("access-guess", 1).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    admin.get("/api/dbs").await.ok();
    let guess = |number: usize| {
        let guesser = Http::new(&node.url()).login("admin", &format!("guess-{number}"));
        async move { guesser.get("/api/dbs").await }
    };
    let answers = futures_util::future::join_all((0..200).map(guess)).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(401) <= 12, "{} guesses were looked at", count(401));
    assert_eq!(count(401) + count(429), 200);
    let refused = answers.iter().find(|answer| answer.status == 429).expect("a refusal");
    refused.refused(429, "too_many_attempts");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    let login = json!({"username": "admin", "password": "guess"});
    let page = Http::new(&node.url());
    page.post("/api/login", &login).await.refused(429, "too_many_attempts");
    // Sessions stay valid.
    admin.get("/api/dbs").await.ok();
    let failed = admin.get("/api/v1/audit?action=login_failed").await.ok().json();
    let entries = failed["entries"].as_array().expect("a list").len();
    assert!((1..=13).contains(&entries), "{failed}");
}

/// Session fixation: a cookie that an attacker has set does not become a session.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_creates_a_new_session() {
    let cluster = Cluster::start("access-fixation", 1).await;
    let node = &cluster.nodes[0];
    let planted = format!("jettra_session={}_{}", "0".repeat(16), "0".repeat(64));
    let body = json!({"username": "admin", "password": jettra_tests::PASSWORD});
    let login = Http::new(&node.url()).request("POST", "/api/login").header("cookie", &planted);
    let answer = send(login.json(&body)).await.ok();
    let made = answer.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert_ne!(made, planted);
    let session = |cookie: &str| {
        Http::new(&node.url()).request("GET", "/api/v1/session").header("cookie", cookie)
    };
    send(session(&planted)).await.refused(401, "not_authenticated");
    send(session(&made)).await.ok();
    // The id of a session is not secret and cannot be used as a credential.
    let (id, _) = made.split_once('_').and_then(|_| made.rsplit_once('_')).expect("two parts");
    send(session(id)).await.refused(401, "not_authenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_an_administrator() {
    let cluster = Cluster::start("access-last", 3).await;
    let admin = cluster.nodes[0].http();
    for round in 0..5 {
        let other = json!({"username": "other", "password": WORD, "role": "admin"});
        admin.post("/api/v1/users", &other).await.ok();
        let other = Http::new(&cluster.nodes[1].url()).login("other", WORD);
        let demote = json!({"role": "reader"});
        let (one, two) = tokio::join!(
            admin.json("PATCH", "/api/v1/users/other", &demote),
            other.json("PATCH", "/api/v1/users/admin", &demote),
        );
        let done = [&one, &two].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "round {round}: {} {}", one.text, two.text);
        if two.status == 200 {
            other.json("PATCH", "/api/v1/users/admin", &json!({"role": "admin"})).await.ok();
        }
        wait_until("the other one is gone", async || {
            let answer = send(admin.request("DELETE", "/api/v1/users/other")).await;
            if matches!(answer.status, 204 | 404) { Ok(()) } else { Err(answer.text) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_in_the_audit_log_which_is_bounded() {
    let small = |settings: Settings| settings.key("AuditMax", 100).key("LogLevel", "debug");
    let cluster = Cluster::start_with("access-audit", 2, small).await;
    let (first, second) = (&cluster.nodes[0], &cluster.nodes[1]);
    let admin = second.http();
    make_place(&admin).await;
    let user =
        json!({"username": "ada", "password": WORD, "role": "owner", "allowed_dbs": ["shop"]});
    admin.post("/api/v1/users", &user).await.ok();
    let ada = Http::new(&second.url()).login("ada", WORD);
    let key = ada.post("/api/v1/tokens", &json!({"name": "job"})).await.ok().json();
    let cookie = ada.post("/api/login", &json!({"username": "ada", "password": WORD})).await.ok();
    send(ada.request("DELETE", "/api/dbs?name=shop")).await.ok();
    ada.post(
        "/api/change-password",
        &json!({"oldPassword": WORD, "newPassword": "something else"}),
    )
    .await
    .ok();
    Http::new(&second.url())
        .login("ada", WORD)
        .get("/api/dbs")
        .await
        .refused(401, "bad_credentials");
    let pause = json!({"node": "node2"});
    first.http().post("/api/cluster/pause", &pause).await.ok();
    first.http().post("/api/cluster/resume", &pause).await.ok();
    let told = wait_until("the failed login was noted", async || {
        let told = admin.get("/api/v1/audit?limit=50").await;
        match told.text.contains("login_failed") {
            true => Ok(told),
            false => Err(told.text),
        }
    })
    .await;
    let told = told.json();
    let entries: Vec<_> = told["entries"].as_array().expect("a list").iter().rev().collect();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| {
            format!(
                "{} {} {} {}",
                text(entry, "user"),
                text(entry, "action"),
                text(entry, "target"),
                text(entry, "outcome")
            )
        })
        .collect();
    let id = key["id"].as_str().expect("an id");
    let expected = [
        "admin user_create ada (owner) ok",
        &format!("ada token_create {id} job ok"),
        "ada login ada ok",
        "ada drop_database shop ok",
        "ada password_change ada ok",
        "admin cluster_pause node2 ok",
        "admin cluster_resume node2 ok",
        "- login_failed ada bad_credentials",
        "admin cluster_register node2",
    ];
    for line in expected {
        assert!(lines.iter().any(|known| known.starts_with(line)), "{line} is missing: {lines:#?}");
    }
    assert!(entries.iter().all(|entry| entry["from"] == "127.0.0.1"), "{entries:?}");
    ada.get("/api/v1/audit").await;
    // No secret is in the logs, not even at level debug, nor in the log lines of the audit log.
    let cookie = cookie.header("set-cookie").to_owned();
    let session =
        cookie.split_once('=').and_then(|(_, rest)| rest.split(';').next()).expect("a value");
    let secrets = [
        WORD,
        "something else",
        jettra_tests::PASSWORD,
        jettra_tests::SECRET,
        session,
        key["token"].as_str().expect("a key"),
    ];
    for node in &cluster.nodes {
        let log = node.log();
        assert!(log.contains("audit") || node.name == "node2", "{log}");
        for secret in secrets {
            assert!(!log.contains(secret), "{secret} is in the log of {}", node.name);
        }
    }
    // The oldest entries are removed.
    for number in 0..120 {
        send(first.http().request("DELETE", &format!("/api/dbs?name=none{number}"))).await.ok();
    }
    wait_until("the audit log has its bound again", async || {
        let kept = first.http().get("/api/v1/audit?limit=1000").await.ok().json();
        let entries = kept["entries"].as_array().map_or(0, Vec::len);
        let newest = kept["entries"][0]["target"].clone();
        if entries <= 100 && newest == "none119" {
            Ok(())
        } else {
            Err(format!("{entries} {newest}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_cannot_use_a_node_up() {
    let few = |settings: Settings| settings.key("CallsPerUserMax", 4);
    let cluster = Cluster::start_with("access-many", 1, few).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let stranger = Http::new(&node.url()).login("reader", WORD);
    // Calls whose bodies do not arrive. One that is sent at the same time as the probe is refused, so
    // more may be needed.
    let mut held = Vec::new();
    let token = jettra_tests::raw::token(node).await;
    wait_until("the places of the user are taken", async || {
        held.push(jettra_tests::raw::begin(node, &token, "POST /api/cols", 1000, b"{").await);
        let answer = admin.get("/api/dbs").await;
        if answer.status == 429 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    admin.get("/api/dbs").await.refused(429, "overloaded");
    stranger.get("/api/dbs").await.ok();
    drop(held);
    wait_until("the places are free again", async || {
        let answer = admin.get("/api/dbs").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_call_only_when_listed() {
    let listed = |settings: Settings| settings.key("CorsOrigins", json!(["https://app.example"]));
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").to_owned();
    for (name, adjust, expected) in
        [("access-cors-off", None, ""), ("access-cors-on", Some(listed), "https://app.example")]
    {
        let cluster = Cluster::start_with(name, 1, |settings| match adjust {
            Some(adjust) => adjust(settings),
            None => settings,
        })
        .await;
        let http = cluster.nodes[0].http();
        for (origin, expected) in [("https://app.example", expected), ("https://evil.example", "")]
        {
            let answer = send(http.request("GET", "/api/dbs").header("origin", origin)).await;
            assert_eq!(allowed(&answer), expected, "{name} {origin}");
            let asked = http.request("OPTIONS", "/api/dbs").header("origin", origin);
            let asked = asked.header("access-control-request-method", "GET");
            let answer =
                send(asked.header("access-control-request-headers", "authorization")).await;
            assert_eq!(allowed(&answer), expected, "{name} {origin}");
            assert_ne!(answer.header("access-control-allow-credentials"), "true");
        }
        let answer = http.get("/api/dbs").await.ok();
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

/// An API key of an administrator may have all rights in the data, but not manage access.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_cannot_manage_users_and_keys() {
    let cluster = Cluster::start("access-strong-key", 1).await;
    let node = &cluster.nodes[0];
    let made = node.http().post("/api/v1/tokens", &json!({"name": "strong"})).await.ok().json();
    let key = made["token"].as_str().expect("a key");
    let by_key = |method, target: &str, body: Value| {
        send(Http::new(&node.url()).request(method, target).bearer_auth(key).json(&body))
    };
    by_key("GET", "/api/v1/users", json!({})).await.ok();
    let eve = json!({"username": "eve", "password": WORD, "role": "admin"});
    for (method, target, body) in [
        ("POST", "/api/v1/users", eve.clone()),
        ("POST", "/api/users", eve),
        ("PATCH", "/api/v1/users/admin", json!({"password": WORD})),
        ("PATCH", "/api/v1/users/admin", json!({"disabled": true})),
        ("DELETE", "/api/v1/users/admin", json!({})),
        ("POST", "/api/v1/tokens", json!({"name": "more"})),
        ("POST", "/api/v1/cluster/tokens", json!({})),
    ] {
        by_key(method, target, body).await.refused(403, "forbidden");
    }
    // Even a session needs the old password to change its own password.
    let own = json!({"password": "a password of somebody else"});
    let answer = node.http().json("PATCH", "/api/v1/users/admin", &own).await;
    answer.refused(400, "invalid_body");
    // The key can end itself.
    let id = made["id"].as_str().expect("an id");
    by_key("DELETE", &format!("/api/v1/tokens/{id}"), json!({})).await.ok();
    by_key("GET", "/api/v1/users", json!({})).await.refused(401, "not_authenticated");
}

/// Login CSRF: a page of another site logs its visitor in as a user chosen by the attacker.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_cannot_log_its_visitor_in() {
    let cluster = Cluster::start("access-login-csrf", 1).await;
    let http = Http::new(&cluster.nodes[0].url());
    let body = json!({"username": "admin", "password": jettra_tests::PASSWORD}).to_string();
    let login = || http.request("POST", "/api/login").body(body.clone());
    let foreign =
        login().header("origin", "http://evil.example").header("content-type", "text/plain");
    send(foreign).await.refused(403, "cross_site_request");
    send(login().header("origin", "null")).await.refused(403, "cross_site_request");
    send(login().header("origin", "http://x").header("x-jettra-client", "page")).await.ok();
    send(login()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_do_not_reveal_which_users_and_databases_exist() {
    let cluster = Cluster::start("access-oracle", 1).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let stranger = Http::new(&node.url()).login("stranger", WORD);
    for database in ["shop", "no-such-database"] {
        let collection = json!({"database": database, "collection": "a"});
        stranger.post("/api/cols", &collection).await.refused(403, "forbidden");
        let target = format!("/api/doc?db={database}&col=a");
        stranger.post(&target, &json!({})).await.refused(403, "forbidden");
        stranger.get(&format!("/api/dbs/{database}/cols")).await.refused(403, "forbidden");
    }
    // The hash used for unknown users matches no password, and guesses for unknown users are
    // counted like others.
    let mut refused = 0;
    for _ in 0..8 {
        let ghost = Http::new(&node.url()).login("ghost", "no user has this password");
        let answer = ghost.get("/api/dbs").await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
        refused += usize::from(answer.status == 429);
    }
    assert!(refused >= 2, "{refused} guesses were refused");
    // A password that exceeds the maximum length counts as a guess as well.
    let mut refused = 0;
    for _ in 0..50 {
        let long = Http::new(&node.url()).login("ghost", &"x".repeat(2000));
        refused += usize::from(long.get("/api/dbs").await.status == 429);
    }
    assert!(refused >= 10, "{refused} guesses were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_with_the_right_to_read_it() {
    let cluster = Cluster::start("access-feed", 1).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let watch = "/api/v1/databases/shop/collections/things/watch";
    let feed = Http::new(&node.url()).login("reader", WORD).request("GET", watch);
    let mut feed = feed.send().await.expect("a feed");
    assert_eq!(feed.status().as_u16(), 200);
    let change = "/api/v1/databases/shop/collections/things/documents";
    admin.post(change, &json!({"_id": "seen"})).await.ok();
    let mut text = String::new();
    while !text.contains("seen") {
        let chunk = feed.chunk().await.expect("a chunk").expect("the feed goes on");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    admin.json("PATCH", "/api/v1/users/reader", &json!({"disabled": true})).await.ok();
    admin.post(change, &json!({"_id": "unseen"})).await.ok();
    while let Some(chunk) = feed.chunk().await.expect("a chunk") {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("event: error") && !text.contains("unseen"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_node_are_not_readable_by_other_users_of_the_machine() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = Cluster::start("access-files", 1).await;
    let node = &cluster.nodes[0];
    node.http().post("/api/dbs", &json!({"name": "shop"})).await.ok();
    let mut seen = 0;
    let mut dirs = vec![node.data_dir()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = path.metadata().expect("its data").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
            seen += 1;
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    assert!(seen > 5, "{seen} files");
}

/// An expression that runs for minutes, for a document that is found at once.
fn heavy(items: u32) -> Value {
    let range = json!({"$range": [0, items]});
    let sum = json!({"$add": ["$$value", {"$size": range}]});
    let reduce = json!({"$reduce": {"input": range, "initialValue": 0, "in": sum}});
    json!({"_id": "1", "$expr": {"$gt": [reduce, -1]}})
}

/// Symptom: a reader's queries stopped a node, and a writer's update stopped all nodes.
#[tokio::test(flavor = "multi_thread")]
async fn expensive_expressions_do_not_delay_others() {
    let short =
        |settings: Settings| settings.key("QueryTimeoutMs", 5_000).key("WriteStepsMax", 1_000_000);
    let cluster = Cluster::start_with("access-heavy", 2, short).await;
    let leader = &cluster.nodes[cluster.leader().await];
    let admin = leader.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let things = "/api/v1/databases/shop/collections/things";
    let update = json!({"filter": heavy(100_000), "update": {"$set": {"b": 1}}});
    let writer = Http::new(&leader.url()).login("writer", WORD);
    writer.post(&format!("{things}/update"), &update).await.refused(413, "query_too_large");
    let then = json!({"update": {"database": "shop", "collection": "things",
        "filter": heavy(100_000), "update": {"$set": {"b": 1}}}});
    writer.post("/api/v1/batch", &json!({"then": [then]})).await.refused(413, "query_too_large");
    let reader = Http::new(&leader.url()).login("reader", WORD);
    let find = format!("{things}/find");
    let body = json!({"filter": heavy(100_000)});
    let heavy = futures_util::future::join_all((0..6).map(|_| reader.post(&find, &body)));
    let others = async {
        let mut answered = 0;
        for number in 0..20 {
            admin.get("/health").await.ok();
            let document = json!({"_id": format!("meanwhile-{number}")});
            admin.post(&format!("{things}/documents"), &document).await.ok();
            answered += 1;
        }
        answered
    };
    let (heavy, others) = tokio::join!(heavy, others);
    assert_eq!(others, 20);
    for answer in heavy {
        assert!(
            matches!(answer.code().as_str(), "time_limit" | "query_too_large"),
            "{}",
            answer.text
        );
    }
}
