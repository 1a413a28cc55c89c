//! Versions: former forms of documents, and how to restore them.

use crate::call::Call;
use crate::collection::{Collection, Document, WriteResult};
use crate::error::Result;
use crate::wire::{DiffReply, DocumentId, HistoryReply, VersionInfo, VersionsBody, VersionsReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// Whether former documents are kept, how long, and how much there is.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn versions(&self) -> Result<VersionsReply> {
        self.client().send(self.call(Method::GET, "versions")).await?.json()
    }

    /// Keeps former documents from now on, within the limits given; without limits, all of them.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn keep_versions(&self, limits: &VersionsBody) -> Result<VersionsReply> {
        self.client().send(self.call(Method::PUT, "versions").body(limits)).await?.json()
    }

    /// Keeps no former documents from now on, and drops those that are kept.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn forget_versions(&self) -> Result<()> {
        self.client().send(self.call(Method::DELETE, "versions")).await.map(drop)
    }

    /// The versions of a document, the newest first: what it is now, what it was, and when it
    /// was deleted.
    ///
    /// # Errors
    /// `document_not_found` when nothing of such a document is kept.
    pub async fn history(&self, id: &DocumentId) -> Result<Vec<VersionInfo>> {
        let call = self.document_part_call(Method::GET, id, &["versions"]);
        Ok(self.client().send(call).await?.json::<HistoryReply>()?.versions)
    }

    /// A document as it was in a version of its [history](Collection::history); `None` when
    /// there is no such version or the document was deleted in it.
    pub async fn version(&self, id: &DocumentId, version: &str) -> Result<Option<Document<T>>> {
        match self.client().send(self.version_call(Method::GET, id, version, &[])).await {
            Ok(reply) => {
                let revision = reply.revision().unwrap_or(0);
                Ok(Some(Document { value: reply.json()?, revision }))
            }
            Err(error)
                if matches!(error.code(), Some("version_not_found" | "document_not_found")) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What differs between two versions of a document; without `to`, what differs from the
    /// document as it is now.
    ///
    /// # Errors
    /// `version_not_found`.
    pub async fn diff(&self, id: &DocumentId, from: &str, to: Option<&str>) -> Result<DiffReply> {
        let call = self.version_call(Method::GET, id, from, &["diff"]);
        let call = call.query("to", to.unwrap_or("current"));
        self.client().send(call).await?.json()
    }

    /// Restores a document to a version.
    ///
    /// # Errors
    /// `version_not_found`; `validation_failed` and `unique_violation` when the old form is no
    /// longer allowed.
    pub async fn restore(&self, id: &DocumentId, version: &str) -> Result<WriteResult> {
        let call = self.version_call(Method::POST, id, version, &["restore"]);
        self.client().send(call).await?.json()
    }

    /// Puts a deleted document back as it was before.
    ///
    /// # Errors
    /// `duplicate_id` (409) when it exists; `version_not_found` when nothing of it is kept;
    /// those of [`Collection::restore`].
    pub async fn undelete(&self, id: &DocumentId) -> Result<WriteResult> {
        let call = self.document_part_call(Method::POST, id, &["undelete"]);
        self.client().send(call).await?.json()
    }

    fn version_call(&self, method: Method, id: &DocumentId, version: &str, parts: &[&str]) -> Call {
        let path = [&["versions", version], parts].concat();
        self.document_part_call(method, id, &path)
    }
}
