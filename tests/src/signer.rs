//! Signed calls between nodes, written from the documentation of the signature alone.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Header with the signature.
pub const PEER_HEADER: &str = "x-jettra-peer";
/// Response header with the name of the process that a call must be addressed to.
pub const PROCESS_HEADER: &str = "x-jettra-process";

/// A call, with everything that its signature covers.
#[derive(Debug, Clone)]
pub struct SignedCall {
    /// The cluster secret.
    pub secret: String,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The user on whose behalf the call is made.
    pub user: Option<String>,
    /// Number of the format of messages between nodes.
    pub format: u32,
    /// Host of the sender.
    pub host: String,
    /// Name of the sending process.
    pub process: String,
    /// Sequence number of the call.
    pub sequence: u64,
    /// Name of the process that the call is addressed to.
    pub to: String,
    /// The body.
    pub body: Vec<u8>,
}

impl SignedCall {
    /// A call from a process at 127.0.0.1 to the process `to`, with the current time.
    pub fn new(method: &str, target: &str, to: &str) -> SignedCall {
        SignedCall {
            secret: crate::SECRET.into(),
            method: method.into(),
            target: target.into(),
            user: None,
            format: 2,
            host: "127.0.0.1".into(),
            process: format!("test-{}", std::process::id()),
            sequence: 1,
            to: to.into(),
            body: Vec::new(),
        }
    }

    /// The value of [`PEER_HEADER`].
    pub fn signature(&self) -> String {
        let SignedCall { format, host, process, sequence, to, .. } = self;
        let body = hex(&Sha256::digest(&self.body));
        let said = format!("{format} {host} {process} {sequence} {to} {body}");
        let user = self.user.as_ref().map_or(String::new(), |user| format!("={user}"));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length");
        for part in ["call", &self.method, &self.target, &user, "", &said] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        format!("{said} {}", hex(&mac.finalize().into_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
