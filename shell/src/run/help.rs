//! Help, made from the table of commands.

use super::{Ran, refused};
use crate::lookup::{lookup, unknown};
use crate::parse::{Command, EXAMPLES, GROUPS};
use crate::print::Output;

/// The commands with what they do, or one command in detail.
pub(super) fn help(about: Option<&str>) -> Ran {
    let Some(about) = about else {
        return Ok(Output::Text(help_all()));
    };
    let Some((command, _)) = lookup(about) else {
        return refused(unknown(about));
    };
    let mut text = format!("{}\n  {}.\n", command.usage(), command.help);
    if command.names.len() > 1 {
        text += &format!("  Also: {}\n", command.names[1..].join(", "));
    }
    if !command.driver.is_empty() {
        text += &format!("  In the driver: {}\n", command.driver.join(", "));
    }
    let examples = EXAMPLES.iter().find(|(name, _)| *name == command.names[0]);
    for example in examples.into_iter().flat_map(|(_, examples)| *examples) {
        text += &format!("    {example}\n");
    }
    Ok(Output::Text(text))
}

fn help_all() -> String {
    let line = |command: &Command| match command.short_usage() {
        usage if usage.len() > 38 => format!("  {usage}\n  {:38} {}\n", "", command.help),
        usage => format!("  {usage:38} {}\n", command.help),
    };
    let mut text = String::new();
    for group in GROUPS {
        text += &format!("{}\n", group.title);
        text.extend(group.commands.iter().map(line));
    }
    text += "\
        A bare whole number as id is the number, or the text where only that one exists; in quotes\n\
        it is a text. A collection of another database is written database.collection. Documents and\n\
        filters are JSON, or as in {age: {$gt: 90}}. A command goes on in the next line until its\n\
        brackets are closed. A person is asked before all documents, or many, are changed. Statements\n\
        in SQL (SELECT, INSERT INTO, UPDATE … SET, DELETE FROM), JQL (FIND IN, AGGREGATE IN, CREATE\n\
        INDEX ON, EXPLAIN …) and Mongo's language (db.…) are typed as they are; over several lines a\n\
        semicolon ends them.\n\
        help <command> shows all flags of a command, and examples; jettra --help the options of the\n\
        program, and how it starts and measures clusters.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{commands, parse};
    use std::collections::HashSet;

    #[test]
    fn help_explains_every_command() {
        let all = help_all();
        for command in commands() {
            assert!(all.contains(&command.short_usage()), "{}", command.usage());
            assert!(all.contains(command.help), "{}", command.help);
        }
        assert!(all.lines().all(|line| line.len() <= 110), "{all}");
    }

    #[test]
    fn help_on_another_spelling_shows_the_command() {
        let Ok(Output::Text(text)) = help(Some("federated node-leader")) else {
            panic!("no help");
        };
        assert!(text.starts_with("cluster leader\n"), "{text}");
        assert!(text.contains("cluster_status"), "{text}");
        assert!(help(Some("nonsense")).is_err());
    }

    #[test]
    fn what_a_command_does_is_said_once() {
        let texts: HashSet<&str> = commands().map(|command| command.help).collect();
        assert_eq!(texts.len(), commands().count());
    }

    #[test]
    fn examples_are_statements_of_their_commands() {
        for (name, examples) in EXAMPLES {
            assert!(commands().any(|command| command.names[0] == *name), "{name}");
            for example in *examples {
                assert!(parse(example).is_ok(), "{example}: {:?}", parse(example));
                let of = lookup(example).map(|(command, _)| command.names[0]);
                assert!(*name == "sql" || of == Some(name), "{example}");
            }
        }
    }
}
