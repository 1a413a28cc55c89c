//! Commands about databases and collections.

mod create_collection;
mod create_database;
mod drop_collection;
mod drop_database;
mod hash;
mod rename_collection;
mod rename_database;
mod show_collections;
mod show_databases;
mod stats;
mod use_database;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Databases and collections",
    commands: &[
        &use_database::COMMAND,
        &show_databases::COMMAND,
        &show_collections::COMMAND,
        &create_database::COMMAND,
        &create_collection::COMMAND,
        &drop_database::COMMAND,
        &drop_collection::COMMAND,
        &rename_database::COMMAND,
        &rename_collection::COMMAND,
        &stats::COMMAND,
        &hash::COMMAND,
    ],
};
