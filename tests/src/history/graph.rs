//! The graph of dependencies between transactions, and cycles in it.

use super::{Anomaly, History, Key, Number, Orders, Outcome};
use petgraph::algo::{astar, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};
use std::collections::{BTreeMap, BTreeSet};

/// Why one transaction precedes another; the strongest reason first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// The other's append follows its own in the list.
    WriteWrite(Key, Number, Number),
    /// The other has read its append.
    WriteRead(Key, Number),
    /// It has read the list without the other's append.
    ReadWrite(Key, Number),
    /// It ended before the other began.
    RealTime,
}

/// The reasons that a kind of cycle may contain.
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
        Some(Anomaly { name, description: describe(&path) })
    })
}

fn is_read_write(reason: &Reason) -> bool {
    matches!(reason, Reason::ReadWrite(..))
}

/// A cycle: each transaction with the reason why it precedes the next.
type Path = Vec<(usize, Reason)>;

/// The shortest cycle of allowed edges whose first edge satisfies `first` and whose other edges
/// satisfy `further`.
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
        path.extend(self::path(graph, further, edge.target(), edge.source())?);
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

/// The shortest path from one transaction to another; the last step leads to the goal.
fn path(
    graph: &Graph,
    allowed: impl Fn(&Reason) -> bool + Copy,
    start: NodeIndex,
    goal: NodeIndex,
) -> Option<Path> {
    let filtered = EdgeFiltered::from_fn(graph, |edge| allowed(edge.weight()));
    let (_, nodes) = astar(&filtered, start, |node| node == goal, |_| 1, |_| 0)?;
    let steps = nodes.windows(2).map(|pair| {
        let between = graph.edges_connecting(pair[0], pair[1]).map(|edge| *edge.weight());
        let reason = between.filter(|reason| allowed(reason)).min();
        (graph[pair[0]], reason.expect("the path consists of edges"))
    });
    Some(steps.collect())
}

/// Describes a cycle.
fn describe(path: &Path) -> String {
    let next = path.iter().cycle().skip(1).map(|(transaction, _)| transaction);
    let steps = path.iter().zip(next).map(|((one, reason), other)| match reason {
        Reason::WriteWrite(key, mine, theirs) => {
            format!("T{other} appended {theirs} to list {key} after T{one}'s {mine}")
        }
        Reason::WriteRead(key, number) => {
            format!("T{other} saw {number} of T{one} in list {key}")
        }
        Reason::ReadWrite(key, number) => {
            format!("T{one} did not see {number} of T{other} in list {key}")
        }
        Reason::RealTime => format!("T{one} ended before T{other} began"),
    });
    let steps: Vec<_> = steps.collect();
    format!("a cycle: {}", steps.join("; "))
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
    // The appends that may follow the first `length` numbers of a list, with their transactions.
    let next = |key: Key, length: usize| {
        let list = orders.lists.get(&key).map_or(&[][..], Vec::as_slice);
        let unseen = unseen.get(&key).map_or(&[][..], Vec::as_slice);
        let numbers = list.get(length).map_or(unseen, std::slice::from_ref);
        numbers.iter().filter_map(move |number| Some((writer(key, *number)?, *number)))
    };
    for (key, list) in &orders.lists {
        for (position, number) in list.iter().enumerate() {
            let Some(one) = writer(*key, *number) else { continue };
            for (other, following) in next(*key, position + 1) {
                edge(one, other, Reason::WriteWrite(*key, *number, following));
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

/// Appends of committed transactions that no read has seen: they follow all that were seen, since
/// each read sees a prefix of the list.
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

/// Pairs of transactions the first of which ended before the second began, without those that
/// follow from other pairs. One of unknown outcome may take effect at any later time, so it has no
/// end.
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
    // Those that have ended, without those that ended before another of them began.
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
