//! `connect node`: connects to one node, whether or not it leads.

use super::connect::{Connect, address, holds_password};
use crate::command::Argument::Required;
use crate::command::{Command, Kind, action};

pub(super) static COMMAND: Command = Command {
    names: &["connect node"],
    arguments: &[Required(Kind::Url)],
    help: "Connect to this node only",
    driver: &["builder", "stay_on_seed", "health"],
    holds_secret: holds_password,
    parse: |words| action(Connect { url: address(words)?, stay: true }),
    ..Command::WRITE_OUTSIDE
};
