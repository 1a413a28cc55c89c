use super::super::TaskState;
use super::super::work::{BUILD_STEP, BUILD_STEP_BUSY};
use super::*;
use crate::engine::command::Proposal;
use crate::engine::index::IndexSpec;
use crate::engine::value::{Object, Value};
use crate::engine::{Applier, DocumentId, Put, PutMode, SideEffect};
use crate::storage::{self, Store, Table};
use std::cell::{Cell, RefCell};

/// The tasks that there is one of, due.
fn due() -> (Tasks, [TaskId; 3]) {
    let tasks = Tasks::default();
    tasks.held.lock().registry.restart(0);
    let kinds = [TaskKind::TrimChanges, TaskKind::TrimAudit, TaskKind::ForgetCalls];
    (tasks, kinds.map(TaskId::single))
}

/// Works off a step of each of these tasks where the one with this number is refused; returns the
/// numbers of those that were proposed.
async fn proposed(tasks: &Tasks, ids: &[TaskId], refuse: (u32, Kind), now_ms: u64) -> Vec<u32> {
    let due = tasks.held.lock().registry.due(now_ms, LOOKS_MAX);
    let steps = (0..).zip(ids).filter(|(_, id)| due.iter().any(|(due, _)| due == *id));
    let steps = steps.map(|(rows, id)| DueStep {
        id: *id,
        command: Command::ClearGarbage { rows },
        size: 100,
        again_ms: Some(now_ms),
    });
    let asked = RefCell::new(Vec::new());
    let propose = |command| {
        let Command::ClearGarbage { rows } = command else { panic!("{command:?}") };
        asked.borrow_mut().push(rows);
        std::future::ready(match rows == refuse.0 {
            true => Err(Error::new(refuse.1, "no")),
            false => Ok(AppliedCommand { index: 1, outcome: Outcome::Worked(1), repeated: false }),
        })
    };
    let _ = work_off(tasks, steps.collect(), || now_ms, propose).await;
    asked.into_inner()
}

#[tokio::test]
async fn a_refused_task_does_not_end_the_round_of_the_others() {
    for kind in [Kind::StorageFull, Kind::TooLarge, Kind::Internal, Kind::Overloaded] {
        let (tasks, ids) = due();
        assert_eq!(proposed(&tasks, &ids, (1, kind), 5).await, [0, 1, 2], "{kind:?}");
    }
    let (tasks, ids) = due();
    let none = proposed(&tasks, &ids, (1, Kind::NoLeader), 5).await;
    assert_eq!(none, [0, 1], "another node leads: it does them");

    // The refused task waits; the others do not wait for it.
    let full = (1, Kind::StorageFull);
    assert_eq!(proposed(&tasks, &ids, full, 5).await, [0, 1, 2]);
    assert_eq!(proposed(&tasks, &ids, full, 6).await, [0, 2]);
    assert_eq!(proposed(&tasks, &ids, full, 1_005).await, [0, 1, 2]);
}

/// A state of databases that commands have made.
struct World {
    store: Store,
    applier: Applier,
    index: u64,
    _dir: tempfile::TempDir,
}

const BOUNDS: Bounds = Bounds {
    kept_ms: 60_000,
    changes_bytes_max: 1 << 20,
    audit_entries_max: 1_000,
    versions: false,
};

const NOW_MS: u64 = 1_700_000_000_000;

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 28).unwrap();
        World { store, applier: Applier::default(), index: 0, _dir: dir }
    }

    fn run(&mut self, commands: impl IntoIterator<Item = Command>) {
        let mut txn = self.store.write().unwrap();
        self.applier.begin(&txn).unwrap();
        for command in commands {
            self.index += 1;
            let proposal = Proposal { time_ms: NOW_MS, ..command.into() };
            self.applier.apply(&mut txn, self.index, proposal).unwrap().result.unwrap();
            self.applier.end_entry(&mut txn).unwrap();
        }
        self.applier.flush(&mut txn).unwrap();
        txn.commit().unwrap();
    }
}

