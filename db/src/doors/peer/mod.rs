//! What nodes say to each other. Every message names cluster, group, sender and receiver,
//! and is refused when it was meant for somebody else.

pub mod snapshot;

use crate::doors::http::call::Call;
use crate::doors::http::reply::Reply;

use crate::auth::token;
use crate::cluster::announce::{self, AnnounceRequest};
use crate::cluster::audit::{self, AuditReport};
use crate::cluster::forward::{Applied, KnownLeader};
use crate::cluster::founding::Candidate;
use crate::cluster::identity::Identity;
use crate::cluster::join;
use crate::cluster::placement::report::LeaderStatus;
use crate::cluster::probe::sign_answer;
use crate::cluster::{Cluster, Exit};
use crate::config::host_of;
use crate::engine::Command;
use crate::engine::cbor::{self, DecodeOwned};
use crate::error::{Error, Kind, Result};
use crate::raft::append_stream::{AppendAnswer, AppendMessage, MESSAGE_BYTES_MAX};
use crate::raft::clock::wall_ms;
use crate::raft::link::{self, Route};
use crate::raft::network::web_socket_config;
use crate::raft::node_key::{Body, PEER_HEADER, Seal};
use crate::raft::peers::{REFUSED_PARAMETER, RpcResult};
use crate::raft::wire::{self, Wire};
use crate::raft::{Group, RaftId, ReadLevel};
use crate::service::audit::GroupEntries;
use crate::service::{Step, Steps};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use openraft::raft::AppendEntriesResponse;
use serde::Serialize;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{self, Error as WebSocketError, Message};

/// The group that a message is for. Refuses one for another cluster or replica, and for a group
/// that is not on this node.
fn check_receiver(call: &Call) -> Result<Arc<Group>> {
    let group = named_group(call)?;
    check_cluster(call)?;
    let (meant, mine) = (call.required(&["to"])?, group.raft_id().to_string());
    if meant != mine {
        return Err(meant_for("to", meant, &mine));
    }
    check_sender(call, &group)?;
    group.check_refused(call.parameter(&[REFUSED_PARAMETER]))?;
    Ok(group)
}

/// Refuses a message for another cluster.
fn check_cluster(call: &Call) -> Result<()> {
    let mine = call.cluster().identity().cluster_id.unwrap_or_default();
    match call.required(&["cluster"])? {
        meant if meant == mine => Ok(()),
        meant => Err(meant_for("cluster", meant, &mine)),
    }
}

fn meant_for(name: &str, meant: &str, mine: &str) -> Error {
    let message = format!("this message is for {name} {meant}, here is {name} {mine}");
    Error::new(Kind::Misdirected, message)
        .hint("another node stands where the caller looks for one; compare the members")
}

/// Refuses a message in another member's name.
fn check_sender(call: &Call, group: &Group) -> Result<()> {
    let from = call.required(&["from"])?.parse().ok();
    let (Some(from), Some(signature)) = (from, &call.signature) else { return Ok(()) };
    check_host(call.cluster(), group, from, &signature.host)
}

/// Refuses a message in the name of a member at another host, where certificates prove which host it
/// comes from.
fn check_host(cluster: &Cluster, group: &Group, from: RaftId, host: &str) -> Result<()> {
    let secured = cluster.certificates.as_ref().is_some_and(|files| files.has_authority());
    let (Some(url), true) = (group.url(from), secured) else { return Ok(()) };
    if host_of(&url).as_deref() == Some(host) {
        return Ok(());
    }
    let message = format!("member {from} is at {url}, not at {host:?}");
    Err(Error::new(Kind::BadCertificate, message)
        .hint("a node speaks for itself only; compare its AdvertiseUrl with the members"))
}

fn request<T: Wire>(body: &[u8]) -> Result<T> {
    wire::decode(body).map_err(|error| {
        Error::new(Kind::InvalidBody, format!("the message cannot be read: {error}"))
            .hint("all nodes must run the same version")
    })
}

fn rpc<T: Wire, E: std::fmt::Display>(result: std::result::Result<T, E>) -> Result<Reply> {
    let result: RpcResult<T> = result.map_err(|error| error.to_string());
    let bytes =
        wire::encode(&result).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    Ok(Reply {
        status: 200,
        media: "application/octet-stream",
        body: bytes.into(),
        ..Reply::default()
    })
}

