//! `update`: updates one document, or all that match, by operators or a pipeline.

use super::patch::Patch;
use crate::command::Argument::Required;
use crate::command::arguments::{
    A_FILTER, AN_UPDATE, ANALYZE, ARRAY_FILTERS, EXPLAIN, HINT, ONE, REVISION, SORT, UPSERT,
    collection, existing_in, explain_flag, id, is_document, sort,
};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{plan, update_output};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::UpdateBody;
use jettra_driver::{Collection, DocumentId};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["update"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id|filter")),
        Required(Kind::Other("update")),
        REVISION,
        ONE,
        UPSERT,
        SORT,
        HINT,
        ARRAY_FILTERS,
        EXPLAIN,
        ANALYZE,
    ],
    help: "Update one document, or all that match (--one: the first)",
    examples: &[
        r#"update users 7 {"$set": {"age": 36}} --revision 12"#,
        r#"update users {city: "Lima"} {$inc: {visits: 1}}"#,
        r#"update users {city: "Lima"} {$inc: {visits: 1}} --one"#,
        r#"update users {"_id": 7} {"$set": {"age": 36}} --upsert"#,
    ],
    driver: &["patch", "update_one", "update_many", "explain_update"],
    parse: read,
    ..Command::WRITE
};

/// The document with an id.
#[derive(Debug, PartialEq)]
struct UpdateOne {
    collection: String,
    id: DocumentId,
    /// Its filter is not used.
    body: Box<UpdateBody>,
}

/// The documents that match, or the first.
#[derive(Debug, PartialEq)]
struct UpdateMatching {
    collection: String,
    body: Box<UpdateBody>,
}

/// `<collection> <id|filter> <update>`. A document in place of the update is refused, because it
/// could mean either of two things.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = collection(words)?;
    let filter = words.at_object().then(|| words.object(A_FILTER)).transpose()?;
    let id = if filter.is_none() { Some(id(words)?) } else { None };
    let mut flags = Flags::default();
    flags.take(words)?;
    let update = words.json(AN_UPDATE)?;
    if is_document(&update) {
        let target = id.map_or_else(|| json!(filter), |id| json!(id));
        return Err(format!(
            "{update} could mean the whole document or some of its fields. To replace the document:\n  \
             replace {collection} {target} {update}\nTo change these fields only:\n  \
             update {collection} {target} {{\"$set\": {update}}}"
        ));
    }
    flags.take(words)?;
    match (filter, id) {
        (None, Some(id)) => flags.of_one(collection, id, update),
        (filter, _) => flags.of_matching(collection, filter.unwrap_or_default(), update),
    }
}

/// What flags say about an update.
#[derive(Default)]
struct Flags {
    /// `multi` is decided in the end.
    body: UpdateBody,
    one: bool,
    revision: Option<u64>,
    /// Whether there was another flag than `--revision`.
    others: bool,
}

impl Flags {
    fn take(&mut self, words: &mut Words<'_>) -> ParseResult<()> {
        let Flags { body, one, revision, others } = self;
        words.flags(|name, words| {
            match name {
                "--revision" => {
                    *revision = Some(words.number(name)?);
                    return Ok(true);
                }
                "--multi" => *one = false,
                "--one" => *one = true,
                "--upsert" => body.upsert = true,
                "--sort" => body.sort = Some(sort(words)?),
                "--hint" => body.hint = Some(words.json_or_word(name)?),
                "--array-filters" => body.array_filters = Some(words.array(name)?.into()),
                _ if explain_flag(name, &mut body.explain) => {}
                _ => return Ok(false),
            }
            *others = true;
            Ok(true)
        })
    }

    fn of_one(self, collection: String, id: DocumentId, update: Value) -> ParseResult<BoxedAction> {
        match update.is_object() && !self.others {
            true => action(Patch { collection, id, patch: update, revision: self.revision }),
            false if self.revision.is_some() => {
                Err("--revision goes with an object of operators and with no other flag".into())
            }
            false => {
                let body = Box::new(UpdateBody { update, ..self.body });
                action(UpdateOne { collection, id, body })
            }
        }
    }

