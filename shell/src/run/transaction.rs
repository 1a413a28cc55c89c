//! Statements about transactions, and batches.

use super::{Ran, Session, done, refused};
use crate::failure::Failure;
use crate::print::{self, Output};
use crate::statement::TransactionAction;
use jettra_driver::wire::{BatchBody, CommitReply};
use jettra_driver::{Client, Error, Transaction};
use serde_json::json;

impl Session {
    pub(super) async fn transaction(&mut self, action: TransactionAction) -> Ran {
        match action {
            TransactionAction::Begin => self.begin().await,
            TransactionAction::Commit => self.commit().await,
            TransactionAction::Rollback => {
                self.open_transaction()?;
                self.rollback().await?;
                done("Rolled back.".into())
            }
            TransactionAction::Show => {
                Ok(print::transactions(&self.client.list_transactions().await?, self.format()))
            }
            TransactionAction::End(id) => {
                self.client.end_transaction(&id).await?;
                if self.transaction_id() == Some(&id) {
                    self.transaction = None;
                }
                done(format!("Ended transaction {id}."))
            }
        }
    }

    /// The id of the open transaction.
    pub(crate) fn transaction_id(&self) -> Option<&str> {
        self.transaction.as_ref().map(Transaction::id)
    }

    /// Rolls back the transaction that is still open when the session ends; whether there was
    /// one. When no node can be reached, it ends by itself.
    pub(crate) async fn close(&mut self) -> bool {
        let open = self.transaction.is_some();
        // There is nobody left who could do more about a failure.
        let _ = self.rollback().await;
        open
    }

    /// A client whose calls about documents belong to the open transaction, if there is one.
    pub(super) fn inside(&self) -> &Client {
        self.transaction.as_ref().map_or(&self.client, Transaction::client)
    }

    fn open_transaction(&self) -> Result<&Transaction, Failure> {
        self.transaction
            .as_ref()
            .ok_or_else(|| Failure::Refused("no transaction is open; begin one with: begin".into()))
    }

    async fn begin(&mut self) -> Ran {
        if self.transaction.is_some() {
            return refused("a transaction is open; end it with commit or rollback first".into());
        }
        let transaction = self.client.begin().await?;
        let begun = transaction.begun();
        let text = format!(
            "Began transaction {}. It reads the state of log index {}, and is rolled back after \
             {} s without a statement.",
            begun.id,
            begun.index,
            begun.idle_ms / 1000
        );
        let answer = json!(begun);
        self.transaction = Some(transaction);
        Ok(Output::Changed { text, answer })
    }

    async fn commit(&mut self) -> Ran {
        let transaction = self.open_transaction()?;
        let committed = transaction.commit().await;
        // What nobody has answered for stays open here for another commit.
        if transaction.is_ended() {
            self.transaction = None;
        }
        if let Err(Error::Unknown { reason }) = &committed {
            let next = "Type commit again: it happens once, and then the answer is known.";
            return refused(format!("the outcome of the commit is unknown: {reason}. {next}"));
        }
        let reply = committed?;
        Ok(Output::Changed { text: committed_text(&reply), answer: json!(reply) })
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        match self.transaction.take() {
            Some(transaction) => Ok(transaction.rollback().await?),
            None => Ok(()),
        }
    }

    pub(super) async fn batch(&self, batch: &BatchBody) -> Ran {
        let reply = self.carefully(async |client| client.batch(batch).await).await?;
        Ok(print::batch(batch, &reply, self.format()))
    }
}

fn committed_text(reply: &CommitReply) -> String {
    match reply.writes {
        0 => "Committed; nothing was written.".to_owned(),
        1 => "Committed 1 document.".to_owned(),
        writes => format!("Committed {writes} documents."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use crate::print::Mode;
    use crate::run::{Connection, Settings};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    const BEGUN: (u16, &str) = (201, r#"{"id": "t1", "index": 5, "idle_ms": 60000, "max_ms": 1}"#);
    const WRITTEN: (u16, &str) = (201, r#"{"id": 7, "revision": 3}"#);
    const LOST: (u16, &str) = (409, r#"{"error": {"code": "transaction_lost", "message": "m"}}"#);

    /// A session with a node that gives these answers one after the other, and what it was asked.
    fn session(answers: Vec<(u16, &'static str)>) -> (Session, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let seed = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        std::thread::spawn(move || {
            for (stream, (status, body)) in listener.incoming().zip(answers) {
                let (mut stream, mut part) = (stream.unwrap(), [0; 4096]);
                let length = stream.read(&mut part).unwrap();
                let call = String::from_utf8_lossy(&part[..length]).into_owned();
                let line = call.split(" HTTP").next().unwrap().replace("/api/v1/", "");
                hears.lock().unwrap().push(line);
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
        };
        let settings = Settings {
            mode: Mode::Json,
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
        (session, heard)
    }

    async fn run(session: &mut Session, text: &str) -> Ran {
        session.run(parse(text).unwrap()).await
    }

    const INSERT: &str = "POST databases/d/collections/c/documents";

    #[tokio::test]
    async fn statements_belong_to_the_open_transaction() {
        let answers =
            vec![BEGUN, WRITTEN, (200, r#"{"status": "committed", "writes": 1}"#), WRITTEN];
        let (mut session, heard) = session(answers);
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
        assert_eq!(*heard.lock().unwrap(), expected);
        assert!(!session.close().await);
    }

    #[tokio::test]
    async fn after_a_loss_no_statement_is_carried_out_by_itself() {
        let (mut session, heard) = session(vec![BEGUN, LOST, LOST, LOST]);
        run(&mut session, "begin").await.unwrap();
        for text in ["insert c {}", "insert c {}", "commit"] {
            let error = run(&mut session, text).await.unwrap_err().to_string();
            assert!(error.contains("Nothing of the transaction was written"), "{error}");
        }
        let lines = heard.lock().unwrap().clone();
        assert!(lines[1..].iter().all(|line| line.contains("t1")), "{lines:?}");
        assert_eq!(session.transaction_id(), None);
    }

    #[tokio::test]
    async fn what_is_open_at_the_end_is_rolled_back() {
        let (mut session, heard) = session(vec![BEGUN, (204, "")]);
        run(&mut session, "begin").await.unwrap();
        assert!(session.close().await);
        assert_eq!(heard.lock().unwrap()[1], "DELETE transactions/t1");
    }
}
