//! How fresh a read must be: the levels, their names, and what some of them need.

use super::{Position, Positions};
use std::fmt;
use std::time::Duration;

/// How fresh a read must be. Every node serves every level, from its own copy of the state; they
/// differ in what the copy must hold before it is read.
///
/// The ideas: the first two are the read index and the lease of Ongaro's thesis (§6.4), the third
/// is the session of Terry et al. (*Session guarantees for weakly consistent replicated data*,
/// 1994), the fourth the exact staleness of Spanner. In brackets the names that rqlite and etcd
/// have for them, which are accepted too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadLevel {
    /// Sees every write that was acknowledged before the read began: the leader asks a majority
    /// whether it still leads (`strong`).
    #[default]
    Linearizable,
    /// Sees the same, but the leader does not ask while its lease holds: for `ElectionMinMs` after
    /// a majority has answered it, no other node is elected. That assumes that the nodes' clocks
    /// run about equally fast and do not stand still while a machine is suspended; where they do
    /// not, a leader that was replaced may return an old value for a moment (`weak`).
    Leader,
    /// Sees at least this log index, and what this [`Client`](crate::Client) has seen or written.
    /// `Session(0)` is enough to read the client's own writes on every node; the number carries
    /// what another client has seen, see [`Client::last_index`](crate::Client::last_index).
    Session(u64),
    /// Sees every write that was acknowledged longer ago than this when the read began. In whole
    /// milliseconds, at least one.
    Bounded(Duration),
    /// The answering node's own copy, possibly stale (`none`, `serializable`, `stale`).
    Local,
    /// `Local` on a node without a vote, `Leader` on the others.
    Auto,
}

/// Why a read level cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLevel {
    /// No level has this name.
    Name,
    /// `session` came without a log index, or with something else.
    Index,
    /// `bounded` came without a time, or with something else.
    Freshness,
}

impl ReadLevel {
    /// The names used in `level=`, without those of other systems.
    pub const NAMES: [&str; 6] = ["linearizable", "leader", "session", "bounded", "local", "auto"];

    /// The names that other systems have for some of them, each with the name used here.
    pub const OTHER_NAMES: [(&str, &str); 5] = [
        ("strong", "linearizable"),
        ("weak", "leader"),
        ("none", "local"),
        ("serializable", "local"),
        ("stale", "local"),
    ];

    /// The name used in `level=`.
    pub fn name(self) -> &'static str {
        match self {
            ReadLevel::Linearizable => "linearizable",
            ReadLevel::Leader => "leader",
            ReadLevel::Session(_) => "session",
            ReadLevel::Bounded(_) => "bounded",
            ReadLevel::Local => "local",
            ReadLevel::Auto => "auto",
        }
    }

    /// Parses a name, with the log index of a `session` or the time of a `bounded` level.
    ///
    /// # Errors
    /// What is unknown, missing or wrong.
    pub fn parse(name: &str, value: Option<&str>) -> Result<Self, BadLevel> {
        let same = Self::OTHER_NAMES.iter().find(|(other, _)| *other == name);
        match same.map_or(name, |(_, name)| name) {
            "linearizable" => Ok(ReadLevel::Linearizable),
            "leader" => Ok(ReadLevel::Leader),
            "session" => {
                let seen = value.and_then(|text| text.parse::<Positions>().ok());
                seen.map(|seen| ReadLevel::Session(seen.index(0))).ok_or(BadLevel::Index)
            }
            "bounded" => {
                let freshness = value.and_then(parse_time);
                freshness.map(ReadLevel::Bounded).ok_or(BadLevel::Freshness)
            }
            "local" => Ok(ReadLevel::Local),
            "auto" => Ok(ReadLevel::Auto),
            _ => Err(BadLevel::Name),
        }
    }

    /// The parameters that ask for this level, from a client that has seen these positions.
    pub(crate) fn parameters(self, mut seen: Positions) -> Vec<(&'static str, String)> {
        let mut parameters = vec![("level", self.name().to_owned())];
        match self {
            ReadLevel::Session(index) => {
                seen.advance(Position::system(index));
                parameters.push(("index", seen.to_string()));
            }
            ReadLevel::Bounded(freshness) => {
                parameters.push(("freshness", format!("{}ms", freshness.as_millis().max(1))));
            }
            _ => {}
        }
        parameters
    }
}

