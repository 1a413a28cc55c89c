//! What a leader sends to members that are joining: no faster than `MoveMbPerSecond`, and counted, so
//! that their progress is known. Other members get what they lack as fast as it can be sent.

use super::peers::PeerUrls;
use super::types::RaftId;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The bytes that a node may send to joining members of all groups in a second. Each message is given
/// the time at which it may be sent (the virtual scheduling of GCRA, ITU-T I.371).
#[derive(Debug)]
pub struct MoveRate {
    /// 0: no bound.
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl MoveRate {
    /// A rate in megabytes per second; 0: no bound.
    pub fn new(megabytes: u64) -> MoveRate {
        MoveRate { bytes_per_second: megabytes << 20, free_at: Mutex::new(Instant::now()) }
    }

    /// When this many bytes may be sent.
    fn reserve(&self, bytes: u64, now: Instant) -> Instant {
        if self.bytes_per_second == 0 {
            return now;
        }
        let length = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        let mut free_at = self.free_at.lock();
        let begin = (*free_at).max(now);
        *free_at = begin + length;
        begin
    }

    /// Waits until this many bytes may be sent.
    async fn take(&self, bytes: u64) {
        tokio::time::sleep_until(self.reserve(bytes, Instant::now())).await;
    }
}

/// What a joining member was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    since: Instant,
    /// Bytes of the copy of the state that is being sent, so far and all together.
    copy: Option<(u64, u64)>,
    /// Whether a copy has arrived.
    copied: bool,
    entries: u64,
    entry_bytes: u64,
}

impl Sent {
    fn new() -> Sent {
        Sent { since: Instant::now(), copy: None, copied: false, entries: 0, entry_bytes: 0 }
    }

    /// How far the member is, when it lacks this many entries of the log.
    fn progress(&self, lag: u64, elapsed: Duration) -> JoinProgress {
        let left_ms = |done: u64, left: u64| {
            let each = elapsed.as_secs_f64() * 1000.0 / done as f64;
            (done > 0).then_some((each * left as f64) as u64)
        };
        match self.copy {
            Some((done, total)) => {
                let left = total.saturating_sub(done);
                let bytes = Some((done, total));
                JoinProgress { copied: bytes, bytes_left: Some(left), left_ms: left_ms(done, left) }
            }
            None => JoinProgress {
                copied: None,
                bytes_left: self.entry_bytes.checked_div(self.entries).map(|each| each * lag),
                left_ms: left_ms(self.entries, lag),
            },
        }
    }
}

/// How far a joining member is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinProgress {
    /// Bytes of the copy of the state that is being sent, so far and all together.
    pub copied: Option<(u64, u64)>,
    /// Bytes that it lacks, of the copy or about that many of the log.
    pub bytes_left: Option<u64>,
    /// Milliseconds until it has them, judged by what it was sent so far.
    pub left_ms: Option<u64>,
}

/// The joining members of a group.
#[derive(Clone)]
pub struct Joining {
    rate: Arc<MoveRate>,
    urls: Arc<dyn PeerUrls>,
    sent: Arc<Mutex<BTreeMap<RaftId, Sent>>>,
}

impl Joining {
    /// The members that the addresses of the group call joining.
    pub fn new(rate: Arc<MoveRate>, urls: Arc<dyn PeerUrls>) -> Joining {
        Joining { rate, urls, sent: Arc::default() }
    }

    fn change<T>(&self, to: RaftId, change: impl FnOnce(&mut Sent) -> T) -> T {
        let mut sent = self.sent.lock();
        // Those that have joined, or are not to join any more, are forgotten.
        sent.retain(|id, _| self.urls.is_joining(*id));
        change(sent.entry(to).or_insert_with(Sent::new))
    }

    /// Waits until entries may be sent to a member, if it is joining.
    pub async fn entries(&self, to: RaftId, entries: usize, bytes: usize) {
        if self.urls.is_joining(to) {
            self.change(to, |sent| {
                sent.entries += entries as u64;
                sent.entry_bytes += bytes as u64;
            });
            self.rate.take(bytes as u64).await;
        }
    }

    /// Begins to count a copy of the state, until the guard is dropped.
    pub fn begin_copy(&self, to: RaftId) -> CopyCount {
        let counted = self.urls.is_joining(to);
        if counted {
            self.change(to, |sent| *sent = Sent { copy: Some((0, 0)), ..Sent::new() });
        }
        CopyCount { joining: self.clone(), to, counted }
    }

