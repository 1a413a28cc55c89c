//! The connections to other nodes that all groups of a thread share: one for each node and purpose.
//!
//! A request names its group and both replicas, and has a number by which its response is recognised, so
//! responses come in any order: one that waits for a disk holds up no other. Requests that are there at
//! the same moment, as the heartbeats of all groups are, leave together.
//!
//! ```text
//! request  = number (8 bytes), group (4), sender (8), receiver (8), length of digest (1), digest, message
//! response = number (8 bytes), answer
//! ```

use super::append_stream::{MESSAGE_BYTES_MAX, time_limit};
use super::network::web_socket_config;
use super::peer_client::PeerClient;
use super::types::{GroupId, RaftId};
use super::wire::{self, Wire};
use crate::dial;
use crate::error::{Error, Kind, Result};
use bytes::{Buf, Bytes};
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Longest time for the opening of a connection.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Bytes of a request's head without the digest.
const HEAD_BYTES: usize = 29;
/// Requests whose callers have given up are forgotten when there are more than this.
const WAITING_MAX: usize = 1024;

/// What a connection is for. Heartbeats must not wait behind entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Messages without entries.
    Heartbeats,
    /// Messages with entries.
    Entries,
}

impl Purpose {
    /// A connection is given up when a request waits and nothing was heard for this long. Entries wait
    /// for a disk.
    fn silence_max(self) -> Duration {
        match self {
            Purpose::Heartbeats => Duration::from_secs(2),
            Purpose::Entries => Duration::from_secs(10),
        }
    }
}

/// Between which replicas of which group a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The group.
    pub group: GroupId,
    /// The replica that sends it.
    pub from: RaftId,
    /// The replica that is to receive it.
    pub to: RaftId,
    /// What stands for the log entries that the sender refuses; none when it refuses none.
    pub refused: Option<String>,
}

/// A request whose number is still to be set.
fn encode<T: Wire>(route: &Route, message: &T) -> Result<Vec<u8>> {
    let internal = |error: &dyn std::fmt::Display| Error::new(Kind::Internal, error.to_string());
    let digest = route.refused.as_deref().unwrap_or_default().as_bytes();
    let length = u8::try_from(digest.len()).map_err(|error| internal(&error))?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + digest.len() + wire::length(message));
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&route.group.to_be_bytes());
    bytes.extend_from_slice(&route.from.to_be_bytes());
    bytes.extend_from_slice(&route.to.to_be_bytes());
    bytes.push(length);
    bytes.extend_from_slice(digest);
    wire::encode_into(message, &mut bytes).map_err(|error| internal(&error))?;
    Ok(bytes)
}

/// The number, the route and the message of a request; none if it is not one.
pub fn decode(mut request: Bytes) -> Option<(u64, Route, Bytes)> {
    let number = request.try_get_u64().ok()?;
    let group = request.try_get_u32().ok()?;
    let (from, to) = (request.try_get_u64().ok()?, request.try_get_u64().ok()?);
    let length = usize::from(request.try_get_u8().ok()?);
    if request.len() < length {
        return None;
    }
    let digest = request.split_to(length);
    let refused = match length {
        0 => None,
        _ => Some(std::str::from_utf8(&digest).ok()?.to_owned()),
    };
    Some((number, Route { group, from, to, refused }, request))
}

/// A response to the request with this number.
///
/// # Errors
/// When the answer cannot be encoded.
pub fn respond<T: Wire>(number: u64, answer: &T) -> std::result::Result<Vec<u8>, wire::Malformed> {
    let mut bytes = number.to_be_bytes().to_vec();
    wire::encode_into(answer, &mut bytes)?;
    Ok(bytes)
}

/// The connections of the groups of one thread.
#[derive(Clone)]
pub struct Links(Arc<Shared>);

struct Shared {
    calls: PeerClient,
    /// The thread of the groups, on which the receiver serves them too.
    lane: usize,
    runtime: Handle,
    open: Mutex<HashMap<(String, Purpose), mpsc::UnboundedSender<Outgoing>>>,
}

struct Outgoing {
    request: Vec<u8>,
    response: oneshot::Sender<Result<Bytes>>,
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Timeout, error.to_string())
}

impl Links {
    /// None are open yet. They are opened by `calls`, and driven on `runtime`, that of a thread which
    /// has the number `lane` among those of the node.
    pub fn new(calls: PeerClient, lane: usize, runtime: Handle) -> Self {
        Links(Arc::new(Shared { calls, lane, runtime, open: Mutex::default() }))
    }

    /// Sends a message to the replica at the node at `url`; returns the response.
    ///
    /// # Errors
    /// `node_unreachable` if there is no connection; `timeout` if it broke.
    pub async fn call<T: Wire>(
        &self,
        (url, cluster): (&str, &str),
        purpose: Purpose,
        request: Vec<u8>,
    ) -> Result<T> {
        let (response, waiting) = oneshot::channel();
        self.send((url, cluster), purpose, Outgoing { request, response });
        let answer = waiting.await.map_err(|_| broken("the connection was closed"))??;
        wire::decode(&answer).map_err(broken)
    }

    /// The request for a message between two replicas.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn request<T: Wire>(route: &Route, message: &T) -> Result<Vec<u8>> {
        encode(route, message)
    }

    fn send(&self, (url, cluster): (&str, &str), purpose: Purpose, outgoing: Outgoing) {
        let mut open = self.0.open.lock();
        let key = (url.to_owned(), purpose);
        let unsent = match open.get(&key) {
            Some(link) => match link.send(outgoing) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => outgoing,
        };
        let (link, queue) = mpsc::unbounded_channel();
        // The queue is there.
        let _ = link.send(unsent);
        open.insert(key, link);
        let target = format!("/raft/rpc/stream?cluster={cluster}&lane={}", self.0.lane);
        let (calls, url) = (self.0.calls.clone(), url.to_owned());
        self.0.runtime.spawn(run(calls, url, target, purpose.silence_max(), queue));
    }
}