    fn of_matching(
        self,
        collection: String,
        filter: Value,
        update: Value,
    ) -> ParseResult<BoxedAction> {
        if self.revision.is_some() {
            return Err("--revision goes with an id, not with a filter".into());
        }
        // An order only says which document is the first.
        let multi = !self.one && self.body.sort.is_none();
        let body = Box::new(UpdateBody { filter, update, multi, ..self.body });
        action(UpdateMatching { collection, body })
    }
}

impl Action for UpdateOne {
    async fn run(self, session: &mut Session) -> StatementResult {
        let UpdateOne { collection, id, body } = self;
        if let Some(level) = body.explain {
            let collection = session.collection(&collection).await?;
            let body = UpdateBody { filter: json!({"_id": id}), ..*body };
            return Ok(plan(collection.explain_update(body, level).await?));
        }
        let (collection, id) = existing_in(session, &collection, id).await?;
        let body = UpdateBody { filter: json!({"_id": id}), ..*body };
        Ok(update_output(&collection.update_one(body).await?))
    }
}

impl Action for UpdateMatching {
    async fn run(self, session: &mut Session) -> StatementResult {
        let UpdateMatching { collection, body } = self;
        if let Some(level) = body.explain {
            let collection = session.collection(&collection).await?;
            return Ok(plan(collection.explain_update(*body, level).await?));
        }
        let update = async |collection: Collection<Value>| match body.multi {
            true => collection.update_many((*body).clone()).await,
            false => collection.update_one((*body).clone()).await,
        };
        Ok(update_output(&session.change_collection(&collection, update).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::ExplainLevel;

    #[test]
    fn a_filter_in_place_of_an_id_means_what_matches() {
        let (filter, update) = (json!({"a": 1}), json!({"$inc": {"b": 1}}));
        let one = || UpdateBody::from((filter.clone(), update.clone()));
        let all = || UpdateBody { multi: true, ..one() };
        let explain = Some(ExplainLevel::ExecutionStats);
        let table = [
            ("", all()),
            (" --multi --upsert", UpdateBody { upsert: true, ..all() }),
            (" --multi --analyze", UpdateBody { explain, ..all() }),
            (" --one", one()),
            (" --sort b,-c", UpdateBody { sort: Some(json!({"b": 1, "c": -1})), ..one() }),
            (
                r#" --array-filters [{"x": 1}]"#,
                UpdateBody { array_filters: Some(json!([{"x": 1}])), ..all() },
            ),
        ];
        for (flags, expected) in table {
            let text = format!("update u {filter} {update}{flags}");
            assert_eq!(*parsed::<UpdateMatching>(&text).body, expected, "{text}");
        }
        let error = parse("update u {\"a\": 1}").unwrap_err();
        assert!(error.contains("the update, such as"), "{error}");
    }

    #[test]
    fn an_update_of_one_document_has_operators_or_stages() {
        let increment = json!({"$inc": {"n": 1}});
        let (collection, patch) = ("u".to_owned(), increment.clone());
        assert_eq!(
            parsed::<Patch>("update u 7 {$inc: {n: 1}} --revision 3"),
            Patch { collection, id: 7.into(), patch, revision: Some(3) }
        );
        let body = |update, upsert| UpdateBody { update, upsert, ..UpdateBody::default() };
        let upsert = parsed::<UpdateOne>("update u x {$inc: {n: 1}} --upsert");
        assert_eq!((upsert.id, *upsert.body), ("x".into(), body(increment, true)));
        let stages = parsed::<UpdateOne>("update u 7 [{$set: {a: 1}}]");
        assert_eq!(*stages.body, body(json!([{"$set": {"a": 1}}]), false));
        for (target, shown) in [("7", "7"), ("x", "\"x\""), ("{a: 1}", "{\"a\":1}")] {
            let error = parse(&format!("update u {target} {{age: 1}}")).unwrap_err();
            let replace = format!("\n  replace u {shown} {{\"age\":1}}\n");
            let set = format!("\n  update u {shown} {{\"$set\": {{\"age\":1}}}}");
            assert!(error.contains(&replace) && error.ends_with(&set), "{error}");
        }
    }
}
