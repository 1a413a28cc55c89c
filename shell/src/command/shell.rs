//! Commands about the shell itself.

mod clear;
mod exit;
mod help;
mod level;
mod mode;
mod read_file;
mod timer;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Shell",
    commands: &[
        &mode::COMMAND,
        &timer::COMMAND,
        &level::COMMAND,
        &read_file::COMMAND,
        &help::COMMAND,
        &clear::COMMAND,
        &exit::COMMAND,
    ],
};
