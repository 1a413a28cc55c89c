//! Checks of single reads, before any order of transactions is inferred.

use super::{Anomaly, History, Key, Number, Orders, Outcome, Step, Transaction};
use std::collections::{BTreeMap, BTreeSet};

/// The orders that the reads reveal, and the anomalies that need no search for cycles.
pub(super) fn observe(history: &History) -> (Orders, Vec<Anomaly>) {
    let (writers, mut anomalies) = writers(history);
    let mut orders = Orders { lists: BTreeMap::new(), committed: Vec::new(), writers };
    orders.committed = committed(history, &orders.writers);
    for (index, transaction) in history.0.iter().enumerate() {
        anomalies.extend(own_view(index, transaction));
        if !orders.committed[index] {
            continue;
        }
        for step in &transaction.steps {
            if let Step::Read(key, list) = step {
                anomalies.extend(foreign(history, &orders, index, *key, list));
                anomalies.extend(longest(&mut orders, index, *key, list));
            }
        }
    }
    anomalies.extend(lost(history, &orders));
    (orders, anomalies)
}

/// The transaction that appended each number. Nothing can be inferred from a number appended twice.
fn writers(history: &History) -> (BTreeMap<(Key, Number), usize>, Vec<Anomaly>) {
    let (mut writers, mut anomalies) = (BTreeMap::new(), Vec::new());
    for (index, transaction) in history.0.iter().enumerate() {
        for (key, number) in transaction.all_appends() {
            if let Some(other) = writers.insert((key, number), index) {
                let description =
                    format!("T{other} and T{index} both append {number} to list {key}");
                anomalies.push(Anomaly { name: "useless history", description });
            }
        }
    }
    (writers, anomalies)
}

/// Whether each transaction is known to be committed: by its client, or because a transaction known
/// to be committed has read its appends.
fn committed(history: &History, writers: &BTreeMap<(Key, Number), usize>) -> Vec<bool> {
    let says = |transaction: &Transaction| transaction.outcome == Outcome::Committed;
    let mut committed: Vec<_> = history.0.iter().map(says).collect();
    let mut new: Vec<_> = (0..committed.len()).filter(|index| committed[*index]).collect();
    while let Some(reader) = new.pop() {
        for (key, list) in history.0[reader].outer_reads() {
            for writer in list.iter().filter_map(|number| writers.get(&(key, *number))) {
                let unknown = history.0[*writer].outcome == Outcome::Unknown;
                if unknown && !std::mem::replace(&mut committed[*writer], true) {
                    new.push(*writer);
                }
            }
        }
    }
    committed
}

/// Checks that every read within a transaction shows the transaction's own earlier appends, and
/// otherwise the same state as the previous read of the list.
fn own_view(index: usize, transaction: &Transaction) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let mut seen: BTreeMap<Key, Vec<Number>> = BTreeMap::new();
    let mut own: BTreeMap<Key, Vec<Number>> = BTreeMap::new();
    for step in &transaction.steps {
        match step {
            Step::Append(key, number) => {
                own.entry(*key).or_default().push(*number);
                if let Some(list) = seen.get_mut(key) {
                    list.push(*number);
                }
            }
            Step::Read(key, list) => {
                let own = own.get(key).map_or(&[][..], Vec::as_slice);
                let expected = seen.get(key);
                if !list.ends_with(own) || expected.is_some_and(|expected| expected != list) {
                    let before = expected.map_or_else(String::new, |expected| {
                        format!(" where it had {expected:?} before")
                    });
                    let description = format!(
                        "T{index} has appended {own:?} to list {key} and reads {list:?}{before}"
                    );
                    anomalies.push(Anomaly { name: "internal", description });
                }
                seen.insert(*key, list.clone());
            }
        }
    }
    anomalies
}

/// Appends of other transactions that a read must not have seen.
fn foreign(
    history: &History,
    orders: &Orders,
    reader: usize,
    key: Key,
    list: &[Number],
) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let read = format!("T{reader} reads list {key} as {list:?}");
    let mut add = |name, description| anomalies.push(Anomaly { name, description });
    let mut before = BTreeSet::new();
    for number in list {
        if !before.insert(number) {
            add("duplicate append", format!("{read}, with {number} twice"));
        }
        match orders.writers.get(&(key, *number)) {
            None => add("invented", format!("{read}, and no transaction appends {number}")),
            Some(writer) if history.0[*writer].outcome == Outcome::Aborted => {
                add("G1a", format!("{read}, and T{writer}, which appends {number}, was aborted"));
            }
            Some(_) => {}
        }
    }
    let last = list.last().and_then(|number| Some((number, *orders.writers.get(&(key, *number))?)));
    if let Some((number, writer)) = last.filter(|(_, writer)| *writer != reader) {
        let end = history.0[writer].appends(key).last();
        if end != Some(*number) {
            let description =
                format!("{read}, an intermediate state of T{writer}, whose last append is {end:?}");
            add("G1b", description);
        }
    }
    anomalies
}

/// Adds a read to the order of its list: of two reads, one is a prefix of the other.
fn longest(orders: &mut Orders, reader: usize, key: Key, list: &[Number]) -> Option<Anomaly> {
    let longest = orders.lists.entry(key).or_default();
    let common = longest.len().min(list.len());
    if longest[..common] != list[..common] {
        let description = format!("T{reader} reads list {key} as {list:?}, another as {longest:?}");
        return Some(Anomaly { name: "incompatible order", description });
    }
    if list.len() > common {
        *longest = list.to_vec();
    }
    None
}

/// Acknowledged appends that no transaction begun later has seen.
fn lost(history: &History, orders: &Orders) -> Vec<Anomaly> {
    let mut last_read: BTreeMap<Key, (u64, usize)> = BTreeMap::new();
    let readers = history.0.iter().enumerate().filter(|(index, _)| orders.committed[*index]);
    for (index, transaction) in readers {
        for (key, _) in transaction.outer_reads() {
            let latest = last_read.entry(key).or_default();
            *latest = (*latest).max((transaction.began, index));
        }
    }
    let seen: BTreeSet<_> = orders
        .lists
        .iter()
        .flat_map(|(key, list)| list.iter().map(|number| (*key, *number)))
        .collect();
    let acknowledged = history.0.iter().enumerate();
    let acknowledged = acknowledged.filter(|(_, one)| one.outcome == Outcome::Committed);
    let appends = acknowledged.flat_map(|(index, one)| {
        one.all_appends().map(move |(key, number)| (index, one.ended, key, number))
    });
    appends
        .filter(|(_, _, key, number)| !seen.contains(&(*key, *number)))
        .filter_map(|(writer, ended, key, number)| {
            let (_, reader) = *last_read.get(&key).filter(|(began, _)| *began > ended)?;
            let description = format!(
                "T{writer} appended {number} to list {key}, and T{reader}, which began after \
                 that was acknowledged, does not see it, and no other transaction does"
            );
            Some(Anomaly { name: "lost append", description })
        })
        .collect()
}