/// Opens the connection and serves it; after a failure it ends, and the next request opens another one.
async fn run(
    calls: PeerClient,
    url: String,
    target: String,
    silence_max: Duration,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) {
    let config = web_socket_config(MESSAGE_BYTES_MAX);
    let opening = tokio::time::timeout(CONNECT_MAX, calls.open(&url, &target, config));
    let opened = opening.await.unwrap_or_else(|_| {
        Err(Error::new(Kind::NodeUnreachable, format!("{url} did not answer in time")))
    });
    let (error, waiting) = match opened {
        Ok(stream) => {
            let (waiting, heard) = (HashMap::new(), Instant::now());
            Link { stream, waiting, next: 0, heard, silence_max }.serve(&mut queue).await
        }
        Err(error) => (error, HashMap::new()),
    };
    queue.close();
    for response in waiting.into_values() {
        let _ = response.send(Err(error.clone()));
    }
    while let Some(outgoing) = queue.recv().await {
        let _ = outgoing.response.send(Err(error.clone()));
    }
}

type Waiting = HashMap<u64, oneshot::Sender<Result<Bytes>>>;

/// An open connection.
struct Link {
    stream: WebSocketStream<dial::Connection>,
    /// The callers that wait for a response.
    waiting: Waiting,
    next: u64,
    /// When something was received, or nothing waited.
    heard: Instant,
    silence_max: Duration,
}

impl Link {
    /// Sends requests and passes responses on, until the connection breaks; returns why, and who waits.
    async fn serve(mut self, queue: &mut mpsc::UnboundedReceiver<Outgoing>) -> (Error, Waiting) {
        let error = loop {
            let silent = self.heard + self.silence_max;
            let done = tokio::select! {
                outgoing = queue.recv() => match outgoing {
                    Some(outgoing) => self.send(outgoing, queue).await,
                    None => return (broken("the node is stopping"), self.waiting),
                },
                message = self.stream.next() => self.receive(message),
                () = tokio::time::sleep_until(silent), if !self.waiting.is_empty() => {
                    Err(broken("the member was silent for too long"))
                }
            };
            if let Err(error) = done {
                break error;
            }
        };
        (error, self.waiting)
    }

    /// Sends a request and those that wait behind it.
    async fn send(
        &mut self,
        first: Outgoing,
        queue: &mut mpsc::UnboundedReceiver<Outgoing>,
    ) -> Result<()> {
        if self.waiting.len() > WAITING_MAX {
            self.waiting.retain(|_, response| !response.is_closed());
        }
        let idle = self.waiting.is_empty();
        let began = Instant::now();
        let mut next = Some(first);
        while let Some(Outgoing { mut request, response }) = next {
            self.next += 1;
            request[..8].copy_from_slice(&self.next.to_be_bytes());
            self.waiting.insert(self.next, response);
            let limit = time_limit(request.len());
            let feeding = self.stream.feed(Message::binary(request));
            tokio::time::timeout(limit, feeding).await.map_err(broken)?.map_err(broken)?;
            next = queue.try_recv().ok();
        }
        let flushing = tokio::time::timeout(time_limit(MESSAGE_BYTES_MAX), self.stream.flush());
        flushing.await.map_err(broken)?.map_err(broken)?;
        // The time that a large message takes is not the member's silence.
        self.heard = if idle { Instant::now() } else { self.heard + began.elapsed() };
        Ok(())
    }

    fn receive(
        &mut self,
        message: Option<std::result::Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<()> {
        let message = message.ok_or_else(|| broken("the member closed the connection"))?;
        let Message::Binary(mut response) = message.map_err(broken)? else { return Ok(()) };
        self.heard = Instant::now();
        let number = response.try_get_u64().map_err(broken)?;
        // A caller that has given up is not there any more.
        if let Some(waiting) = self.waiting.remove(&number) {
            let _ = waiting.send(Ok(response));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::append_stream::AppendAnswer;

    #[test]
    fn a_request_names_group_and_replicas_and_what_is_refused() {
        for refused in [None, Some("17:ab".to_owned())] {
            let route = Route { group: 3, from: 17, to: 1 << 40, refused };
            let answer = AppendAnswer { wall_ms: 7, result: Err("no".into()) };
            let mut request = Links::request(&route, &answer).unwrap();
            request[..8].copy_from_slice(&9_u64.to_be_bytes());
            let (number, found, message) = decode(request.clone().into()).unwrap();
            assert_eq!((number, &found), (9, &route));
            assert_eq!(wire::decode::<AppendAnswer>(&message), Ok(answer.clone()));
            for end in 0..HEAD_BYTES + route.refused.as_ref().map_or(0, String::len) {
                assert_eq!(decode(request[..end].to_vec().into()), None, "{end}");
            }
        }
    }

    #[test]
    fn the_bytes_of_a_request_and_a_response_stay_as_they_are() {
        let route = Route { group: 3, from: 17, to: 18, refused: Some("a".into()) };
        let answer = AppendAnswer { wall_ms: 7, result: Err("no".into()) };
        let request = Links::request(&route, &answer).unwrap();
        let head = b"\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\x12\x01a";
        assert_eq!(&request[..head.len()], head);
        let response = respond(9, &answer).unwrap();
        assert_eq!(&response[..8], b"\0\0\0\0\0\0\0\x09");
        assert_eq!(response[8..], request[head.len()..]);
    }
}
