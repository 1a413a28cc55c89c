//! Names of types, as `$type` takes them.

use crate::error::Result;
use crate::query::context::At;
use crate::value::Value;

/// Every type of MongoDB with its number. Some do not exist here; testing for them is not an error.
const TYPES: [(&str, i64); 21] = [
    ("double", 1),
    ("string", 2),
    ("object", 3),
    ("array", 4),
    ("binData", 5),
    ("undefined", 6),
    ("objectId", 7),
    ("bool", 8),
    ("date", 9),
    ("null", 10),
    ("regex", 11),
    ("dbPointer", 12),
    ("javascript", 13),
    ("symbol", 14),
    ("javascriptWithScope", 15),
    ("int", 16),
    ("timestamp", 17),
    ("long", 18),
    ("decimal", 19),
    ("minKey", -1),
    ("maxKey", 127),
];

/// The name of a type, or `number` for all numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeName(&'static str);

impl TypeName {
    /// The alias of all numbers.
    pub const NUMBER: TypeName = TypeName("number");

    /// Parses a name, or the number that MongoDB gives the type.
    ///
    /// # Errors
    /// `invalid_query` at `at` for an unknown type.
    pub fn parse(value: &Value, at: At<'_>) -> Result<TypeName> {
        let found = match (value, value.as_int()) {
            (Value::String(name), _) if name == Self::NUMBER.0 => Some(Self::NUMBER.0),
            (Value::String(name), _) => name_where(|known, _| known == name),
            (_, Some(number)) => name_where(|_, known| known == number),
            _ => None,
        };
        found.map(TypeName).ok_or_else(|| {
            let names = TYPES.map(|(name, _)| name).join(", ");
            at.invalid(format!("must be a type, not {}", value.to_json()))
                .hint(format!("types are number, {names}, and their numbers in BSON"))
        })
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether the value is of this type.
    pub fn covers(self, value: &Value) -> bool {
        if self == Self::NUMBER { value.is_number() } else { value.type_name() == self.0 }
    }
}

fn name_where(test: impl Fn(&str, i64) -> bool) -> Option<&'static str> {
    TYPES.iter().find(|(name, number)| test(name, *number)).map(|(name, _)| *name)
}
