//! Operator calls: how their arguments are parsed, written and evaluated.

use super::pattern::Pattern;
use super::{
    EvalResult, Expr, Scope, Vars, arithmetic, array, bind, calendar, compare, convert, date, fold,
    object, parse, pattern, set, string,
};
use crate::budget::steps_of;
use crate::error::{Error, Kind, Result};
use crate::query::context::{At, Context, Fields, MemoryCharge};
use crate::value::{LEVELS_MAX, Object, Value};
use std::borrow::Cow;
use std::fmt;

/// The holder of the memory, for errors.
pub(super) const WHAT: &str = "an expression";
/// Most items of an array that an expression builds.
pub(super) const ITEMS_MAX: usize = 1_000_000;
/// Most bytes of a text that an expression builds.
pub(super) const TEXT_MAX: usize = 16 << 20;

/// The families of operators.
pub(super) const FAMILIES: &[&[Operator]] = &[
    compare::OPERATORS,
    arithmetic::OPERATORS,
    fold::OPERATORS,
    string::OPERATORS,
    pattern::OPERATORS,
    date::OPERATORS,
    calendar::OPERATORS,
    array::OPERATORS,
    set::OPERATORS,
    object::OPERATORS,
    convert::OPERATORS,
    bind::OPERATORS,
];

type Run = for<'c, 'v> fn(&Args<'c, 'v>) -> EvalResult<'v>;
type Reads = fn(&[Option<Expr>], &mut Fields);
type Prepare = fn(&[Option<Expr>], At<'_>) -> Result<Pattern>;

/// One operator. A new one is an entry in the table of its family.
pub(super) struct Operator {
    /// Its name, with the `$`.
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    run: Run,
    reads: Option<Reads>,
    prepare: Option<Prepare>,
}

/// How the arguments of an operator are written.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// An array with this many items at least and at most; a single one may be written without it.
    List(usize, usize),
    /// An object with these fields; the given number of them are required.
    Named(&'static [&'static str], usize),
    /// An object as above, or the required fields as an array.
    Either(&'static [&'static str], usize),
    /// A form of its own.
    Special(&'static Form),
}

/// How the arguments of an operator that are not plain expressions are parsed and written.
pub(super) struct Form {
    pub(super) parse: fn(&Value, At<'_>, &Scope<'_>) -> Result<Parts>,
    pub(super) to_value: fn(&OperatorCall) -> Value,
}

/// The names of variables that a call binds, and its arguments.
pub(super) type Parts = (Vec<String>, Vec<Option<Expr>>);

pub(super) const ONE: Shape = Shape::List(1, 1);
pub(super) const TWO: Shape = Shape::List(2, 2);
pub(super) const ANY: Shape = Shape::List(0, usize::MAX);

/// An entry of a table of operators.
pub(super) const fn operator(name: &'static str, shape: Shape, run: Run) -> Operator {
    Operator { name, shape, run, reads: None, prepare: None }
}

impl Operator {
    /// With the fields of the document that it reads beside those of its arguments.
    pub(super) const fn reading(self, reads: Reads) -> Operator {
        Operator { reads: Some(reads), ..self }
    }

    /// With what can be prepared once for all documents.
    pub(super) const fn preparing(self, prepare: Prepare) -> Operator {
        Operator { prepare: Some(prepare), ..self }
    }

    /// Evaluates a call of it.
    pub(super) fn run<'v>(&self, args: &Args<'_, 'v>) -> EvalResult<'v> {
        (self.run)(args)
    }
}

impl PartialEq for Operator {
    fn eq(&self, other: &Operator) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An operator with its arguments; omitted ones are `None`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OperatorCall {
    pub(super) operator: &'static Operator,
    pub(super) args: Vec<Option<Expr>>,
    /// Variables that it binds.
    pub(super) names: Vec<String>,
    pub(super) pattern: Pattern,
}

impl OperatorCall {
    pub(super) fn parse(
        name: &str,
        value: &Value,
        at: At<'_>,
        scope: &Scope<'_>,
    ) -> Result<OperatorCall> {
        let operator = find(name, at)?;
        let named = |value: &Value| {
            value
                .as_object()
                .and_then(Object::first)
                .is_some_and(|(name, _)| !name.starts_with('$'))
        };
        let mut names = Vec::new();
        let args = match operator.shape {
            Shape::Special(form) => {
                let (bound, args) = (form.parse)(value, at, scope)?;
                names = bound;
                args
            }
            Shape::List(min, max) => parse_list(value, at, scope, min, max)?,
            Shape::Named(names, required) => parse_named(value, at, scope, names, required)?,
            Shape::Either(names, required) if named(value) => {
                parse_named(value, at, scope, names, required)?
            }
            Shape::Either(names, required) => {
                let mut args = parse_list(value, at, scope, required, required)?;
                args.resize(names.len(), None);
                args
            }
        };
        let pattern = match operator.prepare {
            Some(prepare) => prepare(&args, at)?,
            None => Pattern::default(),
        };
        Ok(OperatorCall { operator, args, names, pattern })
    }

