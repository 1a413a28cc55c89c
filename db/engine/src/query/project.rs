//! Projections: which parts of a document a query returns, and what it computes from them.

use super::context::{At, Context, Fields, MemoryCharge};
use super::expr::{Expr, Vars};
use super::filter::{Test, elem_match};
use super::path::{Path, PathStep};
use super::sort::signed_names;
use crate::error::Result;
use crate::value::{LEVELS_MAX, Object, Value, check_depth};
use indexmap::IndexMap;
use std::borrow::Cow;

const ID: &str = "_id";

/// A projection, of a query or of the aggregation stages `$project` and `$addFields`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    mode: Mode,
    root: Tree,
}

/// What happens to fields that the projection does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They are excluded.
    Include,
    /// They stay.
    Exclude,
}

/// What happens to the fields of an object, by name.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tree {
    nodes: IndexMap<String, Node>,
    /// Whether it contains something computed, so that it creates missing objects.
    computes: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Keep,
    Drop,
    Computed(Expr),
    /// A number of items of an array; the start counts from the end if negative.
    Slice {
        skip: i64,
        count: usize,
    },
    /// The first item that passes the test.
    FirstItem(Test),
    Inside(Tree),
}

/// The dialects of projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    /// That of a query, with the special forms of `$slice` and `$elemMatch`.
    Find,
    /// That of `$project`.
    Stage,
    /// That of `$addFields`: everything is an expression, and fields that are not named stay.
    AddFields,
}

impl Projection {
    /// Parses a query's projection: `{"name": 1, "address.city": 1}`, `{"secret": 0}`, `{"total":
    /// {"$add": ["$a", "$b"]}}`, `{"list": {"$slice": 3}}`, `{"list": {"$elemMatch": {"a": 1}}}`.
    /// An empty one returns whole documents.
    ///
    /// # Errors
    /// `invalid_query` at the location of the wrong part, below `at`: colliding paths, inclusion
    /// mixed with exclusion (except of `_id`), invalid expressions.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Projection> {
        Parser::run(value, Language::Find, at)
    }

    /// Parses the aggregation stage `$project`. It differs in `$slice`, which is only the
    /// expression, in `$elemMatch`, which it does not have, and in that it may not be empty.
    ///
    /// # Errors
    /// As [`Projection::parse`].
    pub fn parse_stage(value: &Value, at: At<'_>) -> Result<Projection> {
        Parser::run(value, Language::Stage, at)
    }

    /// Parses the aggregation stages `$addFields` and `$set`: computed fields that are added to the
    /// others, or replace them.
    ///
    /// # Errors
    /// As [`Projection::parse`].
    pub fn parse_add_fields(value: &Value, at: At<'_>) -> Result<Projection> {
        Parser::run(value, Language::AddFields, at)
    }

    /// Parses the short form of an HTTP parameter: `a,b` includes, `-a,-b` excludes, `a,-_id`.
    ///
    /// # Errors
    /// As [`Projection::parse`], and for a duplicate name.
    pub fn from_names(text: &str, at: At<'_>) -> Result<Projection> {
        Projection::parse(&Value::Object(signed_names(text, 0, at)?), at)
    }

    /// Applies the projection to a document.
    ///
    /// # Errors
    /// Those of its expressions.
    pub fn apply(&self, document: &Value, ctx: &Context<'_>) -> Result<Value> {
        self.apply_with(document, &Vars::root(document), ctx)
    }

    /// As [`Projection::apply`], with further variables for the expressions.
    ///
    /// # Errors
    /// Those of its expressions.
    pub fn apply_with(
        &self,
        document: &Value,
        vars: &Vars<'_>,
        ctx: &Context<'_>,
    ) -> Result<Value> {
        let run =
            Run { mode: self.mode, vars, ctx, held: MemoryCharge::new(ctx, "the projection") };
        let projected = run.value(&self.root, document)?.unwrap_or_default();
        if self.root.computes {
            check_depth(&projected, LEVELS_MAX, "the document")?;
        }
        Ok(projected)
    }

    /// Adds the fields that it reads.
    pub fn fields(&self, fields: &mut Fields) {
        if self.mode == Mode::Exclude {
            fields.add_all();
            return;
        }
        for (name, node) in &self.root.nodes {
            node.fields(name, fields);
        }
    }

    /// The steps of work of parsing it beyond reading its text: its regular expressions.
    pub fn parse_steps(&self) -> u64 {
        self.root.parse_steps()
    }

    /// The names of the outermost fields that it returns, including `_id`; `None` if it does more
    /// than include whole outermost fields. An index that has them all can answer without the
    /// documents.
    pub fn plain_names(&self) -> Option<Vec<&str>> {
        let plain = |(name, node): (&'_ String, &Node)| *node == Node::Keep && !name.contains('.');
        let all = self.mode == Mode::Include && self.root.nodes.iter().all(plain);
        all.then(|| self.root.nodes.keys().map(String::as_str).collect())
    }
}

