//! Signatures between nodes: a request is made by one process for one process, and accepted once.
//!
//! A request carries `x-jettra-peer`: the number of the format, and an HMAC-SHA256 under the cluster secret over method, path and
//! query, the user on whose behalf it is made and that user's address, the hash of the body, the
//! sender's host and process, a sequence number that the sender uses once, and the receiver's current name.
//! The secret itself never travels, so a request to an address that is not a node reveals nothing.
//! Only TLS hides the content.

use crate::format::MESSAGES;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Header that carries the signature.
pub const PEER_HEADER: &str = "x-jettra-peer";
/// Header of a response with the receiver's current name, which a request must be for.
pub const PROCESS_HEADER: &str = "x-jettra-process";
/// Header with the user on whose behalf a node forwards; covered by the signature.
pub const USER_HEADER: &str = "x-jettra-user";
/// Header with the address of the client whose request is forwarded; covered by the signature.
pub const FROM_HEADER: &str = "x-jettra-from";

/// Bytes of a MAC.
pub const MAC_BYTES: usize = 32;
/// Stands in the header for an empty part.
const NONE: &str = "-";
/// Stands for the hash of a body that carries its own MAC.
const SEALED: &str = "sealed";

/// The format of the message between nodes that carries this signature; none if it is no signature.
pub fn format_of(header: &str) -> Option<u32> {
    header.split(' ').next()?.parse().ok()
}

/// The signing key of this process, derived from the cluster secret.
#[derive(Clone)]
pub struct NodeKey {
    mac: Hmac<Sha256>,
    sender: Arc<Sender>,
}

struct Sender {
    host: String,
    process: String,
    sent: AtomicU64,
}

/// The part of a request that is signed beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignedHead<'h> {
    /// HTTP method.
    pub method: &'h str,
    /// Path and query.
    pub target: &'h str,
    /// The user on whose behalf the request is made.
    pub user: Option<&'h str>,
    /// The address of that user's client.
    pub from: Option<&'h str>,
}

/// How the body is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// By its SHA-256, which the signature covers.
    Hash([u8; 32]),
    /// It is a stream, and ends with a MAC over its content, bound to the signature.
    Sealed,
}

impl Body {
    /// The protection of a body that is in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Body::Hash(Sha256::digest(bytes).into())
    }

    fn text(&self) -> String {
        match self {
            Body::Hash(hash) => hex(hash),
            Body::Sealed => SEALED.into(),
        }
    }
}

/// The content of a verified signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Host at which the sender is reached.
    pub host: String,
    /// The sender's process.
    pub process: String,
    /// Number of the request; a process uses each once.
    pub sequence: u64,
    /// The receiver's name that the request is for, if the sender knew it.
    pub to: Option<String>,
    /// How the body is protected.
    pub body: Body,
    text: String,
}

impl NodeKey {
    /// Derives the key from the cluster secret, for a process of the node at `host`.
    pub fn new(secret: &str, host: &str, process: &str) -> Self {
        // HMAC takes keys of any length, so this cannot fail; an empty key would only fail to
        // verify anything made with the real one.
        let mac = Hmac::new_from_slice(secret.as_bytes())
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        let (host, process) = (host.to_owned(), process.to_owned());
        NodeKey { mac, sender: Arc::new(Sender { host, process, sent: AtomicU64::new(1) }) }
    }

    /// The header value for a request to the receiver with the name `to`.
    pub fn sign(&self, head: SignedHead<'_>, body: &Body, to: Option<&str>) -> String {
        let Sender { host, process, sent } = &*self.sender;
        let sequence = sent.fetch_add(1, Ordering::Relaxed);
        let (to, body) = (to.unwrap_or(NONE), body.text());
        let format = MESSAGES.number();
        let said = format!("{format} {host} {process} {sequence} {to} {body}");
        let mac = self.call_mac(head, &said).finalize().into_bytes();
        format!("{said} {}", hex(&mac))
    }

    /// The content of `header`, if it was signed for this request with the cluster secret.
    pub fn verify(&self, header: &str, head: SignedHead<'_>) -> Option<Signature> {
        let (said, mac) = header.rsplit_once(' ')?;
        self.call_mac(head, said).verify_slice(&unhex(mac)?).ok()?;
        // The caller has compared the number of the format, which comes first.
        let mut parts = said.split(' ').skip(1);
        let mut part = || parts.next();
        let signature = Signature {
            host: part()?.into(),
            process: part()?.into(),
            sequence: part()?.parse().ok()?,
            to: part().filter(|to| *to != NONE).map(str::to_owned),
            body: match part()? {
                SEALED => Body::Sealed,
                hash => Body::Hash(unhex(hash)?.try_into().ok()?),
            },
            text: header.into(),
        };
        parts.next().is_none().then_some(signature)
    }

    fn call_mac(&self, head: SignedHead<'_>, said: &str) -> Hmac<Sha256> {
        let optional =
            |text: Option<&str>| text.map_or_else(String::new, |text| format!("={text}"));
        let (user, from) = (optional(head.user), optional(head.from));
        self.mac_of("call", &[head.method, head.target, &user, &from, said])
    }

