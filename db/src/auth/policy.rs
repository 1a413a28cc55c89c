//! What a role may do, and in which databases. Pure.

use crate::engine::command::describe::Need;
use crate::engine::command::{Command, CredentialRevisions, Proposal};
use crate::engine::system;
use jettra_driver::wire::ALL_DATABASES;
use std::collections::BTreeMap;

/// Who may call a route; each row of the route table has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without credentials.
    Open,
    /// A user with the permission; a permission for databases must hold in the request's database.
    User(Permission),
    /// A node that knows the cluster secret.
    Node,
}

/// What a request does. Permissions for databases are checked for one database each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Only a valid login: own session, password and API keys.
    Login,
    /// Reads documents and the catalog of a database.
    Read,
    /// Changes documents of a database, and creates collections in it.
    Write,
    /// Creates, drops and renames a database and its collections; indexes, rules, schemas and
    /// whether versions are kept.
    Own,
    /// Administers the cluster and its users, and reads the system's own collections.
    Admin,
}

/// A role. Roles are ordered by their rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Reads and changes documents.
    WriteReader,
    /// Does everything in its databases.
    Owner,
    /// Does everything everywhere.
    Admin,
}

impl Role {
    /// All of them, the one that may do most first.
    pub const ALL: [Role; 4] = [Role::Admin, Role::Owner, Role::WriteReader, Role::Reader];

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Owner => "owner",
            Role::WriteReader => "writereader",
            Role::Reader => "reader",
        }
    }

    fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Login => true,
            Permission::Read => self >= Role::Reader,
            Permission::Write => self >= Role::WriteReader,
            Permission::Own => self >= Role::Owner,
            Permission::Admin => self == Role::Admin,
        }
    }
}

/// The rights of a caller: those of the user, bounded by its API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role in the allowed databases; none if it is not known, which allows nothing.
    pub role: Option<Role>,
    /// Databases that the role is valid for; `*` stands for all.
    pub databases: Vec<String>,
    /// Further roles, each for one database.
    pub grants: BTreeMap<String, Role>,
    /// The highest role of the API key.
    pub role_max: Option<Role>,
    /// The databases of the API key.
    pub databases_only: Option<Vec<String>>,
}

fn holds_for(databases: &[String], database: &str) -> bool {
    databases.iter().any(|known| known == ALL_DATABASES || known == database)
}

impl Rights {
    /// Whether the caller administers the cluster.
    pub fn is_admin(&self) -> bool {
        self.role == Some(Role::Admin)
            && self.role_max.is_none_or(|most| most == Role::Admin)
            && self.databases_only.as_ref().is_none_or(|only| holds_for(only, ALL_DATABASES))
    }

    /// The caller's role in a database.
    pub fn role_in(&self, database: &str) -> Option<Role> {
        if self.is_admin() {
            return Some(Role::Admin);
        }
        // The system database is for administrators.
        if database == system::DATABASE {
            return None;
        }
        if self.databases_only.as_ref().is_some_and(|only| !holds_for(only, database)) {
            return None;
        }
        let everywhere = self.role == Some(Role::Admin);
        let own = self.role.filter(|_| everywhere || holds_for(&self.databases, database));
        let granted = self.grants.get(database).copied();
        // Apart from administration, an administrator is the owner of every database.
        let role = own.max(granted)?.min(Role::Owner);
        Some(self.role_max.map_or(role, |most| role.min(most)))
    }

    /// Whether the caller has the permission in a database.
    pub fn may(&self, permission: Permission, database: &str) -> bool {
        self.role_in(database).is_some_and(|role| role.allows(permission))
    }

    /// Whether the caller has the permission in some database, or at all if it is not about one.
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        match permission {
            Permission::Login => true,
            Permission::Admin => self.is_admin(),
            Permission::Read | Permission::Write | Permission::Own => {
                let named = self.databases.iter().chain(self.grants.keys());
                let mut named = named.chain(self.databases_only.iter().flatten());
                self.is_admin() || named.any(|database| self.may(permission, database))
            }
        }
    }
}

