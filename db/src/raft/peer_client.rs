//! Requests to other nodes: every one of them is signed and sent here.
//!
//! A request is made for one process of the other node. This node learns which process runs there
//! from the response that refuses a request for another one, and sends the request again.

use super::node_key::{
    Body, FROM_HEADER, NodeKey, PEER_HEADER, PROCESS_HEADER, Seal, SignedHead, USER_HEADER,
};
use crate::dial::{AddressRefusal, Connection, Dialer, is_about_certificates};
use crate::error::{Error, Kind, Result};
use crate::status::HttpStatus;
use bytes::Bytes;
use jettra_driver::wire::ErrorBody;
use moka::sync::Cache;
use reqwest::{Method, Response};
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, http::StatusCode};

/// Path of the request for a node's identity.
pub const IDENTITY_PATH: &str = "/raft/rpc/identity";
/// Addresses whose processes are cached; far more than a cluster has.
const PROCESSES_MAX: u64 = 1024;

/// Sends requests to other nodes.
#[derive(Clone)]
pub struct PeerClient {
    dialer: Dialer,
    key: NodeKey,
    /// The process at each address, as last heard.
    processes: Cache<String, String>,
}

/// A request with its whole body.
#[derive(Debug, Clone, Default)]
pub struct PeerRequest<'c> {
    /// Method, target and user.
    pub head: SignedHead<'c>,
    /// Further headers; not signed.
    pub headers: &'c [(String, String)],
    /// The body.
    pub body: Bytes,
    /// Longest time until the whole response has arrived.
    pub timeout: Duration,
}

/// Why a request has no response.
#[derive(Debug)]
pub enum PeerError {
    /// It was not sent.
    NotSent(Error),
    /// There was no connection, or it broke.
    Broken(reqwest::Error),
}

impl PeerError {
    /// Whether the request cannot have arrived.
    pub fn is_unsent(&self) -> bool {
        match self {
            PeerError::NotSent(_) => true,
            PeerError::Broken(error) => error.is_connect(),
        }
    }

    /// Whether there was a connection, but no response in time.
    pub fn is_late(&self) -> bool {
        match self {
            PeerError::NotSent(_) => false,
            PeerError::Broken(error) => error.is_timeout(),
        }
    }