impl Tree {
    fn parse_steps(&self) -> u64 {
        let of = |node: &Node| match node {
            Node::Computed(expr) => expr.parse_steps(),
            Node::Inside(tree) => tree.parse_steps(),
            _ => 0,
        };
        self.nodes.values().map(of).sum()
    }
}

impl Node {
    /// Adds the fields that it reads, at the field `name` of a document.
    fn fields(&self, name: &str, fields: &mut Fields) {
        match self {
            Node::Computed(expr) => expr.fields(fields),
            Node::Inside(tree) => {
                fields.add(name);
                tree.nodes.values().for_each(|node| node.fields(name, fields));
            }
            _ => fields.add(name),
        }
    }
}

struct Parser {
    language: Language,
    root: Tree,
    mode: Option<Mode>,
    /// The setting for `_id` as a whole, which may differ from the others.
    id: Option<bool>,
    slices: bool,
    first_items: bool,
}

impl Parser {
    fn run(value: &Value, language: Language, at: At<'_>) -> Result<Projection> {
        let mode = (language == Language::AddFields).then_some(Mode::Exclude);
        let root = Tree::default();
        let mut parser =
            Parser { language, root, mode, id: None, slices: false, first_items: false };
        match value {
            Value::Object(fields) if !fields.is_empty() || language != Language::Stage => {
                parser.fields(None, fields, at)?;
                parser.finish(at)
            }
            _ => Err(at.invalid("must be an object that names fields, such as {\"name\": 1}")),
        }
    }

    fn fields(&mut self, above: Option<&str>, fields: &Object, at: At<'_>) -> Result<()> {
        for (name, value) in fields {
            let inner = at.key(name);
            let text = above.map(|above| format!("{above}.{name}"));
            let path = Path::parse(text.as_ref().unwrap_or(name), at);
            let path = path.map_err(|error| match name.ends_with(".$") {
                true => error.hint("for the item that matched, use $elemMatch"),
                false => error,
            })?;
            self.field(&path, value, inner)?;
        }
        Ok(())
    }

    fn field(&mut self, path: &Path, value: &Value, at: At<'_>) -> Result<()> {
        let included = match value {
            _ if self.language == Language::AddFields => None,
            Value::Bool(included) => Some(*included),
            number if number.is_number() => Some(*number != Value::Int(0)),
            _ => None,
        };
        let node = match (included, value) {
            (Some(included), _) if path.as_str() == ID => {
                self.id = Some(included);
                return Ok(());
            }
            (Some(true), _) => self.of_mode(Mode::Include, Node::Keep, at)?,
            (Some(false), _) => self.of_mode(Mode::Exclude, Node::Drop, at)?,
            (None, Value::Object(fields)) => match fields.first() {
                None if self.language != Language::AddFields => {
                    return Err(at.invalid("must not be an empty object"));
                }
                Some((name, _)) if !name.starts_with('$') => {
                    return self.fields(Some(path.as_str()), fields, at);
                }
                Some((name, inner)) if self.language == Language::Find && fields.len() == 1 => {
                    self.find_operator(path, name, inner, value, at)?
                }
                _ => self.computed(value, at)?,
            },
            (None, _) => self.computed(value, at)?,
        };
        insert(&mut self.root, path.steps(), node, path, at)
    }

