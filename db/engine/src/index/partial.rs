//! The filters that a partial index may have: those of MongoDB. Whether a document belongs to an
//! index must not change without the document, as it would with `$$NOW`.

use crate::error::Result;
use crate::query::context::At;
use crate::query::filter::{Filter, Test};

const ALLOWED: &str = "a partial index may ask for $eq, $gt, $gte, $lt, $lte, $in, $type and \
                       $exists: true, joined by $and and $or";

/// Refuses a filter that a new partial index cannot have.
///
/// # Errors
/// `invalid_query` that names the operator.
pub(super) fn check(filter: &Filter, at: At<'_>) -> Result<()> {
    let refused = match filter {
        Filter::And(all) | Filter::Or(all) => {
            return all.iter().try_for_each(|filter| check(filter, at));
        }
        Filter::Nor(_) => "$nor",
        Filter::Expr(_) => "$expr",
        Filter::Field(path, test) => match refused_test(test) {
            None => return Ok(()),
            Some(name) => return Err(at.key(path.as_str()).invalid(cannot(name)).hint(ALLOWED)),
        },
    };
    Err(at.invalid(cannot(refused)).hint(ALLOWED))
}

fn cannot(name: &str) -> String {
    format!("has {name}, which a partial index cannot have")
}

fn refused_test(test: &Test) -> Option<&'static str> {
    match test {
        Test::Eq(_) | Test::Gt(_) | Test::Gte(_) | Test::Lt(_) | Test::Lte(_) => None,
        Test::Type(_) | Test::Exists(true) => None,
        Test::In(_, patterns) if patterns.is_empty() => None,
        Test::In(..) | Test::Regex(_) => Some("a regular expression"),
        Test::Exists(false) => Some("$exists: false"),
        Test::Mod(..) => Some("$mod"),
        Test::All(_) => Some("$all"),
        Test::ElemMatch(_) | Test::ElemMatchValue(_) => Some("$elemMatch"),
        Test::Size(_) => Some("$size"),
        Test::Not(_) => Some("$not, $ne or $nin"),
    }
}
