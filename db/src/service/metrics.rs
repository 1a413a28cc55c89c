//! What a node counts of its calls, and what it measures of itself when somebody asks, as Prometheus
//! reads it.
//!
//! The crate `prometheus` and not `prometheus-client`: the latter writes OpenMetrics only, whose counters
//! `promtool check metrics` takes for samples without a description.

use super::bounds::pooled;
use super::{Response, Service, Session};
use crate::auth::Permission;
use crate::cluster::health::Health;
use crate::error::{Error, Kind, Result};
use crate::raft::{Group, RaftId};
use crate::storage::free_disk_bytes;
use prometheus::{
    Counter, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use serde_json::Value;
use std::time::Duration;

/// Longest time for a majority to answer.
const QUORUM_MAX: Duration = Duration::from_secs(1);
/// Upper bounds of the times of calls, in seconds.
const SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The calls that a node has answered. What it takes is bounded by the number of routes.
pub struct CallMetrics {
    registry: Registry,
    calls: IntCounterVec,
    seconds: HistogramVec,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the metrics cannot be made: {error}"))
}

impl CallMetrics {
    /// No calls yet.
    ///
    /// # Errors
    /// When a name cannot be used.
    pub fn new() -> Result<CallMetrics> {
        let registry = Registry::new();
        let calls = Opts::new("jettra_http_requests_total", "Calls answered, by route and status.");
        let calls = IntCounterVec::new(calls, &["method", "route", "status"]).map_err(failed)?;
        let seconds = HistogramOpts::new(
            "jettra_http_request_duration_seconds",
            "Time from the head of a call to its answer, by route; without change feeds.",
        );
        let seconds = seconds.buckets(SECONDS.to_vec());
        let seconds = HistogramVec::new(seconds, &["method", "route"]).map_err(failed)?;
        registry.register(Box::new(calls.clone())).map_err(failed)?;
        registry.register(Box::new(seconds.clone())).map_err(failed)?;
        Ok(CallMetrics { registry, calls, seconds })
    }

    /// Counts a call; `time` is none for one that goes on as long as somebody reads its answer.
    pub fn note(&self, method: &str, route: &str, status: u16, time: Option<Duration>) {
        let mut digits = [0; 3];
        self.calls.with_label_values(&[method, route, text_of(status, &mut digits)]).inc();
        if let Some(time) = time {
            self.seconds.with_label_values(&[method, route]).observe(time.as_secs_f64());
        }
    }
}

/// A status as text, without taking memory for it.
fn text_of(status: u16, digits: &mut [u8; 3]) -> &str {
    *digits = [status / 100, status / 10, status].map(|part| b'0' + (part % 10) as u8);
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Everything that this node counts and measures, in the text format of Prometheus.
///
/// # Errors
/// `not_authenticated`; when the state cannot be read.
pub async fn text(session: &Session) -> Result<Response<Vec<u8>>> {
    session.require(Permission::Login)?;
    let service = session.service().clone();
    // Reads files of the system, and the environments of all groups.
    pooled(move || {
        let mut families = service.calls.registry.gather();
        let measured = Registry::new();
        measure(&service, &measured)?;
        families.extend(measured.gather());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).map_err(failed)?;
        Ok(Response::new(text))
    })
    .await
}

/// The consensus of the system group on this node, in the words of rockraft.
#[derive(Debug)]
pub struct RaftState {
    /// Whether this node serves calls, and what it knows of the leader.
    pub health: Health,
    /// The name of the leader.
    pub leader: Option<String>,
    /// The last entry that is applied.
    pub last_applied: Value,
    /// Log index of the last entry.
    pub last_log_index: u64,
    /// The members that Raft knows.
    pub membership: Value,
}

/// The state of the consensus on this node.
///
/// # Errors
/// `not_authenticated`, `not_registered`.
pub fn raft_state(session: &Session) -> Result<Response<RaftState>> {
    session.require(Permission::Login)?;
    let (cluster, group) = (&session.service().cluster, session.system()?);
    let (last_applied, membership) = group.describe()?;
    let health = cluster.health();
    let leader = health.leader.and_then(|id| cluster.nodes.by_raft_id(id)).map(|node| node.id);
    let last_log_index = group.status().last_log;
    Ok(Response::new(RaftState { health, leader, last_applied, last_log_index, membership }))
}

/// One thing that a node needs to serve calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Why it is missing; none when it is there.
    pub reason: Option<String>,
    /// Whether the node is not ready without it.
    pub needed: bool,
}

