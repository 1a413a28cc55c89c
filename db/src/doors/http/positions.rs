//! Positions that clients write: log indexes, revisions, versions and tokens of feeds have their
//! meaning in the log of one group, which their text names (`17@3`; group 0 needs no name).

use super::call::Call;
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use jettra_driver::wire::{NotAPosition, split_group};

impl Call {
    /// As `without_group`, for the group that holds the data.
    ///
    /// # Errors
    /// Those of `without_group`.
    pub fn in_own_group<'t>(&self, name: &str, text: &'t str) -> Result<&'t str> {
        without_group(name, text, self.session.group_number())
    }
}

/// A position without the name of its group, which must be `own`. `name` is the parameter or header
/// that it comes from.
///
/// # Errors
/// `invalid_parameter` when it is in another group.
pub(super) fn without_group<'t>(name: &str, text: &'t str, own: GroupId) -> Result<&'t str> {
    let (inner, group) = split_group(text).map_err(|NotAPosition| {
        Error::new(Kind::InvalidParameter, format!("{name}={text} cannot be read"))
            .hint(NotAPosition.to_string())
    })?;
    if group == own {
        return Ok(inner);
    }
    let message =
        format!("{name}={text} is in the log of group {group}, and the data is in group {own}");
    Err(Error::new(Kind::InvalidParameter, message)
        .hint("send what an earlier answer about the same database said"))
}

/// The part of a list of positions that is in the group `own`, without the group's name. Parts in
/// other groups are of no importance.
///
/// # Errors
/// `invalid_parameter` when no part is in that group.
pub(super) fn part_of_group<'t>(name: &str, text: &'t str, own: GroupId) -> Result<&'t str> {
    let mut parts = text.split(',').map(str::trim);
    let is_own = |part: &&str| split_group(part).is_ok_and(|(_, group)| group == own);
    without_group(name, parts.find(is_own).unwrap_or(text), own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_another_group_is_refused() {
        assert_eq!(without_group("at", "17", 0), Ok("17"));
        assert_eq!(without_group("at", "17.2@3", 3), Ok("17.2"));
        for (text, own) in [("17@3", 0), ("17", 3), ("17@x", 0)] {
            let refused = without_group("at", text, own).unwrap_err();
            assert_eq!(refused.kind, Kind::InvalidParameter, "{text}");
            assert!(refused.message.starts_with(&format!("at={text}")), "{refused}");
        }
    }

    #[test]
    fn a_list_may_name_other_groups() {
        assert_eq!(part_of_group("after", "17.2, 40@3", 3), Ok("40"));
        assert_eq!(part_of_group("after", "17.2,40@3", 0), Ok("17.2"));
        assert!(part_of_group("after", "17.2,40@3", 1).is_err());
    }
}
