//! Commands about users, their tokens and the audit log.

mod alter_user;
mod create_key;
mod create_user;
mod drop_user;
mod revoke_token;
mod rights;
mod show_audit;
mod show_tokens;
mod show_user;
mod show_users;

pub(super) use rights::{databases, grants};

use super::Group;
use crate::failure::Failure;

pub(super) static GROUP: Group = Group {
    title: "Users, keys and audit",
    commands: &[
        &show_users::COMMAND,
        &show_user::COMMAND,
        &create_user::COMMAND,
        &alter_user::COMMAND,
        &drop_user::COMMAND,
        &show_tokens::COMMAND,
        &create_key::COMMAND,
        &revoke_token::COMMAND,
        &show_audit::COMMAND,
    ],
};

/// A number of days or hours in milliseconds.
pub(super) fn milliseconds(count: u64, unit_ms: u64) -> Result<u64, Failure> {
    count.checked_mul(unit_ms).filter(|time| *time > 0).ok_or_else(|| {
        Failure::Refused(format!("{count} is no such time; give a number above zero"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_zero_or_without_end_is_refused() {
        assert_eq!(milliseconds(2, 3_600_000).unwrap(), 7_200_000);
        assert!(milliseconds(0, 1).is_err() && milliseconds(u64::MAX, 2).is_err());
    }
}
