//! Passwords: argon2id, outside of apply, in a bounded pool.

use super::{User, bad_credentials};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::sync::Semaphore;

/// Hashes computed at once; each takes about 19 MiB and 20 ms.
const PARALLEL: usize = 2;
/// Verified credentials kept in memory.
const CACHE_MAX: usize = 4096;
/// Shortest password that is accepted.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// Longest password that is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Checks credentials. Argon2 is slow by design, so credentials that were right once are
/// remembered, as a SHA-256 salted per process, together with the stored hash they fit: a
/// changed password makes the memory useless by itself.
pub struct Passwords {
    pool: Semaphore,
    salt: [u8; 32],
    verified: Mutex<HashMap<[u8; 32], String>>,
    /// Verified for unknown users, so that they take as long as known ones.
    decoy: String,
}

impl Passwords {
    /// An empty memory.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new() -> Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        Ok(Passwords {
            pool: Semaphore::new(PARALLEL),
            salt,
            verified: Mutex::default(),
            decoy: hash("no user has this password")?,
        })
    }

    /// The user with this name and password.
    ///
    /// # Errors
    /// `bad_credentials`, the same for an unknown user and a wrong password.
    pub async fn verify(&self, group: &Group, name: &str, password: &str) -> Result<User> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(bad_credentials());
        }
        let known = super::user(group, name)?;
        let stored = known.as_ref().map_or(&self.decoy, |user| &user.password_hash).clone();
        let digest = self.digest(name, password);
        let remembered = self.memory().get(&digest).is_some_and(|hash| *hash == stored);
        if !remembered && !self.matches(stored.clone(), password.to_owned()).await? {
            return Err(bad_credentials());
        }
        let user = known.ok_or_else(bad_credentials)?;
        if !remembered {
            let mut memory = self.memory();
            if memory.len() >= CACHE_MAX {
                memory.clear();
            }
            memory.insert(digest, stored);
        }
        Ok(User { name: user.name, role: user.role })
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], String>> {
        self.verified.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
        digest.update(password);
        digest.finalize().into()
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

    /// Hashes a new password.
    ///
    /// # Errors
    /// `invalid_body` when it is too short or too long.
    pub async fn hash(&self, password: &str) -> Result<String> {
        check_password(password)?;
        let password = password.to_owned();
        self.in_pool(move || hash(&password)).await?
    }

    async fn in_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let internal = |error: String| Error::new(Kind::Internal, error);
        let _place = self.pool.acquire().await.map_err(|error| internal(error.to_string()))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| internal(error.to_string()))
    }
}

/// Refuses a password of unusable length.
pub fn check_password(password: &str) -> Result<()> {
    if (PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
        return Ok(());
    }
    let rule = format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
    Err(Error::new(Kind::InvalidBody, rule).hint("choose a longer one; a sentence is fine"))
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
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.matches(hash.clone(), "correct horse".into()).await.unwrap());
        assert!(!passwords.matches(hash, "battery staple".into()).await.unwrap());
        assert!(!passwords.matches("junk".into(), "junk".into()).await.unwrap());
        assert!(passwords.hash("short").await.is_err());
    }
}
