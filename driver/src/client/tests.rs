//! Tests of retries and of what calls carry.

use super::*;
use crate::fake::{Answer, Requests, node};
use serde_json::{Value, json};

#[tokio::test]
async fn a_client_proves_itself_with_the_last_that_it_was_given() {
    let (client, requests) = node(vec![Answer::With(200, "[]".into())]);
    let builder = || Client::builder().seeds([client.target()]);
    let clients = [
        builder().credentials("a", "b").api_key("jettra_1_2"),
        builder().api_key("jettra_1_2").credentials("a", "b"),
    ];
    for client in clients {
        client.build().unwrap().list_databases().await.unwrap();
    }
    let requests = requests.lock().unwrap();
    let sent = requests.iter().map(|call| call.header("authorization").unwrap_or_default());
    assert_eq!(sent.collect::<Vec<_>>(), ["bearer jettra_1_2", "basic ytpi"]);
}

#[tokio::test]
async fn a_call_without_nodes_ends_at_its_deadline() {
    let client = Client::builder()
        .seeds(["http://127.0.0.1:1"])
        .deadline(Duration::from_millis(100))
        .build()
        .unwrap();
    assert!(matches!(client.health().await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_client_that_does_not_wait_ends_when_every_seed_refuses() {
    let seeds = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
    let client = Client::builder().seeds(seeds).end_when_unreachable().build().unwrap();
    let error = client.health().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { .. }), "{error:?}");
    let expected = "no connection to http://127.0.0.1:1, http://127.0.0.1:2: ";
    assert!(error.to_string().starts_with(expected), "{error}");
    let (answering, _) = node(vec![Answer::With(200, "[]".into())]);
    let seeds = [seeds[0].to_owned(), answering.target()];
    let client = Client::builder().seeds(seeds).end_when_unreachable().build().unwrap();
    client.list_databases().await.unwrap();
}

#[tokio::test]
async fn the_health_of_a_node_that_serves_no_calls_is_an_answer() {
    let health = json!({
        "status": "no_leader", "reason": "there is no leader", "node_id": "n1", "is_leader": false,
        "current_leader": null, "current_term": 3, "state": "Candidate",
    });
    let (client, requests) = node(vec![Answer::With(503, health.to_string())]);
    let told = client.health().await.unwrap();
    assert_eq!(
        (told.status.as_str(), told.reason.as_deref()),
        ("no_leader", Some("there is no leader"))
    );
    assert_eq!(requests.lock().unwrap().len(), 1);
}

fn keys(requests: &Requests) -> Vec<Option<String>> {
    let requests = requests.lock().unwrap();
    requests.iter().map(|call| call.header("idempotency-key").map(str::to_owned)).collect()
}

fn written() -> Answer {
    Answer::With(201, r#"{"id": 7, "revision": 3}"#.into())
}

#[tokio::test]
async fn a_write_that_was_interrupted_is_sent_again_with_the_same_key() {
    let (client, requests) = node(vec![Answer::Break, Answer::error(503, "no_leader"), written()]);
    let people = client.collection::<Value>("d", "c");
    let reply = people.insert(&json!({"name": "Ada"})).await.unwrap();
    assert_eq!(reply.revision, 3);
    people.insert(&json!({"name": "Ada"})).await.unwrap();
    let keys = keys(&requests);
    assert_eq!(keys.len(), 4);
    assert!(keys[0].as_ref().is_some_and(|key| key.len() == 36), "{keys:?}");
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn a_client_whose_clock_is_behind_takes_over_that_of_the_cluster() {
    let cluster_ms = 0x0200_0000_0000_u64;
    let error = json!({"error": {
        "code": "idempotency_key_expired", "message": "m", "details": {"now_ms": cluster_ms},
    }});
    let (client, requests) = node(vec![Answer::With(409, error.to_string()), written()]);
    client.collection::<Value>("d", "c").insert(&json!({"name": "Ada"})).await.unwrap();
    let keys: Vec<String> = keys(&requests).into_iter().flatten().collect();
    assert_eq!(keys.len(), 2);
    assert!(keys[0] < keys[1], "{keys:?}");
    assert!(keys[1].starts_with("0200000"), "{keys:?}");
}

#[tokio::test]
async fn only_writes_of_data_carry_a_key() {
    let (client, requests) = node(vec![Answer::With(200, "{}".into())]);
    let people = client.collection::<Value>("d", "c").with_idempotency_key("mine");
    let _ = people.find(json!({})).await;
    let _ = people.count().await;
    let _ = client.login("ada", "x").await;
    let _ = client.cluster_pause("node1").await;
    let _ = client.statement("d", "SELECT * FROM c").await;
    assert_eq!(keys(&requests), vec![None; 5]);
    let _ = client.statement("d", "DELETE FROM c").await;
    let _ = client.create_database("d").await;
    assert!(keys(&requests)[5..].iter().all(Option::is_some));
    people.drop_index("by_age").await.unwrap();
    assert_eq!(keys(&requests)[7].as_deref(), Some("mine"));
}

#[tokio::test]
async fn an_answer_that_says_nothing_of_the_attempt_before_leaves_the_outcome_unknown() {
    let table = [
        (409, "idempotency_key_expired", true),
        (401, "not_authenticated", true),
        (429, "too_many_attempts", true),
        (500, "internal", true),
        (409, "duplicate_id", false),
    ];
    for (status, code, unknown) in table {
        let (client, _) = node(vec![Answer::Break, Answer::error(status, code)]);
        let people = client.collection::<Value>("d", "c");
        let error = people.insert(&json!({})).await.unwrap_err();
        assert_eq!(matches!(error, Error::Unknown { .. }), unknown, "{code}: {error:?}");
        let error = people.insert(&json!({})).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
    }
}

#[tokio::test]
async fn what_has_no_key_is_sent_once() {
    let (client, requests) = node(vec![Answer::Break]);
    let error = client.cluster_pause("node1").await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_in_doubt_at_the_deadline_is_unknown() {
    let (client, requests) = node(vec![Answer::Break]);
    let error = client.create_database("d").await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
    assert!(requests.lock().unwrap().len() > 1);
}

#[tokio::test]
async fn the_past_is_read_and_not_written() {
    let (client, requests) = node(vec![Answer::With(200, r#"{"count": 2}"#.into())]);
    let past = client.collection::<Value>("d", "c").at(12);
    assert_eq!(past.count().await.unwrap(), 2);
    assert_eq!(past.clone().as_of("2026-03-01T12:00:00Z").count().await.unwrap(), 2);
    let error = past.aggregate_into(json!([{"$out": "c"}])).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    let requests = requests.lock().unwrap();
    assert!(requests[0].line.contains("at=12"), "{requests:?}");
    assert!(requests[1].line.contains("asOf=2026-03-01T12%3A00%3A00Z"), "{requests:?}");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn a_call_of_which_it_is_known_how_far_it_came_is_not_sent_again() {
    let error = json!({"error": {
        "code": "outcome_unknown", "message": "500 of 2000 documents were written",
        "details": {"written": 500, "documents": 2000},
    }});
    let (client, requests) = node(vec![Answer::With(504, error.to_string())]);
    let error = client.collection::<Value>("d", "c").insert(&json!({})).await.unwrap_err();
    assert!(matches!(&error, Error::Unknown { reason } if reason.contains("500 of 2000")));
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_for_canonical_json_asks_for_it_in_every_call() {
    let (client, requests) = node(vec![Answer::With(200, r#"{"count": 1}"#.into())]);
    client.with_canonical_json().collection::<Value>("d", "c").count().await.unwrap();
    client.collection::<Value>("d", "c").count().await.unwrap();
    let requests = requests.lock().unwrap();
    let asked = requests.iter().map(|call| call.line.contains("extended_json=canonical"));
    assert_eq!(asked.collect::<Vec<_>>(), [true, false], "{requests:?}");
}

#[tokio::test]
async fn only_calls_that_may_write_to_many_documents_ask_first() {
    let (client, requests) = node(vec![Answer::With(200, r#"{"deleted": 1, "count": 1}"#.into())]);
    let confirming = client.with_confirmation();
    let people = confirming.collection::<Value>("d", "c");
    people.delete_many(json!({})).await.unwrap();
    confirming.statement("d", "DELETE FROM c").await.unwrap();
    people.delete_one(json!({})).await.unwrap();
    people.count().await.unwrap();
    client.statement("d", "DELETE FROM c").await.unwrap();
    let requests = requests.lock().unwrap();
    let asked: Vec<bool> = requests.iter().map(|call| call.line.contains("confirm=ask")).collect();
    assert_eq!(asked, [true, true, false, false, false], "{requests:?}");
}