/// Counts the rows and ranges that are read.
struct CountingRead<'r, R> {
    read: &'r R,
    reads: &'r Cell<u64>,
}

impl<R> CountingRead<'_, R> {
    fn count<'t>(&'t self, entries: storage::Entries<'t>) -> storage::Entries<'t> {
        self.reads.set(self.reads.get() + 1);
        Box::new(entries.inspect(|_| self.reads.set(self.reads.get() + 1)))
    }
}

impl<R: Read> Read for CountingRead<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> storage::Result<Option<&[u8]>> {
        self.reads.set(self.reads.get() + 1);
        self.read.get(table, key)
    }

    fn range<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> storage::Result<storage::Entries<'t>> {
        Ok(self.count(self.read.range(table, start, end)?))
    }

    fn range_back<'t>(
        &'t self,
        table: Table,
        start: &[u8],
        end: &[u8],
    ) -> storage::Result<storage::Entries<'t>> {
        Ok(self.count(self.read.range_back(table, start, end)?))
    }
}

fn place(number: usize) -> Namespace {
    Namespace::new("d", format!("c{number}"))
}

fn ttl_index(namespace: Namespace) -> Command {
    let options = Object::from_iter([("expireAfterSeconds".to_owned(), Value::Int(60))]);
    let spec = IndexSpec::parse(&Value::from("at"), &options).unwrap();
    Command::CreateIndex { namespace, spec }
}

fn put(namespace: Namespace, at_ms: u64) -> Command {
    let body = format!("{{\"at\":{{\"$date\":{at_ms}}}}}");
    Command::Put(Put {
        namespace,
        target: DocumentId::from(1).into(),
        body,
        mode: PutMode::Upsert,
        if_match: None,
        create_database: true,
    })
}

/// What a number of rounds reads in which nothing is due, after the registry was filled.
fn idle_reads(collections: usize) -> u64 {
    let mut world = World::new();
    world.run((0..collections).flat_map(|number| {
        let namespace = place(number);
        let ttl = number.is_multiple_of(5);
        let made = Command::CreateCollection { namespace: namespace.clone() };
        let dated = ttl.then(|| [ttl_index(namespace.clone()), put(namespace, NOW_MS)]);
        std::iter::once(made).chain(dated.into_iter().flatten())
    }));
    let (tasks, mut memory) = (Tasks::default(), LookMemory::default());
    let reads = Cell::new(0);
    let txn = world.store.read().unwrap();
    let mut round = |round: u64, fill| {
        let read = || Ok(CountingRead { read: &txn, reads: &reads });
        let now_ms = NOW_MS + round * INTERVAL_MS;
        let steps = look_up(&tasks, read, &BOUNDS, &mut memory, (now_ms, fill)).unwrap();
        assert!(steps.iter().all(|step| step.id.kind.is_single()), "{steps:?}");
        steps.into_iter().for_each(|DueStep { id, again_ms, .. }| {
            tasks.held.lock().registry.rest(id, again_ms);
        });
    };
    // Filled, and each index looked at once; a bounded number in one round.
    round(0, true);
    (0..3).for_each(|_| round(0, false));
    let filled = reads.replace(0);
    assert!(filled > collections as u64, "the registry is filled from the catalog");
    (1..=20).for_each(|number| round(number, false));
    reads.get()
}

#[test]
fn ten_thousand_collections_cost_no_more_than_ten_while_nothing_is_due() {
    let few = idle_reads(10);
    assert!(few > 0, "what is bounded as a whole is looked at");
    assert_eq!(idle_reads(10_000), few);
}

