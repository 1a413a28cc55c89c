//! Passwords, logins, API keys, and pages of other sites.

use super::{Proof, WORD, is_refused, make_place, read};
use jettra_tests::{Answer, Cluster, Http, Settings, send, wait_until};
use serde_json::{Value, json};

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