    pub(super) fn to_value(&self) -> Value {
        let given = self.args.iter().flatten().map(Expr::to_value);
        match self.operator.shape {
            Shape::Special(form) => (form.to_value)(self),
            Shape::List(..) => Value::Array(given.collect()),
            Shape::Named(names, _) | Shape::Either(names, _) => {
                let pairs = names.iter().zip(&self.args);
                let given = pairs.filter_map(|(name, arg)| Some((*name, arg.as_ref()?.to_value())));
                Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
            }
        }
    }

    pub(super) fn fields(&self, fields: &mut Fields) {
        self.args.iter().flatten().for_each(|arg| arg.fields(fields));
        if let Some(reads) = self.operator.reads {
            reads(&self.args, fields);
        }
    }
}

fn find(name: &str, at: At<'_>) -> Result<&'static Operator> {
    let all = || FAMILIES.iter().copied().flatten();
    if let Some(operator) = all().find(|operator| operator.name == name) {
        return Ok(operator);
    }
    if name == "$rand" {
        let message = "is not possible: a query must give the same result on every node";
        return Err(at.invalid(message));
    }
    let error = at.invalid("is not an operator of expressions");
    let nearest = all().map(|operator| (distance(name, operator.name), operator.name)).min();
    Err(match nearest {
        Some((changes, nearest)) if changes <= 3 => error.hint(format!("did you mean {nearest}?")),
        _ => error.hint("put it into {\"$literal\": …} if it is meant as a value"),
    })
}

/// Letters of a name that are compared with the known ones, so that a long name costs no time.
const NAME_MAX: usize = 64;

/// Letters to change, add or remove between two names, case aside.
fn distance(name: &str, known: &str) -> usize {
    let compared: String = name.chars().take(NAME_MAX).collect();
    let rest = name.len() - compared.len();
    strsim::levenshtein(&compared.to_lowercase(), &known.to_lowercase()) + rest
}

fn parse_list(
    value: &Value,
    at: At<'_>,
    scope: &Scope<'_>,
    min: usize,
    max: usize,
) -> Result<Vec<Option<Expr>>> {
    let items = value.as_array().unwrap_or(std::slice::from_ref(value));
    if items.len() < min || items.len() > max {
        let number = match (min, max) {
            (1, 1) => "one argument".to_owned(),
            (min, max) if min == max => format!("{min} arguments in an array"),
            (min, usize::MAX) => format!("at least {min} arguments in an array"),
            (min, max) => format!("{min} to {max} arguments in an array"),
        };
        return Err(at.invalid(format!("must have {number}, has {}", items.len())));
    }
    let items = items.iter().enumerate().map(|(index, item)| match value {
        Value::Array(_) => parse(item, at.index(index), scope),
        _ => parse(item, at, scope),
    });
    items.map(|item| item.map(Some)).collect()
}

/// The fields of an argument that must be an object with known fields.
pub(super) fn named_fields<'q>(
    value: &'q Value,
    at: At<'_>,
    names: &[&str],
    required: usize,
) -> Result<&'q Object> {
    let list = || names.join(", ");
    let Some(fields) = value.as_object() else {
        return Err(at.invalid(format!("must be an object with the fields {}", list())));
    };
    if let Some(name) = fields.keys().find(|name| !names.contains(&name.as_str())) {
        let error = at.invalid(format!("has an unknown field {name:?}"));
        return Err(error.hint(format!("the fields are {}", list())));
    }
    match names.iter().take(required).find(|name| !fields.contains_key(**name)) {
        Some(name) => Err(at.invalid(format!("must have the field {name:?}"))),
        None => Ok(fields),
    }
}

