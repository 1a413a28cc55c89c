//! What may stand where the cursor is: a command, a flag and its value, a name that the cluster
//! knows, an operator, a word of a query language.

use crate::command::{Argument, Kind};
use crate::lookup::{all_names, lookup, second_words};
use crate::text::{self, KEYWORDS};

/// Names that the cluster knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Names {
    pub(super) kind: Kind,
    /// The collection whose indexes and fields are offered.
    pub(super) collection: String,
}

/// What may stand where the cursor is.
#[derive(Debug, PartialEq)]
pub(super) enum Candidates {
    /// One of these.
    Words(Vec<&'static str>),
    /// One of the words inside statements of the query languages, in small letters or capitals.
    Keywords { small: bool },
    /// Something that the cluster knows.
    Names(Names),
    /// A file.
    Files,
}

impl Candidates {
    fn names(kind: Kind) -> Candidates {
        Candidates::Names(Names { kind, collection: String::new() })
    }

    fn fields(collection: &str) -> Candidates {
        Candidates::Names(Names { kind: Kind::Field, collection: collection.to_owned() })
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

/// Methods of a collection, after `db.users.`
#[rustfmt::skip]
const METHODS: &[&str] = &[
    "aggregate(", "countDocuments(", "createIndex(", "deleteMany(", "deleteOne(", "distinct(",
    "dropIndex(", "explain(", "find(", "findOne(", "findOneAndDelete(", "findOneAndReplace(",
    "findOneAndUpdate(", "getIndexes(", "insertMany(", "insertOne(", "replaceOne(", "updateMany(",
    "updateOne(",
];

/// Words of the query languages that stand before a collection.
const BEFORE_COLLECTION: [&str; 6] = ["from", "in", "into", "join", "on", "update"];

/// The words inside statements, in small letters or capitals.
pub(super) fn keywords(small: bool) -> Vec<String> {
    let word = |word: &&str| if small { word.to_lowercase() } else { (*word).to_owned() };
    KEYWORDS.iter().map(word).collect()
}

/// Where the word being typed begins, and what it may be.
pub(super) fn candidates(line: &str, position: usize) -> (usize, Vec<Candidates>) {
    let text = &line[..position];
    if let Some(dollar) = operator_start(text) {
        return (dollar, vec![Candidates::Words(OPERATORS.to_vec())]);
    }
    if let Some(start) = field_start(text) {
        let fields = collection_of(line).map(|collection| Candidates::fields(&collection));
        return (start, fields.into_iter().collect());
    }
    let start = text.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let (before, typed) = (text[..start].trim(), &text[start..]);
    if let Some(statement) = text::statement(text) {
        return statement_candidates(line, statement, text);
    }
    if before.is_empty() {
        return (start, vec![Candidates::Words(first_words())]);
    }
    let seconds: Vec<&str> = match before.contains(' ') {
        true => Vec::new(),
        false => second_words(&before.to_lowercase()).collect(),
    };
    let mut all = Vec::new();
    if !seconds.is_empty() {
        all.push(Candidates::Words(seconds));
    }
    let argument = argument_candidates(before, typed);
    // In a list of fields the last one is typed, and a minus may stand before it.
    let start = match &argument {
        Some(Candidates::Names(Names { kind: Kind::Field, .. })) => {
            start + typed.rfind([',', '-']).map_or(0, |sign| sign + 1)
        }
        _ => start,
    };
    all.extend(argument);
    (start, all)
}

/// Where the name of a field begins that is being typed as a key: `{"age": 1, na`.
fn field_start(text: &str) -> Option<usize> {
    let is_path = |next: char| next.is_alphanumeric() || matches!(next, '_' | '.');
    let start = text.trim_end_matches(is_path).len();
    let before = text[..start].strip_suffix(['"', '\'']).unwrap_or(&text[..start]);
    let sign = before.trim_end().chars().next_back();
    let open = open_brackets(before);
    let is_key = match sign {
        Some('{') => true,
        Some(',') => open.last() == Some(&'{'),
        _ => false,
    };
    // The keys of stages are operators.
    let is_stage = text.trim_start().starts_with("aggregate") && open == ['[', '{'];
    (is_key && !is_stage).then_some(start)
}

/// The brackets that are open at the end of a text, outside quotes.
fn open_brackets(text: &str) -> Vec<char> {
    let (mut open, mut quote) = (Vec::new(), None);
    for next in text.chars() {
        match (next, quote) {
            (_, Some(end)) if next == end => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(next),
            ('{' | '[' | '(', None) => open.push(next),
            ('}' | ']' | ')', None) => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// The collection that a line is about.
fn collection_of(line: &str) -> Option<String> {
    let name = |word: &str| word.trim_matches(['"', '`', ';', ',', '(']).to_owned();
    let Some(statement) = text::statement(line) else {
        return lookup(line).and_then(|(_, rest)| rest.split_whitespace().next().map(name));
    };
    if let Some(path) = statement.strip_prefix("db.") {
        return path.split('.').next().map(name);
    }
    let words: Vec<&str> = statement.split_whitespace().collect();
    let before = |word: &str| BEFORE_COLLECTION.contains(&word.to_lowercase().as_str());
    let place = words.windows(2).find(|pair| before(pair[0]) && !pair[1].starts_with('('))?;
    Some(name(place[1]))
}

/// Where an operator begins that is being typed: `{"age": {"$g`.
fn operator_start(text: &str) -> Option<usize> {
    let dollar = text.rfind('$')?;
    let name = text[dollar + 1..].chars().all(char::is_alphanumeric);
    let before = text[..dollar].trim_end().chars().next_back();
    (name && matches!(before, Some('"' | '\'' | '{' | ','))).then_some(dollar)
}

/// The candidates at the end of a statement of a query language.
fn statement_candidates(line: &str, statement: &str, text: &str) -> (usize, Vec<Candidates>) {
    let (end, collections) = (text.len(), || vec![Candidates::names(Kind::Collection)]);
    if let Some(path) = statement.strip_prefix("db.") {
        return match path.rsplit_once('.') {
            _ if path.contains('(') => (end, Vec::new()),
            None => (end - path.len(), collections()),
            Some((_, method)) => (end - method.len(), vec![Candidates::Words(METHODS.to_vec())]),
        };
    }
    let is_word = |next: char| next.is_alphanumeric() || matches!(next, '_' | '.');
    let typed = &text[text.trim_end_matches(is_word).len()..];
    let complete = &statement[..statement.len() - typed.len()];
    let last = complete.split_whitespace().next_back().unwrap_or_default().to_lowercase();
    if BEFORE_COLLECTION.contains(&last.as_str()) {
        return (end - typed.len(), collections());
    }
    let mut all: Vec<Candidates> =
        collection_of(line).map(|name| Candidates::fields(&name)).into_iter().collect();
    if let Some(first) = typed.chars().next() {
        all.push(Candidates::Keywords { small: first.is_lowercase() });
    }
    (end - typed.len(), all)
}

fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> =
        all_names().map(|name| name.split(' ').next().unwrap_or(name)).collect();
    words.extend(["SELECT", "EXPLAIN", "WITH"]);
    words.sort_unstable();
    words.dedup();
    words
}

fn argument_candidates(before: &str, typed: &str) -> Option<Candidates> {
    let (command, rest) = lookup(before)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let flags = || {
        let flags: Vec<&str> = command.flags().collect();
        (!flags.is_empty()).then_some(Candidates::Words(flags))
    };
    if typed.starts_with("--") {
        return flags();
    }
    let names = |kind| {
        let collection = words.first().map_or(String::new(), |name| (*name).to_owned());
        let kind = if kind == Kind::Fields { Kind::Field } else { kind };
        let inside = matches!(kind, Kind::Index | Kind::Field);
        let collection = if inside { collection } else { String::new() };
        Some(Candidates::Names(Names { kind, collection }))
    };
    let value = words.last().and_then(|flag| command.flag_value(flag));
    let kind = match (value, command.arguments.get(words.len())) {
        (Some(kind), _) => kind,
        (None, Some(Argument::Required(kind) | Argument::Optional(kind))) => *kind,
        (None, None | Some(Argument::Flag(_) | Argument::Valued(..))) => return flags(),
    };
    match kind {
        Kind::Word(words) => Some(Candidates::Words(words.to_vec())),
        Kind::Command => Some(Candidates::Words(first_words())),
        Kind::File => Some(Candidates::Files),
        kind => names(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::ReadLevel;
    use jettra_driver::wire::{AUDIT_ACTIONS, ROLES};

    fn at_end(text: &str) -> (usize, Vec<Candidates>) {
        candidates(text, text.len())
    }

    #[test]
    fn the_first_word_is_a_command() {
        let (start, all) = at_end("  sh");
        assert_eq!(start, 2);
        let Some(Candidates::Words(words)) = all.first() else {
            panic!("{all:?}");
        };
        assert!(words.contains(&"show") && words.contains(&".mode"));
        assert_eq!(words.iter().filter(|word| **word == "show").count(), 1);
    }

    #[test]
    fn the_second_word_belongs_to_the_first() {
        let (_, all) = at_end("Show d");
        let expected = [
            "live",
            "ready",
            "metrics",
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
            "tasks",
            "cluster",
            "nodes",
            "groups",
            "shards",
        ];
        assert_eq!(all, [Candidates::Words(expected.to_vec())]);
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
            ("get users ", Kind::Other("id")),
        ];
        for (text, kind) in table {
            assert_eq!(at_end(text).1, [Candidates::names(kind)], "{text}");
        }
    }

    #[test]
    fn fixed_values_and_flags_are_offered() {
        assert_eq!(at_end(".level ").1, [Candidates::Words(ReadLevel::NAMES.to_vec())]);
        assert_eq!(at_end("cluster remove node1 ").1, [Candidates::Words(vec!["--force"])]);
        assert!(at_end("whoami ").1.is_empty());
        let (_, all) = at_end("find users {\"a\": 1} --l");
        let [Candidates::Words(flags)] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert!(flags.contains(&"--limit") && flags.contains(&"--hint"), "{flags:?}");
        assert_eq!(at_end("create user ada --role ").1, [Candidates::Words(ROLES.to_vec())]);
        let actions = Candidates::Words(AUDIT_ACTIONS.to_vec());
        assert_eq!(at_end("show audit --action ").1, [actions]);
        let number = Kind::Other("N");
        assert_eq!(at_end("find users --limit ").1, [Candidates::names(number)]);
        assert_eq!(at_end("alter u").1, [Candidates::Words(vec!["user"])]);
        let contents = Candidates::Words(vec!["document", "delta", "both"]);
        assert_eq!(at_end("watch c --content d").1, [contents]);
        assert_eq!(at_end("create user ada --password-file a").1, [Candidates::Files]);
        assert_eq!(at_end(".read a").1, [Candidates::Files]);
        assert_eq!(at_end("modify c {} --return ").1, [Candidates::Words(vec!["before", "after"])]);
    }

    #[test]
    fn indexes_are_those_of_the_collection() {
        let expected = Candidates::Names(Names { kind: Kind::Index, collection: "Users".into() });
        assert_eq!(at_end("drop index Users ").1, [expected]);
        let (_, all) = at_end("find users {\"a\": 1} --hint b");
        assert_eq!(
            all,
            [Candidates::Names(Names { kind: Kind::Index, collection: "users".into() })]
        );
    }

    #[test]
    fn operators_are_offered_inside_json() {
        for text in ["find users {\"age\": {\"$g", "db.users.find({age: {$g", "update u {} {\"$g"] {
            let (start, all) = at_end(text);
            assert_eq!(&text[start..], "$g", "{text}");
            assert_eq!(all, [Candidates::Words(OPERATORS.to_vec())], "{text}");
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
            let (start, all) = at_end(text);
            assert_eq!(all, [Candidates::names(Kind::Collection)], "{text}");
            assert_eq!(&text[start..], typed, "{text}");
        }
        let (start, all) = at_end("db.users.fi");
        assert_eq!(("db.users.".len(), vec![Candidates::Words(METHODS.to_vec())]), (start, all));
        let fields = Candidates::fields("users");
        assert_eq!(at_end("SELECT * FROM users WHERE ").1, [fields]);
    }

    #[test]
    fn fields_of_the_collection_are_offered_where_one_is_named() {
        let table = [
            ("find users {na", "na"),
            ("find users {\"age\": 1, \"address.c", "address.c"),
            ("update users 7 {$set: {na", "na"),
            ("db.users.find({age: {$gt: 3}, na", "na"),
            ("db.users.find().sort({na", "na"),
            ("find users --sort -age,na", "na"),
            ("find users {} --fields na", "na"),
            ("distinct users na", "na"),
            ("create index users age,-na", "na"),
        ];
        for (text, typed) in table {
            let (start, all) = at_end(text);
            assert_eq!(all, [Candidates::fields("users")], "{text}");
            assert_eq!(&text[start..], typed, "{text}");
        }
        for text in ["find users {a: [1, na", "find users {a: na", "aggregate users [{na"] {
            assert!(!at_end(text).1.contains(&Candidates::fields("users")), "{text}");
        }
    }

    #[test]
    fn words_of_the_query_languages_are_offered_with_the_fields() {
        let line = "SELECT na FROM users";
        let expected = [Candidates::fields("users"), Candidates::Keywords { small: true }];
        assert_eq!(candidates(line, "SELECT na".len()), ("SELECT ".len(), expected.into()));
        let (_, all) = at_end("SELECT * FROM users WHE");
        assert_eq!(all.last(), Some(&Candidates::Keywords { small: false }));
        assert!(keywords(true).contains(&"where".to_owned()) && KEYWORDS.is_sorted());
    }

    #[test]
    fn connect_takes_a_word_or_an_address() {
        assert_eq!(
            at_end("connect ").1,
            [Candidates::Words(vec!["federated", "node"]), Candidates::names(Kind::Url)]
        );
    }
}
