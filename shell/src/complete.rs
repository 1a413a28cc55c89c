//! Completion, hints and colours of the line being typed.

use crate::lookup::{all_names, lookup, second_words};
use crate::parse::{Argument, Kind};
use crate::text;
use jettra_driver::Client;
use jettra_driver::wire::{AUDIT_ACTIONS, ROLES};
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Longest time that the Tab key waits for names from the cluster.
const FETCH_MAX: Duration = Duration::from_millis(700);
/// How long fetched names are taken for true.
const FRESH_MAX: Duration = Duration::from_secs(3);

/// Helps at the prompt. The shell renews `client` and `database` before each line.
pub(crate) struct LineHelper {
    /// Asks the cluster for names.
    pub(crate) client: Client,
    /// The database whose collections are offered.
    pub(crate) database: Option<String>,
    /// Whether to use colours.
    pub(crate) colours: bool,
    runtime: Handle,
    known: RefCell<HashMap<Names, (Instant, Vec<String>)>>,
    history: HistoryHinter,
}

impl LineHelper {
    /// Helps with the names of this cluster.
    pub(crate) fn new(client: Client, runtime: Handle, colours: bool) -> Self {
        LineHelper {
            client,
            database: None,
            colours,
            runtime,
            known: RefCell::default(),
            history: HistoryHinter::new(),
        }
    }

    /// Makes the next Tab ask the cluster again, since a statement may have changed names.
    pub(crate) fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    fn names(&self, of: &Names) -> Vec<String> {
        if let Some((read_at, names)) = self.known.borrow().get(of)
            && read_at.elapsed() < FRESH_MAX
        {
            return names.clone();
        }
        let fetch = async { tokio::time::timeout(FETCH_MAX, self.fetch(of)).await };
        let names = self.runtime.block_on(fetch).unwrap_or_default();
        let entry = (Instant::now(), names.clone());
        self.known.borrow_mut().insert(of.clone(), entry);
        names
    }

    /// Asks the cluster; an error gives no names, because Tab is no place for messages.
    async fn fetch(&self, Names { kind, collection }: &Names) -> Vec<String> {
        match (kind, &self.database) {
            (Kind::Database, _) => {
                let databases = self.client.list_databases().await.unwrap_or_default();
                databases.into_iter().map(|database| database.name).collect()
            }
            (Kind::Collection, Some(database)) => {
                self.client.list_collections(database).await.unwrap_or_default()
            }
            (Kind::Index, Some(database)) => {
                let collection = self.client.collection::<Value>(database, collection);
                let indexes = collection.list_indexes().await.unwrap_or_default();
                indexes.into_iter().map(|index| index.name).collect()
            }
            (Kind::User, _) => {
                let users = self.client.list_users().await.unwrap_or_default();
                users.into_iter().map(|user| user.username).collect()
            }
            (Kind::Token, _) => {
                let tokens = self.client.list_tokens().await.unwrap_or_default();
                tokens.into_iter().map(|token| token.id).collect()
            }
            (Kind::Node, _) => {
                let nodes = self.client.cluster_nodes().await.unwrap_or_default();
                nodes.into_iter().map(|node| node.key).collect()
            }
            (Kind::Transaction, _) => {
                let open = self.client.list_transactions().await.unwrap_or_default();
                open.into_iter().map(|transaction| transaction.id).collect()
            }
            (Kind::Url, _) => {
                let nodes = self.client.cluster_nodes().await.unwrap_or_default();
                nodes.into_iter().map(|node| node.url).collect()
            }
            _ => Vec::new(),
        }
    }

    fn candidates(&self, wanted: Wanted) -> Vec<String> {
        match wanted {
            Wanted::Words(words) => words.into_iter().map(str::to_owned).collect(),
            Wanted::Names(names) => self.names(&names),
        }
    }
}

/// Names that the cluster knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Names {
    kind: Kind,
    /// Where indexes are looked for.
    collection: String,
}

/// What may stand where the cursor is.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// One of these.
    Words(Vec<&'static str>),
    /// Something that the cluster knows.
    Names(Names),
}