/// The accepted form.
impl fmt::Display for BadLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadLevel::Name => {
                "use linearizable (the default), leader, session, bounded, local or auto"
            }
            BadLevel::Index => "session needs a log index, for example 17",
            BadLevel::Freshness => "bounded needs a time, for example 500ms, 2s or 1m",
        })
    }
}

/// Parses a time above zero with its unit, `ms`, `s` or `m`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (ms > 0).then(|| Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_the_names_of_other_systems() {
        let table = [
            ("linearizable", ReadLevel::Linearizable),
            ("strong", ReadLevel::Linearizable),
            ("leader", ReadLevel::Leader),
            ("weak", ReadLevel::Leader),
            ("local", ReadLevel::Local),
            ("none", ReadLevel::Local),
            ("serializable", ReadLevel::Local),
            ("stale", ReadLevel::Local),
            ("auto", ReadLevel::Auto),
        ];
        for (name, level) in table {
            assert_eq!(ReadLevel::parse(name, None), Ok(level), "{name}");
        }
        for bad in ["", "Local", "quick", "LOCAL", "local "] {
            assert_eq!(ReadLevel::parse(bad, None), Err(BadLevel::Name), "{bad}");
        }
    }

    #[test]
    fn what_a_level_needs_must_be_there_and_right() {
        let bounded = |ms| Ok(ReadLevel::Bounded(Duration::from_millis(ms)));
        let table = [
            ("session", Some("17"), Ok(ReadLevel::Session(17))),
            ("session", Some("0"), Ok(ReadLevel::Session(0))),
            ("session", None, Err(BadLevel::Index)),
            ("session", Some("-1"), Err(BadLevel::Index)),
            ("session", Some("18446744073709551616"), Err(BadLevel::Index)),
            ("bounded", Some("500ms"), bounded(500)),
            ("bounded", Some("2s"), bounded(2_000)),
            ("bounded", Some("1m"), bounded(60_000)),
            ("bounded", None, Err(BadLevel::Freshness)),
        ];
        for (name, value, expected) in table {
            assert_eq!(ReadLevel::parse(name, value), expected, "{name} {value:?}");
        }
        for bad in ["", "2", "s", "0s", "-1s", "1.5s", "2h", "2 s", "99999999999999999999s"] {
            assert_eq!(ReadLevel::parse("bounded", Some(bad)), Err(BadLevel::Freshness), "{bad}");
        }
    }

    #[test]
    fn parameters_say_what_they_were_parsed_from() {
        let second = Duration::from_secs(1);
        let levels = [
            ReadLevel::Linearizable,
            ReadLevel::Leader,
            ReadLevel::Session(17),
            ReadLevel::Bounded(second),
            ReadLevel::Local,
            ReadLevel::Auto,
        ];
        for (level, name) in levels.into_iter().zip(ReadLevel::NAMES) {
            let parameters = level.parameters(Positions::default());
            assert_eq!(parameters[0], ("level", name.to_owned()));
            let value = parameters.get(1).map(|(_, value)| value.as_str());
            assert_eq!(ReadLevel::parse(name, value), Ok(level));
        }
        assert_eq!(
            ReadLevel::Session(17).parameters("20,5@3".parse().unwrap())[1],
            ("index", "20,5@3".to_owned())
        );
        let least = ReadLevel::Bounded(Duration::from_micros(1)).parameters(Positions::default());
        assert_eq!(least[1], ("freshness", "1ms".to_owned()));
    }
}
