//! The commands of operators, as JadeVectorDB's cluster program has them: the cluster at one glance, its
//! nodes, its shards. On the command line their output is a table in a pipe too, and flags of the program
//! may stand after them.

mod add_node;
mod check;
mod diagnostics;
mod doctor;
mod metrics;
mod migrate_shard;
mod node_health;
mod nodes;
mod remove_node;
mod shard_status;
mod shards;
mod status;
mod wait;

use super::Group;
use crate::print::{Format, Mode, Output};
use crate::words::{ParseResult, Words};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;

pub(super) static GROUP: Group = Group {
    title: "Operations",
    commands: &[
        &status::COMMAND,
        &check::COMMAND,
        &doctor::COMMAND,
        &wait::COMMAND,
        &diagnostics::COMMAND,
        &metrics::COMMAND,
        &nodes::COMMAND,
        &add_node::COMMAND,
        &remove_node::COMMAND,
        &node_health::COMMAND,
        &shards::COMMAND,
        &shard_status::COMMAND,
        &migrate_shard::COMMAND,
    ],
};

/// Whether a command line is one of these commands.
pub(crate) fn is_operation(words: &[String]) -> bool {
    let named = |first: &String| GROUP.commands.iter().any(|command| command.names[0] == first);
    words.first().is_some_and(named)
}

/// Takes flags with values; all but the last `optional` ones must be there.
fn named<const N: usize>(
    words: &mut Words<'_>,
    names: [&str; N],
    optional: usize,
) -> ParseResult<[String; N]> {
    let mut values: [Option<String>; N] = std::array::from_fn(|_| None);
    words.flags(|flag, words| {
        let (flag, given) = match flag.split_once('=') {
            Some((flag, given)) => (flag, Some(given.to_owned())),
            None => (flag, None),
        };
        let Some(place) = names.iter().position(|name| *name == flag) else { return Ok(false) };
        let missing = format!("the value after {flag}");
        values[place] = Some(given.map_or_else(|| words.required(&missing), Ok)?);
        Ok(true)
    })?;
    let lacking = names.iter().zip(&values).take(N - optional).find(|(_, value)| value.is_none());
    match lacking {
        Some((name, _)) => Err(format!("{name} is missing")),
        None => Ok(values.map(Option::unwrap_or_default)),
    }
}

/// An answer: JSON for programs; for people a form of its own, or in compact form one line for each thing.
fn report(
    answer: &impl Serialize,
    format: Format,
    table: impl FnOnce() -> String,
    compact: impl FnOnce() -> String,
) -> Output {
    let text = match format.mode {
        Mode::Compact => compact(),
        mode if mode.is_json() => String::new(),
        _ => table(),
    };
    Output::Report { text, answer: json!(answer) }
}

/// A title, underlined, and fields below it.
fn titled(title: &str, fields: &[(&str, String)]) -> String {
    let mut text = format!("{title}\n{}\n", "=".repeat(title.chars().count()));
    for (name, value) in fields {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

/// A number with commas between the thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that fits.
fn bytes(bytes: u64) -> String {
    let units = [(1_u32 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    match units.into_iter().find(|(size, _)| bytes >= u64::from(*size)) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / f64::from(size)),
        None => format!("{bytes} bytes"),
    }
}

/// A percentage, or that nobody knows it.
fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "unknown".to_owned(), |percent| format!("{percent:.1} %"))
}

/// A text, or what stands for none.
fn or(text: Option<&str>, none: &str) -> String {
    text.unwrap_or(none).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse;

    #[test]
    fn numbers_are_written_for_people() {
        let table = [(0, "0"), (999, "999"), (1000, "1,000"), (125_432, "125,432")];
        for (number, expected) in table {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(grouped(1_234_567_890), "1,234,567,890");
        assert_eq!((bytes(12).as_str(), bytes(3 << 19).as_str()), ("12 bytes", "1.5 MB"));
        assert_eq!((percent(Some(80.0)).as_str(), percent(None).as_str()), ("80.0 %", "unknown"));
    }

    #[test]
    fn flags_may_have_their_values_after_a_sign() {
        for text in [
            "migrate-shard --shard-id shard-00 --from-node a --to-node b --strategy LIVE_COPY",
            "migrate-shard --to-node=b --from-node=a --shard-id=shard-00",
            "add-node --node-id n --address 192.168.1.13:8080",
            "node-health --node-id n",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, expected) in [
            ("node-health", "--node-id is missing"),
            ("add-node --node-id n", "--address is missing"),
            ("remove-node --node n", "perhaps --node-id is meant"),
            ("shard-status --shard-id", "the value after --shard-id is missing"),
            ("migrate-shard --shard-id s --from-node a --to-node b --strategy FAST", "LIVE_COPY"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn operations_are_known_by_their_first_word() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(is_operation(&words("status --format json")) && is_operation(&words("shards")));
        assert!(!is_operation(&words("cluster status")) && !is_operation(&[]));
    }
}
