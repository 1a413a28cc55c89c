//! The next step after an error, in the words of the shell: one hint for a code, in the place of
//! the cluster's hint.

use jettra_driver::Error;
use jettra_driver::wire::ErrorDetail;

/// What a person types next after an error with this code; `{name}` is the name that the message
/// has in quotes.
#[rustfmt::skip]
const HINTS: &[(&str, &str)] = &[
    ("not_authenticated", "In the shell type: login <user>. A script names a file with \
        --password-file or --api-key-file, or sets JETTRA_PASSWORD."),
    ("database_not_found", "List them with: show dbs; create this one with: create db {name}"),
    ("collection_not_found", "List them with: show collections; its first document creates one."),
    ("document_not_found", "A number and the same in quotes are two ids: 42 and \"42\"."),
    ("index_not_found", "List them with: indexes <collection>"),
    ("version_not_found", "List them with: history <collection> <id>"),
    ("task_not_found", "List them with: task list"),
    ("group_not_found", "List them with: group list"),
    ("user_not_found", "List them with: show users"),
    ("token_not_found", "List them with: show tokens"),
    ("node_not_found", "List them with: cluster nodes"),
    ("user_exists", "Change it with: alter user {name}"),
    ("revision_mismatch", "Read it again with: get <collection> <id>"),
    ("versions_off", "Turn them on with: versions on <collection>"),
    ("too_old", "See what is kept with: versions <collection>"),
    ("transaction_conflict", "Nothing of the transaction was written. Type begin, and do it again."),
    ("transaction_lost", "Nothing of the transaction was written. Type rollback, then begin, and \
        do it again."),
    ("transaction_too_large", "Type rollback, and divide it into smaller transactions."),
    ("not_in_transaction", "Type commit or rollback first."),
    ("paused", "Resume the node with: cluster resume <node>"),
    ("not_registered", "Connect to a member, then admit this node with: cluster add <url>"),
    ("would_lose_quorum", "Bring the other nodes back first; --force does it all the same, unless it is the only voter."),
];

/// What a person does when nothing listens at an address.
const START_A_NODE: &str = "Is a node running there? Start one with: jettradb; or name another \
     with --url, or with: connect <url>";

/// The next step after an error, in a line of its own.
pub(crate) fn next_step(error: &Error) -> Option<String> {
    match error {
        Error::Unreachable { .. } => Some(START_A_NODE.to_owned()),
        Error::Api { detail, .. } => of_code(detail),
        _ => None,
    }
}

fn of_code(detail: &ErrorDetail) -> Option<String> {
    let (_, hint) = HINTS.iter().find(|(code, _)| *code == detail.code)?;
    Some(hint.replace("{name}", quoted_name(detail).unwrap_or("<name>")))
}

/// The cluster's own hint, for an error that has none here.
pub(crate) fn of_cluster(detail: &ErrorDetail) -> Option<&str> {
    let known = HINTS.iter().any(|(code, _)| *code == detail.code);
    detail.hint_without_http().filter(|_| !known)
}

/// The name that a message has in quotes.
pub(crate) fn quoted_name(detail: &ErrorDetail) -> Option<&str> {
    detail.message.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::lookup;

    fn detail(code: &str, message: &str, hint: &str) -> ErrorDetail {
        ErrorDetail {
            code: code.into(),
            message: message.into(),
            hint: Some(hint.into()),
            details: None,
            request_id: String::new(),
        }
    }

    #[test]
    fn a_hint_of_the_shell_stands_in_the_place_of_the_clusters() {
        let message = "there is no database \"shop\"";
        let unknown = detail("database_not_found", message, "create it with POST /api/dbs");
        assert!(of_code(&unknown).unwrap().ends_with("create db shop"));
        assert_eq!(of_cluster(&unknown), None);
        let other = detail("invalid_query", "m", "known are $gt");
        assert_eq!((of_code(&other), of_cluster(&other)), (None, Some("known are $gt")));
        let routes = detail("timeout", "m", "look at GET /api/cluster");
        assert_eq!((of_code(&routes), of_cluster(&routes)), (None, None));
    }

    /// What stands after `with:` is a statement of the shell.
    #[test]
    fn hints_name_statements_of_the_shell() {
        for (code, hint) in HINTS {
            for part in hint.split("with: ").skip(1) {
                let statement = part.split([';', '.']).next().unwrap_or_default();
                let statement = statement.replace("{name}", "a").replace(['<', '>'], "");
                assert!(lookup(&statement).is_some(), "{code}: {statement}");
            }
        }
    }
}