    /// Proves knowledge of the secret with a MAC over texts that both sides know, for one purpose
    /// only.
    pub fn prove(&self, purpose: &str, texts: &[&str]) -> String {
        hex(&self.mac_of(purpose, texts).finalize().into_bytes())
    }

    /// Whether `proof` is the MAC over these texts for this purpose.
    pub fn is_proof(&self, proof: &str, purpose: &str, texts: &[&str]) -> bool {
        unhex(proof).is_some_and(|mac| self.mac_of(purpose, texts).verify_slice(&mac).is_ok())
    }

    /// The MAC of a body that is sent as a stream under this header value.
    pub fn seal(&self, header: &str) -> Seal {
        Seal(self.mac_of("body", &[header]))
    }

    /// The MAC that the body of a received request must end with.
    pub fn seal_of(&self, signature: &Signature) -> Seal {
        self.seal(&signature.text)
    }

    fn mac_of(&self, purpose: &str, texts: &[&str]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for text in std::iter::once(&purpose).chain(texts) {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac
    }
}

/// A MAC over a body that is read in parts.
#[derive(Clone)]
pub struct Seal(Hmac<Sha256>);

impl Seal {
    /// Adds the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The MAC over all parts.
    pub fn finish(self) -> [u8; MAC_BYTES] {
        self.0.finalize().into_bytes().into()
    }

    /// Whether this is the MAC over all parts.
    pub fn is(self, mac: &[u8]) -> bool {
        self.0.verify_slice(mac).is_ok()
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// The bytes of a text in hexadecimal.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    let digit = |digit: u8| (digit as char).to_digit(16).map(|digit| digit as u8);
    let whole = digits.remainder().is_empty();
    let bytes: Option<Vec<u8>> =
        digits.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    bytes.filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> SignedHead<'_> {
        SignedHead { method: "POST", target, ..SignedHead::default() }
    }

    #[test]
    fn only_the_same_call_with_the_same_secret_verifies() {
        let key = NodeKey::new("secret", "host", "p1");
        let call = SignedHead { user: Some("ada"), from: Some("10.0.0.1"), ..head("/x?to=2") };
        let header = key.sign(call, &Body::of(b"abc"), Some("p2"));
        let signature = key.verify(&header, call).unwrap();
        assert_eq!((signature.host.as_str(), signature.process.as_str()), ("host", "p1"));
        assert_eq!(signature.sequence, 1);
        assert_eq!(signature.to.as_deref(), Some("p2"));
        assert_eq!(signature.body, Body::of(b"abc"));
        for other in [
            SignedHead { target: "/x?to=3", ..call },
            SignedHead { method: "GET", ..call },
            SignedHead { user: Some("admin"), ..call },
            SignedHead { user: None, ..call },
            SignedHead { from: None, ..call },
            SignedHead { from: Some(""), ..call },
            SignedHead { user: Some("10.0.0.1"), from: Some("ada"), ..call },
        ] {
            assert_eq!(key.verify(&header, other), None, "{other:?}");
        }
        assert_eq!(NodeKey::new("other", "host", "p1").verify(&header, call), None);
        for (said, instead) in [("host", "tsoh"), (" 1 ", " 2 "), (" p2", " p3")] {
            assert_eq!(key.verify(&header.replacen(said, instead, 1), call), None, "{said}");
        }
        for forged in ["", " ", "a b", "é é", "- - - - - -", &header[..header.len() - 2]] {
            assert_eq!(key.verify(forged, call), None, "{forged}");
        }
        let second = key.sign(call, &Body::of(b"abc"), Some("p2"));
        assert_ne!(header, second, "a number is used once");
    }

    #[test]
    fn a_proof_is_for_one_purpose_and_one_division_of_its_texts() {
        let key = NodeKey::new("secret", "host", "p1");
        let proof = key.prove("answer", &["ab", "c"]);
        assert!(key.is_proof(&proof, "answer", &["ab", "c"]));
        for (purpose, texts) in [("call", ["ab", "c"]), ("answer", ["a", "bc"])] {
            assert!(!key.is_proof(&proof, purpose, &texts));
        }
        assert!(!key.is_proof("", "answer", &["ab", "c"]));
    }

    #[test]
    fn a_sealed_body_belongs_to_its_call() {
        let key = NodeKey::new("secret", "host", "p1");
        let call = head("/snapshot");
        let header = key.sign(call, &Body::Sealed, None);
        let signature = key.verify(&header, call).unwrap();
        let mac = |parts: &[&[u8]], mut seal: Seal| {
            parts.iter().for_each(|part| seal.update(part));
            seal.finish()
        };
        let made = mac(&[b"ab", b"c"], key.seal(&header));
        assert_eq!(made, mac(&[b"a", b"bc"], key.seal_of(&signature)));
        assert_ne!(made, mac(&[b"abd"], key.seal_of(&signature)));
        let second = key.sign(call, &Body::Sealed, None);
        assert_ne!(made, mac(&[b"abc"], key.seal(&second)));
    }

    #[test]
    fn hexadecimal_is_read_back() {
        assert_eq!(unhex(&hex(&[0, 127, 255])), Some(vec![0, 127, 255]));
        for bad in ["0", "0g", "é", "+1"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
