//! Replay protection between nodes: each request is accepted once, by this process, and not late.
//!
//! Requests that are in flight together arrive in any order. So the last numbers of each sending
//! process are kept as a window of bits that moves with the highest (RFC 4303, 3.4.3; the ring of
//! blocks is that of RFC 6479). The requests that an earlier process accepted need not be known: a
//! request is for the current name of this process, which is random and changes by the monotonic
//! clock. So a request that was held back is refused for its age without a comparison of clocks,
//! which may be wrong. A sender that uses an old name learns the new one from the refusal.

use super::node_key::Signature;
use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Instant;

/// Time for which a name is given to senders. A request may arrive under it for as long again, so
/// none is accepted later than twice this time after it was signed.
const NAME_MS: u64 = 60_000;
/// Maximum number of processes whose windows are kept; 32 KiB each.
const SENDERS_MAX: usize = 128;
/// Blocks of 64 numbers in a window. Of a process that sends 20,000 requests a second, a request
/// may be 13 seconds later than another.
const BLOCKS: usize = 4096;
const BLOCK_BITS: u64 = 64;

/// The requests that this process has accepted.
pub struct Inbox {
    started: Instant,
    taken: Mutex<InboxState>,
}

struct InboxState {
    name: String,
    /// When the name was created, by the monotonic clock.
    made_ms: u64,
    name_before: Option<String>,
    senders: HashMap<String, Window>,
}

struct Window {
    top: u64,
    blocks: Box<[u64]>,
    /// When the last request was accepted, by the monotonic clock.
    used_ms: u64,
}

impl Default for Inbox {
    fn default() -> Self {
        let taken =
            InboxState { name: new_name(), made_ms: 0, name_before: None, senders: HashMap::new() };
        Inbox { started: Instant::now(), taken: Mutex::new(taken) }
    }
}

/// It is not known before it is given, so no request can be signed for it before.
fn new_name() -> String {
    uuid::Uuid::now_v7().to_string()
}

impl Inbox {
    /// The name that a request must be for now.
    pub fn name(&self) -> String {
        let now_ms = self.now_ms();
        let mut taken = self.taken.lock();
        taken.rename(now_ms);
        taken.name.clone()
    }

