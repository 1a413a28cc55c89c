//! Updates that compute the new document from the old one: a few stages of aggregation.

use super::{ID, identical};
use crate::error::{Error, Kind, Result};
use crate::query::context::{At, Context, Fields, MemoryCharge};
use crate::query::expr::{Expr, Vars};
use crate::query::project::Projection;
use crate::value::{LEVELS_MAX, Object, Value, check_depth};

const STAGES: &str = "$set, $addFields, $unset, $project, $replaceRoot, $replaceWith";

/// A parsed pipeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    stages: Vec<Stage>,
    touches: Fields,
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Project(Projection),
    Replace(Expr),
}

impl Pipeline {
    pub(super) fn parse(stages: &[Value], at: At<'_>) -> Result<Pipeline> {
        let mut pipeline = Pipeline { stages: Vec::new(), touches: Fields::default() };
        for (index, stage) in stages.iter().enumerate() {
            let at = at.index(index);
            let stage = stage.as_object().filter(|fields| fields.len() == 1);
            let Some((name, value)) = stage.and_then(Object::first) else {
                return Err(at.invalid("must be an object with one stage").hint(STAGES));
            };
            pipeline.add(name, value, at)?;
        }
        Ok(pipeline)
    }

    fn add(&mut self, name: &str, value: &Value, outer: At<'_>) -> Result<()> {
        let at = outer.key(name);
        let stage = match name {
            "$set" | "$addFields" => {
                let paths = value.as_object().into_iter().flat_map(Object::keys);
                paths.for_each(|path| self.touches.add(path));
                Stage::Project(Projection::parse_add_fields(value, at)?)
            }
            "$unset" => {
                let paths = match value {
                    Value::Array(paths) => paths.iter().map(Value::as_str).collect(),
                    path => path.as_str().map(|path| vec![path]),
                };
                let rule = || at.invalid("must be a path or an array of paths, all texts");
                let paths: Vec<&str> = paths.filter(|paths| !paths.is_empty()).ok_or_else(rule)?;
                paths.iter().for_each(|path| self.touches.add(path));
                let excluded = paths.iter().map(|path| (path.to_string(), Value::Int(0)));
                Stage::Project(Projection::parse_stage(&Value::Object(excluded.collect()), at)?)
            }
            "$project" => {
                self.touches.add_all();
                Stage::Project(Projection::parse_stage(value, at)?)
            }
            "$replaceRoot" => {
                self.touches.add_all();
                let root = value.as_object().filter(|fields| fields.len() == 1);
                let root = root.and_then(|fields| fields.get("newRoot"));
                let root = root.ok_or_else(|| at.invalid("must be {\"newRoot\": …}"))?;
                Stage::Replace(Expr::parse(root, at.key("newRoot"))?)
            }
            "$replaceWith" => {
                self.touches.add_all();
                Stage::Replace(Expr::parse(value, at)?)
            }
            _ => {
                return Err(outer
                    .invalid(format!("has the stage {name:?}, which updates do not have"))
                    .hint(format!("stages of updates are {STAGES}")));
            }
        };
        self.stages.push(stage);
        Ok(())
    }

    /// As `Update::apply`; an `_id` that the stages drop is restored.
    pub(super) fn apply(&self, document: &mut Value, ctx: &Context<'_>) -> Result<bool> {
        let (mut new, mut charged) = (None, 0);
        for stage in &self.stages {
            let next = stage.apply(new.as_ref().unwrap_or(document), ctx)?;
            check_depth(&next, LEVELS_MAX, "the document")?;
            // A stage such as {"$set": {"a": "$$ROOT"}} doubles the document.
            ctx.release(charged);
            charged = next.bytes();
            ctx.charge(charged, "the update")?;
            new = Some(next);
        }
        ctx.release(charged);
        let Some(mut new) = new else { return Ok(false) };
        if let (Value::Object(old), Value::Object(fields)) = (&*document, &mut new)
            && let Some(id) = fields.shift_remove(ID).or_else(|| old.get(ID).cloned())
        {
            fields.shift_insert(0, ID.to_owned(), id);
        }
        let changed = !identical(document, &new);
        *document = new;
        Ok(changed)
    }

    /// As `Update::parse_steps`.
    pub(super) fn parse_steps(&self) -> u64 {
        let of = |stage: &Stage| match stage {
            Stage::Project(projection) => projection.parse_steps(),
            Stage::Replace(root) => root.parse_steps(),
        };
        self.stages.iter().map(of).sum()
    }

    /// The outermost fields that may change.
    pub(super) fn touches(&self) -> Fields {
        self.touches.clone()
    }
}

impl Stage {
    fn apply(&self, document: &Value, ctx: &Context<'_>) -> Result<Value> {
        match self {
            Stage::Project(projection) => projection.apply(document, ctx),
            Stage::Replace(root) => match root.eval_ref(&Vars::root(document), ctx)? {
                Some(root) if root.as_object().is_some() => {
                    MemoryCharge::new(ctx, "the update").add(root.bytes())?;
                    Ok(root.into_owned())
                }
                other => {
                    let kind = other.as_ref().map_or("missing", |other| other.type_name());
                    let message = format!("the new document must be an object, not {kind}");
                    Err(Error::new(Kind::NotApplicable, message)
                        .hint("use $mergeObjects or $ifNull to have an object always"))
                }
            },
        }
    }
}
