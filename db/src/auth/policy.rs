//! What a role may do. Pure.

/// Who may call a route; every row of the route table says one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without credentials.
    Open,
    /// A user whose role has the permission.
    User(Permission),
    /// A node that knows the cluster secret.
    Node,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing but being somebody: own session and password.
    Login,
    /// Reads documents and the catalog.
    Read,
    /// Changes documents and the catalog.
    Write,
    /// Administers the cluster and reads the system's own collections.
    Admin,
}

/// Whether a role includes a permission. An unknown role may nothing.
pub fn allows(role: &str, permission: Permission) -> bool {
    match role {
        "admin" => true,
        "owner" | "writereader" => permission != Permission::Admin,
        "reader" => matches!(permission, Permission::Login | Permission::Read),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission::{Admin, Login, Read, Write};

    #[test]
    fn each_role_has_its_permissions_and_no_more() {
        for (role, allowed) in [
            ("admin", vec![Login, Read, Write, Admin]),
            ("owner", vec![Login, Read, Write]),
            ("writereader", vec![Login, Read, Write]),
            ("reader", vec![Login, Read]),
            ("", vec![]),
            ("Admin", vec![]),
        ] {
            for permission in [Login, Read, Write, Admin] {
                assert_eq!(allows(role, permission), allowed.contains(&permission), "{role}");
            }
        }
    }
}
