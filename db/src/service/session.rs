//! On whose behalf a request is carried out, and how.

use super::Service;
use super::transactions::{OpenTransaction, check_group};
use crate::auth::{Caller, Permission, User, not_authenticated};
use crate::config::{Config, Limits};
use crate::engine::Namespace;
use crate::engine::system::{self, check_name};
use crate::engine::versions::Moment;
use crate::engine::{catalog, placement};
use crate::error::database_not_found;
use crate::error::{Error, Kind, Result};
use crate::raft::memory_budget::MemoryPermit;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, ReadLevel};
use std::sync::Arc;
use std::time::Duration;

/// On whose behalf a request is carried out, and how. It is cheap to clone.
#[derive(Clone)]
pub struct Session {
    service: Arc<Service>,
    user: Option<Arc<User>>,
    /// Whether the token in the user's credentials is that of a login, not an API key.
    by_login: bool,
    /// The address from which the request came.
    pub from: Option<String>,
    /// The name of the request, by which the log can be searched for its errors.
    pub request_id: Arc<str>,
    /// The database that it is about, if it is about one.
    pub database: Option<Arc<str>>,
    /// The group that it names by something else than a database.
    pub named_group: Option<GroupId>,
    /// How fresh the state must be that it reads.
    pub level: ReadLevel,
    /// The moment in the past that it reads; none: the present.
    pub moment: Option<Moment>,
    /// The id of the open transaction that it belongs to.
    pub transaction: Option<String>,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// Whether to refuse, before anything is written, what would change or delete all documents
    /// of a collection, or many.
    pub confirm: bool,
    /// Longest time for each of its queries.
    pub time_limit: Duration,
    /// The memory budget that the content of the request takes.
    pub permit: Arc<MemoryPermit>,
}

/// A key under which a request is carried out once, however often it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key that the client chose.
    pub text: String,
    /// Hash of the whole request: another one under the same key is refused.
    pub fingerprint: u64,
}

impl Session {
    /// A session of nobody: for what needs no user, or until one is known.
    pub fn new(service: Arc<Service>, request_id: Arc<str>, from: Option<String>) -> Self {
        let time_limit = Duration::from_millis(service.config().query_timeout_ms);
        Session {
            service,
            user: None,
            by_login: false,
            from,
            request_id,
            database: None,
            named_group: None,
            level: ReadLevel::default(),
            moment: None,
            transaction: None,
            key: None,
            confirm: false,
            time_limit,
            permit: Arc::default(),
        }
    }

    /// Makes it a session of a user, whose token, if it has one, is that of a login or an API key.
    pub fn set_user(&mut self, user: Arc<User>, by_login: bool) {
        self.user = Some(user);
        self.by_login = by_login;
    }

    /// What all sessions share.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The settings of this node.
    pub fn config(&self) -> &Config {
        self.service.config()
    }

    /// Bounds for what a client may store.
    pub fn limits(&self) -> Limits {
        self.service.limits()
    }

    /// The group that holds the database of the request; the system group if it is about none.
    ///
    /// # Errors
    /// `not_registered`, `starting`; `misdirected` if this node has no replica of it.
    pub fn group(&self) -> Result<Arc<Group>> {
        self.service.cluster.groups.get(self.group_number())
    }

    /// The number of that group.
    pub fn group_number(&self) -> GroupId {
        match (&self.database, self.named_group) {
            (Some(database), _) => self.service.cluster.groups.number_of(database),
            (None, named) => named.unwrap_or(SYSTEM_GROUP),
        }
    }

    /// The system group, which holds users, tokens, the audit log and the members.
    ///
    /// # Errors
    /// `not_registered`, `starting`.
    pub fn system(&self) -> Result<&Arc<Group>> {
        self.service.cluster.groups.system()
    }

    /// The user.
    ///
    /// # Errors
    /// `not_authenticated` when there is none.
    pub fn user(&self) -> Result<&User> {
        self.user.as_deref().ok_or_else(not_authenticated)
    }

    /// The user, if there is one.
    pub fn known_user(&self) -> Option<&Arc<User>> {
        self.user.as_ref()
    }

    /// Whether the caller was authenticated by a login, not by a password or an API key.
    pub fn is_login(&self) -> bool {
        self.by_login
    }

    /// On whose behalf commands are proposed.
    pub fn caller(&self) -> Caller {
        let user = self.user.as_ref();
        let credentials = user.map(|user| user.credentials.clone());
        Caller { user: user.map(|user| user.name.clone()), from: self.from.clone(), credentials }
    }

    /// The id of the API key that authenticated the caller, if one did.
    pub fn api_key(&self) -> Option<&str> {
        let user = self.user.as_ref().filter(|_| !self.by_login)?;
        user.credentials.token.as_ref().map(|(id, _)| id.as_str())
    }

