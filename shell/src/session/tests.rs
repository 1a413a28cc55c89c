//! Tests of transactions, against a node that answers as a test says.

use super::*;
use crate::command::parse;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BEGUN: (u16, &str) = (201, r#"{"id": "t1", "index": 5, "idle_ms": 60000, "max_ms": 1}"#);
const WRITTEN: (u16, &str) = (201, r#"{"id": 7, "revision": 3}"#);
const LOST: (u16, &str) = (409, r#"{"error": {"code": "transaction_lost", "message": "m"}}"#);

/// A session with a node that gives these answers one after the other, and its requests.
fn session(answers: Vec<(u16, &'static str)>) -> (Session, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let seed = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let recorded = requests.clone();
    std::thread::spawn(move || {
        for (stream, (status, body)) in listener.incoming().zip(answers) {
            let (mut stream, mut part) = (stream.unwrap(), [0; 4096]);
            let length = stream.read(&mut part).unwrap();
            let call = String::from_utf8_lossy(&part[..length]).into_owned();
            let line = call.split(" HTTP").next().unwrap().replace("/api/v1/", "");
            recorded.lock().unwrap().push(line);
            let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
            let length = format!("content-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &length + body).as_bytes()).unwrap();
        }
    });
    let deadline = Duration::from_secs(5);
    let connection = Connection {
        seeds: vec![seed],
        stay: false,
        credentials: None,
        deadline,
        patient: false,
        authority: None,
        canonical: false,
    };
    let settings = Settings {
        mode: Mode::Json,
        json_errors: false,
        timer: false,
        quiet: false,
        yes: false,
        interactive: false,
        width: None,
        height: None,
        level: Default::default(),
    };
    let mut session = Session::new(connection, None, settings).unwrap();
    session.database = Some("d".into());
    (session, requests)
}

async fn run(session: &mut Session, text: &str) -> StatementResult {
    session.run(parse(text).unwrap()).await
}

const INSERT: &str = "POST databases/d/collections/c/documents";

#[tokio::test]
async fn statements_belong_to_the_open_transaction() {
    let answers = vec![BEGUN, WRITTEN, (200, r#"{"status": "committed", "writes": 1}"#), WRITTEN];
    let (mut session, requests) = session(answers);
    assert!(run(&mut session, "commit").await.is_err());
    run(&mut session, "begin").await.unwrap();
    assert_eq!(session.transaction_id(), Some("t1"));
    assert!(run(&mut session, "begin").await.is_err());
    assert!(run(&mut session, "drop col c").await.is_err());
    run(&mut session, "insert c {}").await.unwrap();
    run(&mut session, "commit").await.unwrap();
    assert_eq!(session.transaction_id(), None);
    run(&mut session, "insert c {}").await.unwrap();
    let inside = format!("{INSERT}?tx=t1");
    let expected = ["POST transactions", &inside, "POST transactions/t1/commit", INSERT];
    assert_eq!(*requests.lock().unwrap(), expected);
    assert!(!session.close().await);
}

#[tokio::test]
async fn after_a_loss_no_statement_is_carried_out_outside() {
    let (mut session, requests) = session(vec![BEGUN, LOST, LOST, LOST]);
    run(&mut session, "begin").await.unwrap();
    for text in ["insert c {}", "insert c {}", "commit"] {
        let error = run(&mut session, text).await.unwrap_err().to_string();
        assert!(error.contains("Nothing of the transaction was written"), "{error}");
    }
    let lines = requests.lock().unwrap().clone();
    assert!(lines[1..].iter().all(|line| line.contains("t1")), "{lines:?}");
    assert_eq!(session.transaction_id(), None);
}

#[tokio::test]
async fn what_is_open_at_the_end_is_rolled_back() {
    let (mut session, requests) = session(vec![BEGUN, (204, "")]);
    run(&mut session, "begin").await.unwrap();
    assert!(session.close().await);
    assert_eq!(requests.lock().unwrap()[1], "DELETE transactions/t1");
}
