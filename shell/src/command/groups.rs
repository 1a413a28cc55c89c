//! Commands about groups of replicas.

mod create_group;
mod lead_group;
mod list_groups;
mod remove_group;
mod show_group;

use super::Group;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{GroupReply, ReplicaInfo};
use serde_json::{Value, json};

pub(super) static GROUP: Group = Group {
    title: "Groups",
    commands: &[
        &list_groups::COMMAND,
        &show_group::COMMAND,
        &create_group::COMMAND,
        &remove_group::COMMAND,
        &lead_group::COMMAND,
    ],
};

/// Takes the number of a group.
fn number(words: &mut Words<'_>) -> ParseResult<u64> {
    let text = words.required("the number of the group")?;
    text.parse().map_err(|_| format!("{text:?} is not a number; see the groups with: group list"))
}

/// What a group is, in one word.
fn state(group: &GroupReply) -> String {
    let state = format!("{:?}", group.state).to_uppercase();
    if group.ready || group.state != jettra_driver::wire::GroupState::Active {
        state
    } else {
        format!("{state}, no leader")
    }
}

/// What a change of replicas waits for, as a line.
pub(super) fn waiting(waits_for: Option<&str>) -> String {
    waits_for.map(|what| format!("It waits for {what}.\n")).unwrap_or_default()
}

/// The groups that are missing in a list over all of them, as a line.
pub(super) fn missing(groups: &[u32]) -> String {
    let names: Vec<_> = groups.iter().map(u32::to_string).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("No answer from group {one}.\n"),
        _ => format!("No answer from groups {}.\n", names.join(", ")),
    }
}

/// A group as a row of a list.
fn row(group: &GroupReply) -> Value {
    json!({
        "group": group.id, "state": state(group), "leader": group.leader.as_deref().unwrap_or(""),
        "members": group.members.join(" "), "observers": group.observers.join(" "),
        "databases": group.databases.iter().filter(|name| *name != "_system").count(),
    })
}

/// A replica as a row of a list.
fn replica_row(replica: &ReplicaInfo) -> Value {
    let state = match replica.state {
        Some(state) => format!("{state:?}").to_uppercase(),
        None => "to be placed".to_owned(),
    };
    json!({
        "node": replica.node, "replica": replica.replica, "votes": replica.voter,
        "state": if replica.wanted { state } else { format!("{state}, to go") },
        "lag": replica.lag,
    })
}

#[cfg(test)]
fn example() -> GroupReply {
    let group = json!({
        "id": 3, "state": "ACTIVE", "ready": true, "initialized": true, "leader": "n1",
        "replication_factor": 3, "members": ["n1", "n2"], "observers": [],
        "replicas": [
            {"node": "n1", "replica": 17, "state": "ACTIVE", "wanted": true, "voter": true, "lag": 0},
            {"node": "n2", "wanted": true, "voter": true},
        ],
        "databases": ["shop"],
    });
    serde_json::from_value(group).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_is_wrong_with_a_group() {
        let mut group = example();
        assert_eq!(row(&group)["state"], "ACTIVE");
        group.ready = false;
        assert_eq!(row(&group)["state"], "ACTIVE, no leader");
        assert_eq!(replica_row(&group.replicas[1])["state"], "to be placed");
    }
}
