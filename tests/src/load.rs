//! Writers that continue while nodes fail, and record the outcome of each write.

use jettra_driver::{Client, Collection, DocumentId, Error};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// Database that all writers use.
pub const DATABASE: &str = "load";
/// Collection of the inserted documents.
pub const INSERTS: &str = "inserts";
/// Collection of the single document that is updated by compare-and-set.
pub const COUNTER: &str = "counter";

/// The outcomes of writes, each named by its token.
#[derive(Debug, Default)]
pub struct WriteOutcomes {
    /// Acknowledged: must exist.
    pub acknowledged: BTreeSet<String>,
    /// Of unknown outcome: may exist.
    pub unknown: BTreeSet<String>,
    /// Refused with the promise that nothing was changed: must not exist.
    pub refused: BTreeSet<String>,
}

impl WriteOutcomes {
    fn record<T>(&mut self, token: String, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.acknowledged.insert(token),
            Err(Error::Unknown { .. } | Error::Decode(_)) => self.unknown.insert(token),
            Err(_) => self.refused.insert(token),
        };
    }

    /// Adds the outcomes of other writers.
    pub fn merge(&mut self, other: WriteOutcomes) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        self.refused.extend(other.refused);
    }

    /// Compares the outcomes with the tokens that were read.
    ///
    /// # Panics
    /// If an acknowledged write is missing, or a token exists that was refused or never written.
    #[track_caller]
    pub fn check(&self, found: &BTreeSet<String>, place: &str) {
        let lost: Vec<_> = self.acknowledged.difference(found).collect();
        assert!(lost.is_empty(), "{place}: acknowledged, but lost: {lost:?}");
        let refused: Vec<_> = self.refused.intersection(found).collect();
        assert!(refused.is_empty(), "{place}: refused, but found: {refused:?}");
        let known: BTreeSet<_> = self.acknowledged.union(&self.unknown).cloned().collect();
        let invented: Vec<_> = found.difference(&known).collect();
        assert!(invented.is_empty(), "{place}: never written: {invented:?}");
    }
}

/// Number of writers of this process, so that no two use the same tokens.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

/// Running writers.
pub struct Load {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<WriteOutcomes>>,
}

impl Load {
    /// Starts `count` writers; each calls `write` in a loop, with a new token each time.
    fn start<F>(count: usize, write: impl Fn(String) -> F + Clone + Send + Sync + 'static) -> Load
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (stop, successes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..count).map(|_| {
            let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
            let (stop, successes, write) = (stop.clone(), successes.clone(), write.clone());
            tokio::spawn(async move {
                let mut outcomes = WriteOutcomes::default();
                for number in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let token = format!("w{writer}-{number}");
                    let result = write(token.clone()).await;
                    outcomes.record(token, &result);
                    successes.fetch_add(usize::from(result.is_ok()), Ordering::AcqRel);
                }
                outcomes
            })
        });
        let tasks = tasks.collect();
        Load { stop, successes, tasks }
    }

    /// Starts writers that insert documents whose id is the token.
    pub fn inserts(client: &Client, count: usize) -> Load {
        let client = client.clone();
        Load::inserts_in(move || client.clone(), DATABASE, count)
    }

    /// The same in another database; each write asks for the client that makes it, so that it may know
    /// other nodes than the one before.
    pub fn inserts_in(
        client: impl Fn() -> Client + Clone + Send + Sync + 'static,
        database: &str,
        count: usize,
    ) -> Load {
        let database = database.to_owned();
        Load::start(count, move |token| {
            let documents = client().collection::<Value>(&database, INSERTS);
            async move {
                let document = json!({"_id": token, "padding": "x".repeat(100)});
                documents.insert(&document).await.map(drop)
            }
        })
    }

    /// Starts writers that append their tokens to one list by compare-and-set.
    pub async fn appends(client: &Client, count: usize) -> Load {
        let documents = client.collection::<Value>(DATABASE, COUNTER);
        let id = DocumentId::from("list");
        documents.save(&id, &json!({"tokens": []})).await.expect("the list is made");
        Load::start(count, move |token| {
            let (documents, id) = (documents.clone(), id.clone());
            async move { append(&documents, &id, token).await }
        })
    }

    /// Waits until `more` further writes have succeeded.
    pub async fn wait_successes(&self, more: usize) {
        let goal = self.successes.load(Ordering::Acquire) + more;
        crate::wait_until(&format!("{more} more writes"), async || {
            let reached = self.successes.load(Ordering::Acquire);
            if reached >= goal { Ok(()) } else { Err(format!("{reached} of {goal}")) }
        })
        .await;
    }

    /// Ends the writers and returns the outcomes of their writes.
    pub async fn finish(self) -> WriteOutcomes {
        self.stop.store(true, Ordering::Release);
        let mut outcomes = WriteOutcomes::default();
        for task in self.tasks {
            outcomes.merge(task.await.expect("a writer does not panic"));
        }
        outcomes
    }
}

async fn append(
    documents: &jettra_driver::Collection<Value>,
    id: &DocumentId,
    token: String,
) -> Result<(), Error> {
    loop {
        let mut found = documents.get(id).await?.expect("nobody deletes the list");
        let tokens = found.value["tokens"].as_array_mut().expect("a list");
        tokens.push(token.clone().into());
        match documents.replace(id, &found.value, found.revision).await {
            Err(error) if error.code() == Some("revision_mismatch") => {}
            other => return other.map(drop),
        }
    }
}

/// The tokens that are the `_id`s of all documents of a collection, page after page.
///
/// # Errors
/// If a page is refused; the reason as text.
pub async fn tokens(documents: &Collection<Value>) -> Result<BTreeSet<String>, String> {
    let (mut found, mut cursor) = (BTreeSet::new(), None::<String>);
    loop {
        let page = documents.list(1000, cursor.as_deref()).await;
        let page = page.map_err(|error| error.to_string())?;
        let ids = page.documents.iter().map(|document| document["_id"].as_str());
        found.extend(ids.map(|id| id.expect("a token").to_owned()));
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tokens: &[&str]) -> BTreeSet<String> {
        tokens.iter().map(|token| (*token).to_owned()).collect()
    }

    fn outcomes() -> WriteOutcomes {
        WriteOutcomes { acknowledged: set(&["a"]), unknown: set(&["b"]), refused: set(&["c"]) }
    }

    #[test]
    fn an_unknown_write_may_be_there_or_not() {
        outcomes().check(&set(&["a"]), "here");
        outcomes().check(&set(&["a", "b"]), "here");
    }

    #[test]
    #[should_panic(expected = "lost")]
    fn a_lost_write_is_found() {
        outcomes().check(&set(&["b"]), "here");
    }

    #[test]
    #[should_panic(expected = "refused, but found")]
    fn a_refused_write_that_happened_is_found() {
        outcomes().check(&set(&["a", "c"]), "here");
    }

    #[test]
    #[should_panic(expected = "never written")]
    fn an_invented_write_is_found() {
        outcomes().check(&set(&["a", "d"]), "here");
    }
}
