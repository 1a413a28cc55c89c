//! Which calls of other nodes are taken: each once, for this process, and not late.
//!
//! Calls that are under way together arrive in any order. So the last numbers of each sending
//! process are kept as a window of bits that moves with the highest (RFC 4303, 3.4.3; the ring
//! of blocks is that of RFC 6479). What a process before this one has seen need not be known:
//! a call names the process it is for.

use super::node_key::Signature;
use crate::error::{Error, Kind, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Largest difference between two nodes' clocks, and so the longest way of a call.
pub const CLOCKS_APART_MAX_MS: u64 = 120_000;
/// Processes whose windows are kept at most; 32 KiB each.
const SENDERS_MAX: usize = 128;
/// Blocks of 64 numbers in a window. Of a process that makes 20,000 calls a second, a call
/// may be 13 seconds later than another.
const BLOCKS: usize = 4096;
const BLOCK_BITS: u64 = 64;

/// The calls that this process has taken.
pub struct Inbox {
    process: String,
    senders: Mutex<HashMap<String, Window>>,
}

struct Window {
    top: u64,
    blocks: Box<[u64]>,
    /// When the last call was taken, by this node's clock.
    used_ms: u64,
}

impl Inbox {
    /// The inbox of the process of this name.
    pub fn new(process: &str) -> Self {
        Inbox { process: process.to_owned(), senders: Mutex::default() }
    }

    /// Takes the call with this genuine signature at `now_ms`, unless it must not be.
    ///
    /// # Errors
    /// `clock_skew`; `wrong_process`, for which the sender asks again; `replayed_call`;
    /// `overloaded` when there are too many sending processes.
    pub fn take(&self, signature: &Signature, now_ms: u64) -> Result<()> {
        check_clock(signature, now_ms)?;
        if signature.to.as_deref() != Some(self.process.as_str()) {
            return Err(Error::new(Kind::WrongProcess, "the call is for another process")
                .hint("make it again for the process in X-Jettra-Process"));
        }
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if !senders.contains_key(&signature.process) && senders.len() >= SENDERS_MAX {
            // All that such a process has sent would be refused for its time by now.
            let old = |window: &Window| now_ms > window.used_ms + 2 * CLOCKS_APART_MAX_MS;
            senders.retain(|_, window| !old(window));
            if senders.len() >= SENDERS_MAX {
                return Err(Error::new(Kind::Overloaded, "too many processes of nodes call here")
                    .hint("wait some minutes; a node that starts again and again causes this"));
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

fn check_clock(signature: &Signature, now_ms: u64) -> Result<()> {
    let apart_ms = signature.time_ms.abs_diff(now_ms);
    if apart_ms <= CLOCKS_APART_MAX_MS {
        return Ok(());
    }
    let side = if signature.time_ms > now_ms { "ahead of" } else { "behind" };
    let (host, seconds) = (&signature.host, apart_ms / 1000);
    let message = format!(
        "the call of {host} is {seconds} s {side} the clock of this node, more than {} s",
        CLOCKS_APART_MAX_MS / 1000
    );
    Err(Error::new(Kind::ClockSkew, message)
        .hint("set the clocks of the nodes by NTP; an old call that somebody repeats looks alike"))
}

impl Window {
    fn new() -> Self {
        Window { top: 0, blocks: vec![0; BLOCKS].into(), used_ms: 0 }
    }

    /// Notes a number; tells whether it is new. One that the window has left is not.
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
    use super::super::node_key::{Body, Head, NodeKey};
    use super::*;
    use std::collections::HashSet;

    fn signature(key: &NodeKey, to: &str, time_ms: u64) -> Signature {
        let head = Head::default();
        key.verify(&key.sign(head, &Body::Sealed, Some(to), time_ms), head).unwrap()
    }

    #[test]
    fn a_call_is_taken_once_in_time_and_by_its_process() {
        let (key, inbox) = (NodeKey::new("s", "node1", "a"), Inbox::new("b"));
        let now = 1_000_000;
        let kind = |signature: &Signature| inbox.take(signature, now).map_err(|error| error.kind);
        let first = signature(&key, "b", now);
        assert_eq!(kind(&first), Ok(()));
        assert_eq!(kind(&first), Err(Kind::Replayed));
        assert_eq!(kind(&signature(&key, "before-b", now)), Err(Kind::WrongProcess));
        for (time, side) in [(now - 120_001, "behind"), (now + 120_001, "ahead")] {
            let error = inbox.take(&signature(&key, "b", time), now).unwrap_err();
            assert_eq!(error.kind, Kind::ClockSkew);
            assert!(error.message.contains(&format!("node1 is 120 s {side}")), "{error}");
        }
        assert_eq!(kind(&signature(&key, "b", now - 120_000)), Ok(()));
    }

    #[test]
    fn the_number_of_senders_is_bounded_and_old_ones_are_forgotten() {
        let inbox = Inbox::new("b");
        let call = |process: usize, now| {
            let key = NodeKey::new("s", "h", &process.to_string());
            inbox.take(&signature(&key, "b", now), now).map_err(|error| error.kind)
        };
        for process in 0..SENDERS_MAX {
            assert_eq!(call(process, 1000), Ok(()));
        }
        assert_eq!(call(SENDERS_MAX, 1000), Err(Kind::Overloaded));
        assert_eq!(call(SENDERS_MAX, 1000 + 2 * CLOCKS_APART_MAX_MS), Err(Kind::Overloaded));
        assert_eq!(call(SENDERS_MAX, 1001 + 2 * CLOCKS_APART_MAX_MS), Ok(()));
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
