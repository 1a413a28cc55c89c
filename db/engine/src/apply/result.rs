//! The result of applying a command or a part of it.

use crate::command::Outcome;
use crate::error::{self, Error, Kind};
use crate::storage::{Result, StorageError};

/// Why a command, or a part of it, ended: a refusal, or a storage failure that stops the node.
pub(super) enum ApplyError {
    Refused(Error),
    Failed(StorageError),
}

/// The result of applying a command or a part of it.
pub(super) type ApplyResult<T = Outcome> = std::result::Result<T, ApplyError>;

impl From<StorageError> for ApplyError {
    fn from(error: StorageError) -> Self {
        ApplyError::Failed(error)
    }
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        match error.kind {
            // Queries report a failure of the storage as these two; other replicas may not have it.
            Kind::Internal | Kind::StorageFull => {
                ApplyError::Failed(StorageError::Failed(error.to_string()))
            }
            _ => ApplyError::Refused(error),
        }
    }
}

/// Distinguishes a refusal, an outcome on every replica alike, from a failure of the storage.
pub(super) fn settle<T>(result: ApplyResult<T>) -> Result<error::Result<T>> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(ApplyError::Refused(error)) => Ok(Err(error)),
        Err(ApplyError::Failed(error)) => Err(error),
    }
}

/// Ends a command with a refusal.
pub(super) fn refuse<T>(kind: Kind, message: impl Into<String>, hint: &str) -> ApplyResult<T> {
    Err(Error::new(kind, message).hint(hint).into())
}