/// Whether this node serves calls: it belongs to a cluster, a majority answers unless `local` leaves that
/// out, and which of its groups have a leader.
pub async fn ready(service: &Service, local: bool) -> Vec<Check> {
    let cluster = &service.cluster;
    let needed = |name: &str, reason| Check { name: name.into(), reason, needed: true };
    let mut checks = vec![needed("serving", cluster.health().reason)];
    let Ok(system) = cluster.groups.system() else { return checks };
    if !local {
        let answered = tokio::time::timeout(QUORUM_MAX, system.wait_linearizable()).await;
        let reason = match answered {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some(format!("no majority has answered within {QUORUM_MAX:?}")),
        };
        checks.push(needed("quorum", reason));
    }
    let free = free_disk_bytes(&service.config().data_dir);
    let full = free < service.config().disk_reserve_mb << 20;
    let reason =
        full.then(|| "the disk is nearly full: writes are refused, reads go on".to_owned());
    checks.push(Check { name: "disk".into(), reason, needed: false });
    for group in cluster.groups.all() {
        let status = group.status();
        let reason = status.failure.clone().or_else(|| {
            status.leader.is_none().then(|| "it has no leader at the moment".to_owned())
        });
        checks.push(Check { name: format!("group {}", group.number()), reason, needed: false });
    }
    checks
}

/// Adds what is so at this moment.
fn measure(service: &Service, registry: &Registry) -> Result<()> {
    let cluster = &service.cluster;
    let gauges = Gauges(registry);
    let info =
        gauges.of("jettra_info", "The program of this node; always 1.", &["version", "node"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), cluster.node_id()]).set(1.0);
    let up = gauges.of("jettra_ready", "Whether this node serves calls.", &[])?;
    up.with_label_values::<&str>(&[]).set(truth(cluster.health().reason.is_none()));
    let config = service.config();
    gauges.single(
        "jettra_transactions_open",
        "Open transactions on this node.",
        service.transactions.count(),
    )?;
    let queries = config.queries_max.saturating_sub(service.queries.available_permits());
    gauges.single("jettra_queries_running", "Longer queries that run on this node.", queries)?;
    let feeds = config.feeds_max.saturating_sub(service.feeds.available_permits());
    gauges.single("jettra_feeds_open", "Change feeds that this node serves.", feeds)?;
    gauges.single(
        "jettra_calls_running",
        "Calls of users that are carried out.",
        service.running.count(),
    )?;
    gauges.single(
        "jettra_body_memory_used_bytes",
        "Memory that bodies of calls and waiting writes take, of BodyMemoryMb.",
        (config.body_memory_mb << 20).saturating_sub(cluster.memory.left()),
    )?;
    host(service, &gauges)?;
    members(service, &gauges)?;
    groups(service, &gauges)
}

/// What the process and its machine use; counters since the start of either.
fn host(service: &Service, gauges: &Gauges<'_>) -> Result<()> {
    let used = service.cluster.host.read()?;
    let counter = |name: &str, help: &str, time: Duration| {
        let counter = Counter::new(name, help).map_err(failed)?;
        counter.inc_by(time.as_secs_f64());
        gauges.0.register(Box::new(counter)).map_err(failed)
    };
    counter("process_cpu_seconds_total", "Processor time of this process.", used.cpu.process)?;
    counter(
        "jettra_host_cpu_busy_seconds_total",
        "Processor time of all programs of the machine.",
        used.cpu.machine_busy,
    )?;
    counter(
        "jettra_host_cpu_seconds_total",
        "Time of all processors of the machine.",
        used.cpu.machine_all,
    )?;
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory of this process in RAM.", used.resident_bytes),
        ("process_open_fds", "Files and connections that this process has open.", used.open_files),
        ("jettra_host_memory_bytes", "Memory of the machine.", used.memory_bytes),
        (
            "jettra_host_memory_available_bytes",
            "Memory of the machine that is available.",
            used.memory_available_bytes,
        ),
        ("jettra_disk_bytes", "Size of the disk of the data directory.", used.disk_bytes),
        ("jettra_disk_free_bytes", "Free space on that disk.", used.disk_free_bytes),
        ("jettra_data_directory_bytes", "Space that the data directory takes.", used.data_bytes),
        ("jettra_uptime_seconds", "Time since this node started.", used.uptime_ms / 1000),
    ] {
        gauges.single(name, help, value as usize)?;
    }
    Ok(())
}