pub(super) fn parse_named(
    value: &Value,
    at: At<'_>,
    scope: &Scope<'_>,
    names: &[&str],
    required: usize,
) -> Result<Vec<Option<Expr>>> {
    let fields = named_fields(value, at, names, required)?;
    let parse_field =
        |name: &&str| fields.get(*name).map(|field| parse(field, at.key(name), scope)).transpose();
    names.iter().map(parse_field).collect()
}

/// Items of an array, borrowed where they can be.
pub(super) type List<'v> = Cow<'v, [Value]>;

/// The arguments of a call, evaluated on demand. Their values are charged to the query's memory
/// until the call has ended.
pub(super) struct Args<'c, 'v> {
    pub(super) call: &'v OperatorCall,
    pub(super) vars: &'c Vars<'v>,
    pub(super) ctx: &'c Context<'c>,
    held: MemoryCharge<'c>,
}

impl<'c, 'v> Args<'c, 'v> {
    pub(super) fn new(
        call: &'v OperatorCall,
        vars: &'c Vars<'v>,
        ctx: &'c Context<'c>,
    ) -> Args<'c, 'v> {
        Args { call, vars, ctx, held: MemoryCharge::new(ctx, WHAT) }
    }

    /// The number of parameters.
    pub(super) fn len(&self) -> usize {
        self.call.args.len()
    }

    /// Whether an argument was given.
    pub(super) fn given(&self, index: usize) -> bool {
        self.expr(index).is_some()
    }

