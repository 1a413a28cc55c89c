//! Completion, hints and colours of the line being typed.

mod candidates;

use crate::command::Kind;
use crate::lookup::lookup;
use crate::text;
use candidates::{Candidates, Names, candidates};
use jettra_driver::{Client, Find, TaskQuery};
use rustyline::completion::{Completer, FilenameCompleter};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Longest time that the Tab key waits for names from the cluster.
const FETCH_MAX: Duration = Duration::from_millis(700);
/// Documents whose fields are offered.
const SAMPLE: u64 = 50;
/// Levels of objects inside each other whose fields are offered.
const FIELD_DEPTH: usize = 3;
/// How long fetched names are used again.
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
    files: FilenameCompleter,
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
            files: FilenameCompleter::new(),
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

    /// Asks the cluster; after an error there are no names, because the Tab key shows no messages.
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
            (Kind::Field, database) => self.fields(database.as_deref(), collection).await,
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
            (Kind::Task, _) => {
                let listed = self.client.list_tasks(&TaskQuery::default()).await;
                let tasks = listed.map(|reply| reply.tasks).unwrap_or_default();
                tasks.into_iter().map(|task| task.id).collect()
            }
            (Kind::Transaction, _) => {
                let listed = self.client.list_transactions().await;
                let open = listed.map(|reply| reply.transactions).unwrap_or_default();
                open.into_iter().map(|transaction| transaction.id).collect()
            }
            (Kind::Url, _) => {
                let nodes = self.client.cluster_nodes().await.unwrap_or_default();
                nodes.into_iter().map(|node| node.url).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The paths in some documents of a collection.
    async fn fields(&self, database: Option<&str>, collection: &str) -> Vec<String> {
        let place = database.map(|database| (database, collection));
        let Some((database, name)) = place.or_else(|| collection.split_once('.')) else {
            return Vec::new();
        };
        let collection = self.client.collection::<Value>(database, name);
        let sample = collection.find(Find::all().limit(SAMPLE)).await;
        let mut paths = BTreeSet::new();
        for document in sample.map(|page| page.documents).unwrap_or_default() {
            gather("", &document, FIELD_DEPTH, &mut paths);
        }
        paths.into_iter().collect()
    }

    /// The texts of candidates.
    fn texts(&self, candidates: Candidates) -> Vec<String> {
        match candidates {
            Candidates::Words(words) => words.into_iter().map(str::to_owned).collect(),
            Candidates::Files => Vec::new(), // by rustyline
            Candidates::Keywords { small } => candidates::keywords(small),
            Candidates::Names(names) => self.names(&names),
        }
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
        let (start, found) = candidates(line, position);
        if found == [Candidates::Files] {
            let (start, files) = self.files.complete_path(line, position)?;
            return Ok((start, files.into_iter().map(|file| file.replacement).collect()));
        }
        let typed = line[start..position].to_lowercase();
        let mut found: Vec<String> = found
            .into_iter()
            .flat_map(|candidates| self.texts(candidates))
            .filter(|name| name.to_lowercase().starts_with(&typed))
            .collect();
        found.dedup();
        // A path with a dot is a key only in quotes.
        if line[..start].trim_end().ends_with(['{', ',']) {
            for path in found.iter_mut().filter(|path| path.contains('.')) {
                *path = format!("\"{path}\"");
            }
        }
        if let [only] = found.as_mut_slice() {
            only.push_str(after(&line[..start], &line[start..position]));
        }
        Ok((start, found))
    }
}

/// Adds the paths of a document, those of objects in arrays too.
fn gather(before: &str, value: &Value, depth: usize, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if depth > 0 => {
            for (name, inner) in fields.iter().filter(|(name, _)| !name.starts_with('$')) {
                let path = format!("{before}{name}");
                gather(&format!("{path}."), inner, depth - 1, paths);
                paths.insert(path);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| gather(before, item, depth, paths));
        }
        _ => {}
    }
}

/// The characters after a completed word.
fn after(before: &str, typed: &str) -> &'static str {
    match before {
        _ if before.ends_with("db.") => ".",
        // It closes the quote that was opened before.
        _ if before.ends_with('"') => "\"",
        _ if before.ends_with('\'') => "'",
        _ if typed.starts_with('$') || before.ends_with(['.', '{', ',', '-']) => "",
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

/// Bytes of the line after the command's name, with the spaces at the end of the line.
fn rest_length(line: &str, rest: &str) -> usize {
    rest.len() + (line.len() - line.trim_end().len())
}

impl Helper for LineHelper {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_the_paths_of_documents() {
        let document = json!({
            "_id": 1, "address": {"city": "Lima", "geo": {"lat": {"deg": 1}}},
            "items": [{"sku": "a"}, 3], "at": {"$date": "2026-01-01"},
        });
        let mut paths = BTreeSet::new();
        gather("", &document, FIELD_DEPTH, &mut paths);
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let expected = [
            "_id",
            "address",
            "address.city",
            "address.geo",
            "address.geo.lat",
            "at",
            "items",
            "items.sku",
        ];
        assert_eq!(paths, expected);
    }
}
