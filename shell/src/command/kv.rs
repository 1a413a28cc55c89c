//! Commands about keys and values.

mod delete_key;
mod get_key;
mod set_key;

use super::Group;
use crate::words::{ParseResult, Words};

pub(super) static GROUP: Group = Group {
    title: "Keys and values",
    commands: &[&get_key::COMMAND, &set_key::COMMAND, &delete_key::COMMAND],
};

/// Takes the key.
fn key(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the key")
}