    /// Accepts the request with this verified signature, or refuses it.
    ///
    /// # Errors
    /// `wrong_process`, after which the sender tries again; `replayed_call`; `overloaded` if there
    /// are too many sending processes.
    pub fn take(&self, signature: &Signature) -> Result<()> {
        let now_ms = self.now_ms();
        self.taken.lock().take(signature, now_ms)
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl InboxState {
    fn rename(&mut self, now_ms: u64) {
        let age_ms = now_ms.saturating_sub(self.made_ms);
        if age_ms >= NAME_MS {
            let before = std::mem::replace(&mut self.name, new_name());
            self.name_before = (age_ms < 2 * NAME_MS).then_some(before);
            self.made_ms = now_ms;
        }
    }

    fn take(&mut self, signature: &Signature, now_ms: u64) -> Result<()> {
        self.rename(now_ms);
        let to = signature.to.as_deref();
        if to != Some(self.name.as_str()) && (to.is_none() || to != self.name_before.as_deref()) {
            let message = "the call is for another process, or too old";
            return Err(Error::new(Kind::WrongProcess, message)
                .hint("make it again for the process that this refusal names"));
        }
        let senders = &mut self.senders;
        if !senders.contains_key(&signature.process) && senders.len() >= SENDERS_MAX {
            // All names that such a process has used have expired.
            senders.retain(|_, window| now_ms <= window.used_ms + 2 * NAME_MS);
            if senders.len() >= SENDERS_MAX {
                return Err(Error::new(Kind::Overloaded, "too many processes of nodes call here")
                    .hint("wait some minutes; a node that restarts repeatedly causes this"));
            }
        }
        let window = senders.entry(signature.process.clone()).or_insert_with(Window::new);
        if !window.take(signature.sequence) {
            let message =
                format!("call {} of {} was here before", signature.sequence, signature.host);
            return Err(Error::new(Kind::Replayed, message).hint(
                "a node makes each call once; somebody may be repeating what they overheard",
            ));
        }
        window.used_ms = window.used_ms.max(now_ms);
        Ok(())
    }
}

impl Window {
    fn new() -> Self {
        Window { top: 0, blocks: vec![0; BLOCKS].into(), used_ms: 0 }
    }

    /// Records a number; returns whether it is new. A number before the window is not.
    fn take(&mut self, number: u64) -> bool {
        let (block, top_block) = (number / BLOCK_BITS, self.top / BLOCK_BITS);
        if number > self.top {
            for passed in (top_block + 1..=block).rev().take(BLOCKS) {
                self.blocks[passed as usize % BLOCKS] = 0;
            }
            self.top = number;
        } else if block + BLOCKS as u64 <= top_block {
            return false;
        }
        let bits = &mut self.blocks[block as usize % BLOCKS];
        let bit = 1 << (number % BLOCK_BITS);
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::super::node_key::{Body, NodeKey, SignedHead};
    use super::*;
    use std::collections::HashSet;

    fn signature(key: &NodeKey, to: &str) -> Signature {
        let head = SignedHead::default();
        key.verify(&key.sign(head, &Body::Sealed, Some(to)), head).unwrap()
    }

    fn taken() -> InboxState {
        Inbox::default().taken.into_inner()
    }

    #[test]
    fn a_call_is_taken_once_in_time_and_by_its_process() {
        let (key, mut taken) = (NodeKey::new("s", "node1", "a"), taken());
        let mut kind = |signature: &Signature, now_ms| {
            let result = taken.take(signature, now_ms).map_err(|error| error.kind);
            (result, taken.name.clone())
        };
        let (refused, name) = kind(&signature(&key, "before"), 0);
        assert_eq!(refused, Err(Kind::WrongProcess));
        let first = signature(&key, &name);
        assert_eq!(kind(&first, 0).0, Ok(()));
        assert_eq!(kind(&first, 0).0, Err(Kind::Replayed));
        // Held back, whatever the clocks of the two are.
        let held_back = [(); 3].map(|()| signature(&key, &name));
        assert_eq!(kind(&held_back[0], NAME_MS - 1), (Ok(()), name.clone()));
        let (in_time, second) = kind(&held_back[1], NAME_MS);
        assert_eq!(in_time, Ok(()));
        assert_ne!(name, second);
        assert_eq!(kind(&first, NAME_MS).0, Err(Kind::Replayed));
        let (late, third) = kind(&held_back[2], 2 * NAME_MS);
        assert_eq!(late, Err(Kind::WrongProcess));
        assert_eq!(kind(&signature(&key, &second), 2 * NAME_MS).0, Ok(()));
        // After a long silence no earlier name is valid.
        assert_eq!(kind(&signature(&key, &third), 4 * NAME_MS).0, Err(Kind::WrongProcess));
    }

    #[test]
    fn the_number_of_senders_is_bounded_and_old_ones_are_forgotten() {
        let mut taken = taken();
        let mut call = |process: usize, now_ms| {
            let key = NodeKey::new("s", "h", &process.to_string());
            taken.rename(now_ms);
            let call = signature(&key, &taken.name);
            taken.take(&call, now_ms).map_err(|error| error.kind)
        };
        for process in 0..SENDERS_MAX {
            assert_eq!(call(process, 1000), Ok(()));
        }
        assert_eq!(call(SENDERS_MAX, 1000), Err(Kind::Overloaded));
        assert_eq!(call(SENDERS_MAX, 1000 + 2 * NAME_MS), Err(Kind::Overloaded));
        assert_eq!(call(SENDERS_MAX, 1001 + 2 * NAME_MS), Ok(()));
    }

    #[test]
    fn numbers_in_any_order_are_taken_once() {
        let reach = BLOCKS as u64 * BLOCK_BITS;
        let steps = [1, 63, 64, 65, 2, 1, 5000, 4000, 64, reach, 65, reach + 200, 100, 5001, 5000];
        let (mut window, mut model) = (Window::new(), HashSet::new());
        let mut top = 0;
        for number in
            steps.into_iter().chain(reach * 3..reach * 3 + 200).chain([reach * 2 + 7, reach])
        {
            top = top.max(number);
            let kept = number / BLOCK_BITS + BLOCKS as u64 > top / BLOCK_BITS;
            let expected = kept && model.insert(number);
            assert_eq!(window.take(number), expected, "{number} below {top}");
        }
    }
}
