//! Compiled schemas.

use crate::apply::result::ApplyResult;
use crate::apply::stored::damaged;
use crate::schema::Schema;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Compiled schemas, by their text. Kept over transactions: compiling takes longer than checking.
#[derive(Default)]
pub(super) struct Schemas {
    compiled: HashMap<String, Arc<Schema>>,
    /// Those that the present command has used.
    used: HashSet<String>,
}

/// Schemas that are kept.
const SCHEMAS_MAX: usize = 64;

impl Schemas {
    /// Begins a command.
    pub(crate) fn begin_command(&mut self) {
        self.used.clear();
        if self.compiled.len() > SCHEMAS_MAX {
            self.compiled.clear();
        }
    }

    /// Whether the present command uses it for the first time.
    pub(super) fn is_first(&mut self, text: &str) -> bool {
        !self.used.contains(text) && self.used.insert(text.to_owned())
    }

    pub(super) fn get(&mut self, text: &str) -> ApplyResult<Arc<Schema>> {
        if let Some(schema) = self.compiled.get(text) {
            return Ok(schema.clone());
        }
        let schema =
            Arc::new(Schema::compile(&serde_json::from_str(text).map_err(|_| damaged())?)?);
        self.compiled.insert(text.to_owned(), schema.clone());
        Ok(schema)
    }
}
