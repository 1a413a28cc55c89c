//! Transactions over plain HTTP, call by call.

use crate::documents::Documents;
use crate::history::Outcome;
use crate::http::{Answer, Http, send, try_send};
use crate::wait::DEADLINE;
use serde_json::Value;
use std::time::{Duration, Instant};

const BASE: &str = "/api/v1/transactions";
/// Pause before a commit is tried through another node.
const PAUSE: Duration = Duration::from_millis(50);

/// An open transaction, used through one node.
#[derive(Clone)]
pub struct OpenTransaction {
    http: Http,
    /// Its id, the value of `tx=`.
    pub id: String,
}

impl OpenTransaction {
    /// Begins a transaction.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn begin(http: &Http) -> OpenTransaction {
        let begun = OpenTransaction::try_begin(http).await;
        begun.unwrap_or_else(|error| panic!("begin: {error}"))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// If it is refused; the reason as text.
    pub async fn try_begin(http: &Http) -> Result<OpenTransaction, String> {
        OpenTransaction::try_begin_at(http, BASE).await
    }

    /// Begins a transaction in the group that holds a database.
    ///
    /// # Errors
    /// If it is refused; the reason as text.
    pub async fn try_begin_in(http: &Http, database: &str) -> Result<OpenTransaction, String> {
        OpenTransaction::try_begin_at(http, &format!("{BASE}?db={database}")).await
    }

    async fn try_begin_at(http: &Http, target: &str) -> Result<OpenTransaction, String> {
        let answer = try_send(http.request("POST", target)).await?;
        match (answer.status, answer.json()["id"].as_str()) {
            (201, Some(id)) => Ok(OpenTransaction { http: http.clone(), id: id.to_owned() }),
            _ => Err(format!("{} {}", answer.status, answer.text)),
        }
    }

    /// The same transaction through another node.
    pub fn through(&self, http: Http) -> OpenTransaction {
        OpenTransaction { http, id: self.id.clone() }
    }

    /// A collection as seen by the transaction.
    pub fn see(&self, documents: &Documents) -> Documents {
        documents.through(self.http.clone()).with(&format!("tx={}", self.id))
    }

    /// Commits; the response may be an error.
    pub async fn commit(&self) -> Answer {
        let answer = self.try_commit().await;
        answer.unwrap_or_else(|error| panic!("commit: {error}"))
    }

    /// Commits; the response may be an error.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_commit(&self) -> Result<Answer, String> {
        try_send(self.http.request("POST", &format!("{BASE}/{}/commit", self.id))).await
    }

    /// Commits through one node after the other until one returns the outcome.
    pub async fn settle(&self, https: &[Http]) -> Outcome {
        let started = Instant::now();
        let mut through = self.clone();
        let mut answers = Vec::new();
        for other in https.iter().cycle() {
            let answer = through.try_commit().await;
            answers.push(answer.as_ref().map_or_else(String::clone, |answer| answer.text.clone()));
            let told = answer.map(|answer| (answer.status, answer.code()));
            match told.as_ref().map(|(status, code)| (*status, code.as_str())) {
                Ok((200, _)) => return Outcome::Committed,
                Ok((409, "transaction_conflict" | "transaction_lost")) => {
                    // Tells more of a history that has an anomaly.
                    if answers.len() > 1 {
                        eprintln!("{} was aborted after {answers:#?}", self.id);
                    }
                    return Outcome::Aborted;
                }
                Ok((400..=428 | 430..=499, code)) => panic!("a commit was refused: {code}"),
                _ if started.elapsed() > DEADLINE => break,
                _ => tokio::time::sleep(PAUSE).await,
            }
            through = self.through(other.clone());
        }
        Outcome::Unknown
    }

    /// Rolls back.
    pub async fn roll_back(&self) -> Answer {
        send(self.http.request("DELETE", &format!("{BASE}/{}", self.id))).await
    }

    /// Rolls back if the node responds; if not, the transaction ends by its time limit.
    pub async fn abandon(&self) {
        drop(try_send(self.http.request("DELETE", &format!("{BASE}/{}", self.id))).await);
    }

    /// Its entry in the list of open transactions, `null` if there is none.
    pub async fn info(&self) -> Value {
        let list = self.http.get(BASE).await.ok().json();
        let list = list["transactions"].as_array().expect("a list").clone();
        list.into_iter().find(|one| one["id"] == *self.id).unwrap_or_default()
    }
}
