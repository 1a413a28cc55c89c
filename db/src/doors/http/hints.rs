//! The next step for a caller of HTTP, for errors that name none of their own: the layers below do
//! not know by which call something is listed, created or switched on.

use crate::error::Kind;

/// The next step that errors of a kind suggest to a caller of HTTP.
pub fn hint(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::DatabaseNotFound => {
            "create it with POST /api/dbs {\"name\": …}, or check the spelling"
        }
        Kind::CollectionNotFound => {
            "a collection is created by its first document, or with POST /api/cols"
        }
        Kind::DocumentNotFound => {
            "check the _id; \"42\" and 42 are two, which id_type=string and id_type=int tell apart"
        }
        Kind::NotAuthenticated => {
            "send HTTP Basic credentials or a Bearer API key, or log in with POST /api/login"
        }
        Kind::UserNotFound => "list the users with GET /api/v1/users",
        Kind::TokenNotFound => {
            "it has ended, was used or revoked; list those there are with GET /api/v1/tokens"
        }
        Kind::NodeNotFound => "list the members with GET /api/cluster",
        Kind::GroupNotFound => "list the groups with GET /api/v1/groups",
        Kind::VersionsOff => {
            "switch them on with PUT …/collections/{col}/versions; they are kept from then on"
        }
        Kind::NeedsConfirmation => "if that is meant, repeat the call without confirm=ask",
        Kind::InvalidQuery => "correct the part of the query that is named, and send it again",
        Kind::NotApplicable => {
            "change the update or expression, or leave such documents out with the filter"
        }
        Kind::ValidationFailed => "correct the fields that are named, and send the document again",
        _ => return None,
    })
}
