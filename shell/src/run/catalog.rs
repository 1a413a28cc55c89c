//! Statements about databases and collections.

use super::{Ran, Session, done, here, refused};
use crate::lookup::suggestion;
use crate::print::{Output, database_rows};
use crate::statement::CatalogAction;
use serde_json::json;

impl Session {
    pub(super) async fn catalog(&mut self, action: CatalogAction) -> Ran {
        match action {
            CatalogAction::Use(name) => self.use_database(name).await,
            CatalogAction::ShowDatabases => {
                let databases = self.client.list_databases().await?;
                Ok(Output::Rows(database_rows(&databases)))
            }
            CatalogAction::ShowCollections => self.show_collections().await,
            CatalogAction::CreateDatabase { name, engine } => {
                self.client.create_database(&name).await?;
                let engine = engine.map(|_| " Every database has the same storage engine.");
                done(format!("Created database {name}.{}", engine.unwrap_or_default()))
            }
            CatalogAction::CreateCollection(name) => {
                let (database, name) = self.place(&name).await?;
                self.client.create_collection(&database, &name).await?;
                done(format!("Created collection {database}.{name}."))
            }
            CatalogAction::DropDatabase(name) => self.drop_database(&name).await,
            CatalogAction::DropCollection(name) => self.drop_collection(&name).await,
            CatalogAction::RenameDatabase { from, to } => self.rename_database(&from, to).await,
            CatalogAction::RenameCollection { from, to } => {
                let (database, from) = self.place(&from).await?;
                let to = to.strip_prefix(&format!("{database}.")).unwrap_or(&to);
                self.client.rename_collection(&database, &from, to).await?;
                done(format!("Renamed collection {from} to {to}."))
            }
            CatalogAction::Hash(database) => self.hash(database).await,
        }
    }

    async fn use_database(&mut self, name: String) -> Ran {
        let databases = self.client.list_databases().await?;
        if !databases.iter().any(|database| database.name == name) {
            let names = databases.iter().map(|database| database.name.as_str());
            let meant = suggestion(&name, names);
            return refused(format!(
                "there is no database {name:?}{meant}; create it with: create db {name}"
            ));
        }
        self.database = Some(name.clone());
        here(format!("Using database {name}."))
    }

    async fn show_collections(&self) -> Ran {
        let names = self.client.list_collections(self.need_database()?).await?;
        let rows = names.iter().map(|name| json!({"collection": name}));
        Ok(Output::Rows(rows.collect()))
    }

    async fn drop_database(&mut self, name: &str) -> Ran {
        self.confirm_name(&format!("Drops database {name} with all its documents."), name)?;
        self.client.drop_database(name).await?;
        if self.database.as_deref() == Some(name) {
            self.database = None;
        }
        done(format!("Dropped database {name}."))
    }

    async fn drop_collection(&self, name: &str) -> Ran {
        let (database, name) = self.place(name).await?;
        let warning = format!("Drops collection {database}.{name} with all its documents.");
        self.confirm_name(&warning, &name)?;
        self.client.drop_collection(&database, &name).await?;
        done(format!("Dropped collection {database}.{name}."))
    }

    async fn rename_database(&mut self, from: &str, to: String) -> Ran {
        self.client.rename_database(from, &to).await?;
        let text = format!("Renamed database {from} to {to}.");
        if self.database.as_deref() == Some(from) {
            self.database = Some(to);
        }
        done(text)
    }
}
