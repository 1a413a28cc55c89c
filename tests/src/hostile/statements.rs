//! Statements in JQL, SQL and the language of MongoDB's shell.

use super::{Hostile, nested};

impl<C: FnMut(u64) -> u64> Hostile<C> {
    /// A statement as text.
    pub(super) fn statement(&mut self) -> String {
        let collection = self.collection();
        match self.below(16) {
            0 => format!("FIND IN {collection} WHERE {}", self.clause()),
            1 => format!("DELETE IN {collection} WHERE {}", self.clause()),
            2 | 3 => {
                let value = self.literal();
                format!("UPDATE IN {collection} SET a = {value} WHERE {}", self.clause())
            }
            4 => {
                format!("UPDATE {collection} SET a = {} WHERE {}", self.scalar_sql(), self.clause())
            }
            5 => format!("DELETE FROM {collection} WHERE {}", self.clause()),
            6 => format!("SELECT {} AS x FROM {collection}", self.scalar_sql()),
            7 | 8 => {
                let column = match self.below(3) {
                    0 => "k".repeat(self.width() * 4),
                    1 => vec!["a"; self.depth()].join("."),
                    _ => "a".into(),
                };
                let rows = self.width().min(1 + 200_000 / column.len());
                let values = vec![format!("({})", self.scalar_sql_value()); rows];
                format!("INSERT INTO {collection} ({column}) VALUES {}", values.join(","))
            }
            9 => format!("INSERT INTO {collection} DOC {}", self.document()),
            10 => format!("CREATE INDEX ON {collection} (a, n DESC) WHERE {}", self.clause()),
            11 => format!("db.{collection}.updateMany({}, {})", self.filter(), self.update()),
            12 => format!("db.{collection}.aggregate({})", self.pipeline()),
            13 => format!("db.{collection}.insertOne({})", self.document()),
            14 => format!("AGGREGATE IN {collection} PIPELINE {}", self.pipeline()),
            _ => self.spliced(),
        }
    }

    /// A condition for `WHERE`.
    fn clause(&mut self) -> String {
        let depth = self.depth().min(5_000);
        let literal = self.literal();
        match self.below(9) {
            0 => format!("{} a = {literal}", "NOT ".repeat(depth).trim_end()),
            1 => nested("(", "a = 1", ")", depth),
            2 => nested("NOT (", "a = 1", ")", depth),
            3 => vec![format!("a = {literal}"); (depth * 4).min(1 + 500_000 / literal.len())]
                .join(self.pick(&[" AND ", " OR "])),
            4 => nested("(a = 1 AND (b = 2 OR ", "n > 3", "))", depth),
            5 => {
                let items = vec![literal.clone(); self.width().min(1 + 500_000 / literal.len())];
                format!("a IN ({})", items.join(","))
            }
            6 => format!("s LIKE '{}'", "%_".repeat(self.width())),
            7 => format!("{} = {literal}", vec!["a"; depth].join(".")),
            _ => format!("{} > {literal}", self.scalar_sql()),
        }
    }

    /// An expression of SQL.
    fn scalar_sql(&mut self) -> String {
        let depth = self.depth().min(5_000);
        match self.below(7) {
            0 => nested("CASE WHEN a = 1 THEN ", "1", " ELSE 2 END", depth.min(60)),
            1 => nested("(1 + ", "a", ")", depth),
            2 => vec!["a"; depth].join(self.pick(&[" + ", " * ", " || ", " - "])),
            3 => nested("ABS(", "a", ")", depth),
            4 => format!("CASE {} END", "WHEN a = 1 THEN 1 ".repeat(depth)),
            5 => format!("POWER(a, {})", self.scalar_sql_value()),
            _ => self.scalar_sql_value(),
        }
    }

    fn scalar_sql_value(&mut self) -> String {
        self.pick(&[
            "1",
            "'x'",
            "NULL",
            "1e400",
            "-9223372036854775808",
            "0.1",
            "DATE '2026-01-31'",
        ])
        .to_owned()
    }

    fn literal(&mut self) -> String {
        match self.below(3) {
            0 => self.value(2),
            _ => self.scalar_sql_value(),
        }
    }

    /// An example statement, a part of which is replaced by a part of another.
    fn spliced(&mut self) -> String {
        if self.seeds.is_empty() {
            return "SHOW TABLES".into();
        }
        let [mut text, other] = [(); 2].map(|()| {
            let index = self.below(self.seeds.len() as u64) as usize;
            self.seeds[index].chars().collect::<Vec<_>>()
        });
        let mut piece = |length: usize| {
            let [one, other] = [(); 2].map(|()| self.below(length as u64 + 1) as usize);
            one.min(other)..one.max(other)
        };
        let (from, to) = (piece(other.len()), piece(text.len()));
        text.splice(to, other[from].iter().copied());
        text.into_iter().collect()
    }
}
