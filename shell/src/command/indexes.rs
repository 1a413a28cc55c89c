//! Commands about indexes and schemas.

mod create_index;
mod drop_index;
mod drop_schema;
mod set_schema;
mod show_indexes;
mod show_schema;
mod validate;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Indexes and schemas",
    commands: &[
        &show_indexes::COMMAND,
        &create_index::COMMAND,
        &drop_index::COMMAND,
        &show_schema::COMMAND,
        &set_schema::COMMAND,
        &drop_schema::COMMAND,
        &validate::COMMAND,
    ],
};
