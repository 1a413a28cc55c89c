//! Slows down password guessing: after a few wrong passwords from an address, or for a user,
//! further attempts are refused for a time that doubles.

use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// What failures are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    /// One user from one address.
    Both(String, String),
    /// One address, for any user.
    Address(String),
    /// One user, from any address. Only a program fails as often as this allows.
    User(String),
}

impl Subject {
    fn free(&self) -> u32 {
        match self {
            Subject::Both(..) => 5,
            Subject::Address(_) => 30,
            Subject::User(_) => 100,
        }
    }

    fn pause_max(&self) -> Duration {
        match self {
            // Otherwise anybody could lock a user out.
            Subject::User(_) => Duration::from_secs(2),
            _ => Duration::from_secs(60),
        }
    }
}

/// In the details of the error: seconds to wait.
pub const RETRY_AFTER: &str = "retry_after_seconds";
/// Time without a failure after which earlier failures are forgotten.
const FORGET: Duration = Duration::from_secs(15 * 60);
/// First pause; it doubles with every failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Subjects that are tracked; beyond that, those with the oldest failures are dropped.
const SUBJECTS_MAX: usize = 20_000;

struct Failures {
    count: u32,
    last: Instant,
    refused_until: Instant,
    /// Whether an attempt has succeeded: the user is known to use this address.
    known: bool,
}

/// Counts failures, on each node by itself.
#[derive(Default)]
pub struct Limiter {
    failures: Mutex<HashMap<Subject, Failures>>,
}

/// What an address is counted as: an IPv6 address counts as its network, which is what one customer
/// gets.
fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>().map(|address| (address, address.to_ipv4_mapped())) {
        Ok((_, Some(mapped))) => mapped.to_string(),
        Ok((address, None)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        Err(_) => address.to_owned(),
    }
}

fn subjects(user: &str, address: &str) -> [Subject; 3] {
    let address = &network(address);
    [
        Subject::Both(user.to_owned(), address.to_owned()),
        Subject::Address(address.to_owned()),
        Subject::User(user.to_owned()),
    ]
}

impl Limiter {
    /// Admits an attempt or refuses it. It counts as failed until [`Limiter::succeeded`] is called,
    /// so concurrent attempts are no way around the limit.
    ///
    /// # Errors
    /// `too_many_attempts`, with the seconds to wait in its details.
    pub fn begin(&self, user: &str, address: &str, now: Instant) -> Result<()> {
        let mut all = self.failures.lock();
        let subjects = subjects(user, address);
        // Otherwise others could lock a user out by guessing from many addresses.
        let known = all.get(&subjects[0]).is_some_and(|both| both.known);
        let heeded = subjects.iter().take(if known { 2 } else { 3 });
        let waits = heeded
            .filter_map(|subject| all.get(subject)?.refused_until.checked_duration_since(now));
        if let Some(wait) = waits.max().filter(|wait| !wait.is_zero()) {
            return Err(too_many(wait));
        }
        for subject in subjects {
            let (free, pause_max) = (subject.free(), subject.pause_max());
            let known = all.entry(subject).or_insert(Failures {
                count: 0,
                last: now,
                refused_until: now,
                known: false,
            });
            if now.duration_since(known.last) > FORGET {
                known.count = 0;
            }
            (known.count, known.last) = (known.count.saturating_add(1), now);
            if let Some(beyond) = known.count.checked_sub(free) {
                let pause = PAUSE_MIN.saturating_mul(1 << beyond.min(16));
                known.refused_until = now + pause.min(pause_max);
            }
        }
        if all.len() > SUBJECTS_MAX {
            let mut times: Vec<Instant> = all.values().map(|known| known.last).collect();
            let (_, middle, _) = times.select_nth_unstable(SUBJECTS_MAX / 2);
            let middle = *middle;
            all.retain(|_, known| known.last > middle);
        }
        Ok(())
    }

    /// Records a success: the failures of this user from this address are forgotten, and the
    /// attempt does not count for the other subjects.
    pub fn succeeded(&self, user: &str, address: &str) {
        let mut all = self.failures.lock();
        let [both, address, user] = subjects(user, address);
        if let Some(both) = all.get_mut(&both) {
            *both = Failures { count: 0, refused_until: both.last, known: true, ..*both };
        }
        for subject in [address, user] {
            if let Some(known) = all.get_mut(&subject) {
                known.count = known.count.saturating_sub(1);
                if known.count < subject.free() {
                    known.refused_until = known.last;
                }
            }
        }
    }
}

fn too_many(wait: Duration) -> Error {
    let seconds = wait.as_secs() + 1;
    Error::new(Kind::TooManyAttempts, "too many wrong passwords")
        .hint(format!("try again in {seconds} s"))
        .details(json!({RETRY_AFTER: seconds}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_let_through_ever_more_slowly() {
        let limiter = Limiter::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for _ in 0..5 {
            limiter.begin("ada", "1.1.1.1", at(0)).unwrap();
        }
        let error = limiter.begin("ada", "1.1.1.1", at(0)).unwrap_err();
        assert_eq!(error.kind, Kind::TooManyAttempts);
        // Another address, and another user from this address, are not affected.
        limiter.begin("ada", "2.2.2.2", at(0)).unwrap();
        limiter.begin("bob", "1.1.1.1", at(0)).unwrap();
        // The pause doubles up to a minute.
        let mut let_through = 0;
        for second in 1..=600 {
            let_through += u32::from(limiter.begin("ada", "1.1.1.1", at(second)).is_ok());
        }
        assert!((10..20).contains(&let_through), "{let_through}");
        limiter.begin("ada", "1.1.1.1", at(600 + 16 * 60)).unwrap();
    }

    #[test]
    fn a_caller_that_knows_the_password_is_never_slowed_down() {
        let limiter = Limiter::default();
        for _ in 0..500 {
            limiter.begin("ada", "1.1.1.1", Instant::now()).unwrap();
            limiter.succeeded("ada", "1.1.1.1");
        }
    }

    #[test]
    fn many_users_from_one_address_and_many_addresses_for_one_user_are_slowed_down() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let through = |result: &Result<()>| result.is_ok();
        let tries = (0..1000).map(|number| limiter.begin(&format!("u{number}"), "1.1.1.1", now));
        assert_eq!(tries.filter(through).count(), 30);
        let tries = (0..1000).map(|number| limiter.begin("ada", &format!("a{number}"), now));
        assert_eq!(tries.filter(through).count(), 100);
    }

    #[test]
    fn guesses_from_everywhere_do_not_keep_out_who_comes_from_where_it_always_does() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        limiter.begin("ada", "9.9.9.9", now).unwrap();
        limiter.succeeded("ada", "9.9.9.9");
        (0..1000).for_each(|number| drop(limiter.begin("ada", &format!("a{number}"), now)));
        assert!(limiter.begin("ada", "8.8.8.8", now).is_err());
        limiter.begin("ada", "9.9.9.9", now).unwrap();
    }

    #[test]
    fn one_network_of_ipv6_counts_as_one_address() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::9"), network("2001:db8:1:3::9"));
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn memory_has_a_bound() {
        let (limiter, start) = (Limiter::default(), Instant::now());
        for number in 0..30_000 {
            let now = start + Duration::from_millis(number);
            let _ = limiter.begin(&format!("u{number}"), &format!("a{number}"), now);
        }
        assert!(limiter.failures.lock().len() <= SUBJECTS_MAX + 3);
    }
}
