//! The update operators: their parameters, and their effect on one value.

use super::arrays::{self, ItemFilter, Pull, Push};
use super::place::{self, Failure, Key, Target, not_an_array};
use super::{identical, identical_lists};
use crate::budget::steps_of;
use crate::error::{Error, Kind};
use crate::query::context::{At, Context, MemoryCharge};
use crate::value::{Decimal, Value, number};
use std::collections::BTreeSet;

type Result<T, E = Error> = std::result::Result<T, E>;

/// One change of an update: an operator on one path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Name of the operator.
    name: &'static str,
    /// What changes.
    pub(super) target: Target,
    action: Action,
}

#[derive(Debug, Clone, PartialEq)]
enum Action {
    Set(Value),
    SetOnInsert(Value),
    Unset,
    Add(Value),
    Multiply(Value),
    Min(Value),
    Max(Value),
    Now,
    NowAsTimestamp,
    /// Sets the target to the value that is removed from this path.
    Rename(Target),
    Push(Push),
    AddToSet(Vec<Value>),
    Pull(Pull),
    PullAll(BTreeSet<Value>),
    Pop {
        first: bool,
    },
    Bit(Vec<(Bit, Value)>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bit {
    And,
    Or,
    Xor,
}

impl Bit {
    /// Of 32 bits if both whole numbers are.
    fn apply(self, a: &Value, b: &Value) -> Value {
        let [left, right] = [a, b].map(|value| number::whole(value).unwrap_or_default());
        let bits = match self {
            Bit::And => left & right,
            Bit::Or => left | right,
            Bit::Xor => left ^ right,
        };
        match (a, b) {
            (Value::Int(_), Value::Int(_)) => Value::from(bits),
            _ => Value::Long(bits),
        }
    }
}

type Parse = fn(&Value, At<'_>) -> Result<Action>;

/// Every operator except `$rename`, whose value is a path.
const OPERATORS: &[(&str, Parse)] = &[
    ("$addToSet", |value, at| Ok(Action::AddToSet(arrays::parse_add_to_set(value, at)?))),
    ("$bit", bits),
    ("$currentDate", current_date),
    ("$inc", |value, at| Ok(Action::Add(number(value, at)?))),
    ("$max", |value, _| Ok(Action::Max(value.clone()))),
    ("$min", |value, _| Ok(Action::Min(value.clone()))),
    ("$mul", |value, at| Ok(Action::Multiply(number(value, at)?))),
    ("$pop", pop),
    ("$pull", |value, at| Ok(Action::Pull(Pull::parse(value, at)?))),
    ("$pullAll", |value, at| {
        let values = value.as_array().ok_or_else(|| at.invalid("must be an array"))?;
        Ok(Action::PullAll(values.iter().cloned().collect()))
    }),
    ("$push", |value, at| Ok(Action::Push(Push::parse(value, at)?))),
    ("$set", |value, _| Ok(Action::Set(value.clone()))),
    ("$setOnInsert", |value, _| Ok(Action::SetOnInsert(value.clone()))),
    ("$unset", |_, _| Ok(Action::Unset)),
];
const RENAME: &str = "$rename";

fn number(value: &Value, at: At<'_>) -> Result<Value> {
    let refuse = || at.invalid(format!("must be a number, not of type {}", value.type_name()));
    value.is_number().then(|| value.clone()).ok_or_else(refuse)
}

fn pop(value: &Value, at: At<'_>) -> Result<Action> {
    match value.as_int() {
        Some(end @ (1 | -1)) => Ok(Action::Pop { first: end < 0 }),
        _ => Err(at.invalid("must be 1 for the last item or -1 for the first")),
    }
}

fn current_date(value: &Value, at: At<'_>) -> Result<Action> {
    let kind = value.as_object().filter(|fields| fields.len() == 1).and_then(|f| f.get("$type"));
    match (value, kind.and_then(Value::as_str)) {
        // MongoDB checks the type only.
        (Value::Bool(_), _) | (_, Some("date")) => Ok(Action::Now),
        (_, Some("timestamp")) => Ok(Action::NowAsTimestamp),
        _ => Err(at.invalid("must be true, or {\"$type\": \"date\"} or \"timestamp\"")),
    }
}

/// The time in seconds, and the milliseconds inside the second from 1 on.
fn timestamp(now_ms: i64) -> Value {
    let (seconds, rest) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    Value::Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX), rest as u32 + 1)
}

fn bits(value: &Value, at: At<'_>) -> Result<Action> {
    let rule = "must be an object such as {\"and\": 5}, with and, or, xor and a whole number";
    let operation = |(name, value): (&String, &Value)| {
        let bit = match name.as_str() {
            "and" => Bit::And,
            "or" => Bit::Or,
            "xor" => Bit::Xor,
            _ => return None,
        };
        number::whole(value).is_some().then(|| (bit, value.clone()))
    };
    let fields = value.as_object().filter(|fields| !fields.is_empty());
    let operations = fields.and_then(|fields| fields.iter().map(operation).collect());
    operations.map(Action::Bit).ok_or_else(|| at.invalid(rule))
}

/// Parses the fields of one operator, such as `{"a.b": 1}` of `$inc`.
pub(super) fn parse(
    name: &str,
    fields: &Value,
    filters: &[ItemFilter],
    at: At<'_>,
) -> Result<Vec<Change>> {
    let operator = OPERATORS.iter().find(|(known, _)| *known == name);
    if operator.is_none() && name != RENAME {
        let known: Vec<_> = OPERATORS.iter().map(|(known, _)| *known).collect();
        return Err(at
            .invalid("is not an operator of updates")
            .hint(format!("known are: {} {RENAME}", known.join(" "))));
    }
    let fields = fields.as_object().ok_or_else(|| {
        at.invalid("must be an object of paths")
            .hint(format!("such as {{\"{name}\": {{\"a\": …}}}}"))
    })?;
    let parse = |(path, value): (&String, &Value)| {
        let at = at.key(path);
        let target = Target::parse(path, filters, at)?;
        match operator {
            Some((name, parse)) => Ok(Change { name, target, action: parse(value, at)? }),
            None => rename(target, value, at),
        }
    };
    fields.iter().map(parse).collect()
}

fn rename(from: Target, to: &Value, at: At<'_>) -> Result<Change> {
    let to = to.as_str().ok_or_else(|| at.invalid("must be the new path as a text"))?;
    let target = Target::parse(to, &[], at)?;
    if target.is_dynamic() || from.is_dynamic() {
        return Err(at.invalid("cannot rename inside arrays: $ and its kind are not possible here"));
    }
    Ok(Change { name: RENAME, target, action: Action::Rename(from) })
}

impl Change {
    /// Every path that it changes.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        let from = match &self.action {
            Action::Rename(from) => Some(from),
            _ => None,
        };
        from.into_iter().chain([&self.target])
    }

    /// As `Update::parse_steps`.
    pub(super) fn parse_steps(&self) -> u64 {
        match &self.action {
            Action::Pull(pull) => pull.parse_steps(),
            _ => 0,
        }
    }

    /// Whether it does nothing to existing documents.
    pub(super) fn only_inserts(&self) -> bool {
        matches!(self.action, Action::SetOnInsert(_))
    }

    /// The error for a document that does not allow the change.
    pub(super) fn cannot(&self, failure: Failure) -> Error {
        let reason = match failure {
            Failure::Document(reason) => reason,
            Failure::Other(error) => return error,
        };
        let (name, path) = (self.name, &self.target.text);
        Error::new(Kind::NotApplicable, format!("{name} of {path:?} is not possible: {reason}"))
            .details(serde_json::json!({"operator": name, "path": path}))
    }

    /// Makes the change at one place; returns whether anything is different afterwards.
    pub(super) fn apply(
        &self,
        document: &mut Value,
        place: &[Key<'_>],
        ctx: &Context<'_>,
        held: &MemoryCharge<'_>,
    ) -> Result<bool, Failure> {
        match &self.action {
            Action::Unset => Ok(place::unset(document, place, ctx)?),
            Action::Rename(from) => self.rename(&from.plain(), document, place, ctx, held),
            Action::Pull(_) | Action::PullAll(_) | Action::Pop { .. } => {
                match place::find(document, place) {
                    None => Ok(false),
                    Some(Value::Array(items)) => self.shrink(items, ctx),
                    Some(other) => Err(not_an_array(other).into()),
                }
            }
            action => {
                let (value, created) = place::ensure(document, place, Some(held))?;
                action.calculate(value, created, ctx, held)
            }
        }
    }

    fn rename(
        &self,
        from: &[Key<'_>],
        document: &mut Value,
        to: &[Key<'_>],
        ctx: &Context<'_>,
        held: &MemoryCharge<'_>,
    ) -> Result<bool, Failure> {
        if place::find(document, from).is_none() {
            return Ok(false);
        }
        if [from, to].into_iter().any(|place| place::enters_array(document, place)) {
            return Err("fields inside arrays cannot be renamed".to_owned().into());
        }
        let value = place::find(document, from).map(std::mem::take).unwrap_or_default();
        place::unset(document, from, ctx)?;
        *place::ensure(document, to, Some(held))?.0 = value;
        Ok(true)
    }

    /// Removes items from an array; returns whether there were any.
    fn shrink(&self, items: &mut Vec<Value>, ctx: &Context<'_>) -> Result<bool, Failure> {
        let count = items.len();
        match &self.action {
            Action::Pull(pull) => return Ok(pull.apply(items, ctx)?),
            Action::PullAll(values) => {
                // As much work as sorting the values with them.
                let bytes = items.iter().map(Value::bytes).sum();
                ctx.sorting(count + values.len(), bytes)?;
                items.retain(|item| !values.contains(item));
            }
            Action::Pop { first: true } if count > 0 => {
                ctx.work(steps_of(count * size_of::<Value>()))?;
                drop(items.remove(0));
            }
            _ => drop(items.pop()),
        }
        Ok(items.len() < count)
    }
}

impl Action {
    /// Changes a value, which is null if it was just `created`; returns whether it is different
    /// afterwards, as a created one always is.
    fn calculate(
        &self,
        value: &mut Value,
        created: bool,
        ctx: &Context<'_>,
        held: &MemoryCharge<'_>,
    ) -> Result<bool, Failure> {
        // One value may go to many places.
        let copy = |new: &Value| -> Result<Value> {
            held.add(new.bytes())?;
            Ok(new.clone())
        };
        let new = match self {
            Action::Push(push) => {
                return append(value, created, |items| {
                    let before = match !created && push.rearranges() {
                        true => {
                            held.add(items.iter().map(Value::bytes).sum())?;
                            Some(items.clone())
                        }
                        false => None,
                    };
                    push.apply(items, ctx, held)?;
                    Ok(match before {
                        Some(before) => !identical_lists(&before, items),
                        None => !push.is_empty(),
                    })
                });
            }
            Action::AddToSet(values) => {
                return append(value, created, |items| {
                    arrays::add_to_set(items, values, ctx, held)
                });
            }
            Action::Set(new) | Action::SetOnInsert(new) => copy(new)?,
            Action::Min(new) if !created && ctx.compare(value, new)?.is_le() => return Ok(false),
            Action::Max(new) if !created && ctx.compare(value, new)?.is_ge() => return Ok(false),
            Action::Min(new) | Action::Max(new) => copy(new)?,
            Action::Now => Value::Date(ctx.now_ms),
            Action::NowAsTimestamp => timestamp(ctx.now_ms),
            Action::Add(by) if created => by.clone(),
            Action::Multiply(by) if created => zero_like(by),
            Action::Add(by) => whole(value, by, number::add)?,
            Action::Multiply(by) => whole(value, by, number::multiply)?,
            Action::Bit(operations) => {
                let start = match &*value {
                    _ if created => Value::Int(0),
                    Value::Int(_) | Value::Long(_) => value.clone(),
                    _ => return Err(not_of(value, "a whole number").into()),
                };
                operations.iter().fold(start, |number, (bit, by)| bit.apply(&number, by))
            }
            _ => return Ok(false),
        };
        let changed = created || !identical(value, &new);
        *value = new;
        Ok(changed)
    }
}

fn not_of(value: &Value, wanted: &str) -> String {
    format!("the value there is of type {}, not {wanted}", value.type_name())
}

/// Adds to an array, which is empty when it was just created.
fn append(
    value: &mut Value,
    created: bool,
    add: impl FnOnce(&mut Vec<Value>) -> Result<bool>,
) -> Result<bool, Failure> {
    if created {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(items) => Ok(add(items)? | created),
        other => Err(not_an_array(other).into()),
    }
}

/// Arithmetic in which whole numbers must stay whole.
fn whole(a: &Value, b: &Value, calculate: fn(&Value, &Value) -> Value) -> Result<Value, String> {
    if !a.is_number() {
        return Err(not_of(a, "a number"));
    }
    let result = calculate(a, b);
    match (number::whole(a), number::whole(b), number::whole(&result)) {
        (Some(a), Some(b), None) => {
            Err(format!("the result of {a} and {b} is beyond the whole numbers of 64 bits"))
        }
        _ => Ok(result),
    }
}

/// Zero of the same type of number.
fn zero_like(value: &Value) -> Value {
    match value {
        Value::Double(_) => Value::Double(0.0),
        Value::Decimal(_) => number::decimal(Decimal::ZERO),
        Value::Long(_) => Value::Long(0),
        _ => Value::Int(0),
    }
}
