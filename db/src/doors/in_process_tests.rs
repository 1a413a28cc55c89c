//! A door without a protocol: all that a second one would do, on the service alone, of a node
//! with a cluster of its own in a temporary directory.

use crate::cluster::Cluster;
use crate::cluster::bootstrap;
use crate::cluster::identity::Identity;
use crate::config::Config;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::command::{PutMode, Target};
use crate::engine::document::parse_document;
use crate::engine::value::{Value, parse_stored};
use crate::error::{Error, Kind, Result};
use crate::format::GroupFormats;
use crate::raft::RaftId;
use crate::service::catalog;
use crate::service::changes::{self, Watch};
use crate::service::count::{self, Count};
use crate::service::documents;
use crate::service::find::{self, Find};
use crate::service::pipelines::PageRequest;
use crate::service::place::{self, Origin, Place, Wait};
use crate::service::precondition::Precondition;
use crate::service::session::IdempotencyKey;
use crate::service::sessions::{self, Credentials};
use crate::service::statements::{self, StatementResult};
use crate::service::tokens::{self, NewApiKey};
use crate::service::transactions;
use crate::service::users::{self, NewUser};
use crate::service::writes::{self, Selection, Update};
use crate::service::{Response, Service, Session};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const PASSWORD: &str = "an administrator's password";

/// The service of a node that is a cluster by itself.
async fn start(dir: &Path) -> Arc<Service> {
    let flags = [
        ("DataDir", dir.display().to_string()),
        ("Bootstrap", "true".into()),
        ("AdminPassword", PASSWORD.into()),
    ];
    let config = Config::load(None, |_| None, &BTreeMap::from(flags)).unwrap();
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let identity = Identity::load(&config).unwrap();
    let cluster =
        Cluster::new(config, "0123456789abcdef", identity, None, GroupFormats::THIS).unwrap();
    bootstrap::start(&cluster).await.unwrap();
    Service::new(cluster).unwrap()
}

/// A session of the administrator, by name and password.
async fn log_in(service: &Arc<Service>) -> Session {
    let credentials = Credentials::Password { name: "admin", password: PASSWORD };
    let user = sessions::authenticate(service, credentials, Some("127.0.0.1")).await.unwrap();
    let mut session = Session::new(service.clone(), "in-process-1".into(), None);
    session.set_user(user, false);
    session
}

fn people() -> Namespace {
    Namespace { database: "shop".into(), collection: "people".into() }
}

fn value(json: &str) -> Value {
    parse_stored(json.as_bytes()).expect("a value")
}

/// Inserts a document where it is carried out, as a door does with every request.
async fn insert(session: &Session, json: &str) -> Result<Response<documents::Written>> {
    let here = async || {
        let new = parse_document(json.as_bytes(), &session.limits())?;
        documents::insert(session, people(), new, PutMode::Insert, false).await
    };
    let there = async |_: &str| Err(Error::new(Kind::NoLeader, "there is no other node"));
    place::carry_out(session, Place::Leader(Wait::Ready), Origin::Caller, here, there).await
}

async fn get(session: &Session, id: RaftId) -> Result<Value> {
    let target = Target::from(DocumentId::from(id as i64));
    let document = documents::get(session, &people(), target).await?.value;
    Ok(parse_stored(&document.json).expect("a document"))
}

