//! Writers that go on while nodes fail, and remember what they were told.

use jettra_driver::{Client, DocumentId, Error};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinHandle;

/// Database of all load.
pub const DATABASE: &str = "load";
/// Collection that inserts go to.
pub const INSERTS: &str = "inserts";
/// Collection of the one document that is changed by compare-and-set.
pub const COUNTER: &str = "counter";

/// What the writers were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Acknowledged: must be there.
    pub acknowledged: BTreeSet<String>,
    /// Of unknown outcome: may be there.
    pub unknown: BTreeSet<String>,
    /// Refused with the promise that nothing was changed: must not be there.
    pub refused: BTreeSet<String>,
}

impl Told {
    fn note<T>(&mut self, token: String, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.acknowledged.insert(token),
            Err(Error::Unknown { .. } | Error::Decode(_)) => self.unknown.insert(token),
            Err(_) => self.refused.insert(token),
        };
    }

    /// Takes over what other writers were told.
    pub fn join(&mut self, other: Told) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        self.refused.extend(other.refused);
    }

    /// Compares what was told with what is there.
    ///
    /// # Panics
    /// When an acknowledged write is missing, or something is there that nobody wrote or
    /// that was refused.
    #[track_caller]
    pub fn check(&self, there: &BTreeSet<String>, place: &str) {
        let lost: Vec<_> = self.acknowledged.difference(there).collect();
        assert!(lost.is_empty(), "{place}: acknowledged, but lost: {lost:?}");
        let refused: Vec<_> = self.refused.intersection(there).collect();
        assert!(refused.is_empty(), "{place}: refused, but there: {refused:?}");
        let known: BTreeSet<_> = self.acknowledged.union(&self.unknown).cloned().collect();
        let invented: Vec<_> = there.difference(&known).collect();
        assert!(invented.is_empty(), "{place}: written by nobody: {invented:?}");
    }
}

/// Writers are numbered throughout, so that no two have the same tokens.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

/// Running writers.
pub struct Load {
    stop: Arc<AtomicBool>,
    successes: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Told>>,
}

impl Load {
    /// Starts `count` writers; each calls `write` with a token of its own again and again.
    fn start<F>(count: usize, write: impl Fn(String) -> F + Clone + Send + Sync + 'static) -> Load
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (stop, successes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..count).map(|_| {
            let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
            let (stop, successes, write) = (stop.clone(), successes.clone(), write.clone());
            tokio::spawn(async move {
                let mut told = Told::default();
                for number in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let token = format!("w{writer}-{number}");
                    let result = write(token.clone()).await;
                    told.note(token, &result);
                    successes.fetch_add(usize::from(result.is_ok()), Ordering::AcqRel);
                }
                told
            })
        });
        let tasks = tasks.collect();
        Load { stop, successes, tasks }
    }

    /// Writers that insert documents whose `_id` is the token.
    pub fn inserts(client: &Client, count: usize) -> Load {
        let documents = client.collection::<Value>(DATABASE, INSERTS);
        Load::start(count, move |token| {
            let documents = documents.clone();
            async move {
                let document = json!({"_id": token, "padding": "x".repeat(100)});
                documents.insert(&document).await.map(drop)
            }
        })
    }

    /// Writers that append their tokens to one list, each time by compare-and-set.
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

    /// Ends the writers; what they were told.
    pub async fn finish(self) -> Told {
        self.stop.store(true, Ordering::Release);
        let mut told = Told::default();
        for task in self.tasks {
            told.join(task.await.expect("a writer does not panic"));
        }
        told
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tokens: &[&str]) -> BTreeSet<String> {
        tokens.iter().map(|token| (*token).to_owned()).collect()
    }

    fn told() -> Told {
        Told { acknowledged: set(&["a"]), unknown: set(&["b"]), refused: set(&["c"]) }
    }

    #[test]
    fn an_unknown_write_may_be_there_or_not() {
        told().check(&set(&["a"]), "here");
        told().check(&set(&["a", "b"]), "here");
    }

    #[test]
    #[should_panic(expected = "lost")]
    fn a_lost_write_is_found() {
        told().check(&set(&["b"]), "here");
    }

    #[test]
    #[should_panic(expected = "refused, but there")]
    fn a_refused_write_that_happened_is_found() {
        told().check(&set(&["a", "c"]), "here");
    }

    #[test]
    #[should_panic(expected = "written by nobody")]
    fn an_invented_write_is_found() {
        told().check(&set(&["a", "d"]), "here");
    }
}
