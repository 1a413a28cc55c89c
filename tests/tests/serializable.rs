//! Transactions while nodes crash and links break: the total of a bank stays the same, and histories
//! are strictly serializable.

use jettra_tests::history::Outcome;
use jettra_tests::lists::Lists;
use jettra_tests::{
    Answer, Cluster, Crowd, Documents, Fault, Http, Links, OpenTransaction, Random, Settings,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const DATABASE: &str = "proof";
const ACCOUNTS: u64 = 8;
const MONEY: u64 = 100;
const CLIENTS: usize = 6;
/// Transactions that must succeed before, during and after each fault.
const PROGRESS: usize = 15;
/// Pause of a client after an error; not used for synchronisation.
const PAUSE: Duration = Duration::from_millis(20);

/// The faults, in this order.
const FAULTS: [Trouble; 4] = [
    Trouble::KillLeader,
    Trouble::IsolateLeader(Fault::Blackhole),
    Trouble::DeafenFollowers,
    Trouble::IsolateLeader(Fault::Cut),
];

#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// The leader is killed and restarted later.
    KillLeader,
    /// The leader is isolated in both directions.
    IsolateLeader(Fault),
    /// Messages from the leader do not arrive.
    DeafenFollowers,
}

async fn start(name: &str) -> (Cluster, Links, Vec<Http>) {
    let adjust =
        |settings: Settings| settings.key("RequestTimeoutMs", 1500).key("SnapshotEvery", 200);
    let (cluster, links) = Cluster::start_with_links(name, 3, adjust).await;
    cluster.client().create_collection(DATABASE, "docs").await.expect("a collection");
    let https = cluster.nodes.iter().map(|node| node.http()).collect();
    (cluster, links, https)
}

/// Injects all faults while the clients continue.
async fn inject_faults(cluster: &mut Cluster, links: &Links, crowd: &Crowd) {
    for trouble in FAULTS {
        crowd.wait_successes(PROGRESS).await;
        let leader = cluster.leader().await;
        let others = [(leader + 1) % 3, (leader + 2) % 3];
        match trouble {
            Trouble::KillLeader => cluster.nodes[leader].kill(),
            Trouble::IsolateLeader(fault) => links.isolate(leader, fault),
            Trouble::DeafenFollowers => {
                others.into_iter().for_each(|other| links.blackhole(leader, other));
            }
        }
        eprintln!("{trouble:?}: node {leader}");
        crowd.wait_successes(PROGRESS).await;
        links.heal();
        if !cluster.nodes[leader].is_started() {
            cluster.nodes[leader].start();
        }
        cluster.wait_active(3).await;
    }
    assert!(links.hits() > 0, "no broken link met anything");
    crowd.wait_successes(PROGRESS).await;
}

fn documents(http: &Http) -> Documents {
    Documents::new(http.clone(), DATABASE, "docs")
}

/// A successful response; anything else becomes a text.
fn success(answer: Result<Answer, String>) -> Result<Answer, String> {
    let answer = answer?;
    match answer.status {
        200..=299 => Ok(answer),
        status => Err(format!("{status} {}", answer.text)),
    }
}

/// A bank, with transfers between accounts and reads of the total.
struct Bank {
    https: Vec<Http>,
    transfers: AtomicUsize,
    totals: AtomicUsize,
}

impl Bank {
    /// Moves money between two accounts; returns whether it was committed.
    async fn transfer(&self, random: &mut Random) -> Result<bool, String> {
        let http = &self.https[random.below(3) as usize];
        let transaction = OpenTransaction::try_begin(http).await?;
        let moved = self.move_money(&transaction.see(&documents(http)), random).await;
        if !matches!(moved, Ok(true)) {
            transaction.abandon().await;
            return moved;
        }
        let committed = transaction.settle(&self.https).await == Outcome::Committed;
        self.transfers.fetch_add(usize::from(committed), Ordering::Relaxed);
        Ok(committed)
    }

