//! `create index`: creates an index of a collection.

use crate::command::Argument::{Flag, Required, Valued};
use crate::command::arguments::{self, A_FILTER, field_object};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::IndexOptions;
use jettra_driver::wire::{IndexInfo, IndexStateName};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["create index"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Fields),
        Flag("--unique"),
        Flag("--sparse"),
        Flag("--sequential"),
        Valued("--expire", "seconds", Kind::Other("seconds")),
        Valued("--partial", "filter", Kind::Other("filter")),
        Valued("--name", "name", Kind::Other("name")),
        Flag("--background"),
    ],
    help: "Create an index on fields; -a is descending",
    examples: &[
        "create index users city,-age",
        "create index users email --unique --sparse",
        "create index sessions seen --expire 3600",
    ],
    driver: &["create_index"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct CreateIndex {
    collection: String,
    keys: Value,
    options: Box<IndexOptions>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = arguments::collection(words)?;
    let keys = match words.at_object() {
        true => words.object("the fields")?,
        false => field_object(&words.required("the fields, such as city,-age,")?, -1)?,
    };
    let mut options = Box::new(IndexOptions::default());
    words.flags(|name, words| {
        match name {
            "--unique" => options.unique = true,
            "--sparse" => options.sparse = true,
            "--sequential" => options.sequential = true,
            "--background" => options.background = true,
            "--expire" => options.expire_after_seconds = Some(words.number(name)?),
            "--partial" => {
                options.partial_filter_expression = Some(words.object(A_FILTER)?);
            }
            "--name" => options.name = Some(words.required("the name")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(CreateIndex { collection, keys, options })
}

impl Action for CreateIndex {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection_outside(&self.collection).await?;
        let index = collection.create_index(self.keys, &self.options).await?;
        Ok(Output::Changed { text: summary(&index), answer: json!(index) })
    }
}

fn summary(index: &IndexInfo) -> String {
    match index.state {
        IndexStateName::Building => {
            format!("Index {} is being built; see its progress with: indexes", index.name)
        }
        _ => format!("Index {} is ready; it has {} entries.", index.name, index.entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn options_are_flags() {
        let options = Box::new(IndexOptions {
            sparse: true,
            expire_after_seconds: Some(60),
            partial_filter_expression: Some(json!({"a": 1})),
            name: Some("x".into()),
            ..IndexOptions::unique()
        });
        let text =
            r#"create index u a,-b.c --unique --sparse --expire 60 --partial {"a": 1} --name x"#;
        let (collection, keys) = ("u".to_owned(), json!({"a": 1, "b.c": -1}));
        assert_eq!(parsed::<CreateIndex>(text), CreateIndex { collection, keys, options });
    }
}
