//! What nodes say to each other. Every message names cluster, group, sender and receiver,
//! and is refused when it was meant for somebody else.

use super::call::Call;
use super::reply::Reply;
use crate::auth::token;
use crate::cluster::announce::{self, Hello};
use crate::cluster::bootstrap::Identity;
use crate::cluster::join;
use crate::cluster::probe::sign_answer;
use crate::config::host_of;
use crate::engine::Command;
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::clock::wall_ms;
use crate::raft::network::{
    AppendAnswer, AppendMessage, MESSAGE_BYTES_MAX, REFUSED_PARAMETER, RpcResult,
};
use crate::raft::node_key::{Body, MAC_BYTES, PEER_HEADER, Seal};
use crate::raft::snapshot::{AppliedState, CopySpace, SnapshotData};
use crate::raft::types::{SYSTEM_GROUP, TypeConfig, Vote};
use crate::storage::Store;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{AggregatedMessage, ProtocolError, Session};
use bytes::BytesMut;
use futures_util::StreamExt;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use openraft::storage::Snapshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Refuses a message for another cluster, group or node.
fn check_receiver(call: &Call) -> Result<Arc<Group>> {
    let group = call.group()?;
    let mine = [
        ("cluster", call.cluster().identity().cluster_id.unwrap_or_default()),
        ("group", SYSTEM_GROUP.to_string()),
        ("to", group.raft_id().to_string()),
    ];
    for (name, value) in mine {
        let meant = call.required(&[name])?;
        if meant != value {
            let message = format!("this message is for {name} {meant}, here is {name} {value}");
            return Err(Error::new(Kind::Misdirected, message)
                .hint("another node stands where the caller looks for one; compare the members"));
        }
    }
    check_sender(call)?;
    group.check_refused(call.parameter(&[REFUSED_PARAMETER]))?;
    Ok(group.clone())
}

/// Refuses a message in another member's name, where certificates tell who is who.
fn check_sender(call: &Call) -> Result<()> {
    let cluster = call.cluster();
    let secured = cluster.certificates.as_ref().is_some_and(|files| files.has_authority());
    let from = call.required(&["from"])?.parse().ok();
    let node = from.and_then(|from| cluster.nodes.by_raft_id(from));
    let (Some(node), Some(signature), true) = (node, &call.signature, secured) else {
        return Ok(());
    };
    if host_of(&node.url).as_deref() == Some(signature.host.as_str()) {
        return Ok(());
    }
    let message = format!("node {:?} is at {}, not at {:?}", node.id, node.url, signature.host);
    Err(Error::new(Kind::BadCertificate, message)
        .hint("a node speaks for itself only; compare its AdvertiseUrl with the members"))
}

fn request<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    postcard::from_bytes(body).map_err(|error| {
        Error::new(Kind::InvalidBody, format!("the message cannot be read: {error}"))
            .hint("all nodes must run the same version")
    })
}

fn rpc<T: Serialize, E: std::fmt::Display>(result: std::result::Result<T, E>) -> Result<Reply> {
    let result: RpcResult<T> = result.map_err(|error| error.to_string());
    let bytes = postcard::to_stdvec(&result)
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    Ok(Reply {
        status: 200,
        media: "application/octet-stream",
        body: bytes.into(),
        ..Reply::default()
    })
}

/// `GET /raft/rpc/identity`: who stands here, with a signature over question and answer.
pub async fn identity(call: Rc<Call>) -> Result<Reply> {
    let body = serde_json::to_string(&call.cluster().introduce())
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

/// `POST /raft/rpc/join-token`: a new node proves that it has a join token, and gets the
/// cluster secret, sealed with it.
pub async fn join_token(call: Rc<Call>) -> Result<Reply> {
    let request: join::Request = call.json()?;
    let group = call.group()?;
    group.wait_linearizable().await?;
    let key = token::join_key(group, &request.token)?;
    let Some(key) = key.filter(|key| request.is_proven(key)) else {
        call.app.passwords.guess("", call.from.as_deref().unwrap_or_default())?;
        let error = join::bad_token();
        super::audit::note(&call, call.caller(), "join_failed", &request.node, error.kind.code());
        return Err(error);
    };
    let sealed = call.cluster().seal_secret(&request, &key)?;
    let (id, node) = (request.token, request.node);
    let used = call.caller().proposes(Command::UseJoinToken { id, node });
    call.send(used).await.map_err(|error| match error.kind {
        // Another node was faster.
        Kind::TokenNotFound => join::bad_token(),
        _ => error,
    })?;
    Ok(Reply::json(&sealed).header("cache-control", "no-store"))
}

/// `POST /raft/rpc/hello`: a member that was away is back.
pub async fn hello(call: Rc<Call>) -> Result<Reply> {
    let hello: Hello = call.json()?;
    let answer: RpcResult<_> =
        announce::welcome(call.cluster(), hello).await.map_err(|error| error.to_string());
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

/// `GET /raft/rpc/stream`: the append stream, over a WebSocket. Each message is answered in
/// its turn; whoever breaks the order closes the connection.
pub async fn stream(call: Call, http: &HttpRequest, payload: Payload) -> Result<HttpResponse> {
    let group = check_receiver(&call)?;
    let (response, session, messages) = actix_ws::handle(http, payload)
        .map_err(|error| Error::new(Kind::InvalidBody, error.to_string()))?;
    let messages = messages
        .max_frame_size(MESSAGE_BYTES_MAX)
        .aggregate_continuations()
        .max_continuation_size(MESSAGE_BYTES_MAX);
    actix_web::rt::spawn(answer_stream(group, session, messages));
    Ok(response)
}

async fn answer_stream(
    group: Arc<Group>,
    mut session: Session,
    mut messages: actix_ws::AggregatedMessageStream,
) {
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(message) => message,
            // The leader has gone; it opens another stream.
            Err(ProtocolError::Io(_)) => break,
            Err(error) => {
                tracing::error!(%error, "the append stream of the leader is broken");
                break;
            }
        };
        let AggregatedMessage::Binary(bytes) = message else {
            continue;
        };
        let received_ms = group.clock.mono_ms();
        let message =
            postcard::from_bytes::<AppendMessage<AppendEntriesRequest<TypeConfig>>>(&bytes);
        let Ok(AppendMessage { times, append }) = message else {
            tracing::error!("a member sent a message that cannot be read; do versions differ?");
            let result =
                Err("the message cannot be read here; do the versions of the nodes differ?".into());
            let answer = AppendAnswer { wall_ms: wall_ms(), result };
            let answer = postcard::to_stdvec(&answer).unwrap_or_default();
            let _ = session.binary(answer).await;
            break;
        };
        let result: RpcResult<_> =
            group.raft.append_entries(append).await.map_err(|error| error.to_string());
        if matches!(
            result,
            Ok(AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(_))
        ) {
            group.note_leader();
            group.clock.hear(times, received_ms);
        }
        let answer = AppendAnswer { wall_ms: wall_ms(), result };
        let Ok(bytes) = postcard::to_stdvec(&answer) else {
            break;
        };
        if session.binary(bytes).await.is_err() {
            return;
        }
    }
    let _ = session.close(None).await;
}

