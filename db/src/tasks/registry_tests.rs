use super::*;
use crate::error::Kind;

fn place(name: &str) -> Namespace {
    Namespace::new("d", name)
}

fn subject(name: &str) -> Subject {
    Subject { collection: 1, namespace: place(name), index: Some("a_1".into()) }
}

const BUILD: TaskId = TaskId { kind: TaskKind::IndexBuild, number: 17 };
const EXPIRY: TaskId = TaskId { kind: TaskKind::Expiry, number: 18 };

/// What the catalog says of a collection with these tasks.
fn with(name: &str, tasks: &[TaskId]) -> (Namespace, CollectionTasks) {
    let task = |id: &TaskId| CollectionTask {
        id: *id,
        subject: subject(name),
        due_ms: 0,
        done: 100,
        total: Some(1_000),
        bytes: Some(50_000),
    };
    let tasks = tasks.iter().map(task).collect();
    (place(name), CollectionTasks { tasks, ..CollectionTasks::default() })
}

fn building() -> Registry {
    let mut registry = Registry::default();
    registry.set_collections(vec![with("c", &[BUILD])], 5);
    registry
}

#[test]
fn a_build_shows_how_far_it_is_and_ends_when_the_catalog_says_so() {
    let mut registry = building();
    let task = registry.get(BUILD, 1_000).unwrap();
    assert_eq!((task.state, task.done, task.left_ms), (TaskState::Waiting, 100, None));
    registry.begin_step(BUILD, 1_000);
    registry.end_step(BUILD, 300, true, (2_000, None));
    let task = registry.get(BUILD, 2_000).unwrap();
    assert_eq!((task.state, task.done, task.total), (TaskState::Running, 400, Some(1_000)));
    assert_eq!(task.left_ms, Some(2_000), "300 took a second, and 600 are left");
    assert_eq!(registry.next_due_ms(), Some(2_000));

    registry.begin_step(BUILD, 3_000);
    registry.end_step(BUILD, 200, false, (3_000, None));
    assert_eq!(registry.get(BUILD, 3_000).unwrap().state, TaskState::Running);
    assert_eq!(registry.next_due_ms(), None, "an event says that it is built");
    let mut built = with("c", &[]);
    built.1.built.insert(17);
    registry.set_collections(vec![built], 4_000);
    let task = registry.get(BUILD, 9_000).unwrap();
    assert_eq!((task.state, task.done, task.ended_ms), (TaskState::Done, 1_000, Some(4_000)));
    assert!(!task.is_cancellable());
}

#[test]
fn a_build_whose_index_or_collection_is_gone_is_cancelled() {
    for gone in [with("c", &[]), with("c", &[EXPIRY])] {
        let mut registry = building();
        registry.set_collections(vec![gone], 6);
        assert_eq!(registry.get(BUILD, 7).unwrap().state, TaskState::Cancelled);
    }
}

#[test]
fn a_build_that_fails_says_why() {
    let mut registry = building();
    let mut failed = with("c", &[]);
    let error = Error::new(Kind::UniqueViolation, "twice");
    failed.1.failed.push((17, subject("c"), error));
    registry.set_collections(vec![failed], 6);
    let task = registry.get(BUILD, 7).unwrap();
    assert_eq!(task.state, TaskState::Failed);
    assert!(task.reason.unwrap().contains("twice"));
    assert_eq!(registry.all(7).len(), 1);
}

#[test]
fn a_task_follows_its_collection_to_another_name() {
    for found in [
        vec![vec![with("c", &[]), with("e", &[BUILD])]],
        vec![vec![with("e", &[BUILD])], vec![with("c", &[])]],
    ] {
        let mut registry = building();
        for found in found {
            registry.set_collections(found, 6);
        }
        let task = registry.get(BUILD, 7).unwrap();
        assert_eq!(task.state, TaskState::Waiting);
        assert_eq!(task.subject.unwrap().namespace, place("e"));
        registry.set_collections(vec![with("e", &[])], 8);
        assert_eq!(registry.get(BUILD, 9).unwrap().state, TaskState::Cancelled);
    }
}

