//! Sessions of the page: an opaque random token in a cookie, its hash in `_system._sessions`.
//!
//! The collection is replicated, so a session holds on every node, survives restarts and can
//! be revoked; the token itself is stored nowhere.

use super::{User, not_authenticated};
use crate::engine::system::{self, SessionDocument};
use crate::engine::{Command, PutMode};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::node_key::hex;
use jettra_driver::DocumentId;
use sha2::{Digest, Sha256};

/// Name of the cookie.
pub const COOKIE: &str = "jettra_session";

/// Makes a session and returns its token.
pub async fn create(group: &Group, user: &str, now_ms: u64, hours: u64) -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let token = hex(&bytes);
    let body = serde_json::json!({"user": user, "expires_ms": now_ms + hours * 3_600_000});
    let command = Command::Put {
        database: system::DATABASE.into(),
        collection: system::SESSIONS.into(),
        target: session_id(&token).into(),
        body: body.to_string(),
        mode: PutMode::Insert,
        if_match: None,
        create_database: false,
    };
    let applied = group.propose(command).await?;
    group.wait_visible(applied.index).await?;
    Ok(token)
}

/// The user of a session.
///
/// # Errors
/// `not_authenticated` when there is no such session or it has ended.
pub async fn user(group: &Group, token: &str, now_ms: u64) -> Result<User> {
    let found = match find(group, token)? {
        Some(session) => Some(session),
        None => {
            // It may have been made on another node a moment ago.
            group.wait_linearizable().await?;
            find(group, token)?
        }
    };
    let session =
        found.filter(|session| session.expires_ms > now_ms).ok_or_else(not_authenticated)?;
    let user = super::user(group, &session.user)?.ok_or_else(not_authenticated)?;
    Ok(User { name: user.name, role: user.role })
}

/// Ends a session; a success as well when there is none.
pub async fn end(group: &Group, token: &str) -> Result<()> {
    match delete(group, session_id(token)).await {
        Err(error) if error.kind != Kind::DocumentNotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes ended sessions, a few at a time.
pub async fn remove_ended(group: &Group, now_ms: u64) -> Result<()> {
    for session in all(group)?.into_iter().filter(|session| session.expires_ms <= now_ms).take(100)
    {
        delete(group, DocumentId::String(session.token_hash)).await?;
    }
    Ok(())
}

/// Ends all sessions of a user, as after a change of the password.
pub async fn end_all(group: &Group, user: &str) -> Result<()> {
    for session in all(group)?.into_iter().filter(|session| session.user == user) {
        delete(group, DocumentId::String(session.token_hash)).await?;
    }
    Ok(())
}

async fn delete(group: &Group, id: DocumentId) -> Result<()> {
    let command = Command::Delete {
        database: system::DATABASE.into(),
        collection: system::SESSIONS.into(),
        target: id.into(),
        if_match: None,
    };
    group.propose(command).await.map(drop)
}

fn all(group: &Group) -> Result<Vec<SessionDocument>> {
    use crate::engine::{catalog, document};
    use crate::storage::{Read, Table, keys};
    let read = group.read()?;
    let Some(id) = catalog::collection(&read, system::DATABASE, system::SESSIONS)? else {
        return Ok(Vec::new());
    };
    let range =
        read.range(Table::Documents, &keys::collection_start(id), &keys::collection_end(id))?;
    let mut sessions = Vec::new();
    for entry in range {
        sessions.extend(document::decode(entry?.1).and_then(|(_, json)| system::parse(json)));
    }
    Ok(sessions)
}

fn find(group: &Group, token: &str) -> Result<Option<SessionDocument>> {
    super::system_document(group, system::SESSIONS, &session_id(token).to_string())
}

fn session_id(token: &str) -> DocumentId {
    DocumentId::String(hex(&Sha256::digest(token)))
}
