//! openraft's own storage test suite on our log store and state machine.

use super::log_store::LogStore;
use super::refused::RefusedEntries;
use super::state_machine::StateMachine;
use super::threads::WriterThread;
use super::types::TypeConfig;
use super::writer::{CommitLimits, Writer};
use crate::format::GroupFormats;
use crate::storage::Generations;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;
use std::time::Duration;

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Builder {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let log = LogStore::open(&dir.path().join("log"), 1 << 20).unwrap();
        let state = Arc::new(Generations::open(dir.path(), 1 << 26).unwrap());
        let (refused, formats) = (RefusedEntries::default(), GroupFormats::THIS);
        let thread = WriterThread::start(0).unwrap();
        let commit = CommitLimits { after: Duration::from_millis(1), bytes: 64 << 20 };
        let (writer, _events) =
            Writer::start(state.clone(), commit, refused, formats, &thread).unwrap();
        let machine = StateMachine::new(writer, state, log.clone());
        Ok((dir, log, machine))
    }
}

#[tokio::test]
async fn our_storage_keeps_openrafts_contract() {
    Suite::test_all(Builder).await.unwrap();
}