    /// Whether a copy of the state is being sent to a member.
    pub fn is_copying(&self, to: RaftId) -> bool {
        self.sent.lock().get(&to).is_some_and(|sent| sent.copy.is_some())
    }

    /// Whether a copy of the state has arrived at a member.
    pub fn has_copy(&self, to: RaftId) -> bool {
        self.sent.lock().get(&to).is_some_and(|sent| sent.copied)
    }

    /// How far the joining members are, of which each lacks the number of entries that `lag` gives.
    pub fn progress(&self, lag: impl Fn(RaftId) -> u64) -> BTreeMap<RaftId, JoinProgress> {
        let sent = self.sent.lock();
        let joining = sent.iter().filter(|(id, _)| self.urls.is_joining(**id));
        joining.map(|(id, sent)| (*id, sent.progress(lag(*id), sent.since.elapsed()))).collect()
    }
}

/// Counts the bytes of a copy of the state that is being sent.
pub struct CopyCount {
    joining: Joining,
    to: RaftId,
    counted: bool,
}

impl CopyCount {
    fn change(&self, change: impl FnOnce(&mut Sent)) {
        if self.counted {
            self.joining.change(self.to, change);
        }
    }

    /// Says how many bytes the copy has.
    pub fn of(&self, total: u64) {
        self.change(|sent| sent.copy = Some((0, total)));
    }

    /// Waits until this many bytes of it may be sent.
    pub async fn bytes(&self, bytes: u64) {
        self.change(|sent| {
            if let Some((done, _)) = &mut sent.copy {
                *done += bytes;
            }
        });
        if self.counted {
            self.joining.rate.take(bytes).await;
        }
    }

    /// Records that the copy has arrived.
    pub fn arrived(self) {
        self.change(|sent| *sent = Sent { copied: true, ..Sent::new() });
    }
}

impl Drop for CopyCount {
    fn drop(&mut self) {
        self.change(|sent| sent.copy = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Urls;

    impl PeerUrls for Urls {
        fn url(&self, _: RaftId) -> Option<String> {
            None
        }

        fn is_joining(&self, replica: RaftId) -> bool {
            replica == 4
        }
    }

    #[test]
    fn messages_are_sent_at_the_rate() {
        let (rate, now) = (MoveRate::new(2), Instant::now() + Duration::from_secs(1));
        let at_ms: Vec<_> =
            (0..4).map(|_| (rate.reserve(1 << 20, now) - now).as_millis()).collect();
        assert_eq!(at_ms, [0, 500, 1000, 1500]);
        let later = now + Duration::from_secs(9);
        assert_eq!(rate.reserve(1 << 20, later), later, "what was not used is gone");
        assert_eq!(MoveRate::new(0).reserve(u64::MAX, now), now);
    }

    #[tokio::test]
    async fn what_joining_members_are_sent_is_counted() {
        let joining = Joining::new(Arc::new(MoveRate::new(0)), Arc::new(Urls));
        joining.entries(5, 10, 1000).await;
        joining.entries(4, 10, 1000).await;
        joining.entries(4, 30, 3000).await;
        assert_eq!(joining.progress(|_| 20).into_keys().collect::<Vec<_>>(), [4]);
        let sent = joining.sent.lock()[&4];
        let progress = sent.progress(20, Duration::from_secs(8));
        let (bytes_left, left_ms) = (Some(2000), Some(4000));
        assert_eq!(progress, JoinProgress { copied: None, bytes_left, left_ms });

        let copy = joining.begin_copy(4);
        copy.of(9000);
        copy.bytes(2000).await;
        copy.bytes(1000).await;
        let sent = joining.sent.lock()[&4];
        let progress = sent.progress(0, Duration::from_secs(1));
        let (bytes_left, left_ms) = (Some(6000), Some(2000));
        assert_eq!(progress, JoinProgress { copied: Some((3000, 9000)), bytes_left, left_ms });
        assert!(joining.is_copying(4) && !joining.has_copy(4));
        copy.arrived();
        assert!(!joining.is_copying(4) && joining.has_copy(4));
        drop(joining.begin_copy(4));
        assert!(!joining.is_copying(4) && !joining.has_copy(4), "it was not sent to its end");
        assert!(!joining.begin_copy(5).counted);
    }
}
