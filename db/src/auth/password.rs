//! Passwords: argon2id, outside of apply, on a bounded number of threads.

use super::admitted::{CredentialDigest, Salt};
use super::limiter::Limiter;
use super::{User, bad_credentials, user_disabled};
use crate::engine::system::UserDocument;
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::node_key::hex;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use moka::sync::Cache;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;

/// Hashes computed at once; each takes about 19 MiB and 20 ms.
const PARALLEL: usize = 2;
/// Hashes that may wait for their turn, at 10 ms each.
const WAITING_MAX: usize = 200;
/// Verified credentials that are cached.
const VERIFIED_MAX: u64 = 4096;
/// Locks that credentials are distributed over by their digest.
const FLIGHTS: usize = 64;
/// Shortest accepted password.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// Longest name of a user.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest password that is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Verifies credentials. Argon2 is slow by design, so verified credentials are cached, as a
/// SHA-256 over a salt of this process, the credentials and the stored hash that they match: a
/// changed password has another stored hash, so it needs no invalidation.
pub struct Passwords {
    pool: Semaphore,
    salt: Salt,
    verified: Cache<CredentialDigest, ()>,
    /// Verified for unknown users, so that they take as long as known ones.
    decoy: String,
    limiter: Limiter,
    waiting: AtomicUsize,
    /// Held while a caller's credentials are verified, so that many requests of a client that has
    /// just started are verified once. A lock rather than a cache's single flight, whose waiters
    /// share an error: the limiter decides for each caller.
    flights: [tokio::sync::Mutex<()>; FLIGHTS],
}

impl Passwords {
    /// Creates the cache and the limiter.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self> {
        let salt = Salt::new()?;
        Ok(Passwords {
            pool: Semaphore::new(PARALLEL),
            decoy: hash(&hex(&salt.digest(&[])))?,
            salt,
            verified: Cache::new(VERIFIED_MAX),
            limiter: Limiter::default(),
            waiting: AtomicUsize::new(0),
            flights: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        })
    }

    /// Returns the user with this name and password; `address` is the client's.
    ///
    /// # Errors
    /// `bad_credentials`, the same for an unknown user and a wrong password;
    /// `too_many_attempts`, `overloaded`, `user_disabled`.
    pub async fn verify(
        &self,
        group: &Group,
        name: &str,
        password: &str,
        address: &str,
    ) -> Result<User> {
        if password.len() > PASSWORD_BYTES_MAX || name.len() > NAME_BYTES_MAX {
            self.limiter.begin("", address, Instant::now())?;
            return Err(bad_credentials());
        }
        let accounts = group.accounts_index();
        let known = super::user(group, name)?;
        let revision = |known: &Option<(u64, UserDocument)>| known.as_ref().map(|known| known.0);
        let before = revision(&known);
        if let Some(user) = self.check(known, name, password, address).await? {
            return admitted(user, accounts);
        }
        // The user may have been created or changed a moment ago through another node. Without a
        // majority, what this node knows has to do.
        let _ = group.wait_linearizable().await;
        let accounts = group.accounts_index();
        let now = super::user(group, name)?;
        if revision(&now) == before {
            return Err(bad_credentials());
        }
        let user = self.check(now, name, password, address).await?.ok_or_else(bad_credentials)?;
        admitted(user, accounts)
    }

    /// Returns the user if the password is correct.
    async fn check(
        &self,
        known: Option<(u64, UserDocument)>,
        name: &str,
        password: &str,
        address: &str,
    ) -> Result<Option<(u64, UserDocument)>> {
        let stored = known.as_ref().map_or(&self.decoy, |(_, user)| &user.password_hash).clone();
        let digest = self.salt.digest(&[name, password, &stored]);
        if self.verified.get(&digest).is_none() {
            let _flight = self.flights[usize::from(digest[0]) % FLIGHTS].lock().await;
            if self.verified.get(&digest).is_none() {
                self.limiter.begin(name, address, Instant::now())?;
                if !self.matches(stored.clone(), password.to_owned()).await? {
                    return Ok(None);
                }
                // The decoy has no password, and a disabled user gets no more attempts than a wrong
                // password.
                if known.as_ref().is_some_and(|(_, user)| !user.disabled) {
                    self.limiter.succeeded(name, address);
                    self.verified.insert(digest, ());
                }
            }
        }
        Ok(known)
    }

    /// Counts an attempt to guess another secret from this address.
    ///
    /// # Errors
    /// `too_many_attempts`.
    pub fn guess(&self, what: &str, address: &str) -> Result<()> {
        self.limiter.begin(what, address, Instant::now())
    }

    async fn matches(&self, stored: String, password: String) -> Result<bool> {
        let check = move || {
            let parsed = PasswordHash::new(&stored);
            parsed.is_ok_and(|parsed| {
                Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok()
            })
        };
        self.in_pool(check).await
    }

    /// Hashes a new password of a user.
    ///
    /// # Errors
    /// Those of [`check_password`].
    pub async fn hash(&self, user: &str, password: &str) -> Result<String> {
        check_password(user, password)?;
        let password = password.to_owned();
        self.in_pool(move || hash(&password)).await?
    }

    async fn in_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let internal = |error: String| Error::new(Kind::Internal, error);
        let waiting = WaitingCount(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(Error::new(Kind::Overloaded, "too many passwords are being checked")
                .hint("try again in a moment; programs should use API keys"));
        }
        let _place = self.pool.acquire().await.map_err(|error| internal(error.to_string()))?;
        let done = tokio::task::spawn_blocking(work).await;
        drop(waiting);
        done.map_err(|error| internal(error.to_string()))
    }
}

