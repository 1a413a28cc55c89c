//! `cluster resume`: resumes a paused node.

use super::node;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster resume", "federated resume"],
    arguments: &[Required(Kind::Node)],
    help: "Resume a paused node",
    driver: &["cluster_resume"],
    parse: |words| action(ResumeNode { node: node(words)? }),
    ..Command::WRITE
};

#[derive(Debug)]
struct ResumeNode {
    node: String,
}

impl Action for ResumeNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.cluster_resume(&self.node).await?;
        done(format!("Resumed {}.", self.node))
    }
}
