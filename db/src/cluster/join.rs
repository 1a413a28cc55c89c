//! How a new node gets the cluster secret with a join token, over a connection that may be
//! overheard.
//!
//! Both sides know the token's key, a hash of its secret: the new node proves that with a MAC, and
//! the leader responds with the cluster secret, encrypted under a key derived from the token's key
//! and random numbers of both sides. So an eavesdropper learns nothing, and an impostor can neither
//! read what it is sent nor provide a secret of its own. The leader uses the token up before it
//! responds.

use super::{Cluster, secrets};
use crate::auth::token::join_parts;
use crate::config::Config;
use crate::dial::{AddressRefusal, Dialer};
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::{hex, unhex};
use crate::tls::Certificates;
use jettra_driver::wire::ErrorBody;
use reqwest::Method;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Path of the first call of a node with a join token.
pub const JOIN_TOKEN_PATH: &str = "/raft/rpc/join-token";
const TIMEOUT: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_millis(500);

/// The request of a new node.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// Public name of the token.
    pub token: String,
    /// Name of the node.
    pub node: String,
    /// Random number of the node, in hexadecimal.
    nonce: String,
    /// MAC over the other fields under the token's key, in hexadecimal.
    proof: String,
}

/// The leader's response.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedSecret {
    /// Random number of the leader, in hexadecimal.
    nonce: String,
    /// The cluster secret, encrypted, in hexadecimal.
    secret: String,
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

fn random() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(internal)?;
    Ok(hex(&bytes))
}

/// The refusal of a token; it does not say what is wrong with it.
pub fn bad_token() -> Error {
    Error::new(Kind::BadJoinToken, "the join token is unknown, was used, or has expired")
        .hint("a token lets one node in; make another with: jettra cluster token")
}

impl JoinRequest {
    fn new(token: &str, node: &str, key: &[u8]) -> Result<Self> {
        let (token, node) = (token.to_owned(), node.to_owned());
        let mut request = JoinRequest { token, node, nonce: random()?, proof: String::new() };
        request.proof = hex(hmac::sign(&mac_key(key), &request.proven()).as_ref());
        Ok(request)
    }

    fn proven(&self) -> Vec<u8> {
        let mut proven = Vec::new();
        for part in ["jettra join", &self.token, &self.node, &self.nonce] {
            proven.extend((part.len() as u64).to_be_bytes());
            proven.extend(part.as_bytes());
        }
        proven
    }

    /// Whether the sender knows the token's key.
    pub fn is_proven(&self, key: &[u8]) -> bool {
        let proof = unhex(&self.proof).unwrap_or_default();
        hmac::verify(&mac_key(key), &self.proven(), &proof).is_ok()
    }

    /// The cipher of the response: its key is derived from both random numbers and used once.
    fn cipher(&self, key: &[u8], answer_nonce: &str) -> Result<LessSafeKey> {
        let salt = format!("{}{answer_nonce}", self.nonce);
        let made = hkdf::Salt::new(hkdf::HKDF_SHA256, salt.as_bytes()).extract(key);
        let info = [b"jettra cluster secret".as_slice()];
        let made = made.expand(&info, &CHACHA20_POLY1305).map_err(internal)?;
        Ok(LessSafeKey::new(UnboundKey::from(made)))
    }

    fn seal(&self, key: &[u8], secret: &str) -> Result<SealedSecret> {
        let nonce = random()?;
        let mut text = secret.as_bytes().to_vec();
        self.cipher(key, &nonce)?
            .seal_in_place_append_tag(once(), Aad::from(self.proven()), &mut text)
            .map_err(internal)?;
        Ok(SealedSecret { nonce, secret: hex(&text) })
    }

