//! The numbers of the formats in which nodes talk to each other, and of the files that say who a
//! node is.
//!
//! A number is written into what it describes, and compared before anything else of it is used. It
//! rises when a reader of the former number would misunderstand the new form; a field that is
//! added does not raise it. The numbers of log entries, states and snapshots are the engine's;
//! [`GroupFormats`] says from which feature level on a new one is written.

use crate::engine::format::{FEATURES, LOG_ENTRY, Supported};
use crate::error::{Error, Kind, Result};

/// A format with the numbers that this program reads. It writes the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    what: &'static str,
    oldest: u32,
    newest: u32,
    kind: Kind,
    /// What to do when it is too old, and when it is too new.
    hints: [&'static str; 2],
}

const OF_FILES: [&str; 2] = [
    "start the version of Jettra that wrote it, and upgrade from there version by version",
    "start the version of Jettra that wrote it, or a newer one",
];

/// What nodes say to each other. The number stands in the signature of each call, and of the
/// handshake of each stream; it covers the responses too.
pub const MESSAGES: Format = Format {
    what: "messages between nodes",
    oldest: 2,
    newest: 2,
    kind: Kind::Misdirected,
    hints: [
        "run a newer version of Jettra on the calling node",
        "run a newer version of Jettra on this node, or the same as here on the calling one",
    ],
};
/// `identity.json`.
pub const IDENTITY: Format = Format {
    what: "the identity of a node",
    oldest: 1,
    newest: 1,
    kind: Kind::StaleNode,
    hints: OF_FILES,
};
/// The directory of a replica, with its log; stands in its `replica.json`.
pub const REPLICA: Format = Format {
    what: "the directory of a replica",
    oldest: 1,
    newest: 1,
    kind: Kind::StaleNode,
    hints: OF_FILES,
};

/// What a program supports of what all members of a group must read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupFormats {
    /// Feature levels.
    pub features: Supported,
    /// Log entries.
    pub log_entry: Supported,
    /// The feature level from which on log entries are written in the newest format; below it in
    /// the one before.
    pub log_entry_level: u32,
}

impl GroupFormats {
    /// Those of this version.
    pub const THIS: GroupFormats =
        GroupFormats { features: FEATURES, log_entry: LOG_ENTRY, log_entry_level: FEATURES.oldest };

    /// Those of a next version, for tests: it supports one more feature level, from which on log
    /// entries have a number that this version does not read.
    #[cfg(any(test, debug_assertions))]
    pub const NEXT: GroupFormats = GroupFormats {
        features: Supported { newest: FEATURES.newest + 1, ..FEATURES },
        log_entry: Supported { newest: LOG_ENTRY.newest + 1, ..LOG_ENTRY },
        log_entry_level: FEATURES.newest + 1,
    };

    /// The format of log entries at a feature level, which every member of a group at that level
    /// reads.
    pub fn log_entry_at(&self, level: u32) -> u8 {
        let newest = self.log_entry.newest as u8;
        if level < self.log_entry_level { newest - 1 } else { newest }
    }
}

impl Format {
    /// The number that is written.
    pub const fn number(&self) -> u32 {
        self.newest
    }

    /// Refuses what this program cannot read; `place` says where it is.
    ///
    /// # Errors
    /// `misdirected` for a message, `stale_node` for a file, with both numbers and what to do.
    pub fn check(&self, found: u32, place: &str) -> Result<()> {
        let Format { what, oldest, newest, kind, hints: [too_old, too_new] } = *self;
        let hint = if found > newest {
            too_new
        } else if found < oldest {
            too_old
        } else {
            return Ok(());
        };
        let reads = match oldest == newest {
            true => format!("{newest}"),
            false => format!("{oldest} to {newest}"),
        };
        let message = format!("{place}: format {found} of {what}, and this node reads {reads}");
        Err(Error::new(kind, message).hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_format_of_log_entries_is_written_from_its_level_on() {
        let GroupFormats { features, log_entry, .. } = GroupFormats::THIS;
        let (level, format) = (features.newest, log_entry.newest as u8);
        assert_eq!(GroupFormats::THIS.log_entry_at(level), format);
        assert_eq!(GroupFormats::NEXT.log_entry_at(level), format);
        assert_eq!(GroupFormats::NEXT.log_entry_at(level + 1), format + 1);
        assert!(log_entry.check(u32::from(format) + 1).is_err());
    }

    #[test]
    fn what_is_too_new_or_too_old_is_refused_with_both_numbers() {
        let format = Format { oldest: 3, newest: 4, ..MESSAGES };
        assert!(format.check(3, "a call").is_ok() && format.check(4, "a call").is_ok());
        for (found, hint) in [(2, "on the calling node"), (5, "on this node")] {
            let error = format.check(found, "a call").unwrap_err();
            let expected = format!("a call: format {found} of messages between nodes");
            assert!(error.message.starts_with(&expected), "{error}");
            assert!(error.message.ends_with("reads 3 to 4"), "{error}");
            assert!(error.hint.unwrap().contains(hint));
        }
    }
}