#[test]
fn a_state_that_does_not_change_is_looked_at_seldom() {
    let world = World::new();
    let (tasks, mut memory) = (Tasks::default(), LookMemory::default());
    let mut look = |now_ms, fill| {
        let read = || Ok(world.store.read()?);
        look_up(&tasks, read, &BOUNDS, &mut memory, (now_ms, fill)).unwrap();
    };
    assert!(tasks.are_due(1, NOW_MS), "nothing was read yet");
    look(NOW_MS, true);
    let looks = (1..=20).filter(|round| {
        let now_ms = NOW_MS + round * INTERVAL_MS;
        let due = tasks.are_due(1, now_ms);
        if due {
            look(now_ms, false);
        }
        due
    });
    assert_eq!(looks.count(), 1, "in a quarter of a minute");
    assert!(tasks.are_due(2, NOW_MS), "it has changed");
    look(NOW_MS, false);
    assert!(!tasks.are_due(2, NOW_MS));
    tasks.dropped();
    assert!(tasks.are_due(2, NOW_MS), "something was dropped");
}

#[test]
fn a_document_that_expires_earlier_makes_its_index_due() {
    let mut world = World::new();
    let c = place(1);
    let made = Command::CreateCollection { namespace: c.clone() };
    world.run([made, ttl_index(c.clone()), put(c.clone(), NOW_MS)]);
    let (tasks, mut memory) = (Tasks::default(), LookMemory::default());
    let expiry = |tasks: &Tasks, world: &World, memory: &mut LookMemory, fill| {
        let read = || Ok(world.store.read()?);
        let steps = look_up(tasks, read, &BOUNDS, memory, (NOW_MS, fill)).unwrap();
        steps.iter().any(|step| step.id == TaskId::new(TaskKind::Expiry, 1u32))
    };
    assert!(!expiry(&tasks, &world, &mut memory, true), "it has a minute left");
    let task = tasks.get(TaskId::new(TaskKind::Expiry, 1u32), NOW_MS).unwrap();
    assert_eq!((task.state, task.due_ms), (TaskState::Waiting, Some(NOW_MS + 60_000)));
    world.run([put(c, NOW_MS - 60_000)]);
    assert!(world.applier.take_effects().contains(&SideEffect::ExpiryChanged(1)));
    assert!(!expiry(&tasks, &world, &mut memory, false), "nobody has told of it");
    tasks.expiry_changed(1);
    assert!(expiry(&tasks, &world, &mut memory, false));
}

/// Carries out a step that the log has at `index`; returns whether the next one is small because
/// others write.
async fn is_busy_after(tasks: &Tasks, id: TaskId, index: u64, outcome: Outcome) -> bool {
    let command = Command::ClearGarbage { rows: 1 };
    let steps = vec![DueStep { id, command, size: 100, again_ms: None }];
    let propose = |_| {
        let outcome = outcome.clone();
        std::future::ready(Ok(AppliedCommand { index, outcome, repeated: false }))
    };
    work_off(tasks, steps, || 0, propose).await.unwrap();
    tasks.held.lock().busy
}

#[tokio::test]
async fn an_index_is_built_in_small_steps_while_others_write() {
    let (tasks, [id, ..]) = due();
    for (index, outcome, busy) in [
        (5, Outcome::Paused(7), false),
        (6, Outcome::Worked(100), false),
        (9, Outcome::Paused(7), true),
        (10, Outcome::Paused(7), false),
        // It ends, and another one begins later.
        (12, Outcome::Worked(7), false),
        (30, Outcome::Paused(7), false),
    ] {
        assert_eq!(is_busy_after(&tasks, id, index, outcome).await, busy, "{index}");
    }
    let world = World::new();
    let read = world.store.read().unwrap();
    let subject = Subject { namespace: place(1), collection: 1, index: None };
    let mut memory = LookMemory::default();
    for (busy, step) in [(false, BUILD_STEP), (true, BUILD_STEP_BUSY)] {
        memory.busy = busy;
        let task = (TaskId::new(TaskKind::IndexBuild, 1u32), Some(&subject));
        let Found::Step { command, size, .. } =
            look(&read, &BOUNDS, &mut memory, NOW_MS, task).unwrap()
        else {
            panic!("a build is a step");
        };
        assert!(matches!(*command, Command::BuildIndex { documents, .. } if documents == step));
        assert_eq!(size, step);
    }
}
