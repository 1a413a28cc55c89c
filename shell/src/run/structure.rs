//! Statements about the indexes and the schema of a collection, and its statistics.

use super::{Ran, Session, done};
use crate::print::{self, Output};
use crate::statement::StructureAction;
use jettra_driver::wire::{IndexInfo, IndexStateName};
use serde_json::json;

impl Session {
    pub(super) async fn structure(&self, name: &str, action: StructureAction) -> Ran {
        let collection = self.outside(name).await?;
        match action {
            StructureAction::Indexes => {
                Ok(print::indexes(&collection.list_indexes().await?, self.format()))
            }
            StructureAction::CreateIndex { keys, options } => {
                let index = collection.create_index(keys, &options).await?;
                Ok(Output::Changed { text: created(&index), answer: json!(index) })
            }
            StructureAction::DropIndex(index) => {
                collection.drop_index(&index).await?;
                done(format!("Dropped index {index} of {name}."))
            }
            StructureAction::Schema => Ok(print::schema(&collection.schema().await?)),
            StructureAction::SetSchema(body) => {
                collection.set_schema(&body).await?;
                let next = "Stored documents were not checked; see: validate";
                done(format!("Set the schema of {name}. {next} {name}"))
            }
            StructureAction::DropSchema => {
                collection.drop_schema().await?;
                done(format!("Removed the schema of {name}."))
            }
            StructureAction::Validate(body) => {
                Ok(print::validated(&collection.validate(&body).await?, self.format()))
            }
            StructureAction::Stats => Ok(print::stats(&collection.stats().await?, self.format())),
        }
    }

    pub(super) async fn hash(&self, database: Option<String>) -> Ran {
        let database = match &database {
            Some(name) => name,
            None => self.need_database()?,
        };
        Ok(print::hashes(&self.client.hash(database).await?, self.format()))
    }
}

fn created(index: &IndexInfo) -> String {
    match index.state {
        IndexStateName::Building => {
            format!("Index {} is being built; see how far it is with: indexes", index.name)
        }
        _ => format!("Index {} is ready; it has {} entries.", index.name, index.entries),
    }
}
