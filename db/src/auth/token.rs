//! Sessions of the page, API keys of programs and join tokens of nodes: an opaque random text,
//! whose hash is stored in `_system._tokens`.
//!
//! The collection is replicated, so a token is valid on every node, survives restarts and can be
//! revoked; its secret is not stored. A secret has 256 random bits, so a plain hash is enough: it
//! cannot be guessed.

use super::{User, find_token, not_authenticated, user_disabled};
use crate::engine::system::TokenKind;
use crate::engine::system::{TokenDocument, UserDocument};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::node_key::{hex, unhex};
use sha2::{Digest, Sha256};

/// Name of the cookie that carries a session.
pub const COOKIE: &str = "jettra_session";

/// Bytes of a token's public id.
const ID_BYTES: usize = 8;

fn prefix(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Session => "",
        TokenKind::ApiKey => "jettra_",
        TokenKind::Join => "jettra_join_",
    }
}

/// Creates a token: returns its text and the document to store.
///
/// # Errors
/// When the system has no randomness.
pub fn make(kind: TokenKind, user: &str, now_ms: u64) -> Result<(String, TokenDocument)> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let (id, secret) = (hex(&bytes[..ID_BYTES]), hex(&bytes[ID_BYTES..]));
    let text = format!("{}{id}_{secret}", prefix(kind));
    let document = TokenDocument {
        id,
        kind,
        user: user.to_owned(),
        name: None,
        role: None,
        databases: None,
        token_hash: hash(&secret),
        created_ms: now_ms,
        expires_ms: None,
    };
    Ok((text, document))
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

/// Id and secret in the text of a token.
fn parts(kind: TokenKind, text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(prefix(kind))?.split_once('_')
}

/// The public id in what a person has entered: the id itself, or the beginning of a token's text.
/// The secret is cut off, so that it gets into no log.
pub fn public_id(text: &str) -> Option<&str> {
    let prefixes = [TokenKind::Join, TokenKind::ApiKey].map(prefix);
    let bare = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let id = bare.split('_').next()?;
    let is_id = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}

/// The user of a session or an API key.
///
/// # Errors
/// `not_authenticated` if the token does not exist or has expired, `user_disabled`.
pub async fn user(group: &Group, kind: TokenKind, text: &str) -> Result<User> {
    let (id, secret) = parts(kind, text).ok_or_else(not_authenticated)?;
    let mut accounts = group.accounts_index();
    let token = match find_token(group, &group.read()?, id)? {
        Some(token) => Some(token),
        None => {
            // It may have been created on another node a moment ago.
            group.wait_linearizable().await?;
            accounts = group.accounts_index();
            find_token(group, &group.read()?, id)?
        }
    };
    let fits = |token: &(u64, TokenDocument)| {
        token.1.kind == kind && same(&token.1.token_hash, &hash(secret))
    };
    let token = token.filter(fits).ok_or_else(not_authenticated)?;
    let user: (u64, UserDocument) =
        super::user(group, &token.1.user)?.ok_or_else(not_authenticated)?;
    match user.1.disabled {
        true => Err(user_disabled(&user.1.name)),
        false => Ok(User::new(user, Some(token), accounts)),
    }
}

/// The key of a join token: the hash of its secret, which its holder can compute too.
///
/// # Errors
/// Those of reading.
pub fn join_key(group: &Group, id: &str) -> Result<Option<Vec<u8>>> {
    let token =
        find_token(group, &group.read()?, id)?.filter(|(_, token)| token.kind == TokenKind::Join);
    Ok(token.and_then(|(_, token)| unhex(&token.token_hash)))
}

/// Id and key in the text of a join token.
pub fn join_parts(text: &str) -> Option<(&str, Vec<u8>)> {
    let (id, secret) = parts(TokenKind::Join, text)?;
    Some((id, Sha256::digest(secret).to_vec()))
}

/// Compares two texts in constant time.
fn same(one: &str, other: &str) -> bool {
    let differ = one.bytes().zip(other.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    one.len() == other.len() && differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_token_has_its_id_and_secret_and_is_not_stored() {
        for kind in [TokenKind::Session, TokenKind::ApiKey, TokenKind::Join] {
            let (text, document) = make(kind, "ada", 7).unwrap();
            let (id, secret) = parts(kind, &text).unwrap();
            assert_eq!((id, secret.len()), (document.id.as_str(), 64));
            assert!(same(&hash(secret), &document.token_hash));
            assert!(!format!("{document:?}").contains(secret));
            let (other, _) = make(kind, "ada", 7).unwrap();
            assert_ne!(text, other);
        }
        assert!(!same("ab", "abc") && !same("ab", "ac") && same("ab", "ab"));
        assert_eq!(parts(TokenKind::ApiKey, "1_2"), None);
    }

    #[test]
    fn the_id_of_a_token_is_known_without_its_secret() {
        for kind in [TokenKind::Session, TokenKind::ApiKey, TokenKind::Join] {
            let (text, document) = make(kind, "ada", 1).unwrap();
            assert_eq!(public_id(&text), Some(document.id.as_str()));
            assert_eq!(public_id(&document.id), Some(document.id.as_str()));
        }
        for wrong in ["", "_", "x", "0123456789abcde", "jettra_", "0123456789abcdef0", "..%2f"] {
            assert_eq!(public_id(wrong), None, "{wrong}");
        }
    }
}