    async fn move_money(&self, inside: &Documents, random: &mut Random) -> Result<bool, String> {
        let from = random.below(ACCOUNTS);
        let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + random.below(MONEY / 2);
        let mut money = Vec::new();
        for account in [from, to] {
            let answer = success(inside.try_get(&format!("documents/{account}")).await)?;
            money.push(answer.json()["money"].as_u64().expect("a balance"));
        }
        if money[0] < amount {
            return Ok(false);
        }
        for (account, money) in [(from, money[0] - amount), (to, money[1] + amount)] {
            let body = json!({"filter": {"_id": account}, "update": {"$set": {"money": money}}});
            success(inside.try_post("update", body).await)?;
        }
        Ok(true)
    }

    /// Reads all accounts, in a transaction or by one query, and checks the total.
    async fn audit(&self, random: &mut Random) -> Result<bool, String> {
        let http = &self.https[random.below(3) as usize];
        let documents = documents(http);
        let accounts = if random.below(3) == 0 {
            find_all(&documents).await?
        } else {
            let transaction = OpenTransaction::try_begin(http).await?;
            let inside = transaction.see(&documents);
            let found = match random.below(2) {
                0 => find_all(&inside).await,
                _ => get_all(&inside).await,
            };
            transaction.abandon().await;
            found?
        };
        let total: u64 = accounts.iter().map(|one| one["money"].as_u64().unwrap_or(0)).sum();
        assert_eq!(total, ACCOUNTS * MONEY, "money was made or lost: {accounts:?}");
        self.totals.fetch_add(1, Ordering::Relaxed);
        Ok(false)
    }
}

async fn find_all(documents: &Documents) -> Result<Vec<Value>, String> {
    let found = success(documents.try_post("find", json!({"limit": 1000})).await)?;
    Ok(found.json()["documents"].as_array().expect("documents").clone())
}

async fn get_all(documents: &Documents) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for account in 0..ACCOUNTS {
        all.push(success(documents.try_get(&format!("documents/{account}")).await)?.json());
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_keep_the_total_while_leaders_crash_and_links_break() {
    let (mut cluster, links, https) = start("serializable-bank").await;
    let accounts = (0..ACCOUNTS).map(|account| json!({"_id": account, "money": MONEY}));
    documents(&https[0]).insert_all(accounts).await;
    let bank = Bank { https, transfers: AtomicUsize::new(0), totals: AtomicUsize::new(0) };
    let bank = Arc::new(bank);
    let crowd = {
        let bank = bank.clone();
        Crowd::start(CLIENTS, move |client, turn| {
            let (bank, mut random) = (bank.clone(), Random((client << 32 | turn) as u64));
            async move {
                let done = match client % 3 {
                    2 => bank.audit(&mut random).await,
                    _ => bank.transfer(&mut random).await,
                };
                if done.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                done.unwrap_or(false)
            }
        })
    };
    inject_faults(&mut cluster, &links, &crowd).await;
    crowd.finish().await;
    let (transfers, totals) =
        (bank.transfers.load(Ordering::Relaxed), bank.totals.load(Ordering::Relaxed));
    assert!(transfers >= 9 * PROGRESS, "only {transfers} transfers");
    assert!(totals >= PROGRESS, "only {totals} totals were read");
    cluster.wait_caught_up().await;
    for node in &cluster.nodes {
        let copy = documents(&node.http()).with("level=local").find(json!({"limit": 1000})).await;
        let total: u64 = copy.iter().map(|one| one["money"].as_u64().expect("a balance")).sum();
        assert_eq!(total, ACCOUNTS * MONEY, "{}: {copy:?}", node.name);
    }
    cluster.wait_equal(DATABASE, "after the transfers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_strictly_serializable_while_leaders_crash_and_links_break() {
    let (mut cluster, links, https) = start("serializable-lists").await;
    let lists = Arc::new(Lists::new(DATABASE, "docs", https.clone()));
    let crowd = lists.start(CLIENTS);
    inject_faults(&mut cluster, &links, &crowd).await;
    crowd.finish().await;
    cluster.wait_caught_up().await;
    lists.check_all(&https).await;
    let history = lists.history();
    let committed = history.count(Outcome::Committed);
    eprintln!(
        "{committed} committed, {} aborted, {} unknown",
        history.count(Outcome::Aborted),
        history.count(Outcome::Unknown)
    );
    history.check();
    assert!(committed >= 9 * PROGRESS, "only {committed} transactions were committed");
    cluster.wait_equal(DATABASE, "after the history").await;
}
