//! Commands that write documents.

mod bulk;
mod delete;
mod insert;
mod modify;
mod patch;
mod replace;
mod save;
mod update;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Writes",
    commands: &[
        &insert::COMMAND,
        &save::COMMAND,
        &update::COMMAND,
        &replace::COMMAND,
        &patch::COMMAND,
        &modify::COMMAND,
        &delete::COMMAND,
        &bulk::COMMAND,
    ],
};
