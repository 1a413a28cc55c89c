//! Completion, hints and colours of the line being typed.

use crate::lookup::{all_names, lookup, second_words};
use crate::parse::{Argument, Kind};
use crate::words::is_complete;
use jettra_driver::Client;
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
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
    known: RefCell<HashMap<Kind, (Instant, Vec<String>)>>,
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

    fn names(&self, kind: Kind) -> Vec<String> {
        if let Some((read_at, names)) = self.known.borrow().get(&kind)
            && read_at.elapsed() < FRESH_MAX
        {
            return names.clone();
        }
        let fetch = async { tokio::time::timeout(FETCH_MAX, self.fetch(kind)).await };
        let names = self.runtime.block_on(fetch).unwrap_or_default();
        let entry = (Instant::now(), names.clone());
        self.known.borrow_mut().insert(kind, entry);
        names
    }

    /// Asks the cluster; an error gives no names, because Tab is no place for messages.
    async fn fetch(&self, kind: Kind) -> Vec<String> {
        match (kind, &self.database) {
            (Kind::Database, _) => {
                let databases = self.client.list_databases().await.unwrap_or_default();
                databases.into_iter().map(|database| database.name).collect()
            }
            (Kind::Collection, Some(database)) => {
                self.client.list_collections(database).await.unwrap_or_default()
            }
            (Kind::Node, _) => {
                let nodes = self.client.cluster_nodes().await.unwrap_or_default();
                nodes.into_iter().map(|node| node.key).collect()
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
            Wanted::Names(kind) => self.names(kind),
        }
    }
}

/// What may stand where the cursor is.
#[derive(Debug, PartialEq)]
enum Wanted {
    /// One of these.
    Words(Vec<&'static str>),
    /// Something that the cluster knows.
    Names(Kind),
}

/// Splits the text before the cursor into what is complete and the word being typed, and
/// tells what that word may be.
fn wanted(text: &str) -> (usize, Vec<Wanted>) {
    let start = text.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let before = text[..start].trim().to_lowercase();
    if before.is_empty() {
        return (start, vec![Wanted::Words(first_words())]);
    }
    let seconds: Vec<&str> = match before.contains(' ') {
        true => Vec::new(),
        false => second_words(&before).collect(),
    };
    let mut all = Vec::new();
    if !seconds.is_empty() {
        all.push(Wanted::Words(seconds));
    }
    all.extend(argument_wanted(&before));
    (start, all)
}

fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> =
        all_names().map(|name| name.split(' ').next().unwrap_or(name)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn argument_wanted(before: &str) -> Option<Wanted> {
    let (command, rest) = lookup(before)?;
    match command.arguments.get(rest.split_whitespace().count())? {
        Argument::Flag(flag) => Some(Wanted::Words(vec![flag.split(' ').next()?])),
        Argument::Must(kind) | Argument::May(kind) => Some(match kind {
            Kind::OutputMode | Kind::Switch | Kind::Level => {
                Wanted::Words(kind.label().split('|').collect())
            }
            Kind::Command => Wanted::Words(first_words()),
            kind => Wanted::Names(*kind),
        }),
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
            only.push(' ');
        }
        Ok((start, found))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, context: &Context<'_>) -> Option<String> {
        self.history.hint(line, position, context)
    }
}

impl Validator for LineHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_complete(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, _position: usize) -> Cow<'l, str> {
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
        let expected = ["dbs", "databases", "collections", "cols"];
        assert_eq!(all, [Wanted::Words(expected.to_vec())]);
    }

    #[test]
    fn names_follow_the_kind_of_the_argument() {
        let table = [
            ("use ", Kind::Database),
            ("find us", Kind::Collection),
            ("drop db ", Kind::Database),
            ("cluster remove no", Kind::Node),
            ("get users ", Kind::Id),
        ];
        for (text, kind) in table {
            assert_eq!(wanted(text).1, [Wanted::Names(kind)], "{text}");
        }
    }

    #[test]
    fn fixed_values_and_flags_are_offered() {
        assert_eq!(wanted(".level ").1, [Wanted::Words(vec!["linearizable", "local"])]);
        assert_eq!(wanted("cluster remove node1 ").1, [Wanted::Words(vec!["--force"])]);
        assert!(wanted("count users ").1.is_empty());
    }

    #[test]
    fn connect_takes_a_word_or_an_address() {
        assert_eq!(wanted("connect ").1, [Wanted::Words(vec!["node"]), Wanted::Names(Kind::Url)]);
    }
}
