//! Wrong clocks in words: for the log, `/health` and the status of the cluster.

use super::Cluster;
use crate::pulse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(900);

impl Cluster {
    /// A sentence for each member whose clock is wrong, as far as this node knows.
    pub fn wrong_clocks(&self) -> Vec<String> {
        let Ok(group) = self.groups.system() else { return Vec::new() };
        let wrong = group.clock.wrong().into_iter();
        let named = |(id, ms)| Some(sentence(&self.nodes.by_raft_id(id)?.id, ms));
        wrong.filter_map(named).collect()
    }
}

/// How far a node's clock is off.
pub fn sentence(node: &str, ahead_ms: i64) -> String {
    let side = if ahead_ms > 0 { "ahead" } else { "behind" };
    format!("the clock of {node} is {} {side}", length(ahead_ms.unsigned_abs()))
}

/// A duration, in the unit that fits.
pub fn length(ms: u64) -> String {
    let seconds = ms.saturating_add(500) / 1000;
    let (size, unit) = match seconds {
        0..2 => return format!("{ms} ms"),
        2..120 => return format!("{seconds} s"),
        120..3600 => (60, "min"),
        3600..172_800 => (3600, "h"),
        _ => (86_400, "d"),
    };
    let tenths = (seconds * 10 + size / 2) / size;
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

/// Logs when the clock of a member becomes wrong, and when it is right again.
pub async fn run(cluster: Arc<Cluster>) {
    let (mut suspected, mut reported) = (BTreeSet::new(), BTreeSet::new());
    while !cluster.is_ending() {
        pulse::pause(INTERVAL).await;
        let Ok(group) = cluster.groups.system() else { return };
        let wrong = group.clock.wrong();
        let name = |id| cluster.nodes.by_raft_id(id).map_or(format!("member {id}"), |node| node.id);
        for (id, ms) in &wrong {
            // A single measurement may have met the clock in the middle of a change.
            if suspected.contains(id) && reported.insert(*id) {
                let sentence = sentence(&name(*id), *ms);
                tracing::warn!("{sentence}; set it by NTP. Until then it decides nothing here");
            }
        }
        let known = group.clock.ahead();
        reported.retain(|id| {
            let right = known.contains_key(id) && !wrong.contains_key(id);
            if right {
                tracing::info!("the clock of {} is right again", name(*id));
            }
            !right
        });
        suspected = wrong.into_keys().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_named_with_its_difference() {
        for (ms, expected) in [
            (1_200, "1200 ms ahead"),
            (-90_300, "90 s behind"),
            (3_599_800, "1 h ahead"),
            (3_600_400, "1 h ahead"),
            (-5_400_000, "1.5 h behind"),
            (600_000, "10 min ahead"),
            (86_400_000, "24 h ahead"),
            (259_200_000, "3 d ahead"),
            (i64::MIN, "106751991167.3 d behind"),
        ] {
            assert_eq!(sentence("node3", ms), format!("the clock of node3 is {expected}"));
        }
    }
}
