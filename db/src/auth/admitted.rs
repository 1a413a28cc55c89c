//! Callers that were authenticated a moment ago: the same credentials need no second look while no
//! user and no token has changed.

use super::User;
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Callers that are cached.
const CALLERS_MAX: u64 = 4096;

/// A salt of this process. What it makes of secrets is of no use elsewhere.
pub(super) struct Salt([u8; 32]);

/// What stands for credentials in a cache.
pub(super) type CredentialDigest = [u8; 32];

impl Salt {
    /// A new salt.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn new() -> Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        Ok(Salt(salt))
    }

    /// The SHA-256 of the salt and these texts.
    pub(super) fn digest(&self, texts: &[&str]) -> CredentialDigest {
        let mut digest = Sha256::new();
        digest.update(self.0);
        for text in texts {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }
}

/// The callers, by their credentials.
pub struct Admitted {
    salt: Salt,
    users: Cache<CredentialDigest, Arc<User>>,
}

impl Admitted {
    /// Creates the cache.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> Result<Self> {
        Ok(Admitted { salt: Salt::new()?, users: Cache::new(CALLERS_MAX) })
    }

    /// The user with these credentials, the texts of which begin with their kind: as it was admitted
    /// before, if that is still valid, else as `authenticate` admits it.
    ///
    /// # Errors
    /// Those of `authenticate`.
    pub async fn get(
        &self,
        group: &Group,
        credentials: &[&str],
        authenticate: impl AsyncFnOnce() -> Result<User>,
    ) -> Result<Arc<User>> {
        let digest = self.salt.digest(credentials);
        if let Some(user) = self.users.get(&digest).filter(|user| user.is_current(group)) {
            return Ok(user);
        }
        let user = Arc::new(authenticate().await?);
        self.users.insert(digest, user.clone());
        Ok(user)
    }
}