#[test]
fn the_next_leader_goes_on_with_the_same_id_and_remembers_what_has_ended() {
    let mut registry = building();
    registry.set_collections(vec![with("c", &[])], 6);
    registry.restart(7);
    assert_eq!(registry.get(BUILD, 8).unwrap().state, TaskState::Cancelled);
    registry.set_collections(vec![with("c", &[BUILD, EXPIRY])], 9);
    assert_eq!(registry.get(BUILD, 9).unwrap().state, TaskState::Waiting);
    assert!(registry.get(EXPIRY, 9).is_some());
    registry.restart(10);
    assert!(registry.get(EXPIRY, 10).is_none());
}

#[test]
fn what_is_due_comes_in_the_order_of_its_time_and_an_event_brings_it_forward() {
    let mut registry = Registry::default();
    registry.set_collections(vec![with("c", &[BUILD, EXPIRY])], 0);
    registry.rest(BUILD, Some(90));
    registry.rest(EXPIRY, Some(80));
    let due = |registry: &Registry, now_ms| -> Vec<_> {
        registry.due(now_ms, 9).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(due(&registry, 79), []);
    assert_eq!(due(&registry, 90), [EXPIRY, BUILD]);
    registry.wake(BUILD, 10);
    assert_eq!(due(&registry, 10), [BUILD]);
    assert_eq!(registry.next_due_ms(), Some(10));
    registry.rest(EXPIRY, None);
    registry.rest(BUILD, None);
    assert_eq!(registry.next_due_ms(), None);
}

#[test]
fn the_pause_after_a_refusal_grows_to_a_minute_and_ends() {
    let (mut registry, mut now_ms) = (building(), 0);
    let error = Error::new(Kind::StorageFull, "full");
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        registry.refuse(BUILD, &error, now_ms);
        now_ms += seconds * 1_000;
        assert_eq!(registry.next_due_ms(), Some(now_ms), "{seconds}");
        registry.wake(BUILD, 0);
        registry.set_collections(vec![with("c", &[BUILD])], 0);
        assert_eq!(registry.next_due_ms(), Some(now_ms), "it waits on");
    }
    assert!(registry.get(BUILD, 0).unwrap().reason.unwrap().contains("full"));
    registry.begin_step(BUILD, now_ms);
    registry.end_step(BUILD, 1, true, (now_ms, None));
    assert_eq!(registry.get(BUILD, 0).unwrap().reason, None);
    registry.refuse(BUILD, &error, now_ms);
    assert_eq!(registry.next_due_ms(), Some(now_ms + 1_000), "it is like new");
}

#[test]
fn no_more_ended_tasks_are_remembered_than_a_thousand_and_none_for_more_than_an_hour() {
    let mut registry = Registry::default();
    let build = |number: u32| TaskId::new(TaskKind::IndexBuild, number);
    let mut end = |number, now_ms| {
        registry.set_collections(vec![with("c", &[build(number)])], now_ms);
        registry.set_collections(vec![with("c", &[])], now_ms);
        registry.all(now_ms).len()
    };
    for number in 0..1_100 {
        end(number, 50);
    }
    assert_eq!(end(2_000, 60), ENDED_MAX);
    assert_eq!(end(2_001, 60 + ENDED_MS_MAX), 2);
}

#[test]
fn a_decision_about_replicas_is_a_task_until_it_is_carried_out_or_replaced() {
    let mut registry = Registry::default();
    let mut state = |groups: &[(u32, (u64, bool))], index: u64| {
        registry.set_placing(&groups.iter().copied().collect(), 1000);
        let task = registry.get(TaskId::new(TaskKind::PlaceReplicas, index), 1000);
        task.map(|task| (task.state, task.placing))
    };
    assert_eq!(state(&[(3, (20, true))], 20), None, "it was carried out before");
    assert_eq!(state(&[(3, (21, false))], 21), Some((TaskState::Running, Some(3))));
    assert_eq!(state(&[(3, (21, true))], 21), Some((TaskState::Done, Some(3))));
    assert_eq!(state(&[(3, (22, false))], 22), Some((TaskState::Running, Some(3))));
    assert_eq!(state(&[(3, (23, false))], 22), Some((TaskState::Cancelled, Some(3))));
    assert_eq!(state(&[], 23), Some((TaskState::Done, Some(3))), "the group was removed");
}
