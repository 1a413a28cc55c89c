//! Changes of users and rights, which take effect on every node at once.

use super::{Proof, WORD, is_refused, make_place, make_users, read};
use crate::routes::call;
use jettra_tests::source::{self, Route};
use jettra_tests::{Cluster, Http, Node, Settings, send, wait_until};
use serde_json::json;
use std::time::Duration;

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
