//! `$count`: the number of documents as one document.

use super::super::context::{At, Context, Fields};
use super::memory::later;
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents, read};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$count`.
#[derive(Debug)]
pub(super) struct Count {
    field: String,
}

impl Count {
    /// Parses the name of the field for the number.
    ///
    /// # Errors
    /// `invalid_query` for what cannot name it.
    pub(super) fn parse(spec: &Value, at: At<'_>) -> Result<Count> {
        let name = read::text(spec, at)?;
        read::field_name(name, at)?;
        if name == "_id" {
            return Err(at.invalid("must not be \"_id\", which stands for a group"));
        }
        Ok(Count { field: name.to_owned() })
    }
}

impl Stage for Count {
    fn read(&self, _: &mut Fields) -> bool {
        true
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        later(move || {
            let mut count = 0;
            for document in input {
                document?;
                ctx.step()?;
                count += 1;
            }
            let counted = || Ok(Value::Object([(self.field.clone(), Value::from(count))].into()));
            Ok(Box::new((count > 0).then(counted).into_iter()))
        })
    }
}
