//! Malformed HTTP requests, which never reach a handler. Each is refused with an error like any
//! other or by closing the connection, and the node continues.

use jettra_tests::{Bed, DEADLINE, Node, raw};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes and returns everything received until the connection is closed.
async fn exchange(node: &Node, request: &[u8]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", node.port)).await;
    let mut stream = stream.expect("the node listens");
    // The node may have responded and closed the connection before all bytes were sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    let _ = reading.expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of the responses received.
fn statuses(text: &str) -> Vec<u16> {
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines.filter_map(|line| line.get(..3)?.parse().ok()).collect()
}

/// The code of the error in a response.
fn code(text: &str) -> String {
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// A node with a document, and the headers of calls to it.
struct Target {
    node: Node,
    head: String,
    _bed: Bed,
}

const DOCUMENTS: &str = "/api/v1/databases/shop/collections/stock/documents";

impl Target {
    async fn new(name: &str) -> Target {
        let bed = Bed::new(name).await;
        let node = bed.serving_node().await;
        let stock = "/api/doc?db=shop&col=stock";
        node.http().post(stock, &json!({"_id": "apples", "n": 1})).await.ok();
        let token = raw::token(&node).await;
        let head = format!("host: node\r\nauthorization: {token}\r\nconnection: close\r\n");
        Target { node, head, _bed: bed }
    }

    /// A complete request with additional header lines and a body.
    fn request(&self, line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        [format!("{line} HTTP/1.1\r\n{}{headers}\r\n", self.head).as_bytes(), body].concat()
    }

    async fn get(&self, target: &str) -> String {
        exchange(&self.node, &self.request(&format!("GET {target}"), "", b"")).await
    }

    /// Checks that the node still serves calls and has its one document.
    async fn is_unharmed(&mut self) {
        assert!(self.node.is_running());
        let list = self.node.http().get(DOCUMENTS).await.ok();
        assert_eq!(list.json()["documents"], json!([{"_id": "apples", "n": 1}]));
        let log = self.node.log();
        assert!(!log.contains("panicked"), "{log}");
        // An unauthenticated client must not be able to fill the log.
        assert!(!log.contains(" ERROR "), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_http_are_refused() {
    let mut target = Target::new("no-http").await;
    let long = "x".repeat(100_000);
    let many = "x: a\r\n".repeat(200);
    let endless = "x: a\r\n".repeat(100_000);
    let get = |line: &str, headers: &str| target.request(line, headers, b"");
    let cases = [
        ("zeros", b"\0\x01\x02\r\n\r\n".to_vec(), 400),
        ("a greeting", b"hello\r\n\r\n".to_vec(), 400),
        ("an unknown version", b"GET / HTTP/9.9\r\n\r\n".to_vec(), 400),
        ("no host", b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec(), 400),
        ("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
        ("an odd method", get("B{}D /api/dbs", ""), 400),
        ("a header without a colon", get("GET /api/dbs", "broken\r\n"), 400),
        ("a header with a zero", get("GET /api/dbs", "x: a\0b\r\n"), 400),
        ("a folded header", get("GET /api/dbs", "x: a\r\n b\r\n"), 400),
        ("a space before the colon", get("GET /api/dbs", "x : a\r\n"), 400),
        ("an address beyond 64 KiB", get(&format!("GET /api/dbs?a={long}"), ""), 400),
        ("bytes in the address", get("GET /api/doc?db=\u{e9}", ""), 400),
        ("too many headers", get("GET /api/dbs", &many), 431),
        ("headers without end", get("GET /api/dbs", &endless), 431),
    ];
    for (name, request, status) in cases {
        let answer = exchange(&target.node, &request).await;
        assert_eq!(statuses(&answer), [status], "{name}: {answer}");
    }
    target.is_unharmed().await;
}

/// Request smuggling: a proxy and the node must never disagree about where a request ends.
#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_open_web_sockets() {
    let mut target = Target::new("bad-upgrade").await;
    let headers = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let head = target.head.replace("connection: close\r\n", headers);
    for (line, status, expected) in [
        ("GET /raft/rpc/stream", 401, "bad_cluster_secret"),
        ("GET /raft/rpc/snapshot?group=0", 401, "bad_cluster_secret"),
        ("POST /raft/rpc/stream", 404, "route_not_found"),
        ("GET /health", 404, "route_not_found"),
        (&format!("GET {DOCUMENTS}"), 404, "route_not_found"),
    ] {
        let request = format!("{line} HTTP/1.1\r\n{head}\r\n");
        let answer = exchange(&target.node, request.as_bytes()).await;
        assert_eq!((statuses(&answer), code(&answer).as_str()), (vec![status], expected), "{line}");
        // A caller that does not wait for the answer is nothing to log.
        let mut gone = TcpStream::connect(("127.0.0.1", target.node.port)).await.expect("a node");
        gone.write_all(request.as_bytes()).await.expect("sent");
    }
    target.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_ambiguous_length_is_refused() {
    let mut target = Target::new("smuggling").await;
    let hidden = b"0\r\n\r\nDELETE /api/dbs?name=shop HTTP/1.1\r\nhost: node\r\n\r\n";
    let chunked = b"2\r\n{}\r\n0\r\n\r\n";
    let cases: [(&str, &[u8]); 12] = [
        ("content-length: 4\r\ntransfer-encoding: chunked\r\n", hidden),
        ("transfer-encoding: chunked\r\ncontent-length: 5\r\n", hidden),
        ("content-length: 4\r\ncontent-length: 2\r\n", b"{}  "),
        ("content-length: 2\r\ncontent-length: 2\r\n", b"{}"),
        ("content-length: 2, 2\r\n", b"{}"),
        ("content-length: +2\r\n", b"{}"),
        ("content-length: -2\r\n", b"{}"),
        ("content-length: 0x2\r\n", b"{}"),
        ("content-length: 99999999999999999999999\r\n", b"{}"),
        ("transfer-encoding: xchunked\r\n", chunked),
        ("transfer-encoding: identity, chunked\r\n", chunked),
        ("transfer-encoding : chunked\r\n", chunked),
    ];
    for (headers, body) in cases {
        let request = target.request("POST /api/dbs", headers, body);
        let answer = exchange(&target.node, &request).await;
        assert_eq!(statuses(&answer), [400], "{headers}: {answer}");
    }
    for size in ["zz", "-2", "ffffffffffffffffff"] {
        let body = format!("{size}\r\n{{}}\r\n0\r\n\r\n");
        let request =
            target.request("POST /api/dbs", "transfer-encoding: chunked\r\n", body.as_bytes());
        let answer = exchange(&target.node, &request).await;
        assert!(statuses(&answer).iter().all(|status| *status == 400), "{size}: {answer}");
    }
    target.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_reach_no_files_and_identify_one_document() {
    let mut target = Target::new("bad-addresses").await;
    let files = [
        "/api/v1/databases/../../../etc/passwd",
        "/../../etc/passwd",
        "/..%2f..%2fCargo.toml",
        "/%2e%2e/%2e%2e/Cargo.toml",
        "/..\\..\\Cargo.toml",
        "/index.html%00.js",
        "/js/../../Cargo.toml",
        "//etc/passwd",
    ];
    for path in files {
        let answer = target.get(path).await;
        assert_eq!(
            (statuses(&answer), code(&answer)),
            (vec![404], "route_not_found".into()),
            "{path}"
        );
    }
    // Names of databases and collections are checked when they are created; elsewhere they are
    // looked up as given.
    for name in ["%00", "..", "..%2f..", "a%00b", "%2e%2e", "a%2fb", "%0d%0a", "_%00"] {
        for path in [
            format!("/api/v1/databases/{name}/collections/stock/documents/a"),
            format!("/api/v1/databases/shop/collections/{name}/documents/a"),
            format!("/api/v1/databases/shop/collections/stock/indexes/{name}"),
        ] {
            let put = if path.contains("indexes") { "DELETE" } else { "PUT" };
            let request = target.request(&format!("{put} {path}"), "content-length: 2\r\n", b"{}");
            let answer = exchange(&target.node, &request).await;
            let status = statuses(&answer);
            assert!(status == [400] || status == [404] || status == [405], "{path}: {answer}");
        }
    }
    // Different bytes that are not UTF-8 would identify the same document.
    for path in
        [format!("{DOCUMENTS}/%ff"), format!("{DOCUMENTS}?cursor=%fe"), "/api/dbs?%c3".into()]
    {
        let answer = target.get(&path).await;
        assert_eq!(
            (statuses(&answer), code(&answer)),
            (vec![400], "invalid_parameter".into()),
            "{path}"
        );
    }
    target.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_in_a_query_string_is_parsed_as_strictly_as_in_a_body() {
    let mut target = Target::new("bad-filters").await;
    let deep = format!("{}1{}", "%7B%22a%22:".repeat(3000), "%7D".repeat(3000));
    let large = format!("%7B%22a%22:{}%7D", "9".repeat(2000));
    for filter in
        ["%7B%22n%22:1,%22n%22:2%7D", "%7B%22n%22:1e999%7D", "%7B%7D%7B%7D", "%00", &deep, &large]
    {
        for call in ["filter", "sort", "fields", "hint"] {
            if call != "filter" && !filter.starts_with("%7B") {
                continue;
            }
            let answer = target.get(&format!("{DOCUMENTS}?{call}={filter}")).await;
            let found = (statuses(&answer), code(&answer));
            assert_eq!(found, (vec![400], "invalid_parameter".into()), "{call}={filter:.80}");
        }
    }
    for number in ["99999999999999999999999999", "-1", "1e3", "0x10", "%EF%BC%91"] {
        for name in ["limit", "skip"] {
            let answer = target.get(&format!("{DOCUMENTS}?{name}={number}")).await;
            assert_eq!(code(&answer), "invalid_parameter", "{name}={number}");
        }
    }
    target.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_utf8_in_bodies_and_headers_are_refused() {
    let mut target = Target::new("bad-bytes").await;
    for body in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":1e999}",
        b"\xef\xbb\xbf{}",
        b"{\"a\0\":1}",
    ] {
        let length = format!("content-length: {}\r\n", body.len());
        let request = target.request(&format!("POST {DOCUMENTS}"), &length, body);
        let answer = exchange(&target.node, &request).await;
        assert_eq!(
            (statuses(&answer), code(&answer)),
            (vec![400], "invalid_json".into()),
            "{body:?}"
        );
    }
    for header in ["if-match", "idempotency-key"] {
        let line = format!("DELETE {DOCUMENTS}/apples HTTP/1.1\r\n{}{header}: ", target.head);
        let request = [line.as_bytes(), b"\xff\r\n\r\n"].concat();
        let answer = exchange(&target.node, &request).await;
        assert_eq!(
            (statuses(&answer), code(&answer)),
            (vec![400], "invalid_parameter".into()),
            "{header}"
        );
    }
    let request = b"GET /api/dbs HTTP/1.1\r\nhost: node\r\nconnection: close\r\nauthorization: Basic \xff\r\n\r\n";
    let answer = exchange(&target.node, request).await;
    assert_eq!((statuses(&answer), code(&answer)), (vec![401], "not_authenticated".into()));
    target.is_unharmed().await;
}

/// A token must not be named by its secret, which would appear in the audit log and the node's log.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_by_its_secret_is_not_logged() {
    let bed = Bed::new("revoked-by-text").await;
    let node = bed.serving_node().await;
    let made = node.http().post("/api/v1/cluster/tokens", &json!({})).await.ok().json();
    let text = made["token"].as_str().expect("a token");
    let secret = text.rsplit_once('_').expect("a secret").1;
    let revoke = async |name: &str| {
        node.http().json("DELETE", &format!("/api/v1/tokens/{name}"), &json!({})).await
    };
    assert_eq!(revoke(text).await.status, 204);
    revoke(text).await.refused(404, "token_not_found");
    revoke(secret).await.refused(404, "token_not_found");
    let audit = node.http().get("/api/v1/audit?limit=1000").await.ok();
    assert!(audit.text.contains("token_revoke"), "{}", audit.text);
    assert!(!audit.text.contains(secret), "{}", audit.text);
    assert!(!node.log().contains(secret));
}

/// Symptom: a call with a body that is too long, or without the right to send one, was refused only
/// after the time limit for the body.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_refused_by_its_headers_before_the_body_arrives() {
    let mut target = Target::new("by-head").await;
    let token = raw::token(&target.node).await;
    let post = format!("POST {DOCUMENTS}");
    for (token, status) in [(token.as_str(), 413), ("Basic eDp5", 401)] {
        let begun = raw::begin(&target.node, token, &post, 99_999_999, b"").await;
        let answer = begun.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    target.is_unharmed().await;
}