/// `GET /raft/rpc/identity`: who stands here, with a signature over question and answer.
pub async fn identity(call: Rc<Call>) -> Result<Reply> {
    signed(&call, &call.cluster().introduce())
}

/// `POST /raft/rpc/found`: a node without data asks whether it may create the cluster.
pub async fn found(call: Rc<Call>) -> Result<Reply> {
    let asking: Candidate = call.json()?;
    let agreement = call.cluster().agree(&asking)?;
    signed(&call, &agreement)
}

/// An answer with a signature over it and its question.
fn signed(call: &Call, answer: &impl Serialize) -> Result<Reply> {
    let body = serde_json::to_string(answer)
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let signature = sign_answer(&call.cluster().key, &call.target(), &body);
    Ok(Reply::bytes(body).header(PEER_HEADER, signature))
}

/// `POST /raft/rpc/invite`: makes this node a member.
pub async fn invite(call: Rc<Call>) -> Result<Reply> {
    let invited: Identity = call.json()?;
    let mine = call.cluster().identity();
    if mine.cluster_id.is_some() {
        mine.check_same(&invited)?;
    } else if mine.node_id != invited.node_id {
        let message =
            format!("the invitation is for node {:?}, this is {:?}", invited.node_id, mine.node_id);
        return Err(Error::new(Kind::Misdirected, message));
    }
    call.cluster().open(invited).await?;
    Ok(Reply::status("welcome"))
}

/// `POST /raft/rpc/end`: ends this process, if the cluster has removed this node.
pub async fn end(call: Rc<Call>) -> Result<Reply> {
    if !call.cluster().is_removed() {
        return Err(Error::new(
            Kind::NotPossibleNow,
            "this node was not removed, as far as it knows",
        ));
    }
    call.cluster().end(Exit::Stop);
    Ok(Reply::status("stopping"))
}

/// `POST /raft/rpc/join-token`: a new node proves that it has a join token, and gets the
/// cluster secret, sealed with it.
pub async fn join_token(call: Rc<Call>) -> Result<Reply> {
    let request: join::JoinRequest = call.json()?;
    let group = call.cluster().groups.system()?;
    group.wait_linearizable().await?;
    let key = token::join_key(group, &request.token)?;
    let Some(key) = key.filter(|key| request.is_proven(key)) else {
        call.app.service.passwords.guess("", call.session.from.as_deref().unwrap_or_default())?;
        let error = join::bad_token();
        let (cluster, code) = (call.cluster(), error.kind.code());
        audit::record(cluster, call.session.caller(), "join_failed", &request.node, code);
        return Err(error);
    };
    let sealed = call.cluster().seal_secret(&request, &key)?;
    let (id, node) = (request.token, request.node);
    let used = Command::UseJoinToken { id, node };
    let used = Steps::new(&call.session).propose_system(Step::Unkeyed, used).await;
    used.map_err(|error| match error.kind {
        // Another node was faster.
        Kind::TokenNotFound => join::bad_token(),
        _ => error,
    })?;
    Ok(Reply::json(&sealed).header("cache-control", "no-store"))
}

/// `POST /raft/rpc/note`: another node has something for the audit log.
pub async fn note(call: Rc<Call>) -> Result<Reply> {
    let report: AuditReport = call.json()?;
    report.propose(call.cluster()).await?;
    Ok(Reply::empty())
}

/// `GET /raft/rpc/view`: what this node knows of the cluster by itself.
pub async fn view(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&call.cluster().report()))
}

/// `GET /raft/rpc/node-state`: what this node says of itself.
pub async fn node_state(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&call.cluster().node_state().await))
}

/// `POST /raft/rpc/hello`: a member that was away is back.
pub async fn hello(call: Rc<Call>) -> Result<Reply> {
    let hello: AnnounceRequest = call.json()?;
    let answer: RpcResult<_> =
        announce::answer(call.cluster(), hello).await.map_err(|error| error.to_string());
    Ok(Reply::json(&answer))
}

