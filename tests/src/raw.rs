//! Calls in two steps: the request is sent now, the response is read later.

use crate::{ADMIN, Answer, DEADLINE, Node, PASSWORD};
use serde_json::json;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A call whose response has not been read.
pub struct Queued(TcpStream);

/// Logs in at a node and returns the value of the `Authorization` header.
pub async fn token(node: &Node) -> String {
    let body = json!({"username": ADMIN, "password": PASSWORD});
    let login = node.http().post("/api/login", &body).await.ok();
    login.json()["token"].as_str().expect("a token").to_owned()
}

/// Sends a call, even to a process that is stopped.
///
/// # Panics
/// If no process listens.
pub async fn queue(node: &Node, token: &str, call: &str, body: &str) -> Queued {
    begin(node, token, call, body.len(), body.as_bytes()).await
}

/// Sends a call that announces a body of `length` bytes, with only the beginning of that body.
///
/// # Panics
/// If no process listens.
pub async fn begin(node: &Node, token: &str, call: &str, length: usize, body: &[u8]) -> Queued {
    let stream = TcpStream::connect(("127.0.0.1", node.port)).await;
    let mut stream = stream.expect("the kernel takes the connection");
    let head = format!(
        "{call} HTTP/1.1\r\nhost: node\r\nauthorization: {token}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n"
    );
    let request = [head.as_bytes(), body].concat();
    stream.write_all(&request).await.expect("the kernel takes the request");
    Queued(stream)
}

impl Queued {
    /// Whether the response has begun or the connection was closed.
    pub fn is_answered(&self) -> bool {
        let read = self.0.try_read(&mut [0]);
        !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads the response.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn answer(mut self) -> Result<Answer, String> {
        let mut text = String::new();
        let reading = tokio::time::timeout(DEADLINE, self.0.read_to_string(&mut text));
        reading.await.map_err(|_| "no answer")?.map_err(|error| error.to_string())?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no head")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or("no status")?;
        Ok(Answer { status, headers: Default::default(), text: body.to_owned() })
    }
}
