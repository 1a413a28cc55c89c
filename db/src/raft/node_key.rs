//! Calls between nodes: addressed to one node of one cluster, and signed with the secret.
//!
//! A call carries `x-jettra-peer: <nonce>.<mac>`, an HMAC-SHA256 over nonce, method and the
//! whole path with its query. The secret itself never travels, so probing an address that is
//! no node of ours gives nothing away. TLS is what protects the content on the way.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Header that carries the signature.
pub const PEER_HEADER: &str = "x-jettra-peer";

/// The cluster secret, ready for signing.
#[derive(Clone)]
pub struct NodeKey(Hmac<Sha256>);

impl NodeKey {
    /// Derives the key from the cluster secret.
    pub fn new(secret: &str) -> Self {
        // HMAC takes keys of any length, so this cannot fail; an empty key would only fail to
        // verify anything made with the real one.
        let mac = Hmac::new_from_slice(secret.as_bytes())
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        NodeKey(mac)
    }

    /// The header value for a call of `method` to `target` (path and query), or for any
    /// other pair of texts that both sides know.
    pub fn sign(&self, method: &str, target: &str) -> String {
        let mut nonce = [0; 16];
        // Without randomness the signature still proves the secret; it is only repeatable.
        let _ = getrandom::fill(&mut nonce);
        let nonce = hex(&nonce);
        let mac = self.mac(&nonce, method, target).finalize().into_bytes();
        format!("{nonce}.{}", hex(&mac))
    }

    /// Whether `header` was made for this call by someone who knows the secret.
    pub fn verify(&self, header: &str, method: &str, target: &str) -> bool {
        let Some((nonce, mac)) = header.split_once('.') else {
            return false;
        };
        let Some(mac) = unhex(mac) else { return false };
        self.mac(nonce, method, target).verify_slice(&mac).is_ok()
    }

    fn mac(&self, nonce: &str, method: &str, target: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [nonce, method, target] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_call_with_the_same_secret_verifies() {
        let key = NodeKey::new("secret");
        let header = key.sign("POST", "/raft/rpc/vote?to=2");
        assert!(key.verify(&header, "POST", "/raft/rpc/vote?to=2"));
        assert!(!key.verify(&header, "POST", "/raft/rpc/vote?to=3"));
        assert!(!key.verify(&header, "GET", "/raft/rpc/vote?to=2"));
        assert!(!NodeKey::new("other").verify(&header, "POST", "/raft/rpc/vote?to=2"));
        for forged in ["", ".", "a.b", "é.é", "00", &header[..header.len() - 2]] {
            assert!(!key.verify(forged, "POST", "/raft/rpc/vote?to=2"), "{forged}");
        }
        assert_ne!(header, key.sign("POST", "/raft/rpc/vote?to=2"), "a nonce is used once");
    }
}
