//! Translation of conditions: filters of MongoDB where they test one field with constants, so that
//! indexes serve them, else expressions.

use super::expression::Operand;
use super::logic::{Comparison, Logic, Test};
use crate::query::text::{one, where_clause};
use crate::value::{Object, Value};

use Comparison::*;

/// The filter of a condition.
pub(super) fn filter(logic: Logic) -> Value {
    match logic {
        Logic::And(terms) => where_clause::and(terms.into_iter().map(filter).collect()),
        Logic::Or(terms) => where_clause::or(terms.into_iter().map(filter).collect()),
        Logic::Not(logic) => match *logic {
            Logic::Test(Test::Truth(Operand::Path(path), truth)) => one(path, one("$ne", truth)),
            logic => one("$nor", Value::Array(vec![filter(logic)])),
        },
        Logic::Computed(value) => one("$expr", value),
        Logic::Test(test) => match plain(&test) {
            Some(filter) => filter,
            None => one("$expr", test_expression(test)),
        },
    }
}

/// The filter of a test of one field with constants.
fn plain(test: &Test) -> Option<Value> {
    let path = |operand: &Operand| match operand {
        Operand::Path(path) => Some(path.clone()),
        _ => None,
    };
    Some(match test {
        Test::Known(true) => Value::Object(Object::new()),
        Test::Known(false) => one("$expr", false),
        Test::Truth(operand, truth) => one(path(operand)?, *truth),
        Test::Null { operand, negated: false } => one(path(operand)?, Value::Null),
        Test::Null { operand, negated: true } => one(path(operand)?, one("$ne", Value::Null)),
        Test::Compare(comparison, operand, Operand::Constant(value)) => {
            let condition = match (comparison, value) {
                (Eq, Value::Object(_)) => one("$eq", value.clone()),
                (Eq, _) => value.clone(),
                (Ne, _) => one("$nin", Value::Array(vec![value.clone(), Value::Null])),
                _ => one(comparison.operator(), value.clone()),
            };
            one(path(operand)?, condition)
        }
        Test::Compare(..) => return None,
        Test::In { operand, items, negated } => {
            let constant = |item: &Operand| match item {
                Operand::Constant(value) => Some(value.clone()),
                _ => None,
            };
            let mut items: Vec<Value> = items.iter().map(constant).collect::<Option<_>>()?;
            items.extend(negated.then_some(Value::Null));
            one(path(operand)?, one(if *negated { "$nin" } else { "$in" }, Value::Array(items)))
        }
        Test::Like { operand, regex, negated: false } => {
            one(path(operand)?, Value::Object(regex.clone()))
        }
        Test::Like { operand, regex, negated: true } => {
            let unlike = [("$not", Value::Object(regex.clone())), ("$ne", Value::Null)];
            let unlike = unlike.map(|(operator, value)| (operator.to_owned(), value));
            one(path(operand)?, Value::Object(Object::from(unlike)))
        }
    })
}

/// The expression of a condition; true or false.
pub(super) fn expression(logic: Logic) -> Value {
    let all = |terms: Vec<Logic>| Value::Array(terms.into_iter().map(expression).collect());
    match logic {
        Logic::And(terms) => one("$and", all(terms)),
        Logic::Or(terms) => one("$or", all(terms)),
        Logic::Not(logic) => not(expression(*logic)),
        Logic::Computed(value) => value,
        Logic::Test(test) => test_expression(test),
    }
}

fn test_expression(test: Test) -> Value {
    match test {
        Test::Known(truth) => truth.into(),
        Test::Truth(operand, truth) => binary("$eq", operand.expression(), truth.into()),
        Test::Null { operand, negated } => {
            binary(if negated { "$gt" } else { "$lte" }, operand.expression(), Value::Null)
        }
        Test::Compare(comparison, left, right) => {
            // In MongoDB null is less than everything else, and equal to itself.
            let guarded = match comparison {
                Eq if matches!(right, Operand::Constant(_)) => vec![],
                Eq | Lt | Lte => vec![&left],
                Gt | Gte => vec![&right],
                Ne => vec![&left, &right],
            };
            let guards = guarded.into_iter().filter(|side| !matches!(side, Operand::Constant(_)));
            let guards: Vec<Value> = guards.map(|side| not_null(side.clone())).collect();
            let sides = binary(comparison.operator(), left.expression(), right.expression());
            guard(guards, sides)
        }
        Test::In { operand, items, negated } => {
            let mut guards = vec![not_null(operand.clone())];
            if negated {
                // With a null among the items, it is unknown whether the value is one of them.
                let computed = items.iter().filter(|item| !matches!(item, Operand::Constant(_)));
                guards.extend(computed.map(|item| not_null(item.clone())));
            }
            let items = Value::Array(items.into_iter().map(Operand::expression).collect());
            let inside = binary("$in", operand.expression(), items);
            guard(guards, if negated { not(inside) } else { inside })
        }
        Test::Like { operand, mut regex, negated } => {
            let mut spec = Object::from([("input".to_owned(), operand.clone().expression())]);
            for (name, key) in [("$regex", "regex"), ("$options", "options")] {
                spec.extend(regex.shift_remove(name).map(|value| {
                    let value = Operand::Constant(value).expression();
                    (key.to_owned(), value)
                }));
            }
            let matches = one("$regexMatch", Value::Object(spec));
            if negated { guard(vec![not_null(operand)], not(matches)) } else { matches }
        }
    }
}

pub(super) fn binary(operator: &str, left: Value, right: Value) -> Value {
    one(operator, Value::Array(vec![left, right]))
}

pub(super) fn not(condition: Value) -> Value {
    one("$not", Value::Array(vec![condition]))
}

/// Whether an operand is present and not null: everything else is greater than null.
pub(super) fn not_null(operand: Operand) -> Value {
    binary("$gt", operand.expression(), Value::Null)
}

fn guard(mut guards: Vec<Value>, condition: Value) -> Value {
    if guards.is_empty() {
        return condition;
    }
    guards.push(condition);
    one("$and", Value::Array(guards))
}