static RECEIVED: AtomicU64 = AtomicU64::new(0);

/// `POST /raft/rpc/snapshot`: the leader's vote behind its length, then a copy of its
/// environment, as long as it takes, then the MAC over both.
pub async fn snapshot(call: Call, payload: Payload) -> Result<Reply> {
    let group = check_receiver(&call)?;
    let sealed = call.signature.as_ref().filter(|signature| signature.body == Body::Sealed);
    let seal = sealed.map(|signature| call.cluster().key.seal_of(signature));
    let seal = seal.ok_or_else(|| Error::new(Kind::InvalidBody, "the snapshot is not sealed"))?;
    let number = RECEIVED.fetch_add(1, Ordering::Relaxed);
    let dir = group.copies.dir.join(format!("incoming-{number}"));
    let received = receive(&group.copies, &dir, payload, seal).await;
    let map_bytes = call.app.cluster.config.map_size_gb << 30;
    let installed = match received {
        Ok(vote) => install(&group, vote, &dir, map_bytes).await,
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_dir_all(&dir);
    installed
}

async fn receive(
    space: &CopySpace,
    dir: &std::path::Path,
    mut payload: Payload,
    mut seal: Seal,
) -> Result<Vote> {
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("snapshot: {error}"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file = Some(std::fs::File::create(dir.join("data.mdb")).map_err(failed)?);
    let mut head = Vec::new();
    let mut vote = None;
    // The last bytes that came may be the MAC, so they wait for what follows.
    let mut last = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Error::new(Kind::InvalidBody, error.to_string()))?;
        last.extend_from_slice(&chunk);
        let chunk = last.split_to(last.len().saturating_sub(MAC_BYTES)).freeze();
        seal.update(&chunk);
        let rest = match vote {
            Some(_) => chunk,
            None => {
                head.extend_from_slice(&chunk);
                let Some((length, rest)) = head.split_first_chunk::<4>() else {
                    continue;
                };
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() < length {
                    continue;
                }
                vote = Some(request::<Vote>(&rest[..length])?);
                bytes::Bytes::copy_from_slice(&rest[length..])
            }
        };
        file = Some(append(space.clone(), file.take(), rest).await?);
    }
    if !seal.is(&last) {
        return Err(Error::new(Kind::BadClusterSecret, "the snapshot is not as it was sent")
            .hint("it was cut off or changed on its way; it is sent again"));
    }
    if let Some(file) = file {
        file.sync_all().map_err(failed)?;
        // Installing it writes as much again.
        space.check(file.metadata().map_err(failed)?.len())?;
    }
    vote.ok_or_else(|| Error::new(Kind::InvalidBody, "the snapshot ended before it began"))
}

async fn append(
    space: CopySpace,
    file: Option<std::fs::File>,
    chunk: bytes::Bytes,
) -> Result<std::fs::File> {
    let failed = |error: String| Error::new(Kind::Internal, format!("snapshot: {error}"));
    let mut file = file.ok_or_else(|| failed("the file is closed".into()))?;
    let writing = actix_web::web::block(move || {
        space.check(chunk.len() as u64)?;
        file.write_all(&chunk).map_err(|error| failed(error.to_string()))?;
        Ok(file)
    });
    writing.await.map_err(|error| failed(error.to_string()))?
}

async fn install(
    group: &Group,
    vote: Vote,
    dir: &std::path::Path,
    map_bytes: usize,
) -> Result<Reply> {
    let place = dir.to_owned();
    // The copy may go further than the leader's note of it: it says itself how far.
    let reading = actix_web::web::block(move || -> Result<AppliedState> {
        let store = Store::open(&place, map_bytes)?;
        let applied = AppliedState::load(&store.read()?)?;
        Ok(applied)
    });
    let applied =
        reading.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))??;
    let snapshot =
        Snapshot { meta: applied.into_meta(), snapshot: SnapshotData::Received(dir.to_owned()) };
    let installed = group.raft.install_full_snapshot(vote, snapshot).await;
    group.note_leader();
    rpc(installed)
}