    /// `$slice` and `$elemMatch` of queries; every other operator belongs to expressions.
    fn find_operator(
        &mut self,
        path: &Path,
        name: &str,
        inner: &Value,
        whole: &Value,
        at: At<'_>,
    ) -> Result<Node> {
        match name {
            "$slice" => match slice(inner, at.key(name))? {
                Some(node) => {
                    self.slices = true;
                    Ok(node)
                }
                None => self.computed(whole, at),
            },
            "$elemMatch" if path.steps().len() == 1 => {
                self.first_items = true;
                Ok(Node::FirstItem(elem_match(inner, at.key(name))?))
            }
            "$elemMatch" => Err(at.invalid("can use $elemMatch on an outermost field only")),
            _ => self.computed(whole, at),
        }
    }

    fn computed(&mut self, value: &Value, at: At<'_>) -> Result<Node> {
        let node = Node::Computed(Expr::parse(value, at)?);
        match self.language {
            Language::AddFields => Ok(node),
            Language::Find | Language::Stage => self.of_mode(Mode::Include, node, at),
        }
    }

    /// The node, if its mode is that of the others.
    fn of_mode(&mut self, mode: Mode, node: Node, at: At<'_>) -> Result<Node> {
        match (*self.mode.get_or_insert(mode), mode) {
            (Mode::Include, Mode::Exclude) => {
                Err(at.invalid("excludes a field, but the fields before it are included"))
            }
            (Mode::Exclude, Mode::Include) => {
                Err(at.invalid("includes a field, but the fields before it are excluded"))
            }
            _ => Ok(node),
        }
        .map_err(|error| error.hint("include or exclude, not both; only _id may differ"))
    }

    fn finish(mut self, at: At<'_>) -> Result<Projection> {
        if self.id.is_some() && self.root.nodes.contains_key(ID) {
            return Err(collision(ID, at));
        }
        let mode = self.mode.unwrap_or(match self.id {
            Some(true) => Mode::Include,
            _ if self.first_items && !self.slices => Mode::Include,
            _ => Mode::Exclude,
        });
        match (mode, self.id) {
            (Mode::Include, None | Some(true)) if !self.root.nodes.contains_key(ID) => {
                self.root.nodes.insert_before(0, ID.to_owned(), Node::Keep);
            }
            (Mode::Exclude, Some(false)) => {
                self.root.nodes.insert(ID.to_owned(), Node::Drop);
            }
            _ => {}
        }
        Ok(Projection { mode, root: self.root })
    }
}

fn insert(tree: &mut Tree, steps: &[PathStep], node: Node, path: &Path, at: At<'_>) -> Result<()> {
    let Some((first, rest)) = steps.split_first() else {
        return Ok(());
    };
    tree.computes |= matches!(node, Node::Computed(_));
    if rest.is_empty() {
        return match tree.nodes.insert(first.name.clone(), node) {
            None => Ok(()),
            Some(_) => Err(collision(path.as_str(), at)),
        };
    }
    let inside = tree.nodes.entry(first.name.clone());
    match inside.or_insert_with(|| Node::Inside(Tree::default())) {
        Node::Inside(inside) => insert(inside, rest, node, path, at),
        _ => Err(collision(path.as_str(), at)),
    }
}

fn collision(path: &str, at: At<'_>) -> crate::error::Error {
    at.invalid(format!("has {path:?} beside a field around or inside it"))
}

