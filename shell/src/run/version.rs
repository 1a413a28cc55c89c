//! Statements about the versions of documents.

use super::documents::{as_text, missing, write_output};
use super::{Ran, Session, done};
use crate::failure::Failure;
use crate::print::{self, Output};
use crate::statement::VersionAction;
use jettra_driver::{Collection, DocumentId};
use serde_json::{Value, json};

impl Session {
    pub(super) async fn version(&self, name: &str, action: VersionAction) -> Ran {
        let collection = self.outside(name).await?;
        match action {
            VersionAction::History(id) => {
                let id = known(&collection, id).await?;
                Ok(print::history(&collection.history(&id).await?, self.format()))
            }
            VersionAction::Show { id, version } => {
                let id = known(&collection, id).await?;
                let document = collection.version(&id, &version).await?;
                let document = document.ok_or_else(|| {
                    let next = format!("see them with: history {name} {id}");
                    let id = json!(id);
                    Failure::Refused(format!("document {id} has no version {version}; {next}"))
                })?;
                Ok(self.show(document))
            }
            VersionAction::Diff { id, from, to } => {
                let id = known(&collection, id).await?;
                Ok(print::diff(&collection.diff(&id, &from, to.as_deref()).await?))
            }
            VersionAction::Revert { id, version } => {
                let id = known(&collection, id).await?;
                Ok(write_output("Restored", collection.restore(&id, &version).await?))
            }
            VersionAction::Undelete(id) => {
                let id = known(&collection, id).await?;
                match collection.undelete(&id).await {
                    Err(error) if error.code() == Some("document_not_found") => Err(missing(&id)),
                    written => Ok(write_output("Restored", written?)),
                }
            }
            VersionAction::Settings => Ok(print::versions(name, &collection.versions().await?)),
            VersionAction::Keep(limits) => {
                let reply = collection.keep_versions(&limits).await?;
                let text = print::versions_text(name, &reply);
                Ok(Output::Changed { text, answer: json!(reply) })
            }
            VersionAction::Forget { force } => {
                if !force {
                    let warning = format!("Drops all former documents of {name}.");
                    self.confirm_name(&warning, name)?;
                }
                collection.forget_versions().await?;
                done(format!("{name} keeps no versions."))
            }
        }
    }
}

/// The id that has versions: `1`, else `"1"` where that one has some.
async fn known(collection: &Collection<Value>, id: DocumentId) -> Result<DocumentId, Failure> {
    let Some(text) = as_text(&id) else {
        return Ok(id);
    };
    // Where there is no history, the statement itself says why.
    let has = async |id: &DocumentId| {
        collection.history(id).await.is_ok_and(|history| !history.is_empty())
    };
    Ok(if !has(&id).await && has(&text).await { text } else { id })
}
