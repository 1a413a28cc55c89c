//! Commands that read documents.

mod aggregate;
mod count;
mod distinct;
mod find;
mod get;
mod more;
pub(super) mod sql;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Queries",
    commands: &[
        &find::COMMAND,
        &get::COMMAND,
        &count::COMMAND,
        &distinct::COMMAND,
        &aggregate::COMMAND,
        &more::COMMAND,
        &sql::COMMAND,
    ],
};