/// What this node sees of the members, as the leader sees more.
fn members(service: &Service, gauges: &Gauges<'_>) -> Result<()> {
    let nodes = service.cluster.report_nodes();
    let state = gauges.of(
        "jettra_member_state",
        "The state of a member; 1 for the one that it is in.",
        &["node", "state"],
    )?;
    let silent = gauges.of(
        "jettra_member_silent_seconds",
        "Time since a member answered the leader; on the leader only.",
        &["node"],
    )?;
    for node in &nodes {
        state.with_label_values(&[node.id.as_str(), &node.status.to_string()]).set(1.0);
        if let Some(ms) = node.last_seen_ms {
            silent.with_label_values(&[node.id.as_str()]).set(ms as f64 / 1000.0);
        }
    }
    Ok(())
}

/// What this node knows of the groups of which it holds a replica.
fn groups(service: &Service, gauges: &Gauges<'_>) -> Result<()> {
    let of = |name, help| gauges.of(name, help, &["group"]);
    let term = of("jettra_raft_term", "The term of the replica on this node.")?;
    let leads = of("jettra_raft_is_leader", "Whether this node leads the group.")?;
    let led = of("jettra_raft_has_leader", "Whether this node knows a leader of the group.")?;
    let last = of("jettra_raft_last_log_index", "Log index of the last entry on this node.")?;
    let first =
        of("jettra_raft_first_log_index", "Log index of the first entry that this node keeps.")?;
    let applied = of(
        "jettra_raft_applied_index",
        "Log index up to which readers on this node see the state.",
    )?;
    let voters = of("jettra_raft_voters", "Voters of the group.")?;
    let waiting =
        of("jettra_raft_proposals_waiting", "Writes that wait for their log entry on this node.")?;
    let failed = of("jettra_raft_failed", "Whether the replica on this node has stopped working.")?;
    let used =
        of("jettra_storage_used_bytes", "Bytes that the state of the group takes on this node.")?;
    let map =
        of("jettra_storage_map_bytes", "Bytes that the state of the group may take on this node.")?;
    let reader = of(
        "jettra_storage_oldest_reader_seconds",
        "How long the oldest reader keeps pages of the state from being used again.",
    )?;
    let lag = gauges.of(
        "jettra_raft_lag_entries",
        "Log entries that a replica lacks; on the leader only.",
        &["group", "node"],
    )?;
    for group in service.cluster.groups.all() {
        let number = group.number().to_string();
        let status = group.status();
        let set =
            |gauge: &GaugeVec, value: f64| gauge.with_label_values(&[number.as_str()]).set(value);
        set(&term, status.term as f64);
        set(&leads, truth(status.is_leader()));
        set(&led, truth(status.leader.is_some()));
        set(&last, status.last_log as f64);
        set(&first, status.first_log as f64);
        set(&applied, group.visible_index() as f64);
        set(&voters, status.voters().len() as f64);
        set(&waiting, group.waiting() as f64);
        set(&failed, truth(status.failure.is_some()));
        let store = group.generations().current();
        set(&used, store.used_bytes() as f64);
        set(&map, store.map_bytes() as f64);
        set(&reader, store.oldest_reader().map_or(0.0, |(_, age)| age.as_secs_f64()));
        for (member, at) in &status.matched {
            let node = name_of(service, &group, *member);
            let behind = status.last_log.saturating_sub(*at);
            lag.with_label_values(&[number.as_str(), &node]).set(behind as f64);
        }
    }
    Ok(())
}

/// The name of the node that holds a member of a group.
fn name_of(service: &Service, group: &Group, member: RaftId) -> String {
    let url = group.url(member).unwrap_or_default();
    service.cluster.nodes.at_peer_url(&url).map_or(url, |node| node.id)
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

/// Where gauges are made.
struct Gauges<'r>(&'r Registry);

impl Gauges<'_> {
    fn of(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels).map_err(failed)?;
        self.0.register(Box::new(gauge.clone())).map_err(failed)?;
        Ok(gauge)
    }

    /// One without labels.
    fn single(&self, name: &str, help: &str, value: usize) -> Result<()> {
        self.of(name, help, &[])?.with_label_values::<&str>(&[]).set(value as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_digits() {
        let mut digits = [0; 3];
        for status in [100, 200, 204, 404, 507] {
            assert_eq!(text_of(status, &mut digits), status.to_string());
        }
    }

    #[test]
    fn what_calls_take_is_bounded_by_the_routes() {
        let metrics = CallMetrics::new().unwrap();
        for _ in 0..1000 {
            metrics.note("GET", "/a", 200, Some(Duration::from_millis(3)));
            metrics.note("GET", "/feed", 200, None);
        }
        let families = metrics.registry.gather();
        let counted: usize = families.iter().map(|family| family.get_metric().len()).sum();
        assert_eq!(counted, 3, "two counters and a histogram");
    }
}
