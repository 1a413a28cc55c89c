//! `cluster nodes`: lists the members.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{NodeInfo, ProgramInfo};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["cluster nodes", "show nodes", "member list", "federated nodes", ".nodes"],
    help: "List the members",
    driver: &["cluster_nodes"],
    parse: |_| action(ShowNodes),
    ..Command::READ
};

#[derive(Debug)]
struct ShowNodes;

impl Action for ShowNodes {
    async fn run(self, session: &mut Session) -> StatementResult {
        let nodes = session.client.cluster_nodes().await?;
        Ok(Output::Rows(nodes.iter().map(row).collect()))
    }
}

/// A member as a row, without the fields that only repeat others.
pub(super) fn row(node: &NodeInfo) -> Value {
    let mut row = json!({
        "node": node.key, "url": node.url, "role": node.role, "status": node.status,
        "lag": node.lag, "problem": node.problem, "last_seen_ms": node.last_seen_ms,
        "silent_ms": node.silent_ms,
        "clock_ms_ahead": node.clock_ms_ahead, "description": node.description,
        "version": node.program.as_ref().map(|program| &program.version),
        "feature_levels": node.program.as_ref().map(levels),
    });
    if let Some(object) = row.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    row
}

/// The feature levels that a program supports.
fn levels(program: &ProgramInfo) -> String {
    match program.oldest_level == program.newest_level {
        true => program.newest_level.to_string(),
        false => format!("{}-{}", program.oldest_level, program.newest_level),
    }
}
