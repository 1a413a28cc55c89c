//! Which of several nodes without data creates their cluster (`BootstrapLowest`).
//!
//! The one with the lowest `NodeID` among those that answer it. A candidate asks its `Peers` for
//! their agreement, and creates the cluster when at least one agrees and none is a member. A node that
//! agrees keeps that on its disk, and creates no cluster from then on. So of two candidates of which one
//! has asked the other, one gives way: the other agrees, or has begun already and counts as a
//! member. A node that has agreed to several names them to each, and a candidate waits for the answers
//! of all that it hears of: one of them may have created a cluster.
//!
//! A peer that does not answer does not count. A candidate none of whose peers answers waits, and so does
//! a node that has agreed to a candidate that is gone: an operator starts that one again, or empties
//! the data directory of this one.

use super::identity::{failed, write_private};
use super::{Cluster, announce, bootstrap};
use crate::error::{Error, Kind, Result};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Path of the question for agreement.
pub const FOUND_PATH: &str = "/raft/rpc/found";
const INTERVAL: Duration = Duration::from_millis(300);
/// The candidates that this node has agreed to, in the data directory.
const AGREED_FILE: &str = "founding.json";
/// Candidates that a node agrees to: far more than a cluster has nodes.
const CANDIDATES_MAX: usize = 64;

/// A node that is asked, or asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub node_id: String,
    /// Identity of its process.
    pub boot: String,
    /// Where other nodes reach it.
    pub url: String,
    /// Whether it may create a cluster.
    pub may_found: bool,
}

/// The answer to the question for agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The node that answers.
    pub node: Candidate,
    /// Whether it belongs to a cluster, or is creating one.
    pub member: bool,
    /// The other candidates that it has agreed to.
    pub agreed: Vec<Candidate>,
}

/// What a candidate does next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// It creates the cluster; the nodes of these names have agreed to that.
    Found(BTreeSet<String>),
    /// It asks the member at this address for admission.
    Join(String),
    /// It waits for the reason given, after it has agreed to these candidates.
    Wait(String, Vec<Candidate>),
}

/// The part that this node has in the creation of its cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Part {
    /// Not known yet.
    #[default]
    Open,
    /// It creates the cluster.
    Founder,
    /// It joins the cluster, or belongs to it already.
    Member,
}

/// What this node has agreed to.
#[derive(Debug, Default)]
pub struct Founding {
    /// Whether it has begun to create a cluster.
    begun: bool,
    /// The candidates that it has agreed to, by their names.
    agreed: BTreeMap<String, Candidate>,
}

impl Founding {
    /// Reads what this node has agreed to before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(dir: &Path) -> Result<Founding> {
        let path = dir.join(AGREED_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Founding::default());
            }
            Err(error) => return Err(failed(format!("{}: {error}", path.display()))),
        };
        let agreed = serde_json::from_str(&text)
            .map_err(|error| failed(format!("{}: {error}", path.display())))?;
        Ok(Founding { begun: false, agreed })
    }

    /// Agrees to a candidate, on disk first.
    fn agree(&mut self, candidate: &Candidate, dir: &Path) -> Result<()> {
        let name = &candidate.node_id;
        if self.agreed.get(name) == Some(candidate) {
            return Ok(());
        }
        if self.agreed.len() >= CANDIDATES_MAX && !self.agreed.contains_key(name) {
            let message = format!("this node has agreed to {CANDIDATES_MAX} candidates already");
            return Err(Error::new(Kind::NotPossibleNow, message)
                .hint("give the nodes of one cluster the same Peers"));
        }
        let mut agreed = self.agreed.clone();
        agreed.insert(name.clone(), candidate.clone());
        let text = serde_json::to_string_pretty(&agreed).map_err(failed)?;
        write_private(&dir.join(AGREED_FILE), &text)?;
        self.agreed = agreed;
        Ok(())
    }

    /// Answers a candidate: this node, which may be a member, agrees if it is not to found itself.
    fn answer(
        &mut self,
        node: Candidate,
        member: bool,
        asking: &Candidate,
        dir: &Path,
    ) -> Result<Agreement> {
        let member = member || self.begun;
        let lower = by_name(&asking.node_id, &node.node_id).is_lt();
        if !member && asking.may_found && asking.boot != node.boot && (lower || !node.may_found) {
            self.agree(asking, dir)?;
        }
        let others = self.agreed.values().filter(|other| other.node_id != asking.node_id);
        Ok(Agreement { node, member, agreed: others.cloned().collect() })
    }

    /// Begins to create a cluster, unless this node has agreed to another candidate meanwhile than those
    /// that have `agreed` to this one.
    fn begin(&mut self, agreed: &BTreeSet<String>) -> bool {
        self.begun = self.agreed.keys().all(|name| agreed.contains(name));
        self.begun
    }
}