/// The permissions in databases that a client's command needs; none if clients may not propose it.
pub fn needs(command: &Command) -> Option<Vec<(Permission, &str)>> {
    let known = command.describe();
    let permission = |need| match need {
        Need::Read => Permission::Read,
        Need::Write => Permission::Write,
        Need::Own => Permission::Own,
    };
    let touches = known.touches.into_iter();
    let needed = touches.map(|touched| (permission(touched.need), touched.database));
    known.class.by_client.then(|| needed.collect())
}

/// On whose behalf a command is proposed.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// The user; none for a node.
    pub user: Option<String>,
    /// The address of the client; none for commands of the database itself.
    pub from: Option<String>,
    /// The revisions of the credentials: once they are no longer valid, the command is refused.
    pub credentials: Option<CredentialRevisions>,
}

impl Caller {
    /// Creates a proposal on behalf of the caller.
    pub fn proposes(&self, command: Command) -> Proposal {
        let Caller { user, from, credentials } = self.clone();
        Proposal { user, from, credentials, ..command.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::{Admin, Login, Own, Read, Write};

    fn rights(role: &str, databases: &[&str]) -> Rights {
        Rights {
            role: Role::parse(role),
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
            grants: BTreeMap::new(),
            role_max: None,
            databases_only: None,
        }
    }

    #[test]
    fn each_role_has_its_permissions_and_no_more() {
        for (role, allowed) in [
            ("admin", vec![Login, Read, Write, Own, Admin]),
            ("owner", vec![Login, Read, Write, Own]),
            ("writereader", vec![Login, Read, Write]),
            ("reader", vec![Login, Read]),
            ("", vec![Login]),
            ("Admin", vec![Login]),
        ] {
            let rights = rights(role, &["shop"]);
            for permission in [Login, Read, Write, Own, Admin] {
                let expected = allowed.contains(&permission);
                assert_eq!(rights.may_somewhere(permission), expected, "{role} {permission:?}");
                if !matches!(permission, Login | Admin) {
                    assert_eq!(rights.may(permission, "shop"), expected, "{role} {permission:?}");
                }
            }
            assert_eq!(rights.may(Read, "other"), role == "admin", "{role}");
            assert_eq!(rights.may(Read, "_system"), role == "admin", "{role}");
        }
        assert!(rights("reader", &["*"]).may(Read, "any"));
        assert!(!rights("owner", &["*"]).may(Read, "_system"));
        assert!(!rights("owner", &[]).may_somewhere(Read));
    }

    #[test]
    fn a_grant_adds_to_the_role_in_its_database_only() {
        let mut user = rights("reader", &["a", "b"]);
        user.grants.insert("b".into(), Role::Owner);
        user.grants.insert("c".into(), Role::WriteReader);
        for (database, permission, expected) in [
            ("a", Read, true),
            ("a", Write, false),
            ("b", Own, true),
            ("c", Write, true),
            ("c", Own, false),
            ("d", Read, false),
        ] {
            assert_eq!(user.may(permission, database), expected, "{database} {permission:?}");
        }
        user.grants.insert("_system".into(), Role::Owner);
        assert!(!user.may(Read, "_system"));
    }

    #[test]
    fn an_api_key_only_takes_away() {
        let mut admin = rights("admin", &["*"]);
        admin.role_max = Some(Role::WriteReader);
        assert!(admin.may(Write, "a") && !admin.may(Own, "a") && !admin.is_admin());
        assert!(!admin.may(Read, "_system"));
        admin = rights("admin", &["*"]);
        admin.databases_only = Some(vec!["a".into()]);
        assert!(admin.may(Own, "a") && !admin.may(Read, "b") && !admin.is_admin());
        assert!(!admin.may_somewhere(Admin) && admin.may_somewhere(Own));
        let mut reader = rights("reader", &["a"]);
        reader.role_max = Some(Role::Admin);
        reader.databases_only = Some(vec!["*".into()]);
        assert!(!reader.may(Write, "a") && !reader.may(Read, "b") && !reader.is_admin());
    }
}
