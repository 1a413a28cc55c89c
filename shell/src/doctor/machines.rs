//! Whether the machines of the nodes have what these need: right clocks, disk, memory, files.

use super::{Examined, Finding, or_ok};
use jettra_driver::wire::{Diagnostics, NodeUsage};
use std::collections::BTreeMap;

/// Use of a disk from which on it is a warning, in percent.
const DISK_FULL: f64 = 85.0;
/// Use of a disk from which on it is an error, in percent.
const DISK_VERY_FULL: f64 = 95.0;
/// Use of the memory from which on it is a warning, in percent.
const MEMORY_FULL: f64 = 95.0;
/// Part of the files that may be open from which on it is a warning, in percent.
const FILES_MANY: u64 = 80;
/// Files that a node should be allowed to have open.
const FILES_FEW: u64 = 4096;
/// How far back errors in the logs count, in milliseconds.
const LOG_MS: u64 = 3_600_000;

/// The nodes that have said what they use.
fn usages(found: &Diagnostics) -> impl Iterator<Item = (&str, &NodeUsage)> {
    found.nodes.iter().filter_map(|node| Some((node.node_id.as_str(), node.usage.as_ref()?)))
}

/// Whether the clocks agree.
pub(super) fn clocks(found: &Diagnostics) -> Vec<Finding> {
    let mut wrong: Vec<Finding> = Vec::new();
    for warning in found.nodes.iter().flat_map(|node| &node.warnings) {
        let next = "let chrony or ntpd set the clock of that machine; a leader whose clock is wrong hands over";
        let finding = Finding::warning("clocks", warning, next);
        // Every node says it.
        if !wrong.contains(&finding) {
            wrong.push(finding);
        }
    }
    or_ok(wrong, "clocks", || "the clocks of the nodes agree".to_owned())
}

/// Whether there is space for more writes.
pub(super) fn disks(seen: &Examined, found: &Diagnostics) -> Vec<Finding> {
    let next = "free space on the disk of its DataDir, or move it to a larger one; below DiskReserveMb writes are \
                refused";
    let mut wrong = Vec::new();
    let refusing = seen.probes.iter().filter_map(|probe| {
        let ready = probe.answer.as_ref().ok()?.ready.as_ref()?;
        let check = ready.checks.iter().find(|check| check.name == "disk" && !check.ok)?;
        Some((&probe.node, check.reason.as_deref().unwrap_or("no space")))
    });
    for (node, reason) in refusing {
        wrong.push(Finding::error("disk", format!("{node} refuses writes: {reason}"), next));
    }
    for (node, usage) in usages(found) {
        let message = format!(
            "the disk of {node} is {:.0} % full: {} MB are free",
            usage.disk_usage,
            usage.disk_free_bytes >> 20
        );
        if usage.disk_usage >= DISK_VERY_FULL {
            wrong.push(Finding::error("disk", message, next));
        } else if usage.disk_usage >= DISK_FULL {
            wrong.push(Finding::warning("disk", message, next));
        }
    }
    let most = usages(found).map(|(_, usage)| usage.disk_usage).fold(0.0, f64::max);
    or_ok(wrong, "disk", || format!("no disk is more than {most:.0} % full"))
}

/// Whether there is memory for the nodes.
pub(super) fn memory(found: &Diagnostics) -> Vec<Finding> {
    let full = usages(found).filter(|(_, usage)| usage.memory_usage >= MEMORY_FULL);
    let warn = |(node, usage): (&str, &NodeUsage)| {
        Finding::warning(
            "memory",
            format!(
                "{:.0} % of the memory of the machine of {node} are in use, {} MB of it by the node",
                usage.memory_usage,
                usage.resident_bytes >> 20
            ),
            "stop other programs there, or lower BodyMemoryMb and QueryMemoryMb; the system ends programs when \
             there is none left",
        )
    };
    let most = usages(found).map(|(_, usage)| usage.memory_usage).fold(0.0, f64::max);
    or_ok(full.map(warn).collect(), "memory", || format!("no machine uses more than {most:.0} %"))
}

/// Whether the nodes may open more files and connections.
pub(super) fn open_files(found: &Diagnostics) -> Vec<Finding> {
    let known: Vec<(&str, u64, u64)> = usages(found)
        .filter_map(|(node, usage)| Some((node, usage.open_files?, usage.open_files_max?)))
        .collect();
    let next = "raise the limit (ulimit -n, or LimitNOFILE= of the service), and OpenFilesMax if it is set";
    let warn = |(node, open, max): &(&str, u64, u64)| {
        let many = open.saturating_mul(100) >= max.saturating_mul(FILES_MANY);
        let message = match many {
            true => format!("{node} has {open} of {max} files and connections open"),
            false => format!("{node} may open {max} files and connections only"),
        };
        (many || *max < FILES_FEW).then(|| Finding::warning("files", message, next))
    };
    let most = known.iter().map(|(_, open, _)| *open).max().unwrap_or_default();
    or_ok(known.iter().filter_map(warn).collect(), "files", || {
        format!("no node has more than {most} files and connections open")
    })
}

/// Whether the nodes have logged errors of late.
pub(super) fn logs(found: &Diagnostics) -> Vec<Finding> {
    let since = found.time_ms.saturating_sub(LOG_MS);
    let mut by_node: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for error in found.errors.iter().filter(|error| error.severity == "error") {
        if let (Some(node), Some(at)) = (&error.node_id, error.time_ms)
            && at >= since
        {
            // The newest comes first.
            by_node.entry(node).or_insert((0, &error.message)).0 += 1;
        }
    }
    let warn = |(node, (count, last)): (&str, (usize, &str))| {
        let errors = if count == 1 { "error" } else { "errors" };
        Finding::warning(
            "logs",
            format!("{node} has logged {count} {errors} in the last hour, the last: {last}"),
            format!("read the log of {node}; jettra diagnostics shows the last ones of all nodes"),
        )
    };
    let wrong = by_node.into_iter().map(warn).collect();
    or_ok(wrong, "logs", || "no node has logged an error in the last hour".to_owned())
}
