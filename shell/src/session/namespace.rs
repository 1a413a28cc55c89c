//! Where a statement goes: the collection that it names, and the question before a change of many
//! documents.

use super::Session;
use crate::failure::Failure;
use crate::lookup::nearest;
use crate::print::printable;
use jettra_driver::{Client, Collection, Error};
use serde_json::Value;

/// The code with which the cluster refuses a change that a person is to be asked about.
const NEEDS_CONFIRMATION: &str = "needs_confirmation";

impl Session {
    /// The database and the name of a collection: of the database in use, or of the one that
    /// stands before a dot. A collection of the database in use may have a dot in its own name.
    pub(crate) async fn namespace(&self, name: &str) -> Result<(String, String), Failure> {
        let dotted = name
            .split_once('.')
            .filter(|(database, rest)| !database.is_empty() && !rest.is_empty());
        let Some((database, rest)) = dotted else {
            return Ok((self.need_database()?.to_owned(), name.to_owned()));
        };
        let other = (database.to_owned(), rest.to_owned());
        let Some(current) = &self.database else {
            return Ok(other);
        };
        let own = (current.clone(), name.to_owned());
        if self.client.list_collections(current).await?.iter().any(|known| known == name) {
            return Ok(own);
        }
        let databases = self.client.list_databases().await?;
        Ok(if databases.iter().any(|known| known.name == database) { other } else { own })
    }

    /// A collection as the open transaction sees it, if there is one.
    pub(crate) async fn collection(&self, name: &str) -> Result<Collection<Value>, Failure> {
        let namespace = self.namespace(name).await?;
        Ok(self.collection_of(self.transaction_client(), &namespace))
    }

    /// A collection as every other client sees it, for calls that belong to no transaction.
    pub(crate) async fn collection_outside(
        &self,
        name: &str,
    ) -> Result<Collection<Value>, Failure> {
        let namespace = self.namespace(name).await?;
        Ok(self.collection_of(&self.client, &namespace))
    }

    /// The existing name that was probably meant by one that does not exist.
    pub(crate) async fn meant(&self, failure: &Failure, name: &str) -> Option<String> {
        let names = match &self.database {
            Some(database) if failure.is_about_a_collection() => {
                self.client.list_collections(database).await.ok()?
            }
            _ => {
                let databases = self.client.list_databases().await.ok()?;
                databases.into_iter().map(|database| database.name).collect()
            }
        };
        nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
    }

    fn collection_of(&self, client: &Client, namespace: &(String, String)) -> Collection<Value> {
        client.collection(&namespace.0, &namespace.1).with_level(self.settings.level)
    }

    /// Changes a collection as [`Session::change`] does.
    pub(crate) async fn change_collection<T>(
        &self,
        name: &str,
        change: impl AsyncFn(Collection<Value>) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let namespace = self.namespace(name).await?;
        self.change(async |client| change(self.collection_of(&client, &namespace)).await).await
    }

    /// Makes a change. With a person at the terminal the cluster is first asked to refuse one of
    /// many documents, and the person confirms it; scripts, and `--yes`, are not asked.
    pub(crate) async fn change<T>(
        &self,
        change: impl AsyncFn(Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let client = self.transaction_client();
        if !self.settings.interactive || self.settings.yes {
            return Ok(change(client.clone()).await?);
        }
        match change(client.with_confirmation()).await {
            Err(Error::Api { detail, .. }) if detail.code == NEEDS_CONFIRMATION => {
                self.confirm_yes(&sentence(&detail.message))?;
                Ok(change(client.clone()).await?)
            }
            changed => Ok(changed?),
        }
    }
}

/// With a capital letter and a full stop.
pub(crate) fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    let text = format!("{}{}.", first.unwrap_or_default(), characters.as_str());
    printable(&text)
}
