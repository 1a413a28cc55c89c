//! Generates the operations of a hostile client, with texts that are extreme in depth, width,
//! length and numbers. Every choice is made by a random generator or by the bytes of a fuzzer.
//!
//! `db/engine/src/hostile_tests.rs` and the fuzz target `apply` include this module by its path, so
//! it uses nothing but `std`.
#![allow(dead_code, unreachable_pub)] // none of the three uses all of it

use std::collections::BTreeSet;

mod expressions;
mod statements;
mod values;

/// Collections used by the acts, besides that of the rules.
pub const COLLECTIONS: [&str; 4] = ["c0", "c1", "c2", "c3"];

/// One operation of a client. All texts are JSON unless stated otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields, whose names say what they are
pub enum Act {
    /// Inserts documents.
    Insert { collection: String, documents: Vec<String> },
    /// Creates or replaces the document with an id.
    Put { collection: String, id: String, document: String },
    /// Changes a document by a merge patch or by update operators.
    Patch { collection: String, id: String, patch: String },
    /// Updates documents by operators or by a pipeline.
    Update(Update),
    /// Replaces the first document that matches.
    Replace { collection: String, filter: String, document: String, upsert: bool },
    /// Deletes documents.
    Delete { collection: String, filter: String, multi: bool },
    /// Updates, replacements, deletions and inserts in one call.
    Bulk { collection: String, acts: Vec<Act>, ordered: bool },
    /// Updates, deletions and inserts that are carried out together, if a condition holds.
    Batch { condition: Option<(String, String)>, acts: Vec<Act> },
    /// Inserts, updates, reads and deletions in a transaction, and its commit.
    Transaction(Vec<Act>),
    /// Creates an index.
    Index { collection: String, keys: String, options: Vec<(&'static str, String)> },
    /// Drops an index by its name.
    DropIndex { collection: String, name: String },
    /// Sets the schema of a collection.
    Schema { collection: String, schema: String, warns: bool },
    /// Writes a document of rules.
    Rules { document: String },
    /// Begins or ends keeping versions.
    Versions { collection: String, keep: Option<u64> },
    /// Restores a version of a document.
    Restore { collection: String, id: String, version: u64 },
    /// A statement in one of the text languages.
    Statement(String),
    /// Finds documents.
    Find { collection: String, filter: String, sort: String, projection: String },
    /// Reads the distinct values of a field.
    Distinct { collection: String, field: String, filter: String },
    /// Runs an aggregation pipeline, which may write.
    Aggregate { collection: String, pipeline: String },
    /// Drops a collection.
    DropCollection(String),
    /// Renames a collection.
    RenameCollection { from: String, to: String },
}

/// The content of [`Act::Update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The collection.
    pub collection: String,
    /// The documents to update.
    pub filter: String,
    /// Update operators or a pipeline.
    pub update: String,
    /// Filters of array items, each an object.
    pub array_filters: Vec<String>,
    /// Whether to update all matching documents.
    pub multi: bool,
    /// Whether to insert a document if none matches.
    pub upsert: bool,
}

/// A generator of acts. `choose` returns a number below its argument and makes every choice.
pub struct Hostile<C> {
    choose: C,
    /// Statements whose parts are recombined.
    seeds: Vec<String>,
}

impl<C: FnMut(u64) -> u64> Hostile<C> {
    /// A generator with `seeds` as examples of statements.
    pub fn new(seeds: Vec<String>, choose: C) -> Self {
        Hostile { choose, seeds }
    }

    /// The next act.
    pub fn act(&mut self) -> Act {
        let collection = self.collection();
        match self.below(40) {
            0..=4 => self.insert(collection),
            5 => Act::Put { collection, id: self.id(), document: self.document() },
            6 | 7 => Act::Patch { collection, id: self.id(), patch: self.patch() },
            8..=12 => Act::Update(self.update_of(collection)),
            13 => self.replace(collection),
            14 => self.delete(collection),
            15..=17 => {
                let acts = self.some(12, Self::part);
                Act::Bulk { collection, acts, ordered: self.one_in(2) }
            }
            18 | 19 => {
                let condition = self.one_in(2).then(|| (collection, self.filter()));
                Act::Batch { condition, acts: self.some(6, Self::part) }
            }
            20 | 21 => Act::Transaction(self.some(6, Self::part)),
            22 | 23 => self.index(collection),
            24 => Act::DropIndex { collection, name: self.path() },
            25 => Act::Schema { collection, schema: self.schema(), warns: self.one_in(2) },
            26 => Act::Rules { document: self.rules() },
            27 => {
                let keep = [None, Some(0), Some(1), Some(3), Some(u64::MAX)];
                Act::Versions { collection, keep: self.pick(&keep) }
            }
            28 => Act::Restore { collection, id: self.id(), version: self.below(500) },
            29..=33 => Act::Statement(self.statement()),
            34 => Act::Find {
                collection,
                filter: self.filter(),
                sort: self.sort(),
                projection: self.projection(),
            },
            35 => Act::Distinct { collection, field: self.path(), filter: self.filter() },
            36..=38 => Act::Aggregate { collection, pipeline: self.pipeline() },
            _ if self.one_in(4) => Act::DropCollection(collection),
            _ if self.one_in(4) => {
                Act::RenameCollection { from: collection, to: self.collection() }
            }
            _ => self.insert(collection),
        }
    }

