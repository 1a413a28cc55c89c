//! Commands about the connection and the user of the shell.

mod connect;
mod connect_node;
mod health;
mod login;
mod logout;
mod openapi;
mod password;
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
        &openapi::COMMAND,
    ],
};