    fn open(&self, key: &[u8], sealed: &SealedSecret) -> Option<String> {
        let mut text = unhex(&sealed.secret)?;
        let cipher = self.cipher(key, &sealed.nonce).ok()?;
        let plain = cipher.open_in_place(once(), Aad::from(self.proven()), &mut text).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

fn mac_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

/// A cipher is used for one message, so its nonce does not matter.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl Cluster {
    /// Encrypts the cluster secret for the node that has sent a proven request.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal_secret(&self, request: &JoinRequest, key: &[u8]) -> Result<SealedSecret> {
        request.seal(key, &self.secret)
    }
}

/// Gets the cluster secret from one of `Peers` with the configured token, and keeps it. Peers that
/// do not answer are asked again.
///
/// # Errors
/// `bad_join_token` if the token is refused; `invalid_parameter` if it is not a token.
pub async fn bring_secret(
    config: &Config,
    certificates: Option<&Arc<Certificates>>,
    node: &str,
) -> Result<String> {
    let token = secrets::join_token(config)?;
    let (id, key) = join_parts(&token).ok_or_else(|| {
        Error::new(Kind::InvalidParameter, "JoinToken is not a join token")
            .hint("it begins with jettra_join_; make one with: jettra cluster token")
    })?;
    let dialer = Dialer::new(config, certificates)?;
    let mut last_warning = String::new();
    loop {
        for peer in &config.peers {
            match ask(&dialer, peer, &JoinRequest::new(id, node, &key)?, &key).await {
                Ok(secret) => {
                    secrets::keep_secret(config, &secret)?;
                    tracing::info!("{peer} has taken the join token");
                    return Ok(secret);
                }
                Err(error) if error.kind == Kind::BadJoinToken => return Err(error),
                Err(error) if error.message == last_warning => {}
                Err(error) => {
                    tracing::warn!("{peer} has not taken the join token yet: {error}");
                    last_warning = error.message;
                }
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn ask(dialer: &Dialer, peer: &str, request: &JoinRequest, key: &[u8]) -> Result<String> {
    let unreachable = |error: reqwest::Error| {
        AddressRefusal::cause(peer, &error)
            .unwrap_or_else(|| Error::new(Kind::NodeUnreachable, error.without_url().to_string()))
    };
    let call = dialer
        .request(Method::POST, &format!("{}{JOIN_TOKEN_PATH}", peer.trim_end_matches('/')))?;
    let answer = call.json(request).timeout(TIMEOUT).send().await.map_err(unreachable)?;
    let success = answer.status().is_success();
    let body = answer.bytes().await.map_err(unreachable)?;
    if !success {
        let refusal = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error);
        return Err(match refusal {
            Ok(refusal) if refusal.code == Kind::BadJoinToken.code() => bad_token(),
            Ok(refusal) => Error::new(Kind::NotPossibleNow, refusal.message),
            Err(_) => Error::new(Kind::NotANode, format!("{peer} is not a Jettra node")),
        });
    }
    let sealed: Option<SealedSecret> = serde_json::from_slice(&body).ok();
    sealed.and_then(|sealed| request.open(key, &sealed)).ok_or_else(|| {
        Error::new(Kind::NotANode, format!("{peer} does not know the join token"))
            .hint("check its address; somebody may stand in its place")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_holder_of_the_key_proves_reads_and_answers() {
        let (key, other) = ([1; 32], [2; 32]);
        let request = JoinRequest::new("id", "node4", &key).unwrap();
        assert!(request.is_proven(&key) && !request.is_proven(&other));
        let renamed = JoinRequest { node: "node5".into(), ..request.clone() };
        assert!(!renamed.is_proven(&key));
        let sealed = request.seal(&key, "the cluster secret").unwrap();
        assert_eq!(request.open(&key, &sealed).as_deref(), Some("the cluster secret"));
        assert!(!format!("{sealed:?}").contains(&hex(b"the cluster secret")));
        assert_eq!(request.open(&other, &sealed), None);
        let forged = request.seal(&other, "a false secret").unwrap();
        assert_eq!(request.open(&key, &forged), None);
        let again = JoinRequest::new("id", "node4", &key).unwrap();
        assert_eq!(again.open(&key, &sealed), None, "an old answer is for its request only");
    }
}
