//! Asking first: a request that would change or delete all documents of a collection, or more than
//! a handful, is refused with their number before it writes anything, so that a person can be asked.

use super::{Session, count};
use crate::config::CONFIRM_DOCUMENTS;
use crate::engine::Namespace;
use crate::engine::value::{Object, Value};
use crate::error::{Error, Kind, Result};
use serde_json::json;

/// What a request does to documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Updates those that match.
    Update,
    /// Deletes those that match.
    Delete,
    /// Drops the collection.
    Drop,
    /// Replaces the collection by the result of a pipeline.
    Overwrite,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Drop => "drop",
            Action::Overwrite => "overwrite",
        }
    }

    /// The filter of an action on all documents.
    pub fn all() -> Value {
        Value::Object(Object::new())
    }
}

/// Refuses a request that asks to be refused if it would do this to all documents of a collection,
/// or to many of them. `filter` says to which.
///
/// # Errors
/// `needs_confirmation`; those of counting.
pub async fn check(
    session: &Session,
    namespace: &Namespace,
    action: Action,
    filter: &Value,
) -> Result<()> {
    if !session.confirm {
        return Ok(());
    }
    session.wait_for_level().await?;
    let filter = super::find::parse_filter(Some(filter))?;
    let all = filter.always();
    let documents = match count::count_matching(session, namespace, filter, None).await {
        Ok(counted) => counted.value,
        // Nothing can be lost there; the request itself says what is missing.
        Err(error) if is_missing(error.kind) => 0,
        Err(error) => return Err(error),
    };
    match documents > 0 && (all || documents > CONFIRM_DOCUMENTS) {
        true => Err(refusal(action, &namespace.collection, documents, all)),
        false => Ok(()),
    }
}

fn is_missing(kind: Kind) -> bool {
    matches!(kind, Kind::DatabaseNotFound | Kind::CollectionNotFound)
}

fn refusal(action: Action, collection: &str, documents: u64, all: bool) -> Error {
    let number = match (all, documents) {
        (true, 1) => "the only document".to_owned(),
        (true, _) => format!("all {} documents", grouped(documents)),
        (false, _) => format!("{} documents", grouped(documents)),
    };
    let message = match action {
        Action::Update => format!("this changes {number} of {collection}"),
        Action::Delete => format!("this deletes {number} of {collection}"),
        Action::Drop => format!("this drops {collection} with {number}"),
        Action::Overwrite => format!("this replaces {number} of {collection}"),
    };
    let name = action.name();
    Error::new(Kind::NeedsConfirmation, message).details(json!({
        "action": name, "collection": collection, "documents": documents, "all": all,
    }))
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_many_documents_of_what() {
        let table = [
            (Action::Delete, 5_002, true, "this deletes all 5,002 documents of people"),
            (Action::Delete, 1_234_567, false, "this deletes 1,234,567 documents of people"),
            (Action::Update, 12, false, "this changes 12 documents of people"),
            (Action::Update, 1, true, "this changes the only document of people"),
            (Action::Drop, 100, true, "this drops people with all 100 documents"),
            (Action::Overwrite, 2, true, "this replaces all 2 documents of people"),
        ];
        for (action, documents, all, message) in table {
            let error = refusal(action, "people", documents, all);
            assert_eq!(error.message, message);
            let details = error.details.expect("details");
            assert_eq!(details["documents"], documents);
            assert_eq!(details["all"], all);
        }
    }
}
