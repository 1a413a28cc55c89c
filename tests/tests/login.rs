//! Every call needs credentials.

use jettra_tests::source::{self, Route};
use jettra_tests::{ADMIN, Answer, Cluster, Http, Node, PASSWORD, send, wait_until};
use serde_json::json;

fn anonymous(node: &Node) -> Http {
    Http::new(&node.url())
}

fn is_open(route: &Route) -> bool {
    route.access == "Open"
}

#[tokio::test(flavor = "multi_thread")]
async fn only_login_health_and_the_page_are_open() {
    let cluster = Cluster::start("login-routes", 2).await;
    let mut routes = source::routes();
    for (method, path) in [("GET", "/raft/rpc/stream"), ("GET", "/raft/rpc/snapshot")] {
        let access = "Node".to_owned();
        let place = "Here(Nothing)".to_owned();
        routes.push(Route { method: method.into(), path: path.into(), access, place });
    }
    for node in &cluster.nodes {
        for route in routes.iter().filter(|route| !is_open(route)) {
            check_closed(node, route).await;
        }
        let open = anonymous(node);
        assert_eq!(open.get("/health").await.ok().json()["status"], "ok");
        assert!(open.get("/").await.ok().header("content-type").starts_with("text/html"));
        let login = json!({"username": ADMIN, "password": PASSWORD});
        open.post("/api/login", &login).await.ok();
    }
}

/// A route answers 401 without credentials, with wrong ones and with forged headers.
async fn check_closed(node: &Node, route: &Route) {
    let target = route.example();
    let expected = if route.access == "Node" { "bad_cluster_secret" } else { "not_authenticated" };
    let call = || anonymous(node).request(&route.method, &target).body("{}");
    let plain = send(call()).await;
    refused(&plain, expected, route);
    assert!(plain.header("www-authenticate").starts_with("Basic "), "{route:?}");
    let from_node = [("x-jettra-peer", "00.00"), ("x-jettra-user", ADMIN)];
    for count in [1, 2] {
        let forged = from_node[..count]
            .iter()
            .fold(call(), |call, (name, value)| call.header(*name, *value));
        refused(&send(forged).await, "bad_cluster_secret", route);
    }
    refused(&send(call().header("x-jettra-user", ADMIN)).await, expected, route);
    if expected == "not_authenticated" {
        let wrong =
            anonymous(node).login(ADMIN, "admin").request(&route.method, &target).body("{}");
        let answer = send(wrong).await;
        // After some failures, further ones are refused without verification.
        if answer.status != 429 {
            refused(&answer, "bad_credentials", route);
        }
        let cookie = call().header("cookie", "jettra_session=00").header("x-jettra-client", "page");
        refused(&send(cookie).await, "not_authenticated", route);
    }
}

#[track_caller]
fn refused(answer: &Answer, code: &str, route: &Route) {
    assert_eq!((answer.status, answer.code().as_str()), (401, code), "{route:?} {}", answer.text);
    answer.refused(401, code);
}

/// Logs in at a node and returns the cookie that it sets.
async fn log_in(node: &Node, password: &str) -> String {
    let body = json!({"username": ADMIN, "password": password});
    let answer = anonymous(node).post("/api/login", &body).await.ok();
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().expect("name and value").to_owned()
}

async fn by_cookie(node: &Node, method: &str, target: &str, cookie: &str, page: bool) -> Answer {
    let request = anonymous(node).request(method, target).header("cookie", cookie);
    let request = if page { request.header("x-jettra-client", "page") } else { request };
    send(request.body("{\"name\":\"made_by_cookie\"}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_valid_on_all_nodes_and_other_sites_cannot_use_it() {
    let cluster = Cluster::start("login-session", 3).await;
    let cookie = log_in(&cluster.nodes[1], PASSWORD).await;
    for node in &cluster.nodes {
        let session = by_cookie(node, "GET", "/api/v1/session", &cookie, false).await.ok();
        let everything = json!({
            "username": ADMIN, "role": "admin", "allowed_dbs": ["*"], "grants": {}
        });
        assert_eq!(session.json(), everything);
        let foreign = by_cookie(node, "POST", "/api/dbs", &cookie, false).await;
        foreign.refused(403, "cross_site_request");
        by_cookie(node, "POST", "/api/dbs", &cookie, true).await.ok();
    }
    by_cookie(&cluster.nodes[2], "POST", "/api/logout", &cookie, true).await.ok();
    wait_until("the session has ended on all nodes", async || {
        for node in &cluster.nodes {
            let answer = by_cookie(node, "GET", "/api/v1/session", &cookie, false).await;
            if answer.status != 401 {
                return Err(format!("{}: {}", node.name, answer.text));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_valid_on_all_nodes_and_ends_the_sessions() {
    let cluster = Cluster::start("login-password", 3).await;
    let new = "another-password-than-before";
    let cookie = log_in(&cluster.nodes[0], PASSWORD).await;
    let target = "/api/change-password";
    let through = &cluster.nodes[1];
    let missing = send(
        anonymous(through)
            .request("POST", target)
            .header("cookie", &cookie)
            .header("x-jettra-client", "page")
            .json(&json!({"newPassword": new})),
    )
    .await;
    missing.refused(400, "invalid_body");
    let wrong = json!({"oldPassword": "wrong-password", "newPassword": new});
    through.http().post(target, &wrong).await.refused(401, "bad_credentials");
    let right = json!({"oldPassword": PASSWORD, "newPassword": new});
    through.http().post(target, &right).await.ok();
    wait_until("the old password and session hold nowhere", async || {
        for node in &cluster.nodes {
            let old = node.http().get("/api/dbs").await;
            let session = by_cookie(node, "GET", "/api/v1/session", &cookie, false).await;
            if (old.status, session.status) != (401, 401) {
                return Err(format!("{}: {} {}", node.name, old.text, session.text));
            }
        }
        Ok(())
    })
    .await;
    for node in &cluster.nodes {
        node.http().get("/api/dbs").await.refused(401, "bad_credentials");
        anonymous(node).login(ADMIN, new).get("/api/dbs").await.ok();
        log_in(node, new).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_response_and_no_log() {
    let cluster = Cluster::start("login-secrets", 2).await;
    log_in(&cluster.nodes[1], PASSWORD).await;
    for node in &cluster.nodes {
        for target in ["/api/cluster", "/raft/rpc/status", "/api/dbs", "/health"] {
            check_secrets(&node.http().get(target).await.text);
        }
        for name in ["_users", "_tokens"] {
            let target = format!("/api/query?db=_system&col={name}");
            node.http().get(&target).await.refused(403, "forbidden");
        }
        check_secrets(&node.log());
    }
}

fn check_secrets(text: &str) {
    for secret in [PASSWORD, jettra_tests::SECRET, "$argon2"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}