/// What a door runs on any thread must be [`Send`].
fn sent<F: Future + Send>(work: F) -> F {
    work
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_written_once_and_read_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let mut session = log_in(&service).await;
    sent(catalog::create_collection(&session, people())).await.unwrap();
    for number in 0..5 {
        let written = insert(&session, &format!(r#"{{"_id":{number},"n":{number}}}"#)).await;
        assert!(written.unwrap().value.created);
    }
    let taken = insert(&session, r#"{"_id":3}"#).await.unwrap_err();
    assert_eq!(taken.kind, Kind::DuplicateId);

    // The same key a second time: the same document, and the response says so.
    session.key = Some(IdempotencyKey { text: "k1".into(), fingerprint: 7 });
    let first = insert(&session, r#"{"n":5}"#).await.unwrap();
    let again = insert(&session, r#"{"n":5}"#).await.unwrap();
    assert_eq!((first.value.clone(), first.index), (again.value, again.index));
    assert_eq!((first.repeated, again.repeated), (false, true));
    session.key = Some(IdempotencyKey { text: "k1".into(), fingerprint: 8 });
    let other = insert(&session, r#"{"n":6}"#).await.unwrap_err();
    assert_eq!(other.kind, Kind::IdempotencyKeyReused);
    session.key = None;

    session.wait_for_level().await.unwrap();
    let mut request = Find { sort: Some(value(r#"{"n":-1}"#)), limit: Some(4), ..Find::default() };
    let mut numbers = Vec::new();
    loop {
        let page = sent(find::find(&session, &people(), request.clone())).await.unwrap().value;
        for text in page.documents.iter() {
            let Value::Object(fields) = parse_stored(text).unwrap() else { panic!("a document") };
            numbers.push(fields["n"].clone());
        }
        request.cursor = page.cursor;
        if request.cursor.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1, 0].map(Value::from));
    service.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_sees_its_writes_and_nobody_else_does_before_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let session = log_in(&service).await;
    catalog::create_collection(&session, people()).await.unwrap();
    insert(&session, r#"{"_id":1,"n":1}"#).await.unwrap();

    let begun = sent(transactions::begin(&session)).await.unwrap().value;
    let mut inside = session.clone();
    inside.transaction = Some(begun.id.clone());
    let update = Update {
        selection: Selection { filter: value(r#"{"_id":1}"#), ..Selection::default() },
        update: value(r#"{"$inc":{"n":1}}"#),
        ..Update::default()
    };
    let updated = sent(writes::update(&inside, people(), update)).await.unwrap().value;
    assert_eq!((updated.matched, updated.modified), (1, 1));
    assert_eq!(get(&inside, 1).await.unwrap(), value(r#"{"_id":1,"n":2}"#));
    assert_eq!(get(&session, 1).await.unwrap(), value(r#"{"_id":1,"n":1}"#));

    let committed = sent(transactions::commit(&session, &begun.id)).await.unwrap();
    assert_eq!(committed.value, 1);
    session.wait_for_level().await.unwrap();
    assert_eq!(get(&session, 1).await.unwrap(), value(r#"{"_id":1,"n":2}"#));
    let lost = get(&inside, 1).await.unwrap_err();
    assert_eq!(lost.kind, Kind::TransactionLost);
    service.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_read_once_and_says_where_it_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let session = log_in(&service).await;
    catalog::create_collection(&session, people()).await.unwrap();
    let read = |text: &str| statements::parse(text, session.config().depth_max).unwrap();

    let insert = read("INSERT INTO people (_id, n) VALUES (1, 10), (2, 20), (3, 30)");
    assert_eq!(insert.place(), Place::Leader(Wait::Ready));
    let came = sent(statements::run(&session, "shop", insert, None)).await.unwrap().value;
    assert!(matches!(came, StatementResult::InsertedMany(result) if result.inserted == 3));

    let select = read("SELECT n FROM people WHERE n > 10 ORDER BY n");
    assert_eq!(select.place(), Place::Here(Wait::Level));
    session.wait_for_level().await.unwrap();
    let page = Some(PageRequest { size: Some(1), cursor: None });
    let came = statements::run(&session, "shop", select, page).await.unwrap().value;
    let StatementResult::List(page) = came else { panic!("a page: {came:?}") };
    assert_eq!(page.documents.len(), 1);
    assert!(page.cursor.is_some());

    let out = read("db.people.aggregate([{$match: {n: {$gt: 10}}}, {$out: 'rich'}])");
    assert_eq!(out.place(), Place::Leader(Wait::Ready));
    let came = sent(statements::run(&session, "shop", out, None)).await.unwrap().value;
    assert_eq!(came, StatementResult::Written(2));
    session.wait_for_level().await.unwrap();
    let rich = Namespace { collection: "rich".into(), ..people() };
    let counted = count::count(&session, &rich, Count::default()).await.unwrap().value;
    assert_eq!(counted, 2);
    service.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_may_not_do_the_service_refuses_whatever_the_door_has_checked() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let session = log_in(&service).await;
    catalog::create_collection(&session, people()).await.unwrap();
    let nobody = Session::new(service.clone(), "in-process-2".into(), None);
    let target = Target::from(DocumentId::from(1));
    let condition = Precondition::default();
    let refused = [
        documents::get(&nobody, &people(), target.clone()).await.map(drop).unwrap_err(),
        documents::delete(&nobody, &people(), &target, &condition).await.map(drop).unwrap_err(),
        find::find(&nobody, &people(), Find::default()).await.map(drop).unwrap_err(),
        transactions::begin(&nobody).await.map(drop).unwrap_err(),
        catalog::databases(&nobody).await.map(drop).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind, Kind::NotAuthenticated, "{error}");
    }
    service.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_watched_and_another_feed_goes_on_after_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let session = log_in(&service).await;
    catalog::create_collection(&session, people()).await.unwrap();
    session.wait_for_level().await.unwrap();
    let watch = |after| Watch {
        database: "shop".into(),
        collection: Some("people".into()),
        filter: Some(value(r#"{"n":{"$gt":1}}"#)),
        after,
    };
    let mut feed = sent(changes::watch(&session, watch(None))).await.unwrap().value;
    let begin = feed.token();
    let first = sent(feed.next()).await.unwrap().expect("a first step");
    assert!(first.changes.is_empty() && first.progress >= Some(begin));

    for number in 1..=3 {
        insert(&session, &format!(r#"{{"_id":{number},"n":{number}}}"#)).await.unwrap();
    }
    let mut watched = Vec::new();
    while watched.len() < 2 {
        let step = feed.next().await.unwrap().expect("a step");
        watched.extend(step.changes.into_iter().map(|found| (found.change.id, found.matches)));
    }
    let expected = [2, 3].map(|number| (Some(DocumentId::from(number)), Some(true)));
    assert_eq!(watched, expected);

    let mut other = changes::watch(&session, watch(Some(begin))).await.unwrap().value;
    let step = other.next().await.unwrap().expect("a first step");
    assert_eq!(step.changes.len(), 2);
    let secret = Watch { database: "_system".into(), collection: None, ..watch(None) };
    let refused = changes::watch(&session, secret).await.map(drop).unwrap_err();
    assert_eq!(refused.kind, Kind::Forbidden);
    service.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_authenticates_its_user_and_administers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let service = start(dir.path()).await;
    let admin = log_in(&service).await;
    let bob = NewUser {
        name: "bob".into(),
        password: "bob's long password".into(),
        role: "reader".into(),
        allowed_dbs: Some(vec!["shop".into()]),
        ..NewUser::default()
    };
    let created = sent(users::create(&admin, bob)).await.unwrap().value;
    assert_eq!((created.name.as_str(), created.role.as_str()), ("bob", "reader"));
    let login = sent(sessions::login(&admin, "bob", "bob's long password")).await.unwrap().value;
    let user = sessions::authenticate(&service, Credentials::Login(&login.token), None).await;
    let mut session = Session::new(service.clone(), "in-process-3".into(), None);
    session.set_user(user.unwrap(), true);
    assert_eq!(users::list(&session).await.unwrap_err().kind, Kind::Forbidden);

    let new = NewApiKey { name: "of a program".into(), ..NewApiKey::default() };
    let key = sent(tokens::create_api_key(&session, new)).await.unwrap().value;
    let user = sessions::authenticate(&service, Credentials::ApiKey(&key.text), None).await;
    let mut program = session.clone();
    program.set_user(user.unwrap(), false);
    let listed = tokens::list(&program).await.unwrap().value;
    assert!(listed.iter().map(|token| &token.id).eq([&key.document.id]));
    let another = tokens::create_api_key(&program, NewApiKey::default()).await.map(drop);
    assert_eq!(another.unwrap_err().kind, Kind::Forbidden);

    sent(sessions::logout(&session)).await.unwrap();
    admin.wait_for_level().await.unwrap();
    let ended = sessions::authenticate(&service, Credentials::Login(&login.token), None).await;
    assert_eq!(ended.unwrap_err().kind, Kind::NotAuthenticated);
    service.cluster.shutdown().await;
}
