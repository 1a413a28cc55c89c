//! The next step after an error, in the words of the driver. The cluster answers with hints for
//! callers that write requests by hand; a program has methods instead.

use crate::wire::ErrorDetail;

/// What a program does next after an error with this code.
const HINTS: &[(&str, &str)] = &[
    ("not_authenticated", "give the client ClientBuilder::credentials or ClientBuilder::api_key"),
    ("database_not_found", "create it with Client::create_database, or check the spelling"),
    (
        "collection_not_found",
        "a collection is created by its first document, or with Client::create_collection",
    ),
    (
        "document_not_found",
        "a number and its text are two ids, DocumentId::Int and DocumentId::String",
    ),
    ("version_not_found", "list the versions with Collection::history"),
    ("versions_off", "keep versions from now on with Collection::keep_versions"),
    ("user_not_found", "list the users with Client::list_users"),
    ("token_not_found", "list the tokens with Client::list_tokens"),
    ("node_not_found", "list the members with Client::cluster_nodes"),
    ("group_not_found", "list the groups with Client::list_groups"),
    ("not_registered", "register the node on a member with Client::cluster_register"),
    ("paused", "use another node, or resume this one with Client::cluster_resume"),
    ("needs_confirmation", "if that is meant, call it without Client::with_confirmation"),
];

/// Parts of the HTTP interface that a hint may name.
const HTTP_WORDS: [&str; 14] = [
    "GET /", "POST /", "PUT /", "PATCH /", "DELETE /", "PUT …/", "HTTP ", "id_type", "tx=",
    "level=", "confirm=", "asOf", "If-Match", "header",
];

/// The hint of the driver, else that of the cluster unless it is about HTTP.
pub(crate) fn hint(detail: &ErrorDetail) -> Option<&str> {
    let own = HINTS.iter().find(|(code, _)| *code == detail.code).map(|(_, hint)| *hint);
    own.or_else(|| detail.hint_without_http())
}

impl ErrorDetail {
    /// The hint, unless it is for callers that write requests by hand: it names a route, a
    /// parameter or a header.
    pub fn hint_without_http(&self) -> Option<&str> {
        let hint = self.hint.as_deref()?;
        (!HTTP_WORDS.iter().any(|word| hint.contains(word))).then_some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(code: &str, hint: Option<&str>) -> ErrorDetail {
        ErrorDetail {
            code: code.into(),
            message: "m".into(),
            hint: hint.map(str::to_owned),
            details: None,
            request_id: String::new(),
        }
    }

    #[test]
    fn a_hint_names_methods_and_no_routes() {
        let shown = |code, text| hint(&detail(code, text)).map(str::to_owned);
        let own = shown("database_not_found", Some("create it with POST /api/dbs {…}"));
        assert!(own.is_some_and(|own| own.contains("Client::create_database")));
        assert_eq!(shown("invalid_query", Some("known are $gt")).as_deref(), Some("known are $gt"));
        for text in ["look at GET /api/cluster", "send the header X", "or read with level=local"] {
            assert_eq!(shown("no_leader", Some(text)), None, "{text}");
        }
        assert_eq!(shown("no_leader", None), None);
    }
}
