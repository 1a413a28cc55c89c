//! Whether collections keep their former documents from their creation on, as JettraDBVM does.

use super::{Retention, Versions};
use crate::apply::{Applier, ApplyResult};
use crate::catalog::{self, Options};
use crate::command::Outcome;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::{Read, Table, WriteTxn};
use crate::system;

/// Where it is kept: 1 when they do.
const DEFAULT_KEY: &[u8] = b"versions_default";

/// Whether new collections keep their former documents.
pub fn is_default(read: &impl Read) -> Result<bool> {
    Ok(catalog::counter(read, DEFAULT_KEY)? == 1)
}

impl Applier {
    /// [`Command::SetVersionsDefault`](crate::Command::SetVersionsDefault)
    pub(crate) fn set_versions_default(&mut self, txn: &mut WriteTxn<'_>, on: bool) -> ApplyResult {
        txn.put(Table::Meta, DEFAULT_KEY, &u64::from(on).to_be_bytes())?;
        Ok(Outcome::Done)
    }

    /// Lets a new collection keep its former documents, if new collections do and it is none of
    /// the system.
    pub(crate) fn keep_by_default(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<()> {
        let of_system =
            namespace.database == system::DATABASE || namespace.collection.starts_with('_');
        if of_system || !is_default(txn)? {
            return Ok(());
        }
        let Some(collection) = self.collection(txn, namespace)? else { return Ok(()) };
        if collection.options.versions.is_some() {
            return Ok(());
        }
        let space = self.next_collection();
        let (since, since_ms) = (self.now.index, self.numbers.time_ms);
        let versions = Some(Versions { space, retention: Retention::default(), since, since_ms });
        self.put_options(txn, collection.id, &Options { versions, ..collection.options.clone() })
    }
}
