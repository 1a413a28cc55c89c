//! `help`: explains all commands, or one.

use crate::command::Argument::Optional;
use crate::command::{Action, Command, GROUPS, Kind, action};
use crate::lookup::{lookup, unknown};
use crate::print::Output;
use crate::session::{Session, StatementResult, refused};

pub(super) static COMMAND: Command = Command {
    names: &["help", ".help", "?"],
    arguments: &[Optional(Kind::Command)],
    help: "Explain all commands, or one",
    parse: |words| action(Help { command: words.take_rest() }),
    ..Command::READ
};

#[derive(Debug)]
struct Help {
    /// A name of the command; all commands when it is left out.
    command: Option<String>,
}

impl Action for Help {
    async fn run(self, _session: &mut Session) -> StatementResult {
        let Some(name) = self.command else {
            return Ok(Output::Text(all()));
        };
        match lookup(&name) {
            Some((command, _)) => Ok(Output::Text(one(command))),
            None => refused(unknown(&name)),
        }
    }
}

fn one(command: &Command) -> String {
    let mut text = format!("{}\n  {}.\n", command.usage(), command.help);
    if command.names.len() > 1 {
        text += &format!("  Also: {}\n", command.names[1..].join(", "));
    }
    if !command.driver.is_empty() {
        text += &format!("  In the driver: {}\n", command.driver.join(", "));
    }
    for example in command.examples {
        text += &format!("    {example}\n");
    }
    text
}

fn all() -> String {
    let line = |command: &&Command| match command.short_usage() {
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
        INDEX ON, EXPLAIN …) and MongoDB's language (db.…) are typed as they are; over several lines\n\
        a semicolon ends them.\n\
        help <command> shows all flags of a command, and examples; jettra --help the options of the\n\
        program, and how it starts and measures clusters.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::commands;

    #[test]
    fn help_explains_every_command() {
        let all = all();
        for command in commands() {
            assert!(all.contains(&command.short_usage()), "{}", command.usage());
            assert!(all.contains(command.help), "{}", command.help);
        }
        assert!(all.lines().all(|line| line.len() <= 110), "{all}");
    }

    #[test]
    fn help_on_another_spelling_shows_the_command() {
        let (command, _) = lookup("federated node-leader").unwrap();
        let text = one(command);
        assert!(text.starts_with("cluster leader\n"), "{text}");
        assert!(text.contains("cluster_status"), "{text}");
    }
}