/// `POST /raft/rpc/vote`
pub async fn vote(call: Rc<Call>) -> Result<Reply> {
    let group = check_receiver(&call)?;
    group.wait_out_lease().await;
    rpc(group.raft.vote(request(&call.body)?).await)
}

/// `POST /raft/rpc/pre-vote`
pub async fn pre_vote(call: Rc<Call>) -> Result<Reply> {
    let group = check_receiver(&call)?;
    group.wait_out_lease().await;
    rpc(group.raft.pre_vote(request(&call.body)?).await)
}

/// `POST /raft/rpc/transfer-leader`
pub async fn transfer_leader(call: Rc<Call>) -> Result<Reply> {
    rpc(check_receiver(&call)?.raft.handle_transfer_leader(request(&call.body)?).await)
}

/// `POST /raft/rpc/read-index`: up to where a follower's read must wait.
pub async fn read_index(call: Rc<Call>) -> Result<Reply> {
    let group = check_receiver(&call)?;
    if !group.is_leader() {
        return Err(crate::raft::proposer::not_leader());
    }
    rpc(group.read_index(request(&call.body)?).await)
}

/// `POST /raft/rpc/placement`: another node has something recorded in the placement.
pub async fn placement(call: Rc<Call>) -> Result<Reply> {
    let index = call.cluster().record_placement(command(&call.body)?).await?;
    Ok(Reply::json(&Applied { index }))
}

/// `POST /raft/rpc/in-group`: what the system group has decided about a group that this node leads.
pub async fn in_group(call: Rc<Call>) -> Result<Reply> {
    let group = named_group(&call)?.number();
    let index = call.cluster().carry_out(group, command(&call.body)?).await?;
    Ok(Reply::json(&Applied { index }))
}

fn command<T: DecodeOwned>(body: &[u8]) -> Result<T> {
    cbor::decode(body).map_err(|_| {
        Error::new(Kind::InvalidBody, "the command cannot be read")
            .hint("all nodes must run the same version")
    })
}

/// The group that a call names, of which this node has a replica.
fn named_group(call: &Call) -> Result<Arc<Group>> {
    let meant = call.required(&["group"])?;
    let id = meant.parse().map_err(|_| {
        Error::new(Kind::Misdirected, format!("{meant:?} is not the number of a group"))
    })?;
    call.cluster().groups.get(id)
}

/// `GET /raft/rpc/leader`: which replica leads a group, as far as this node knows.
pub async fn leader(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&KnownLeader { leader: named_group(&call)?.leader() }))
}

/// `GET /raft/rpc/group-status`: what this node knows of a group that it leads.
pub async fn group_status(call: Rc<Call>) -> Result<Reply> {
    let group = named_group(&call)?;
    Ok(Reply::json(&LeaderStatus::of(&group)?))
}

/// `POST /raft/rpc/group-audit`: entries of the audit log of a group.
pub async fn group_audit(call: Rc<Call>) -> Result<Reply> {
    let query: GroupEntries = serde_json::from_slice(&call.body)
        .map_err(|error| Error::new(Kind::InvalidBody, error.to_string()))?;
    Ok(Reply::json(&query.read(named_group(&call)?, ReadLevel::Linearizable).await?))
}

/// What is said over a WebSocket between nodes.
pub enum WebSocket {
    /// The append stream of all groups, from the host that has signed its request. It must not keep the
    /// node open.
    Append(Weak<Cluster>, String),
    /// A copy of the leader's state.
    Copy(Arc<Group>, Seal),
}

impl WebSocket {
    /// Serves it as the receiver, to its end. `read` was received already.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, read: Bytes) {
        let bytes_max = match self {
            WebSocket::Append(..) => MESSAGE_BYTES_MAX,
            WebSocket::Copy(..) => snapshot::MESSAGE_BYTES_MAX,
        };
        let config = web_socket_config(bytes_max);
        let role = tungstenite::protocol::Role::Server;
        let read = read.to_vec();
        let stream = WebSocketStream::from_partially_read(stream, read, role, Some(config)).await;
        match self {
            WebSocket::Append(cluster, host) => answer_stream(cluster, host, stream).await,
            WebSocket::Copy(group, seal) => snapshot::receive(group, seal, stream).await,
        }
    }
}

