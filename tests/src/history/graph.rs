//! Who must come before whom, and whether that goes round in a circle.

use super::{Anomaly, History, Key, Number, Orders, Outcome};
use petgraph::algo::{astar, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};
use std::collections::{BTreeMap, BTreeSet};

/// Why one transaction comes before another; the surest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It wrote what the other wrote over: the other's append stands behind its own.
    WriteWrite(Key, Number, Number),
    /// It wrote what the other has read.
    WriteRead(Key, Number),
    /// It has read what the other wrote over: it did not see the other's append.
    ReadWrite(Key, Number),
    /// It had ended when the other began.
    RealTime,
}

/// Which reasons a kind of cycle may have.
type Allowed = fn(&Reason) -> bool;

/// Kinds of cycles, the worst first. `G-single` is a cycle with one read-write edge, found among
/// those of `G2`.
const KINDS: [(&str, Allowed); 6] = [
    ("G0", |reason| matches!(reason, Reason::WriteWrite(..))),
    ("G1c", |reason| matches!(reason, Reason::WriteWrite(..) | Reason::WriteRead(..))),
    ("G2", |reason| *reason != Reason::RealTime),
    ("G0-realtime", |reason| matches!(reason, Reason::WriteWrite(..) | Reason::RealTime)),
    ("G1c-realtime", |reason| !matches!(reason, Reason::ReadWrite(..))),
    ("G2-realtime", |_| true),
];

type Graph = DiGraph<usize, Reason>;

/// The shortest cycle of the worst kind, if there is one.
pub(super) fn cycle(history: &History, orders: &Orders) -> Option<Anomaly> {
    let graph = build(history, orders);
    KINDS.iter().find_map(|(name, allowed)| {
        let straight = |reason: &Reason| allowed(reason) && !is_read_write(reason);
        let single = shortest(&graph, allowed, is_read_write, straight);
        let path = single.or_else(|| shortest(&graph, allowed, |_| true, allowed))?;
        let turns = path.iter().filter(|(_, reason)| is_read_write(reason)).count();
        let name = match (*name, turns) {
            ("G2", 1) => "G-single",
            ("G2-realtime", 1) => "G-single-realtime",
            (name, _) => name,
        };
        Some(Anomaly { name, story: tell(&path) })
    })
}

fn is_read_write(reason: &Reason) -> bool {
    matches!(reason, Reason::ReadWrite(..))
}

/// A way round: each transaction with the reason why it comes before the next.
type Path = Vec<(usize, Reason)>;

/// The shortest cycle along allowed edges that begins with such an edge and goes on so.
fn shortest(
    graph: &Graph,
    allowed: impl Fn(&Reason) -> bool,
    first: impl Fn(&Reason) -> bool,
    further: impl Fn(&Reason) -> bool + Copy,
) -> Option<Path> {
    let components = components(graph, &allowed);
    let edges = graph.edge_references();
    let edges = edges.filter(|edge| allowed(edge.weight()) && first(edge.weight()));
    let edges =
        edges.filter(|edge| components[edge.source().index()] == components[edge.target().index()]);
    let paths = edges.filter_map(|edge| {
        let mut path = vec![(graph[edge.source()], *edge.weight())];
        path.extend(way(graph, further, edge.target(), edge.source())?);
        Some(path)
    });
    paths.min_by_key(Vec::len)
}

/// The strongly connected component of each transaction.
fn components(graph: &Graph, allowed: impl Fn(&Reason) -> bool) -> Vec<usize> {
    let filtered = EdgeFiltered::from_fn(graph, |edge| allowed(edge.weight()));
    let mut components = vec![0; graph.node_count()];
    for (number, members) in tarjan_scc(&filtered).into_iter().enumerate() {
        for member in members {
            components[member.index()] = number;
        }
    }
    components
}

/// The shortest way from one transaction to another; the last step leads to the goal.
fn way(
    graph: &Graph,
    allowed: impl Fn(&Reason) -> bool + Copy,
    start: NodeIndex,
    goal: NodeIndex,
) -> Option<Path> {
    let filtered = EdgeFiltered::from_fn(graph, |edge| allowed(edge.weight()));
    let (_, places) = astar(&filtered, start, |place| place == goal, |_| 1, |_| 0)?;
    let steps = places.windows(2).map(|pair| {
        let between = graph.edges_connecting(pair[0], pair[1]).map(|edge| *edge.weight());
        let reason = between.filter(|reason| allowed(reason)).min();
        (graph[pair[0]], reason.expect("the way goes along edges"))
    });
    Some(steps.collect())
}

