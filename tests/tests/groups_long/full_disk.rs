//! A disk that is full in the middle of a move.

use crate::{PATIENCE, text};
use jettra_driver::wire::{Migration, NewGroup, ShardInfo};
use jettra_tests::disk::SmallDisk;
use jettra_tests::groups::{name, shard};
use jettra_tests::load::{DATABASE, INSERTS, Load, tokens};
use jettra_tests::{Cluster, Role, Settings, long, wait_until, wait_within};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const GROUP: u64 = 3;
/// The node with the small disk.
const SMALL: usize = 3;
/// The node whose replica moves there.
const SOURCE: usize = 2;
const DISK_MB: u64 = 640;
const RESERVE_MB: u64 = 64;
/// Documents of one MB.
const STATE_MB: usize = 160;
/// Of a copy that arrives, as much as shows that it is under way.
const PART_MB: u64 = 8;
/// Writes that must succeed at each stage.
const PROGRESS: usize = 50;

fn adjust(settings: Settings) -> Settings {
    let settings = settings.key("AutoRebalance", false).key("DiskReserveMb", RESERVE_MB);
    // A replica that comes needs a copy of the state, because the first entries are gone.
    settings.key("SnapshotEvery", 50).key("SnapshotLogMb", 4).key("LogChunkMb", 1)
}

/// A cluster with a group on all nodes but the one with the small disk.
struct Moving {
    cluster: Cluster,
    disk: SmallDisk,
    /// What is free on it without a replica of the group.
    free_mb: u64,
    load: Load,
}

impl Moving {
    async fn create() -> Moving {
        let mut cluster = Cluster::start_with("groups-full-disk", SMALL, adjust).await;
        let mut node = cluster.bed.node(&name(SMALL), adjust(Settings::new(Role::Waiting)));
        let disk = SmallDisk::mount(&node.data_dir(), DISK_MB);
        node.spawn(disk.inside(&node.command()));
        cluster.nodes.push(node);
        cluster.wait_health(SMALL, "waiting").await;
        cluster.register(SMALL).await;
        cluster.wait_active(SMALL + 1).await;
        let free_mb = disk.free_mb();
        let client = cluster.client_among(&[0, 1, 2]);
        let members = Some((0..SMALL).map(name).collect());
        let group = NewGroup { id: GROUP, members, ..NewGroup::default() };
        client.create_group(&group, true).await.expect("a group");
        client.create_database_in(DATABASE, GROUP).await.expect("a database");
        client.create_collection(DATABASE, INSERTS).await.expect("a collection");
        let large = client.collection::<Value>(DATABASE, "large");
        for number in 0..STATE_MB {
            let document = json!({"_id": number, "text": "x".repeat(1 << 20)});
            large.insert(&document).await.expect("a large document");
        }
        let load = Load::inserts(&client, 2);
        Moving { cluster, disk, free_mb, load }
    }

    async fn shard(&self) -> Result<ShardInfo, String> {
        self.cluster.client_of(0).shard(&shard(GROUP)).await.map_err(text)
    }

    /// Decides that the replica moves from one node to another.
    async fn migrate(&self, from: usize, to: usize) {
        let (from_node, to_node) = (name(from), name(to));
        let strategy = None;
        let migration = Migration { from_node, to_node, strategy };
        let client = self.cluster.client_of(0);
        client.migrate_shard(&shard(GROUP), &migration).await.expect("it begins");
    }

    /// Waits until the group is on the first two nodes and this one, and nowhere else.
    async fn wait_on(&self, third: usize) {
        let expected = BTreeSet::from([0, 1, third].map(name));
        let settled = wait_within(PATIENCE, &format!("on {expected:?}"), async || {
            let shard = self.shard().await?;
            let found: BTreeSet<String> = shard.nodes.iter().cloned().collect();
            let done = shard.status == "active" && found == expected;
            if done { Ok(shard) } else { Err(format!("{shard:?}")) }
        })
        .await;
        assert_eq!(settled.waits_for, None, "{settled:?}");
    }