fn admitted(user: (u64, UserDocument), accounts: u64) -> Result<User> {
    match user.1.disabled {
        true => Err(user_disabled(&user.1.name)),
        false => Ok(User::new(user, None, accounts)),
    }
}

/// Counts a task that waits for its turn, or has it.
struct WaitingCount<'w>(&'w AtomicUsize);

impl Drop for WaitingCount<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The most common passwords of the lists that NIST SP 800-63B asks to compare with, of those that
/// are long enough.
const COMMON: &[&str] = &[
    "password",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyuiop",
    "qwerty123",
    "iloveyou",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "welcome1",
    "password1",
    "password123",
    "passw0rd",
    "p@ssw0rd",
    "adminadmin",
    "admin123",
    "administrator",
    "letmein1",
    "changeme",
    "changeit",
    "whatever",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "zaq12wsx",
    "q1w2e3r4",
    "abcd1234",
    "abc12345",
    "asdfghjkl",
    "11111111",
    "00000000",
    "88888888",
    "87654321",
    "987654321",
    "123123123",
    "12341234",
    "11223344",
    "66666666",
    "internet",
    "computer",
    "starwars",
    "jennifer",
    "michelle",
    "corvette",
    "mercedes",
    "maverick",
    "startrek",
    "midnight",
    "secret123",
    "test1234",
    "testtest",
    "jettra123",
    "jettradb",
    "database",
    "default1",
    "rootroot",
    "root1234",
    "postgres",
    "guestguest",
];

/// Refuses a password that is easily guessed or cannot be used.
///
/// # Errors
/// `invalid_body` with the violated rule.
pub fn check_password(user: &str, password: &str) -> Result<()> {
    let lower = password.to_lowercase();
    let first = password.chars().next();
    let rule = if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        format!("it has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes")
    } else if lower == user.to_lowercase() {
        "it is not the name of the user".to_owned()
    } else if COMMON.contains(&lower.as_str()) {
        "it is not one of those that everybody tries first".to_owned()
    } else if password.chars().all(|letter| Some(letter) == first) {
        "it is not one letter over and over".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::InvalidBody, format!("the password cannot be used: {rule}"))
        .hint("choose a longer one; a sentence is fine"))
}

/// Hashes a password with argon2id at the crate's defaults (19 MiB, 2 passes, OWASP's choice).
pub fn hash(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Error::new(Kind::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("ada", "correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.matches(hash.clone(), "correct horse".into()).await.unwrap());
        assert!(!passwords.matches(hash, "battery staple".into()).await.unwrap());
        assert!(!passwords.matches("junk".into(), "junk".into()).await.unwrap());
        assert!(passwords.hash("ada", "short").await.is_err());
    }

    #[test]
    fn passwords_that_would_be_guessed_are_refused() {
        for bad in ["short", "Password1", "administrator", "zzzzzzzzzz", "Ada.Lovelace", ""] {
            assert!(check_password("ada.lovelace", bad).is_err(), "{bad}");
        }
        assert!(check_password("ada", &"x y".repeat(400)).is_err());
        for good in ["correct horse", "ada.lovelace2", "ünïcødé"] {
            assert!(check_password("ada.lovelace", good).is_ok(), "{good}");
        }
        assert!(COMMON.iter().all(|word| word.len() >= PASSWORD_BYTES_MIN));
    }
}