/// A cycle in words.
fn tell(path: &Path) -> String {
    let next = path.iter().cycle().skip(1).map(|(transaction, _)| transaction);
    let steps = path.iter().zip(next).map(|((one, reason), other)| match reason {
        Reason::WriteWrite(key, mine, theirs) => {
            format!("T{other} appended {theirs} to list {key} behind T{one}'s {mine}")
        }
        Reason::WriteRead(key, number) => {
            format!("T{other} saw {number} of T{one} in list {key}")
        }
        Reason::ReadWrite(key, number) => {
            format!("T{one} did not see {number} of T{other} in list {key}")
        }
        Reason::RealTime => format!("T{one} had ended when T{other} began"),
    });
    let steps: Vec<_> = steps.collect();
    format!("{}, a circle", steps.join("; "))
}

fn build(history: &History, orders: &Orders) -> Graph {
    let mut graph = Graph::new();
    let nodes: Vec<_> = (0..history.0.len()).map(|index| graph.add_node(index)).collect();
    let mut edge = |from: usize, to: usize, reason: Reason| {
        if from != to && orders.committed[from] && orders.committed[to] {
            graph.add_edge(nodes[from], nodes[to], reason);
        }
    };
    let unseen = unseen(history, orders);
    let writer = |key: Key, number: Number| orders.writers.get(&(key, number)).copied();
    // Who appended what stands next behind so many numbers of a list.
    let next = |key: Key, length: usize| {
        let list = orders.lists.get(&key).map_or(&[][..], Vec::as_slice);
        let unseen = unseen.get(&key).map_or(&[][..], Vec::as_slice);
        let numbers = list.get(length).map_or(unseen, std::slice::from_ref);
        numbers.iter().filter_map(move |number| Some((writer(key, *number)?, *number)))
    };
    for (key, list) in &orders.lists {
        for (place, number) in list.iter().enumerate() {
            let Some(one) = writer(*key, *number) else { continue };
            for (other, behind) in next(*key, place + 1) {
                edge(one, other, Reason::WriteWrite(*key, *number, behind));
            }
        }
    }
    for (reader, transaction) in history.0.iter().enumerate() {
        for (key, list) in transaction.outer_reads() {
            if let Some((one, last)) =
                list.last().and_then(|last| Some((writer(key, *last)?, *last)))
            {
                edge(one, reader, Reason::WriteRead(key, last));
            }
            for (other, number) in next(key, list.len()) {
                edge(reader, other, Reason::ReadWrite(key, number));
            }
        }
    }
    for (one, other) in real_time(history, orders) {
        edge(one, other, Reason::RealTime);
    }
    graph
}

/// What committed transactions have appended and no read has shown: it stands behind all that
/// was shown, since each read shows the beginning of the list.
fn unseen(history: &History, orders: &Orders) -> BTreeMap<Key, Vec<Number>> {
    let seen = orders.lists.iter();
    let seen: BTreeSet<_> =
        seen.flat_map(|(key, list)| list.iter().map(|number| (*key, *number))).collect();
    let committed = history.0.iter().enumerate().filter(|(index, _)| orders.committed[*index]);
    let mut unseen: BTreeMap<Key, Vec<Number>> = BTreeMap::new();
    for (key, number) in committed.flat_map(|(_, transaction)| transaction.all_appends()) {
        if !seen.contains(&(key, number)) {
            unseen.entry(key).or_default().push(number);
        }
    }
    unseen
}

/// Who had ended when another began, without what follows from other pairs. One of unknown
/// outcome may take effect at any later time, so it has no end.
fn real_time(history: &History, orders: &Orders) -> Vec<(usize, usize)> {
    let committed = (0..history.0.len()).filter(|index| orders.committed[*index]);
    let mut events: Vec<_> = committed
        .flat_map(|index| {
            let transaction = &history.0[index];
            let end = (transaction.outcome == Outcome::Committed).then_some(transaction.ended);
            [Some((transaction.began, true, index)), end.map(|end| (end, false, index))]
        })
        .flatten()
        .collect();
    events.sort_unstable();
    // Those that have ended, less those whom another of them has seen ended.
    let mut latest: Vec<usize> = Vec::new();
    let mut before: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (_, begins, index) in events {
        if begins {
            pairs.extend(latest.iter().map(|one| (*one, index)));
            before.insert(index, latest.clone());
        } else {
            latest.retain(|one| !before[&index].contains(one));
            latest.push(index);
        }
    }
    pairs
}