    /// Refuses an API key: one that leaks must not be able to let others in, nor to keep its
    /// user out.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn refuse_api_key(&self) -> Result<()> {
        if self.api_key().is_none() {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, "an API key cannot change users, or make keys and tokens")
            .hint("log in with user name and password"))
    }

    /// Refuses a caller that may not do this in a database.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn authorize(&self, permission: Permission, database: &str) -> Result<()> {
        match self.user()?.rights.may(permission, database) {
            true => Ok(()),
            false => Err(self.forbidden(permission, Some(database))),
        }
    }

    /// Refuses a caller that may do this in no database, or not at all when it is not about one.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, permission: Permission) -> Result<()> {
        match self.user()?.rights.may_somewhere(permission) {
            true => Ok(()),
            false => Err(self.forbidden(permission, None)),
        }
    }

    fn forbidden(&self, permission: Permission, database: Option<&str>) -> Error {
        let name = self.user.as_ref().map_or("", |user| &user.name);
        let what = match permission {
            Permission::Login | Permission::Admin => "administer the cluster",
            Permission::Read => "read",
            Permission::Write => "change documents",
            Permission::Own => "change the structure",
        };
        let place = match (permission, database) {
            (Permission::Login | Permission::Admin, _) => String::new(),
            (_, Some(database)) => format!(" in database {database:?}"),
            (_, None) => " in any database".into(),
        };
        Error::new(Kind::Forbidden, format!("user {name:?} may not {what}{place}"))
            .hint("ask an administrator for the right, or use another user or key")
    }

    /// Whether a write of the caller creates a database that does not exist.
    ///
    /// # Errors
    /// `not_authenticated`.
    pub fn may_create(&self, database: &str) -> Result<bool> {
        Ok(self.user()?.rights.may(Permission::Own, database))
    }

    /// Refuses a caller that may not create a database, if the database does not exist.
    ///
    /// # Errors
    /// `database_not_found`.
    pub async fn check_creates(&self, database: &str) -> Result<()> {
        if self.may_create(database)? {
            return Ok(());
        }
        let group = self.group()?;
        group.wait_linearizable().await?;
        match catalog::database(&group.read()?, database)? {
            Some(_) => Ok(()),
            None => Err(database_not_found(database)),
        }
    }

    /// Refuses a caller that may not read a collection. What proves identities nobody may read.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn check_readable(&self, namespace: &Namespace) -> Result<()> {
        let Namespace { database, collection } = namespace;
        self.authorize(Permission::Read, database)?;
        if database == system::DATABASE && system::is_secret(collection) {
            return Err(secret(database, collection));
        }
        Ok(())
    }

    /// Refuses names of a collection that cannot be written. Whether the caller may write there
    /// is checked with what it proposes.
    ///
    /// # Errors
    /// `invalid_name`.
    pub fn check_writable(&self, namespace: &Namespace) -> Result<()> {
        check_name("database", &namespace.database, self.config().name_bytes_max)?;
        self.check_collection(&namespace.collection)
    }

    /// Refuses the name of a collection that cannot be written.
    ///
    /// # Errors
    /// `invalid_name`.
    pub fn check_collection(&self, collection: &str) -> Result<()> {
        if system::USER_WRITABLE.contains(&collection) {
            return Ok(());
        }
        check_name("collection", collection, self.config().name_bytes_max)
    }

    /// The open transaction that the request belongs to.
    ///
    /// # Errors
    /// `transaction_lost`, `forbidden`, `cross_group_transaction`.
    pub fn open_transaction(&self) -> Result<Option<Arc<OpenTransaction>>> {
        let Some(id) = &self.transaction else { return Ok(None) };
        check_group(id, self.group_number())?;
        self.service.transactions.get(id, &self.user()?.name).map(Some)
    }

    /// Refuses a caller whose user or token was changed since it was admitted, as far as this
    /// node knows now.
    ///
    /// # Errors
    /// `user_changed`.
    pub fn confirm_user(&self) -> Result<()> {
        self.user()?.confirm(self.system()?)
    }

    /// Waits until this node may answer at the level asked for; then the caller must still be
    /// the one that was admitted.
    ///
    /// # Errors
    /// `no_leader`, `timeout`, `overloaded`, `user_changed`.
    pub async fn wait_for_level(&self) -> Result<()> {
        let group = self.group()?;
        group.wait_for_level(self.level).await?;
        // An index that has not come to this node was acknowledged, or is an error.
        if let Some(Moment::Index(index)) = self.moment
            && index > group.visible_index()
        {
            group.wait_linearizable().await?;
        }
        self.confirm_rights().await?;
        self.check_placed(&group)
    }

    /// Refuses a caller whose rights were taken away, as far as the group of the request knows: it may
    /// know more than this node's copy of the users, which is waited for then.
    ///
    /// # Errors
    /// `user_changed`, `timeout`.
    pub async fn confirm_rights(&self) -> Result<()> {
        let epoch = self.group_rights()?;
        let system = self.system()?;
        if system.visible_index() < epoch {
            system.wait_visible(epoch).await?;
        }
        self.confirm_user()
    }

    /// The last change of rights that the group of the request knows of; 0 for the system group, whose
    /// state holds the users itself.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn group_rights(&self) -> Result<u64> {
        match self.group_number() {
            SYSTEM_GROUP => Ok(0),
            _ => Ok(placement::rights_epoch(&self.group()?.read()?)?),
        }
    }

    /// The rights epoch under which the caller's rights are checked now.
    ///
    /// # Errors
    /// `user_changed`.
    pub fn rights_epoch(&self) -> Result<u64> {
        let epoch = placement::rights_epoch(&self.system()?.read()?)?;
        self.confirm_user()?;
        Ok(epoch)
    }

    /// Refuses to read a database in a group that does not hold it any more.
    fn check_placed(&self, group: &Group) -> Result<()> {
        match &self.database {
            Some(database) if self.level != ReadLevel::Local => {
                placement::check_placed(&group.read()?, database)
            }
            _ => Ok(()),
        }
    }
}

/// The error for a collection that holds what nobody may read.
pub fn secret(database: &str, collection: &str) -> Error {
    let message = format!("{database}.{collection} cannot be read as documents");
    Error::new(Kind::Forbidden, message).hint("it has calls of its own")
}