    /// The argument itself.
    pub(super) fn expr(&self, index: usize) -> Option<&'v Expr> {
        self.call.args.get(index)?.as_ref()
    }

    /// The value of an argument; `None` if it is missing or omitted.
    pub(super) fn get(&self, index: usize) -> EvalResult<'v> {
        let Some(expr) = self.expr(index) else { return Ok(None) };
        let value = expr.eval_ref(self.vars, self.ctx)?;
        if let Some(Cow::Owned(built)) = &value {
            match built {
                Value::Array(_) | Value::Object(_) | Value::String(_) | Value::Binary(..) => {
                    self.hold(built.bytes_within(LEVELS_MAX).ok_or_else(|| self.too_deep())?)?;
                }
                _ => {}
            }
        }
        Ok(value)
    }

    /// An argument that is not null.
    pub(super) fn present(&self, index: usize) -> EvalResult<'v> {
        Ok(self.get(index)?.filter(|value| !matches!(**value, Value::Null)))
    }

    /// The error for a value that is nested too deep to be written.
    pub(super) fn too_deep(&self) -> Error {
        self.error(format_args!("would nest more than {LEVELS_MAX} levels deep"))
    }

    /// A copy of items, counted before it is made.
    pub(super) fn copy(&self, items: &[Value]) -> Result<Vec<Value>> {
        self.ctx.work(items.len() as u64)?;
        self.hold(items.iter().map(Value::bytes).sum())?;
        Ok(items.to_vec())
    }

    /// Items that the operator may change.
    pub(super) fn own(&self, items: List<'v>) -> Result<Vec<Value>> {
        match items {
            Cow::Owned(items) => Ok(items),
            Cow::Borrowed(items) => self.copy(items),
        }
    }

    /// Counts the work of reading all of some items, and of putting them into a table.
    pub(super) fn look_through(&self, items: &[Value]) -> Result<()> {
        self.ctx.work(items.len() as u64)?;
        self.ctx.work(steps_of(items.iter().map(Value::bytes).sum()))?;
        self.hold(items.len() * 3 * size_of::<usize>())
    }

    /// The index of the first item that equals a value.
    pub(super) fn position(&self, items: &[Value], value: &Value) -> Result<Option<usize>> {
        for (index, item) in items.iter().enumerate() {
            if self.ctx.compare(item, value)?.is_eq() {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Counts memory until the call has ended.
    pub(super) fn hold(&self, bytes: usize) -> Result<()> {
        self.held.add(bytes)
    }

    /// Counts an item of an array of `len` items that is being built.
    pub(super) fn item(&self, value: &Value, len: usize) -> Result<()> {
        self.ctx.step()?;
        self.check_len(len)?;
        self.hold(value.bytes())
    }

    /// Refuses arrays that are too long.
    pub(super) fn check_len(&self, len: usize) -> Result<()> {
        match len <= ITEMS_MAX {
            true => Ok(()),
            false => Err(self.too_large(format_args!("an array of more than {ITEMS_MAX} items"))),
        }
    }

    /// Refuses texts that are too long.
    pub(super) fn check_text(&self, len: usize) -> Result<()> {
        match len <= TEXT_MAX {
            true => Ok(()),
            false => Err(self.too_large(format_args!("a text of more than {TEXT_MAX} bytes"))),
        }
    }

    fn too_large(&self, what: fmt::Arguments<'_>) -> Error {
        let message = format!("{} would build {what}", self.call.operator.name);
        Error::new(Kind::QueryTooLarge, message).hint("let the expression build less")
    }

    /// An argument that must be an array, unless it is null.
    pub(super) fn array(&self, index: usize) -> Result<Option<List<'v>>> {
        self.present(index)?.map(|value| self.as_list(value)).transpose()
    }

    /// The items of a value that must be an array.
    pub(super) fn as_list(&self, value: Cow<'v, Value>) -> Result<List<'v>> {
        match value {
            Cow::Borrowed(Value::Array(items)) => Ok(Cow::Borrowed(items)),
            Cow::Owned(Value::Array(items)) => Ok(Cow::Owned(items)),
            other => Err(self.wrong("an array", &other)),
        }
    }

    /// An argument that must be an array; null is an error.
    pub(super) fn list(&self, index: usize) -> Result<List<'v>> {
        self.array(index)?.ok_or_else(|| self.error("needs an array, not null or nothing"))
    }

    /// An argument that must be a text, unless it is null.
    pub(super) fn text(&self, index: usize) -> Result<Option<Cow<'v, str>>> {
        match self.present(index)? {
            None => Ok(None),
            Some(Cow::Borrowed(Value::String(text))) => Ok(Some(Cow::Borrowed(text))),
            Some(Cow::Owned(Value::String(text))) => Ok(Some(Cow::Owned(text))),
            Some(other) => Err(self.wrong("a text", &other)),
        }
    }

    /// An argument that must be a whole number, unless it is null.
    pub(super) fn int(&self, index: usize) -> Result<Option<i64>> {
        match self.present(index)? {
            None => Ok(None),
            Some(value) => match value.as_int() {
                None => Err(self.wrong("a whole number", &value)),
                int => Ok(int),
            },
        }
    }

    /// An argument that must be a whole number of 32 bits, unless it is null.
    pub(super) fn int32(&self, index: usize) -> Result<Option<i64>> {
        match self.int(index)? {
            Some(int) if i32::try_from(int).is_err() => {
                Err(self.wrong("a whole number of 32 bits", &int.into()))
            }
            int => Ok(int),
        }
    }

    /// An argument that must be a whole number; null is an error.
    pub(super) fn required_int(&self, index: usize) -> Result<i64> {
        self.int(index)?.ok_or_else(|| self.error("needs a whole number, not null or nothing"))
    }

    /// An argument that must be a number, unless it is null.
    pub(super) fn number(&self, index: usize) -> EvalResult<'v> {
        match self.present(index)? {
            Some(value) if !value.is_number() => Err(self.wrong("a number", &value)),
            value => Ok(value),
        }
    }

    /// The error for a call that is not possible; the message continues after the operator's name.
    pub(super) fn error(&self, message: impl fmt::Display) -> Error {
        Error::new(Kind::NotApplicable, format!("{} {message}", self.call.operator.name))
    }

    /// The error for an argument of a wrong type.
    pub(super) fn wrong(&self, rule: &str, value: &Value) -> Error {
        self.error(format_args!("needs {rule}, not {}", shown(value)))
    }
}

/// A value in an error message, shortened if it is long.
pub(super) fn shown(value: &Value) -> String {
    // A large value is described by its type: writing it down would cost too much.
    if matches!(value, Value::Array(_) | Value::Object(_)) && value.bytes() > 4096 {
        return format!("a large {}", value.type_name());
    }
    let text = value.to_json();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The result of an operator that built a value.
pub(super) fn owned<'v>(value: impl Into<Value>) -> EvalResult<'v> {
    Ok(Some(Cow::Owned(value.into())))
}

/// The result null.
pub(super) fn null<'v>() -> EvalResult<'v> {
    Ok(Some(Cow::Owned(Value::Null)))
}