impl Wanted {
    fn names(kind: Kind) -> Wanted {
        Wanted::Names(Names { kind, collection: String::new() })
    }
}

/// Operators of filters, updates and pipelines.
#[rustfmt::skip]
const OPERATORS: &[&str] = &[
    "$addFields", "$addToSet", "$all", "$and", "$avg", "$bit", "$bucket", "$bucketAuto", "$count",
    "$currentDate", "$each", "$elemMatch", "$eq", "$exists", "$expr", "$facet", "$first", "$group",
    "$gt", "$gte", "$in", "$inc", "$last", "$limit", "$lookup", "$lt", "$lte", "$match", "$max",
    "$merge", "$min", "$mod", "$mul", "$ne", "$nin", "$nor", "$not", "$options", "$or", "$out",
    "$pop", "$position", "$project", "$pull", "$pullAll", "$push", "$regex", "$rename",
    "$replaceRoot", "$replaceWith", "$sample", "$set", "$setOnInsert", "$size", "$skip", "$slice",
    "$sort", "$sortByCount", "$sum", "$type", "$unionWith", "$unset", "$unwind",
];

/// What can follow `db.users.`
#[rustfmt::skip]
const METHODS: &[&str] = &[
    "aggregate(", "countDocuments(", "createIndex(", "deleteMany(", "deleteOne(", "distinct(",
    "dropIndex(", "explain(", "find(", "findOne(", "findOneAndDelete(", "findOneAndReplace(",
    "findOneAndUpdate(", "getIndexes(", "insertMany(", "insertOne(", "replaceOne(", "updateMany(",
    "updateOne(",
];

/// Words of the query languages that stand before a collection.
const BEFORE_COLLECTION: [&str; 6] = ["from", "in", "into", "join", "on", "update"];

/// Splits the text before the cursor into what is complete and the word being typed, and
/// tells what that word may be.
fn wanted(text: &str) -> (usize, Vec<Wanted>) {
    if let Some(dollar) = operator_start(text) {
        return (dollar, vec![Wanted::Words(OPERATORS.to_vec())]);
    }
    let start = text.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let (before, typed) = (text[..start].trim(), &text[start..]);
    if let Some(statement) = text::statement(text) {
        return statement_wanted(statement, text.len(), start);
    }
    if before.is_empty() {
        return (start, vec![Wanted::Words(first_words())]);
    }
    let seconds: Vec<&str> = match before.contains(' ') {
        true => Vec::new(),
        false => second_words(&before.to_lowercase()).collect(),
    };
    let mut all = Vec::new();
    if !seconds.is_empty() {
        all.push(Wanted::Words(seconds));
    }
    all.extend(argument_wanted(before, typed));
    (start, all)
}

/// Where an operator begins that is being typed: `{"age": {"$g`.
fn operator_start(text: &str) -> Option<usize> {
    let dollar = text.rfind('$')?;
    let name = text[dollar + 1..].chars().all(char::is_alphanumeric);
    let before = text[..dollar].trim_end().chars().next_back();
    (name && matches!(before, Some('"' | '\'' | '{' | ','))).then_some(dollar)
}

/// What may stand at the end of a statement of a query language.
fn statement_wanted(statement: &str, end: usize, start: usize) -> (usize, Vec<Wanted>) {
    let collections = || vec![Wanted::names(Kind::Collection)];
    if let Some(path) = statement.strip_prefix("db.").filter(|path| !path.contains('(')) {
        return match path.rsplit_once('.') {
            None => (end - path.len(), collections()),
            Some((_, method)) => (end - method.len(), vec![Wanted::Words(METHODS.to_vec())]),
        };
    }
    let complete = &statement[..statement.len().saturating_sub(end - start)];
    let last = complete.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    match BEFORE_COLLECTION.contains(&last.as_str()) {
        true => (start, collections()),
        false => (start, Vec::new()),
    }
}

fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> =
        all_names().map(|name| name.split(' ').next().unwrap_or(name)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn argument_wanted(before: &str, typed: &str) -> Option<Wanted> {
    let (command, rest) = lookup(before)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let flags = || {
        let flags = command.arguments.iter().filter_map(|argument| match argument {
            Argument::Flag(flag) => flag.split(' ').next(),
            _ => None,
        });
        Some(Wanted::Words(flags.collect())).filter(|wanted| *wanted != Wanted::Words(vec![]))
    };
    if typed.starts_with("--") {
        return flags();
    }
    let names = |kind| {
        let collection = words.first().map_or(String::new(), |name| (*name).to_owned());
        let collection = if kind == Kind::Index { collection } else { String::new() };
        Some(Wanted::Names(Names { kind, collection }))
    };
    match words.last() {
        Some(&"--hint") => return names(Kind::Index),
        Some(&"--return") => return Some(Wanted::Words(vec!["before", "after"])),
        Some(&"--role") => return Some(Wanted::Words(ROLES.to_vec())),
        Some(&"--databases" | &"--grant") => return names(Kind::Database),
        Some(&"--user") => return names(Kind::User),
        Some(&"--action") => return Some(Wanted::Words(AUDIT_ACTIONS.to_vec())),
        Some(&"--content") => return Some(Wanted::Words(vec!["document", "delta", "both"])),
        _ => {}
    }
    match command.arguments.get(words.len()) {
        None | Some(Argument::Flag(_)) => flags(),
        Some(Argument::Must(kind) | Argument::May(kind)) => match kind {
            Kind::OutputMode | Kind::Switch | Kind::Level => {
                Some(Wanted::Words(kind.label().split('|').collect()))
            }
            Kind::Command => Some(Wanted::Words(first_words())),
            kind => names(*kind),
        },
    }
}

impl Completer for LineHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, wanted) = wanted(&line[..position]);
        let typed = line[start..position].to_lowercase();
        let mut found: Vec<String> = wanted
            .into_iter()
            .flat_map(|wanted| self.candidates(wanted))
            .filter(|name| name.to_lowercase().starts_with(&typed))
            .collect();
        if let [only] = found.as_mut_slice() {
            only.push_str(behind(&line[..start], &line[start..position]));
        }
        Ok((start, found))
    }
}

/// What follows a word that was completed.
fn behind(before: &str, typed: &str) -> &'static str {
    match before {
        _ if before.ends_with("db.") => ".",
        _ if typed.starts_with('$') || before.ends_with('.') => "",
        _ => " ",
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        if line.ends_with('\n') && text::waits_for_semicolon(line) {
            return Some("; ends the statement".to_owned());
        }
        self.history.hint(line, position, context)
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match text::is_complete(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, _position: usize) -> Cow<'l, str> {
        if self.colours && text::is_statement(line) {
            let end = line.trim_start().find(|c: char| !c.is_alphanumeric()).unwrap_or(0);
            let (name, rest) = line.split_at(line.len() - line.trim_start().len() + end);
            return Cow::Owned(format!("\x1b[1;36m{name}\x1b[0m{rest}"));
        }
        match lookup(line) {
            Some((_, rest)) if self.colours => {
                let (name, rest) = line.split_at(line.len() - rest_length(line, rest));
                Cow::Owned(format!("\x1b[1;36m{name}\x1b[0m{rest}"))
            }
            _ => Cow::Borrowed(line),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.colours {
            true => Cow::Owned(format!("\x1b[90m{hint}\x1b[0m")),
            false => Cow::Borrowed(hint),
        }
    }

    fn highlight_char(&self, _line: &str, _position: usize, kind: CmdKind) -> bool {
        self.colours && kind != CmdKind::MoveCursor
    }
}

/// Bytes of the line behind the command's name, with the spaces at the end of the line.
fn rest_length(line: &str, rest: &str) -> usize {
    rest.len() + (line.len() - line.trim_end().len())
}

