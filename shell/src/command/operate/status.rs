//! `status`: shows in a few figures and one word how the cluster is.

use super::{or, report, titled};
use crate::command::Argument::Valued;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::failure::{Failure, exit};
use crate::options;
use crate::print::{Format, Mode, Output, render, say};
use crate::session::{Session, StatementResult};
use crate::shell::complain;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ClusterHealth, ClusterOverview};
use std::time::Duration;
use tokio::time::sleep;

/// Time between two looks unless said otherwise.
const PAUSE: Duration = Duration::from_secs(2);
/// The states that may count as a failure.
const BAD: [(&str, ClusterHealth); 2] =
    [("degraded", ClusterHealth::Degraded), ("unhealthy", ClusterHealth::Unhealthy)];

pub(super) static COMMAND: Command = Command {
    names: &["status"],
    arguments: &[
        Valued("--watch", "seconds", Kind::Other("seconds")),
        Valued("--fail-on", "degraded|unhealthy", Kind::Word(&["degraded", "unhealthy"])),
    ],
    help: "Show how the cluster is; cluster status has Raft's figures",
    examples: &["status", "status --watch 5", "status --fail-on degraded"],
    driver: &["cluster_overview"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct Status {
    /// Look again after this time, until Ctrl-C.
    watch: Option<Duration>,
    /// The state from which on it is a failure.
    fail_on: Option<ClusterHealth>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut status = Status { watch: None, fail_on: None };
    words.flags(|flag, words| {
        let (flag, given) = match flag.split_once('=') {
            Some((flag, given)) => (flag, Some(given.to_owned())),
            None => (flag, None),
        };
        match flag {
            "--watch" => {
                let ends = words.rest().is_empty() || words.rest().starts_with("--");
                let time = match given {
                    None if ends => None,
                    None => words.optional()?,
                    given => given,
                };
                status.watch = Some(time.map_or(Ok(PAUSE), |text| pause(&text))?);
            }
            "--fail-on" => {
                let name = match given {
                    None => words.required("degraded or unhealthy after --fail-on")?,
                    Some(given) => given,
                };
                let known = BAD.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
                let wrong = || format!("{name:?} after --fail-on is not degraded or unhealthy");
                status.fail_on = Some(known.ok_or_else(wrong)?.1);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(status)
}

fn pause(text: &str) -> ParseResult<Duration> {
    options::duration(text).map_err(|hint| format!("{text:?} after --watch: {hint}"))
}

impl Action for Status {
    fn handles_interrupt(&self, _usually: bool) -> bool {
        self.watch.is_some()
    }

    async fn run(self, session: &mut Session) -> StatementResult {
        let Some(pause) = self.watch else {
            let seen = session.client.cluster_overview().await?;
            return Ok(self.with_code(&seen, output(&seen, session.format())));
        };
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Ok(Output::Nothing),
            ended = self.repeat(session, pause) => ended,
        }
    }
}

impl Status {
    /// Prints the state repeatedly. It ends with a state that counts as a failure; if one does, then a
    /// cluster that does not answer does too.
    async fn repeat(&self, session: &Session, pause: Duration) -> StatementResult {
        let mut format = session.format();
        if format.mode.is_json() {
            // One answer a line, for programs that read them as they come.
            format.mode = Mode::Ndjson;
        }
        loop {
            match session.client.cluster_overview().await {
                Ok(seen) => {
                    say(&render(&output(&seen, format), format));
                    if self.fails(&seen) {
                        return Ok(self.with_code(&seen, Output::Nothing));
                    }
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    let refused = failure.exit_code() == exit::AUTHENTICATION;
                    if refused || self.fail_on.is_some() {
                        return Err(failure);
                    }
                    complain(&failure, "");
                }
            }
            sleep(pause).await;
        }
    }

    fn fails(&self, seen: &ClusterOverview) -> bool {
        self.fail_on.is_some_and(|from| rank(seen.status) >= rank(from))
    }

    fn with_code(&self, seen: &ClusterOverview, shown: Output) -> Output {
        match self.fails(seen) {
            true => Output::WithCode { output: Box::new(shown), code: exit::STATEMENT },
            false => shown,
        }
    }
}

/// How bad a state is.
fn rank(health: ClusterHealth) -> u8 {
    match health {
        ClusterHealth::Healthy => 0,
        ClusterHealth::Degraded => 1,
        ClusterHealth::Unhealthy => 2,
    }
}

/// The cluster in this format.
pub(super) fn output(seen: &ClusterOverview, format: Format) -> Output {
    report(seen, format, || table(seen), || compact(seen))
}

/// The cluster's figures below a title.
pub(super) fn table(seen: &ClusterOverview) -> String {
    let mut fields = vec![
        ("Master Node", or(seen.master_node.as_deref(), "none")),
        ("Total Nodes", seen.total_nodes.to_string()),
        ("Active Nodes", seen.active_nodes.to_string()),
        ("Total Shards", seen.total_shards.to_string()),
        ("Status", seen.status.to_string()),
        ("Replication Factor", seen.replication_factor.to_string()),
    ];
    fields.extend(seen.reasons.iter().map(|reason| ("Reason", reason.clone())));
    titled("Cluster Status", &fields)
}

fn compact(seen: &ClusterOverview) -> String {
    format!(
        "{} | {} nodes | {} shards | master: {}",
        seen.status,
        seen.total_nodes,
        seen.total_shards,
        or(seen.master_node.as_deref(), "none")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    fn seen(status: ClusterHealth) -> ClusterOverview {
        ClusterOverview {
            master_node: Some("node-master-001".into()),
            total_nodes: 3,
            active_nodes: 3,
            total_shards: 12,
            status,
            replication_factor: 2,
            unavailable_nodes: Vec::new(),
            under_replicated_shards: Vec::new(),
            reasons: Vec::new(),
        }
    }

    #[test]
    fn it_is_repeated_and_a_failure_when_asked_for() {
        let status = |seconds: Option<u64>, fail_on| Status {
            watch: seconds.map(Duration::from_secs),
            fail_on,
        };
        for (text, expected) in [
            ("status", status(None, None)),
            ("status --watch", status(Some(2), None)),
            ("status --watch 5", status(Some(5), None)),
            ("status --watch --fail-on DEGRADED", status(Some(2), Some(ClusterHealth::Degraded))),
            (
                "status --fail-on=unhealthy --watch=1m",
                status(Some(60), Some(ClusterHealth::Unhealthy)),
            ),
        ] {
            assert_eq!(parsed::<Status>(text), expected, "{text}");
            let interrupts = parse(text).unwrap().handles_interrupt();
            assert_eq!(interrupts, expected.watch.is_some(), "{text}");
        }
        for text in ["status --fail-on bad", "status --fail-on", "status --watch soon", "status 5"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        let fails = |from, health| status(None, Some(from)).fails(&seen(health));
        assert!(fails(ClusterHealth::Degraded, ClusterHealth::Unhealthy));
        assert!(fails(ClusterHealth::Degraded, ClusterHealth::Degraded));
        assert!(!fails(ClusterHealth::Unhealthy, ClusterHealth::Degraded));
        assert!(!fails(ClusterHealth::Degraded, ClusterHealth::Healthy));
        assert!(!status(None, None).fails(&seen(ClusterHealth::Unhealthy)));
    }

    #[test]
    fn a_status_is_written_as_operators_know_it() {
        let seen = seen(ClusterHealth::Healthy);
        let expected = "Cluster Status\n==============\nMaster Node: node-master-001\n\
                        Total Nodes: 3\nActive Nodes: 3\nTotal Shards: 12\nStatus: HEALTHY\n\
                        Replication Factor: 2\n";
        assert_eq!(table(&seen), expected);
        assert_eq!(compact(&seen), "HEALTHY | 3 nodes | 12 shards | master: node-master-001");
        let reasons = vec!["n3 does not answer".to_owned()];
        let worse = ClusterOverview { master_node: None, reasons, ..seen };
        assert!(table(&worse).ends_with("2\nReason: n3 does not answer\n"));
        assert!(compact(&worse).ends_with("master: none"));
    }
}