    /// The same as an error about the node at `base`.
    pub fn into_error(self, base: &str) -> Error {
        let error = match self {
            PeerError::NotSent(error) => return error,
            PeerError::Broken(error) => error,
        };
        if let Some(refused) = AddressRefusal::cause(base, &error) {
            return refused;
        }
        let kind = if error.is_connect() { Kind::NodeUnreachable } else { Kind::Timeout };
        let why = if error.is_timeout() {
            "no answer in time".into()
        } else {
            // The last error of the chain is that of the network or TLS; the others repeat the
            // address.
            innermost(&error)
        };
        let hint = match is_about_certificates(&error) {
            true => "compare TlsCert and TlsCa of both nodes",
            false => "start the node first, and check address, port and firewall",
        };
        Error::new(kind, format!("{base} cannot be reached: {why}")).hint(hint)
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

impl PeerClient {
    /// Sends over this dialer's connections, signed with this key.
    pub fn new(dialer: Dialer, key: NodeKey) -> Self {
        PeerClient { dialer, key, processes: Cache::new(PROCESSES_MAX) }
    }

    /// Records the process that a response names; returns whether the request was for another.
    fn learn(&self, base: &str, status: u16, headers: &HeaderMap, called: Option<&str>) -> bool {
        if status != Kind::WrongProcess.status() {
            return false;
        }
        let named = headers.get(PROCESS_HEADER).and_then(|value| value.to_str().ok());
        let Some(process) = named.filter(|process| Some(*process) != called) else { return false };
        self.processes.insert(base.to_owned(), process.to_owned());
        true
    }

    /// Sends a request to the node at `base`.
    ///
    /// # Errors
    /// When there is no response; a response with an error is one.
    pub async fn send(
        &self,
        base: &str,
        call: PeerRequest<'_>,
    ) -> std::result::Result<Response, PeerError> {
        let base = base.trim_end_matches('/');
        let body = Body::of(&call.body);
        let process = self.processes.get(base);
        let answer = self.attempt(base, &call, &body, process.as_deref()).await?;
        if !self.learn(base, answer.status().as_u16(), answer.headers(), process.as_deref()) {
            return Ok(answer);
        }
        self.attempt(base, &call, &body, self.processes.get(base).as_deref()).await
    }

    async fn attempt(
        &self,
        base: &str,
        call: &PeerRequest<'_>,
        body: &Body,
        process: Option<&str>,
    ) -> std::result::Result<Response, PeerError> {
        let signature = self.key.sign(call.head, body, process);
        let request = self.request(base, call.head, call.timeout).map_err(PeerError::NotSent)?;
        let mut request = request.header(PEER_HEADER, signature).body(call.body.clone());
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        request.send().await.map_err(PeerError::Broken)
    }

    fn request(
        &self,
        base: &str,
        head: SignedHead<'_>,
        timeout: Duration,
    ) -> Result<reqwest::RequestBuilder> {
        let method = Method::from_bytes(head.method.as_bytes()).map_err(internal)?;
        let mut request = self.dialer.request(method, &format!("{base}{}", head.target))?;
        for (name, value) in [(USER_HEADER, head.user), (FROM_HEADER, head.from)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        Ok(request.timeout(timeout))
    }

    /// Opens a WebSocket to the node at `base`.
    ///
    /// # Errors
    /// When no connection is established, or the handshake is refused.
    pub async fn open(
        &self,
        base: &str,
        target: &str,
        config: WebSocketConfig,
    ) -> Result<WebSocketStream<Connection>> {
        let (stream, _) = self.open_with(base, target, config, &Body::of(b"")).await?;
        Ok(stream)
    }

    /// Opens a WebSocket for content that ends with a MAC over it, which the handshake announces.
    ///
    /// # Errors
    /// As [`PeerClient::open`].
    pub async fn open_sealed(
        &self,
        base: &str,
        target: &str,
        config: WebSocketConfig,
    ) -> Result<(WebSocketStream<Connection>, Seal)> {
        let (stream, signature) = self.open_with(base, target, config, &Body::Sealed).await?;
        Ok((stream, self.key.seal(&signature)))
    }

    async fn open_with(
        &self,
        base: &str,
        target: &str,
        config: WebSocketConfig,
        body: &Body,
    ) -> Result<(WebSocketStream<Connection>, String)> {
        let base = base.trim_end_matches('/');
        let process = self.processes.get(base);
        let opened = self.handshake(base, target, config, body, process.as_deref()).await?;
        let error = match opened {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let again = match &error {
            WebSocketError::Http(answer) => {
                self.learn(base, answer.status().as_u16(), answer.headers(), process.as_deref())
            }
            _ => false,
        };
        if !again {
            return Err(refused(base, &error));
        }
        let process = self.processes.get(base);
        let opened = self.handshake(base, target, config, body, process.as_deref()).await?;
        opened.map_err(|error| refused(base, &error))
    }

    async fn handshake(
        &self,
        base: &str,
        target: &str,
        config: WebSocketConfig,
        body: &Body,
        process: Option<&str>,
    ) -> Result<std::result::Result<(WebSocketStream<Connection>, String), WebSocketError>> {
        let url = url::Url::parse(base).map_err(internal)?;
        let connection = self.dialer.connect(&url).await.map_err(|error| {
            Error::new(Kind::NodeUnreachable, format!("{base} cannot be reached: {error}"))
        })?;
        let authority = url.authority();
        let mut request =
            format!("ws://{authority}{target}").into_client_request().map_err(internal)?;
        let head = SignedHead { method: "GET", target, ..SignedHead::default() };
        let signature = self.key.sign(head, body, process);
        request.headers_mut().insert(PEER_HEADER, signature.parse().map_err(internal)?);
        let opened =
            tokio_tungstenite::client_async_with_config(request, connection, Some(config)).await;
        Ok(opened.map(|(stream, _)| (stream, signature)))
    }
}

fn refused(base: &str, error: &WebSocketError) -> Error {
    let WebSocketError::Http(answer) = error else {
        let message = format!("{base} refused the stream: {error}");
        return Error::new(Kind::NodeUnreachable, message).hint("see the log of that node");
    };
    let hint = match answer.status() {
        StatusCode::UNAUTHORIZED => "compare the cluster secrets",
        _ => "see the log of that node",
    };
    let body = answer.body().as_deref().and_then(|body| serde_json::from_slice(body).ok());
    let reason = body.map(|ErrorBody { error }| match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    });
    let reason = reason.unwrap_or_else(|| answer.status().to_string());
    let message = format!("{base} refused the stream: {reason}");
    Error::new(Kind::Misdirected, message).hint(hint)
}