impl Helper for LineHelper {}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::ReadLevel;

    #[test]
    fn the_first_word_is_a_command() {
        let (start, all) = wanted("  sh");
        assert_eq!(start, 2);
        let Some(Wanted::Words(words)) = all.first() else {
            panic!("{all:?}");
        };
        assert!(words.contains(&"show") && words.contains(&".mode"));
        assert_eq!(words.iter().filter(|word| **word == "show").count(), 1);
    }

    #[test]
    fn the_second_word_belongs_to_the_first() {
        let (_, all) = wanted("Show d");
        let expected = [
            "openapi",
            "users",
            "user",
            "tokens",
            "keys",
            "audit",
            "dbs",
            "databases",
            "collections",
            "cols",
            "tables",
            "transactions",
            "version",
        ];
        assert_eq!(all, [Wanted::Words(expected.to_vec())]);
    }

    #[test]
    fn names_follow_the_kind_of_the_argument() {
        let table = [
            ("use ", Kind::Database),
            ("find us", Kind::Collection),
            ("drop db ", Kind::Database),
            ("cluster remove no", Kind::Node),
            ("drop user a", Kind::User),
            ("alter user a", Kind::User),
            ("revoke token 0", Kind::Token),
            ("show audit --user a", Kind::User),
            ("alter user ada --grant sh", Kind::Database),
            ("end transaction 01", Kind::Transaction),
            ("versions on us", Kind::Collection),
            ("watch us", Kind::Collection),
            ("get users ", Kind::Id),
        ];
        for (text, kind) in table {
            assert_eq!(wanted(text).1, [Wanted::names(kind)], "{text}");
        }
    }

    #[test]
    fn fixed_values_and_flags_are_offered() {
        assert_eq!(wanted(".level ").1, [Wanted::Words(ReadLevel::NAMES.to_vec())]);
        assert_eq!(wanted("cluster remove node1 ").1, [Wanted::Words(vec!["--force"])]);
        assert!(wanted("whoami ").1.is_empty());
        let (_, all) = wanted("find users {\"a\": 1} --l");
        let [Wanted::Words(flags)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(flags.contains(&"--limit") && flags.contains(&"--hint"), "{flags:?}");
        assert_eq!(wanted("create user ada --role ").1, [Wanted::Words(ROLES.to_vec())]);
        assert_eq!(wanted("alter u").1, [Wanted::Words(vec!["user"])]);
        let contents = Wanted::Words(vec!["document", "delta", "both"]);
        assert_eq!(wanted("watch c --content d").1, [contents]);
        assert_eq!(wanted("modify c {} --return ").1, [Wanted::Words(vec!["before", "after"])]);
    }

    #[test]
    fn indexes_are_those_of_the_collection() {
        let expected = Wanted::Names(Names { kind: Kind::Index, collection: "Users".into() });
        assert_eq!(wanted("drop index Users ").1, [expected]);
        let (_, all) = wanted("find users {\"a\": 1} --hint b");
        assert_eq!(all, [Wanted::Names(Names { kind: Kind::Index, collection: "users".into() })]);
    }

    #[test]
    fn operators_are_offered_inside_json() {
        for text in ["find users {\"age\": {\"$g", "db.users.find({age: {$g", "update u {} {\"$g"] {
            let (start, all) = wanted(text);
            assert_eq!(&text[start..], "$g", "{text}");
            assert_eq!(all, [Wanted::Words(OPERATORS.to_vec())], "{text}");
        }
        assert!(OPERATORS.is_sorted());
        assert_eq!(operator_start("aggregate u [{\"$group\": "), None);
    }

    #[test]
    fn collections_are_offered_in_the_query_languages() {
        let table = [
            ("SELECT * FROM us", "us"),
            ("find in ", ""),
            ("sql update us", "us"),
            ("delete from us", "us"),
            ("db.us", "us"),
        ];
        for (text, typed) in table {
            let (start, all) = wanted(text);
            assert_eq!(all, [Wanted::names(Kind::Collection)], "{text}");
            assert_eq!(&text[start..], typed, "{text}");
        }
        let (start, all) = wanted("db.users.fi");
        assert_eq!(("db.users.".len(), vec![Wanted::Words(METHODS.to_vec())]), (start, all));
        assert!(wanted("SELECT * FROM users WHERE ").1.is_empty());
    }

    #[test]
    fn connect_takes_a_word_or_an_address() {
        assert_eq!(wanted("connect ").1, [Wanted::Words(vec!["node"]), Wanted::names(Kind::Url)]);
    }
}
