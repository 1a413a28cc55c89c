//! `group show`: shows one group and its replicas.

use super::{number, replica_row, state, waiting};
use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::GroupReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["group show"],
    arguments: &[Required(Kind::Other("number"))],
    help: "Show a group: its replicas, its leader and its databases",
    examples: &["group show 3"],
    driver: &["group"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowGroup {
    group: u64,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ShowGroup { group: number(words)? })
}

impl Action for ShowGroup {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.group(self.group).await?, session.format()))
    }
}

fn report(group: &GroupReply, format: Format) -> Output {
    let leader = group.leader.as_deref().unwrap_or("nobody");
    let pinned = match &group.pinned_leader {
        Some(node) => format!(", which {node} is to be"),
        None => String::new(),
    };
    let mut text =
        format!("Group {} is {}; its leader is {leader}{pinned}.\n", group.id, state(group));
    text += &waiting(group.waits_for.as_deref());
    let databases: Vec<_> =
        group.databases.iter().filter(|name| *name != "_system").cloned().collect();
    text += &match databases.is_empty() {
        true => "It holds no database.\n".to_owned(),
        false => format!("It holds {}.\n", databases.join(", ")),
    };
    text += &rows(&group.replicas.iter().map(replica_row).collect::<Vec<_>>(), format);
    Output::Report { text, answer: json!(group) }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::command::{parse, parsed};
    use crate::print::{Mode, rendered};

    #[test]
    fn a_group_is_named_by_its_number() {
        assert_eq!(parsed::<ShowGroup>("group show 3"), ShowGroup { group: 3 });
        assert!(parse("group show three").unwrap_err().contains("not a number"));
    }

    #[test]
    fn it_says_who_leads_and_what_it_holds() {
        let mut group = example();
        let text = rendered(&report(&group, Format::plain(Mode::Line)));
        assert!(
            text.starts_with("Group 3 is ACTIVE; its leader is n1.\nIt holds shop.\n"),
            "{text}"
        );
        group.waits_for = Some("n4 to answer".into());
        let text = rendered(&report(&group, Format::plain(Mode::Line)));
        assert!(text.contains("n1.\nIt waits for n4 to answer.\nIt holds"), "{text}");
        (group.leader, group.pinned_leader) = (None, Some("n2".into()));
        let text = rendered(&report(&group, Format::plain(Mode::Line)));
        assert!(text.contains("its leader is nobody, which n2 is to be."), "{text}");
    }
}
