//! Transactions: reads and writes that take effect together or not at all.

use crate::call::{Call, OpenTransaction};
use crate::client::{Client, pause_between};
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::wire::{CommitReply, TransactionReply, TransactionsReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const PATH: [&str; 3] = ["api", "v1", "transactions"];

/// An open transaction, created by [`Client::begin`].
///
/// It reads the state of the moment at which it was begun, and its own writes. Others see these
/// after [`Transaction::commit`]. One whose clones are all dropped without an end is rolled back in
/// the background; outside of a runtime it ends by itself after [`TransactionReply::idle_ms`].
#[derive(Clone)]
pub struct Transaction {
    state: Arc<State>,
}

struct State {
    outside: Client,
    inside: Client,
    open: Arc<OpenTransaction>,
    begun: TransactionReply,
    ended: AtomicBool,
}

impl Client {
    /// Begins a transaction.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use serde_json::{Value, json};
    ///
    /// let transaction = client.begin().await?;
    /// let accounts = transaction.collection::<Value>("bank", "accounts");
    /// accounts.update_one((json!({"_id": "ada"}), json!({"$inc": {"money": -5}}))).await?;
    /// accounts.update_one((json!({"_id": "bob"}), json!({"$inc": {"money": 5}}))).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `overloaded` (429) when too many are open.
    pub async fn begin(&self) -> Result<Transaction> {
        // A repetition gets the transaction that was begun without an answer.
        let call = Call::plain(Method::POST, &PATH).keyed();
        let begun: TransactionReply = self.send(call).await?.json()?;
        let (inside, open) = self.in_transaction(&begun.id);
        let ended = AtomicBool::new(false);
        let state = State { outside: self.clone(), inside, open, begun, ended };
        Ok(Transaction { state: Arc::new(state) })
    }

    /// Carries out `work` in a transaction and commits it. When another transaction changed what
    /// this one read, or the leader that held it is gone, all of it is done again in a new one,
    /// until the deadline of the client. So `work` should do nothing but read and write.
    ///
    /// `work` is an async closure without `move`, or a function that returns a future.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::{Error, Transaction};
    /// use serde_json::{Value, json};
    ///
    /// let money = client
    ///     .transaction(async |transaction: Transaction| {
    ///         let accounts = transaction.collection::<Value>("bank", "accounts");
    ///         let ada = accounts.get(&"ada".into()).await?.expect("an account");
    ///         let money = ada.value["money"].as_i64().unwrap_or(0) + 5;
    ///         accounts.patch(&"ada".into(), &json!({"money": money}), None).await?;
    ///         Ok::<_, Error>(money)
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of `work`, after a rollback, and those of [`Transaction::commit`]. `E` may be
    /// [`Error`] itself, or any type that converts from it.
    pub async fn transaction<R, E, F>(
        &self,
        work: impl Fn(Transaction) -> F,
    ) -> std::result::Result<R, E>
    where
        E: From<Error>,
        F: Future<Output = std::result::Result<R, E>>,
    {
        let started = Instant::now();
        for attempt in 0.. {
            let transaction = self.begin().await?;
            let error = match work(transaction.clone()).await {
                Ok(result) => match transaction.commit().await {
                    Ok(_) => return Ok(result),
                    Err(error) if error.wants_new_transaction() => error.into(),
                    Err(error) => return Err(error.into()),
                },
                Err(error) => {
                    // Its own error is more useful than that of a rollback, which the time limit
                    // does as well.
                    let left = self.deadline().saturating_sub(started.elapsed());
                    let _ = tokio::time::timeout(left, transaction.rollback()).await;
                    if !transaction.state.open.is_broken() {
                        return Err(error);
                    }
                    error
                }
            };
            let pause = pause_between(attempt);
            if started.elapsed() + pause >= self.deadline() {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
        unreachable!("attempts do not run out")
    }

    /// The open transactions of this user; an administrator sees all.
    pub async fn list_transactions(&self) -> Result<TransactionsReply> {
        self.send(Call::plain(Method::GET, &PATH)).await?.json()
    }

    /// Rolls back the transaction with this id; succeeds if there is none. An administrator may end
    /// that of another user.
    ///
    /// # Errors
    /// `forbidden` (403) for that of another user.
    pub async fn end_transaction(&self, id: &str) -> Result<()> {
        let path = [&PATH[..], &[id]].concat();
        self.send(Call::plain(Method::DELETE, &path).safe_to_repeat()).await.map(drop)
    }
}

impl Transaction {
    /// Its id, the `tx=` of the HTTP interface.
    pub fn id(&self) -> &str {
        &self.state.open.id
    }

    /// The answer when it was begun: the state it reads, and how long it may take.
    pub fn begun(&self) -> &TransactionReply {
        &self.state.begun
    }

    /// A client whose calls about documents belong to the transaction, such as
    /// [`Client::statement`]. It is of no use after the end.
    pub fn client(&self) -> &Client {
        &self.state.inside
    }

    /// The documents of one collection, as the transaction sees them.
    ///
    /// The revisions in the answers to its writes are provisional.
    pub fn collection<T: Serialize + DeserializeOwned>(
        &self,
        database: &str,
        name: &str,
    ) -> Collection<T> {
        self.state.inside.collection(database, name)
    }

    /// Applies all writes. It happens once even when it is called again, which helps after
    /// [`Error::Unknown`].
    ///
    /// # Errors
    /// `transaction_conflict` (409) when something that was read has changed, with `database`,
    /// `collection` and `id` in the details; `transaction_lost` (409) when it has ended before.
    /// Nothing was written then, and the transaction is over.
    pub async fn commit(&self) -> Result<CommitReply> {
        let path = [&PATH[..], &[self.id(), "commit"]].concat();
        let reply =
            self.state.outside.send(Call::plain(Method::POST, &path).safe_to_repeat()).await;
        let ended = match &reply {
            Ok(_) => true,
            Err(Error::Unknown { .. }) => false,
            Err(error) => !error.may_pass(),
        };
        self.state.ended.fetch_or(ended, Ordering::Relaxed);
        reply?.json()
    }

    /// Whether it was committed or rolled back, or its commit was refused.
    pub fn is_ended(&self) -> bool {
        self.state.ended.load(Ordering::Relaxed)
    }

    /// Discards all writes.
    ///
    /// # Errors
    /// Only when no node answers; the transaction ends by itself then.
    pub async fn rollback(&self) -> Result<()> {
        self.state.outside.end_transaction(self.id()).await?;
        self.state.ended.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (client, id) = (self.outside.clone(), self.open.id.clone());
            runtime.spawn(async move { client.end_transaction(&id).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Answer, Requests, node};
    use serde_json::{Value, json};

    fn begun(id: &str) -> Answer {
        let body = json!({"id": id, "index": 5, "idle_ms": 1, "max_ms": 1});
        Answer::With(201, body.to_string())
    }

    fn written() -> Answer {
        Answer::With(201, json!({"id": 7, "revision": 3}).to_string())
    }

    fn committed() -> Answer {
        Answer::With(200, json!({"status": "committed", "writes": 1}).to_string())
    }

    fn lines(requests: &Requests) -> Vec<String> {
        let line = |line: &str| line.trim_end_matches(" HTTP/1.1").replace("/api/v1/", "");
        requests.lock().unwrap().iter().map(|call| line(&call.line)).collect()
    }

    async fn insert(transaction: &Transaction) -> Result<u64> {
        let people = transaction.collection::<Value>("d", "c");
        Ok(people.insert(&json!({"_id": 7})).await?.revision)
    }

    const INSERT: &str = "POST databases/d/collections/c/documents?tx=";

    #[tokio::test]
    async fn calls_inside_name_the_transaction() {
        let (client, requests) = node(vec![begun("t1"), written(), committed()]);
        let transaction = client.begin().await.unwrap();
        insert(&transaction).await.unwrap();
        assert_eq!(transaction.commit().await.unwrap().writes, 1);
        drop(transaction);
        let insert = format!("{INSERT}t1");
        let expected = ["POST transactions", &insert, "POST transactions/t1/commit"];
        assert_eq!(lines(&requests), expected);
        let keyed = |call: &crate::fake::Request| call.header("idempotency-key").is_some();
        let keyed: Vec<bool> = requests.lock().unwrap().iter().map(keyed).collect();
        assert_eq!(keyed, [true, true, false]);
    }

    #[tokio::test]
    async fn a_conflict_begins_again() {
        let conflict = || Answer::error(409, "transaction_conflict");
        let (client, requests) = node(vec![
            begun("t1"),
            written(),
            conflict(),
            begun("t2"),
            Answer::error(409, "transaction_lost"),
            Answer::With(204, String::new()),
            begun("t3"),
            written(),
            committed(),
        ]);
        // In a task, with something borrowed: it must be `Send`.
        let revision = tokio::spawn(async move {
            let runs = AtomicBool::new(false);
            let work = async |transaction: Transaction| {
                runs.store(true, Ordering::Relaxed);
                insert(&transaction).await
            };
            client.transaction(work).await
        });
        assert_eq!(revision.await.unwrap().unwrap(), 3);
        let lines = lines(&requests);
        let commits: Vec<_> = lines.iter().filter(|line| line.contains("commit")).collect();
        assert_eq!(commits, ["POST transactions/t1/commit", "POST transactions/t3/commit"]);
        assert_eq!(lines[5], "DELETE transactions/t2");
    }

    #[tokio::test]
    async fn the_last_conflict_is_the_error_at_the_deadline() {
        let (client, _) = node(vec![begun("t1"), Answer::error(409, "transaction_lost")]);
        let transaction = client.begin().await.unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert!(error.wants_new_transaction(), "{error:?}");
    }

    #[tokio::test]
    async fn an_error_of_the_work_rolls_back() {
        #[derive(Debug, PartialEq)]
        struct Broke;
        impl From<Error> for Broke {
            fn from(_: Error) -> Broke {
                Broke
            }
        }
        let (client, requests) = node(vec![begun("t1"), Answer::With(204, String::new())]);
        let work = async |_: Transaction| Err::<(), _>(Broke);
        assert_eq!(client.transaction(work).await, Err(Broke));
        assert_eq!(lines(&requests), ["POST transactions", "DELETE transactions/t1"]);
    }

    #[tokio::test]
    async fn a_commit_that_was_interrupted_is_repeated() {
        let (client, requests) = node(vec![begun("t1"), Answer::Break, committed()]);
        let transaction = client.begin().await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(lines(&requests)[1..], ["POST transactions/t1/commit"; 2]);
    }

    #[tokio::test]
    async fn a_commit_that_was_not_attempted_leaves_it_open() {
        let table = [(503, "no_leader", false), (409, "unique_violation", true)];
        for (status, code, ended) in table {
            let (client, _) = node(vec![begun("t1"), Answer::error(status, code)]);
            let transaction = client.begin().await.unwrap();
            assert_eq!(transaction.commit().await.unwrap_err().code(), Some(code));
            assert_eq!(transaction.is_ended(), ended, "{code}");
        }
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_is_rolled_back() {
        let (client, requests) = node(vec![begun("t1"), Answer::With(204, String::new())]);
        drop(client.begin().await.unwrap());
        for _ in 0..200 {
            if requests.lock().unwrap().len() == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(lines(&requests), ["POST transactions", "DELETE transactions/t1"]);
    }
}