/// The answer to a request for a WebSocket that asks for no upgrade.
///
/// # Errors
/// That of the request, else `invalid_body`.
pub fn no_socket(call: &Call, is_copy: bool) -> Result<Reply> {
    match is_copy {
        true => drop(check_receiver(call)?),
        false => check_cluster(call)?,
    }
    Err(Error::new(Kind::InvalidBody, "this is served over a WebSocket only")
        .hint("all nodes must run the same version"))
}

/// `GET /raft/rpc/stream`: the append stream of the groups of one thread; returns the runtime that is to
/// serve it.
pub fn stream(call: &Call) -> Result<(Handle, WebSocket)> {
    let cluster = call.cluster();
    check_cluster(call)?;
    let lane = call.number("lane", 0, u16::MAX.into())?;
    let host = call.signature.as_ref().map(|signature| signature.host.clone());
    let socket = WebSocket::Append(Arc::downgrade(cluster), host.unwrap_or_default());
    Ok((cluster.raft_threads.lane(lane as usize).clone(), socket))
}

/// Answers messages as they can be answered: one that waits for a disk holds up no other.
async fn answer_stream<S>(cluster: Weak<Cluster>, host: String, mut messages: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut answers = FuturesUnordered::new();
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            Some(answer) = answers.next() => {
                let mut next = Some(answer);
                while let Some(answer) = next {
                    if messages.feed(Message::binary(answer)).await.is_err() {
                        return;
                    }
                    // Those that are ready leave together.
                    next = answers.next().now_or_never().flatten();
                }
                if messages.flush().await.is_err() {
                    return;
                }
                continue;
            }
        };
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(_)) => continue,
            // The sender has gone; it opens another stream.
            None
            | Some(Err(
                WebSocketError::Io(_)
                | WebSocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake),
            )) => break,
            Some(Err(error)) => {
                tracing::error!(%error, "the append stream of a leader is broken");
                break;
            }
        };
        let (Some(cluster), Some((number, route, message))) =
            (cluster.upgrade(), link::decode(bytes))
        else {
            break;
        };
        let group = receiver(&cluster, &route, &host);
        answers.push(async move {
            let answer = match group {
                Ok(group) => answer_message(&group, &message).await,
                Err(error) => AppendAnswer { wall_ms: wall_ms(), result: Err(error.to_string()) },
            };
            link::respond(number, &answer).unwrap_or_default()
        });
    }
    let _ = messages.close(None).await;
}

/// The group that a message is for.
fn receiver(cluster: &Cluster, route: &Route, host: &str) -> Result<Arc<Group>> {
    let group = cluster.groups.get(route.group)?;
    if group.raft_id() != route.to {
        return Err(meant_for("to", &route.to.to_string(), &group.raft_id().to_string()));
    }
    check_host(cluster, &group, route.from, host)?;
    group.check_refused(route.refused.as_deref())?;
    Ok(group)
}

/// The answer to a message of the append stream.
async fn answer_message(group: &Group, bytes: &[u8]) -> AppendAnswer {
    let received_ms = group.clock.mono_ms();
    let result: RpcResult<_> = match wire::decode(bytes) {
        Ok(AppendMessage { times, append }) => {
            let result = group.raft.append_entries(append).await;
            if matches!(
                result,
                Ok(AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_))
            ) {
                group.record_leader();
                group.clock.record_leader(times, received_ms);
            }
            result.map_err(|error| error.to_string())
        }
        Err(_) => {
            tracing::error!("a member sent a message that cannot be read; do versions differ?");
            Err("the message cannot be read here; do the versions of the nodes differ?".into())
        }
    };
    AppendAnswer { wall_ms: wall_ms(), result }
}

/// `GET /raft/rpc/snapshot`: a copy of the leader's state.
pub fn snapshot(call: &Call) -> Result<(Handle, WebSocket)> {
    let group = check_receiver(call)?;
    let sealed = call.signature.as_ref().filter(|signature| signature.body == Body::Sealed);
    let seal = sealed.map(|signature| call.cluster().key.seal_of(signature));
    let seal = seal.ok_or_else(|| Error::new(Kind::InvalidBody, "the snapshot is not sealed"))?;
    Ok((group.runtime().clone(), WebSocket::Copy(group, seal)))
}