    /// An act that may be a part of another one.
    fn part(&mut self) -> Act {
        let collection = self.collection();
        match self.below(8) {
            0..=2 => self.insert(collection),
            3..=5 => Act::Update(self.update_of(collection)),
            6 => self.delete(collection),
            _ => self.replace(collection),
        }
    }

    fn insert(&mut self, collection: String) -> Act {
        let documents = match self.one_in(6) {
            true => {
                let document = self.document();
                let copies = (4_000_000 / document.len().max(1)).clamp(1, 300);
                vec![document; copies]
            }
            false => self.some(3, Self::document),
        };
        Act::Insert { collection, documents }
    }

    fn update_of(&mut self, collection: String) -> Update {
        Update {
            collection,
            filter: if self.one_in(3) { "{}".into() } else { self.filter() },
            update: self.update(),
            array_filters: match self.one_in(4) {
                true => self.some(3, |this| format!("{{\"x\":{}}}", this.condition(2))),
                false => Vec::new(),
            },
            multi: !self.one_in(3),
            upsert: self.one_in(3),
        }
    }

    fn replace(&mut self, collection: String) -> Act {
        let (filter, document) = (self.filter(), self.document());
        Act::Replace { collection, filter, document, upsert: self.one_in(2) }
    }

    fn delete(&mut self, collection: String) -> Act {
        Act::Delete { collection, filter: self.filter(), multi: self.one_in(2) }
    }

    fn index(&mut self, collection: String) -> Act {
        let fields = self.some(3, |this| format!("{}:{}", this.quoted_path(), this.direction()));
        let mut options = Vec::new();
        for option in ["unique", "sparse", "sequential"] {
            if self.one_in(6) {
                options.push((option, "true".to_owned()));
            }
        }
        if self.one_in(4) {
            options.push(("partialFilterExpression", self.filter()));
        }
        if self.one_in(8) {
            options.push(("expireAfterSeconds", self.number()));
        }
        if self.one_in(8) {
            options.push(("name", self.text()));
        }
        Act::Index { collection, keys: object(fields), options }
    }

    fn direction(&mut self) -> &'static str {
        self.pick(&["1", "-1", "1", "-1", "0", "\"text\""])
    }

    /// One of the collections.
    fn collection(&mut self) -> String {
        self.pick(&COLLECTIONS).to_owned()
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.choose)(end.max(1))
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// From one item to `most`.
    fn some<T>(&mut self, most: u64, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = 1 + self.below(most);
        (0..count).map(|_| make(self)).collect()
    }

    /// A depth of nesting: mostly near the limits, sometimes far beyond.
    fn depth(&mut self) -> usize {
        let base = self.pick(&[1, 1, 3, 10, 30, 45, 60, 60, 90, 124]);
        match self.below(60) {
            0 => 20_000,
            1 => 1_000,
            _ => base + self.below(6) as usize,
        }
    }

    /// A number of siblings.
    fn width(&mut self) -> usize {
        self.pick(&[2, 10, 100, 400, 1_000, 3_000])
    }
}

/// A JSON object of fields `"name":value`; of several with the same name, the first.
fn object(fields: Vec<String>) -> String {
    let mut names = BTreeSet::new();
    let new = |field: &String| {
        let mut end = 1;
        while let Some(found) = field[end..].find('"') {
            end += found + 1;
            if !field[..end - 1].ends_with('\\') {
                break;
            }
        }
        names.insert(field[..end].to_owned())
    };
    format!("{{{}}}", fields.into_iter().filter(new).collect::<Vec<_>>().join(","))
}

/// `core` enclosed in `depth` pairs of `open` and `close`.
fn nested(open: &str, core: &str, close: &str, depth: usize) -> String {
    format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
}

/// A text as a JSON string.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if u32::from(letter) < 0x20 => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}