/// A query's `$slice`: a number of items, or `[skip, number]`. `None` when it is the expression.
fn slice(value: &Value, at: At<'_>) -> Result<Option<Node>> {
    let whole = |value: &Value, at: At<'_>| {
        value.as_int().ok_or_else(|| at.invalid("must be a whole number"))
    };
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(match value {
        Value::Array(items) => match items.as_slice() {
            [skip, limit] if skip.is_number() => {
                let skip = whole(skip, at.index(0))?;
                match whole(limit, at.index(1))? {
                    limit @ 1.. => Some(Node::Slice { skip, count: count(limit.unsigned_abs()) }),
                    _ => return Err(at.index(1).invalid("must be more than 0")),
                }
            }
            _ => None,
        },
        number => Some(match whole(number, at)? {
            first @ 0.. => Node::Slice { skip: 0, count: count(first.unsigned_abs()) },
            last => Node::Slice { skip: last, count: usize::MAX },
        }),
    })
}

fn sliced(items: &[Value], skip: i64, count: usize) -> Vec<Value> {
    let distance = usize::try_from(skip.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if skip < 0 { items.len().saturating_sub(distance) } else { distance };
    items.iter().skip(start).take(count).cloned().collect()
}

/// The application to one document.
struct Run<'r> {
    mode: Mode,
    vars: &'r Vars<'r>,
    ctx: &'r Context<'r>,
    held: MemoryCharge<'r>,
}

impl Run<'_> {
    fn value(&self, tree: &Tree, value: &Value) -> Result<Option<Value>> {
        Ok(match value {
            Value::Object(fields) => Some(Value::Object(self.object(tree, fields)?)),
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| self.value(tree, item).transpose());
                Some(Value::Array(items.collect::<Result<_>>()?))
            }
            _ if tree.computes => Some(Value::Object(self.object(tree, &Object::new())?)),
            _ => (self.mode == Mode::Exclude).then(|| value.clone()),
        })
    }

    fn object(&self, tree: &Tree, fields: &Object) -> Result<Object> {
        let mut result = Object::new();
        for (name, value) in fields {
            let kept = match tree.nodes.get(name) {
                None => (self.mode == Mode::Exclude).then(|| value.clone()),
                Some(node) => self.node(node, value)?,
            };
            if let Some(value) = kept {
                result.insert(name.clone(), value);
            }
        }
        for (name, node) in &tree.nodes {
            let added = match node {
                Node::Computed(expr)
                    if self.mode == Mode::Include || !fields.contains_key(name) =>
                {
                    self.computed(expr)?
                }
                Node::Inside(tree) if tree.computes && !fields.contains_key(name) => {
                    Some(Value::Object(self.object(tree, &Object::new())?))
                }
                _ => None,
            };
            if let Some(value) = added {
                result.insert(name.clone(), value);
            }
        }
        Ok(result)
    }

    /// A computed value, counted with all others of this document before it is copied.
    fn computed(&self, expr: &Expr) -> Result<Option<Value>> {
        self.ctx.step()?;
        let value = expr.eval_ref(self.vars, self.ctx)?;
        if let Some(value) = &value {
            self.held.add(value.bytes())?;
        }
        Ok(value.map(Cow::into_owned))
    }

    /// The projection of a field that the document has.
    fn node(&self, node: &Node, value: &Value) -> Result<Option<Value>> {
        Ok(match (node, value) {
            (Node::Drop, _) => None,
            // Included fields keep their position; computed ones follow them.
            (Node::Computed(_), _) if self.mode == Mode::Include => None,
            (Node::Computed(expr), _) => self.computed(expr)?,
            (Node::Slice { skip, count }, Value::Array(items)) => {
                Some(Value::Array(sliced(items, *skip, *count)))
            }
            (Node::FirstItem(test), Value::Array(items)) => {
                let mut found = None;
                for item in items {
                    if test.takes_item(item, self.ctx)? {
                        found = Some(Value::Array(vec![item.clone()]));
                        break;
                    }
                }
                found
            }
            (Node::FirstItem(_), _) => None,
            (Node::Inside(tree), _) => self.value(tree, value)?,
            (Node::Keep | Node::Slice { .. }, _) => Some(value.clone()),
        })
    }
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
