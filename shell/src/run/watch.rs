//! Change feeds: prints events as they come.

use super::{Ran, Session};
use crate::failure::Failure;
use crate::print::{Output, event_line, say};
use crate::statement::WatchAction;
use jettra_driver::ChangeFeed;

impl Session {
    /// Prints changes until so many were seen, the feed ends, or a person presses Ctrl-C.
    pub(super) async fn watch(&self, action: WatchAction) -> Ran {
        let WatchAction { collection, watch, count } = action;
        let mut changes = match collection {
            Some(name) => self.outside(&name).await?.watch(watch).await?,
            None => self.client.watch_database(self.need_database()?, watch).await?,
        };
        if !self.settings.interactive {
            self.print_changes(&mut changes, count).await?;
            return Ok(Output::Nothing);
        }
        eprintln!("Ctrl-C ends it.");
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {}
            printed = self.print_changes(&mut changes, count) => printed?,
        }
        eprintln!("To go on from here, add: --after {}", changes.token());
        Ok(Output::Nothing)
    }

    async fn print_changes(
        &self,
        changes: &mut ChangeFeed,
        count: Option<u64>,
    ) -> Result<(), Failure> {
        let mut left = count;
        while left != Some(0) {
            let Some(change) = changes.next().await else {
                break;
            };
            say(&event_line(&change?, self.settings.mode));
            left = left.map(|left| left - 1);
        }
        Ok(())
    }
}