/// The order of names: numbers by their value, before all others. Pure.
fn by_name(a: &str, b: &str) -> Ordering {
    let number = |name: &str| name.parse::<u64>().ok();
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// What a candidate does next: `answers` by the addresses that it has asked, `named` the candidates that
/// it has heard of, itself not among them. Pure.
fn next(
    me: &Candidate,
    agreed: &BTreeMap<String, Candidate>,
    answers: &[(String, Agreement)],
    named: &[Candidate],
) -> Next {
    let others = || answers.iter().filter(|(_, answer)| answer.node.boot != me.boot);
    if let Some((url, _)) = others().find(|(_, answer)| answer.member) {
        return Next::Join(url.clone());
    }
    let wait = |reason: String| Next::Wait(reason, Vec::new());
    if let Some((url, _)) = others().find(|(_, answer)| answer.node.node_id == me.node_id) {
        return wait(format!("the node at {url} has the same NodeID, {:?}", me.node_id));
    }
    let lower: Vec<Candidate> = others()
        .map(|(_, answer)| &answer.node)
        .filter(|node| node.may_found && by_name(&node.node_id, &me.node_id).is_lt())
        .cloned()
        .collect();
    if let Some(first) = lower.iter().min_by(|a, b| by_name(&a.node_id, &b.node_id)) {
        let reason = format!("node {:?} creates the cluster", first.node_id);
        return Next::Wait(reason, lower);
    }
    // All of them have agreed, or create no cluster: the lower ones are dealt with.
    let heard: BTreeSet<String> = others().map(|(_, answer)| answer.node.node_id.clone()).collect();
    if let Some(name) = agreed.keys().find(|name| !heard.contains(*name)) {
        return wait(format!(
            "node {name:?} is to create the cluster and does not answer; start it, or stop this node \
             and empty its DataDir"
        ));
    }
    if let Some(silent) = named.iter().find(|node| !heard.contains(&node.node_id)) {
        let Candidate { node_id, url, .. } = silent;
        return wait(format!("node {node_id:?} at {url} may have created it, and does not answer"));
    }
    match heard.is_empty() {
        true => wait("none of Peers answers".into()),
        false => Next::Found(heard),
    }
}

impl Cluster {
    fn candidate(&self) -> Candidate {
        Candidate {
            node_id: self.node_id().to_owned(),
            boot: self.boot.clone(),
            url: self.config.peer_url(),
            may_found: self.config.bootstrap_lowest || bootstrap::makes_cluster(&self.config),
        }
    }

    /// The part of this node in the creation of its cluster, as it becomes known.
    pub fn part(&self) -> tokio::sync::watch::Receiver<Part> {
        self.part.subscribe()
    }

    /// Answers a candidate that asks for agreement.
    ///
    /// # Errors
    /// When the agreement cannot be kept.
    pub fn agree(&self, asking: &Candidate) -> Result<Agreement> {
        let mut founding = self.founding.lock();
        // A node that creates a cluster without asking counts as a member from the beginning.
        let member = self.identity().cluster_id.is_some() || bootstrap::makes_cluster(&self.config);
        founding.answer(self.candidate(), member, asking, &self.config.data_dir)
    }

    /// Agrees to candidates that have a lower name.
    fn give_way(&self, lower: &[Candidate]) -> Result<()> {
        let mut founding = self.founding.lock();
        lower.iter().try_for_each(|node| founding.agree(node, &self.config.data_dir))
    }
}

/// Creates the cluster, or asks its members for admission, whichever is due; ends when this node is a
/// member.
///
/// # Errors
/// Those of creating the cluster.
pub async fn run(cluster: Arc<Cluster>) -> Result<()> {
    let mut last = String::new();
    while cluster.groups.system().is_err() && !cluster.is_ending() {
        let reason = match round(&cluster).await {
            Ok(Next::Found(agreed)) if cluster.founding.lock().begin(&agreed) => {
                tracing::info!("this node creates the cluster");
                cluster.part.send_replace(Part::Founder);
                return bootstrap::found(&cluster).await;
            }
            Ok(Next::Found(_)) => String::new(),
            Ok(Next::Join(url)) => {
                cluster.part.send_replace(Part::Member);
                match announce::ask(&cluster, &url).await {
                    Ok(()) => String::new(),
                    Err(error) => format!("waiting for admission by {url}: {error}"),
                }
            }
            Ok(Next::Wait(reason, lower)) => match cluster.give_way(&lower) {
                Ok(()) if lower.is_empty() => reason,
                Ok(()) => {
                    cluster.part.send_replace(Part::Member);
                    reason
                }
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        if !reason.is_empty() && reason != last {
            tracing::info!("this node belongs to no cluster yet: {reason}");
            last = reason;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    Ok(())
}

/// Asks the peers once, and the candidates that they name.
async fn round(cluster: &Cluster) -> Result<Next> {
    let me = cluster.candidate();
    let agreed = cluster.founding.lock().agreed.clone();
    let known = agreed.values().map(|node| node.url.clone());
    let peers = cluster.config.peers.iter().cloned().chain(known);
    let mut answers = ask_all(cluster, peers.collect(), &me).await;
    let mut named: Vec<Candidate> =
        answers.iter().flat_map(|(_, answer)| answer.agreed.clone()).collect();
    named.retain(|node| node.boot != me.boot && node.node_id != me.node_id);
    let is_new =
        |node: &&Candidate| answers.iter().all(|(_, answer)| answer.node.node_id != node.node_id);
    let further: BTreeSet<String> =
        named.iter().filter(is_new).map(|node| node.url.clone()).collect();
    answers.extend(ask_all(cluster, further, &me).await);
    Ok(next(&me, &agreed, &answers, &named))
}

async fn ask_all(
    cluster: &Cluster,
    urls: BTreeSet<String>,
    me: &Candidate,
) -> Vec<(String, Agreement)> {
    let asking = urls.into_iter().map(|url| async move {
        match cluster.ask_signed(&url, "POST", FOUND_PATH, me).await {
            Ok(answer) => Some((url, answer)),
            Err(error) => {
                tracing::debug!(url, %error, "a peer does not answer");
                None
            }
        }
    });
    join_all(asking).await.into_iter().flatten().collect()
}

#[cfg(test)]
#[path = "founding_tests.rs"]
mod tests;
