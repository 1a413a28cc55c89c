//! Memory that is given back when a node has become quiet: what writes have used is free, but lies
//! between what is still in use, and the allocator would keep it for the next writes.

use super::Cluster;
use crate::{allocator, pulse};
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(900);
/// A node is quiet when nothing was applied during as many intervals.
const QUIET: u32 = 10;

/// Returns free memory to the system, once after each time in which something was written.
pub async fn run(cluster: Arc<Cluster>) {
    let (mut seen, mut quiet) = (0, 0_u32);
    while !cluster.is_ending() {
        pulse::pause(INTERVAL).await;
        let applied = cluster.groups.all().iter().map(|group| group.visible_index()).sum::<u64>();
        quiet = if applied == seen { quiet.saturating_add(1) } else { 0 };
        seen = applied;
        if quiet == QUIET {
            // It takes longer than what else runs on this thread.
            let _ = tokio::task::spawn_blocking(allocator::trim).await;
        }
    }
}
