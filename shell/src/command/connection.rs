//! Commands about the connection and the user of the shell.

mod connect;
mod connect_node;
mod health;
mod live;
mod login;
mod logout;
mod metrics;
mod openapi;
mod password;
mod ready;
mod whoami;

use super::Group;

pub(super) static GROUP: Group = Group {
    title: "Connection and user",
    commands: &[
        &connect::COMMAND,
        &connect_node::COMMAND,
        &login::COMMAND,
        &logout::COMMAND,
        &password::COMMAND,
        &whoami::COMMAND,
        &health::COMMAND,
        &live::COMMAND,
        &ready::COMMAND,
        &metrics::COMMAND,
        &openapi::COMMAND,
    ],
};
