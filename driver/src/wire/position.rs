//! Positions in the logs of Raft groups, as they are written in headers, parameters and tokens.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Between a position and the number of its group.
const GROUP_MARK: char = '@';

/// A log index, and the number of the group whose log is meant. Written `17` in group 0, and
/// `17@3` in group 3; the number of group 0 may be written too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The group.
    pub group: u32,
    /// The log index.
    pub index: u64,
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAPosition;

impl Position {
    /// A position in group 0.
    pub fn system(index: u64) -> Self {
        Position { group: 0, index }
    }
}

/// Names the group of something that has its meaning only there, such as a revision: `17@3`;
/// unchanged for group 0.
pub fn in_group(text: impl fmt::Display, group: u32) -> String {
    match group {
        0 => text.to_string(),
        group => format!("{text}{GROUP_MARK}{group}"),
    }
}

/// What [`in_group`] has joined; group 0 if none is named.
///
/// # Errors
/// When what follows the mark is not a number.
pub fn split_group(text: &str) -> Result<(&str, u32), NotAPosition> {
    match text.split_once(GROUP_MARK) {
        None => Ok((text, 0)),
        Some((inner, group)) => Ok((inner, number(group)?)),
    }
}

/// A number without a sign.
fn number<T: FromStr>(text: &str) -> Result<T, NotAPosition> {
    match text.starts_with(|first: char| first.is_ascii_digit()) {
        true => text.parse().map_err(|_| NotAPosition),
        false => Err(NotAPosition),
    }
}

impl fmt::Display for NotAPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a position is a log index, for example 17, or 17@3 in group 3")
    }
}

impl std::error::Error for NotAPosition {}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_group(self.index, self.group))
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (index, group) = split_group(text.trim())?;
        Ok(Position { group, index: number(index)? })
    }
}

/// At most one position in each group, written as a list: `17, 40@3`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<u32, u64>);

impl Positions {
    /// The log index in a group; 0 if there is none.
    pub fn index(&self, group: u32) -> u64 {
        self.0.get(&group).copied().unwrap_or_default()
    }

    /// Takes a position over, unless a later one of its group is known.
    pub fn advance(&mut self, position: Position) {
        let index = self.0.entry(position.group).or_default();
        *index = position.index.max(*index);
    }

    /// The positions in ascending order of their groups.
    pub fn iter(&self) -> impl Iterator<Item = Position> + '_ {
        self.0.iter().map(|(group, index)| Position { group: *group, index: *index })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, position) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{position}")?;
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let mut positions = Positions::default();
        for part in text.split(',') {
            positions.advance(part.parse()?);
        }
        Ok(positions)
    }
}

impl From<Position> for Positions {
    fn from(position: Position) -> Self {
        Positions(BTreeMap::from([(position.group, position.index)]))
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Positions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Positions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One position for each group, for example `17,40@3`; a number in the system group.",
            "type": ["integer", "string"],
        })
    }
}

impl Serialize for Positions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.len() {
            1 if self.0.contains_key(&0) => serializer.serialize_u64(self.index(0)),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Positions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(index) => Ok(Position::system(index).into()),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.group {
            0 => serializer.serialize_u64(self.index),
            _ => serializer.collect_str(self),
        }
    }
}

/// A number, or the text of a position.
#[derive(Deserialize)]
#[serde(untagged)]
enum Form {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(index) => Ok(Position::system(index)),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_names_its_group() {
        for (text, group, index) in [("17", 0, 17), ("17@0", 0, 17), ("17@3", 3, 17)] {
            assert_eq!(text.parse(), Ok(Position { group, index }));
        }
        assert_eq!(Position { group: 3, index: 17 }.to_string(), "17@3");
        assert_eq!(Position::system(17).to_string(), "17");
        for wrong in ["", "@3", "17@", "17@-1", "+17", "-1", "17@3@4", "17@99999999999", "x"] {
            assert_eq!(wrong.parse::<Position>(), Err(NotAPosition), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_one_position_for_each_group() {
        let mut seen: Positions = "40@3, 17,12@3".parse().unwrap();
        assert_eq!(seen.to_string(), "17,40@3");
        seen.advance(Position { group: 3, index: 41 });
        seen.advance(Position::system(2));
        assert_eq!((seen.index(0), seen.index(3), seen.index(9)), (17, 41, 0));
        assert_eq!("17,".parse::<Positions>(), Err(NotAPosition));
    }

    #[test]
    fn in_json_group_0_is_a_number() {
        let position: Position = serde_json::from_str("17").unwrap();
        assert_eq!(serde_json::to_string(&position).unwrap(), "17");
        let position: Position = serde_json::from_str("\"17@3\"").unwrap();
        assert_eq!(serde_json::to_string(&position).unwrap(), "\"17@3\"");
        for text in ["17", "\"17@3\"", "\"17,40@3\""] {
            let positions: Positions = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&positions).unwrap(), text);
        }
    }
}