    /// Moves the replica to the small disk, which has so much space left once a part of it has arrived.
    async fn fill_in_the_middle(&self, leave_mb: u64) {
        // The files of an earlier replica go a while after it.
        let before = wait_until("an empty disk", async || {
            let free = self.disk.free_mb();
            if free + PART_MB > self.free_mb { Ok(free) } else { Err(format!("{free} MB")) }
        })
        .await;
        self.migrate(SOURCE, SMALL).await;
        wait_until("a part of the copy", async || {
            let free = self.disk.free_mb();
            if free + PART_MB <= before { Ok(()) } else { Err(format!("{free} of {before} MB")) }
        })
        .await;
        // It stands still until the disk is full.
        self.cluster.nodes[SMALL].signal("STOP");
        let arrived = before - self.disk.free_mb();
        assert!(arrived < STATE_MB as u64, "all {arrived} MB were there already");
        self.disk.fill(leave_mb);
        self.cluster.nodes[SMALL].signal("CONT");
        println!("{arrived} of {STATE_MB} MB had arrived when the disk was full");
    }

    /// Checks that the move waits for this, and that the replicas that there were serve meanwhile.
    async fn check_stuck(&self, reason: &str) {
        let stuck = wait_until(&format!("a reason: {reason}"), async || {
            let shard = self.shard().await?;
            let shown = shard.waits_for.as_ref().is_some_and(|shown| shown.contains(reason));
            if shown { Ok(shard) } else { Err(format!("{shard:?}")) }
        })
        .await;
        println!("{}", stuck.waits_for.as_deref().unwrap_or_default());
        assert_eq!(stuck.status, "migrating", "{stuck:?}");
        self.load.wait_successes(PROGRESS).await;
        for node in 0..SMALL {
            let documents = self.cluster.client_of(node).collection::<Value>(DATABASE, INSERTS);
            let found = tokens(&documents).await.expect("each node serves reads");
            assert!(found.len() >= PROGRESS, "{} on {}", found.len(), name(node));
        }
        let still = self.shard().await.expect("the shard");
        let old = (0..SMALL).map(name).all(|node| still.nodes.contains(&node));
        assert!(old && still.status == "migrating", "{still:?}");
    }

    /// Leaves not a byte, so the node ends when it is to write what a database of the system group holds.
    async fn end_for_want_of_space(&mut self) {
        self.disk.fill(0);
        let client = self.cluster.client_of(0);
        client.create_database("own").await.expect("the other nodes have space");
        let documents = client.collection::<Value>("own", "large");
        for _ in 0..4 {
            let large = json!({"text": "x".repeat(1 << 20)});
            documents.insert(&large).await.expect("the other nodes have space");
        }
        let exit = self.cluster.nodes[SMALL].wait_exit().await;
        println!("without space {} ended: {exit}", name(SMALL));
    }

    /// Frees the disk, and starts its node again.
    async fn restart_with_space(&mut self) {
        self.disk.free_up();
        let node = &mut self.cluster.nodes[SMALL];
        let command = self.disk.inside(&node.command());
        node.spawn(command);
        self.cluster.wait_active(SMALL + 1).await;
    }

    /// Checks that nothing is lost and all replicas are equal.
    async fn finish(self) {
        self.load.wait_successes(PROGRESS).await;
        let outcomes = self.load.finish().await;
        for node in 0..=SMALL {
            let documents = self.cluster.client_of(node).collection::<Value>(DATABASE, INSERTS);
            let found = wait_until("the tokens", async || tokens(&documents).await).await;
            outcomes.check(&found, &name(node));
        }
        println!("{} writes were acknowledged", outcomes.acknowledged.len());
        self.cluster.wait_equal(DATABASE, "after the moves").await;
        let log = self.cluster.nodes[SMALL].log();
        assert!(log.contains("received a snapshot"), "no copy was needed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_a_move_to_a_disk_that_gets_full_waits_and_ends_when_there_is_space() {
    if !long() {
        return;
    }
    let mut moving = Moving::create().await;
    // Nearly full: the node goes on, and takes no copy.
    moving.fill_in_the_middle(RESERVE_MB / 2).await;
    moving.check_stuck("too few for a snapshot").await;
    moving.disk.free_up();
    moving.wait_on(SMALL).await;
    // It is called back.
    moving.migrate(SMALL, SOURCE).await;
    moving.wait_on(SOURCE).await;
    moving.fill_in_the_middle(RESERVE_MB / 2).await;
    moving.check_stuck("too few for a snapshot").await;
    moving.migrate(SMALL, SOURCE).await;
    moving.wait_on(SOURCE).await;
    moving.disk.free_up();
    moving.fill_in_the_middle(0).await;
    moving.check_stuck("too few for a snapshot").await;
    moving.end_for_want_of_space().await;
    moving.check_stuck("node4 to answer, silent for").await;
    moving.restart_with_space().await;
    moving.wait_on(SMALL).await;
    moving.finish().await;
}
