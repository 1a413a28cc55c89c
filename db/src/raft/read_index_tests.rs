use super::*;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

const LIMIT: Duration = Duration::from_secs(8);

/// A question that began before a read must not serve it.
#[tokio::test]
async fn a_read_never_takes_the_answer_of_a_question_that_began_before_it() {
    let questions = Arc::new(AtomicU64::new(0));
    let (begun, mut begins) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let counter = questions.clone();
    let reads = ReadIndex::start(LIMIT, true, move |_| {
        let (counter, begun) = (counter.clone(), begun.clone());
        async move {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let (go, wait) = oneshot::channel();
            begun.send(go).unwrap();
            wait.await.unwrap();
            Ok(number)
        }
    });
    let first = tokio::spawn({
        let reads = reads.clone();
        async move { reads.get().await }
    });
    let go_first = begins.recv().await.unwrap();
    let late: Vec<_> = (0..3)
        .map(|_| {
            let reads = reads.clone();
            tokio::spawn(async move { reads.get().await })
        })
        .collect();
    while reads.queue.length() < 3 {
        tokio::task::yield_now().await;
    }
    go_first.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(0));
    begins.recv().await.unwrap().send(()).unwrap();
    for read in late {
        assert_eq!(read.await.unwrap(), Ok(1), "late reads share the next question");
    }
}

#[tokio::test]
async fn a_question_that_fails_is_asked_again() {
    let questions = AtomicU64::new(0);
    let reads = ReadIndex::start(LIMIT, true, move |_| {
        let number = questions.fetch_add(1, Ordering::SeqCst);
        async move { if number < 3 { Err(Error::new(Kind::NoLeader, "none")) } else { Ok(number) } }
    });
    assert_eq!(reads.get().await, Ok(3));
}

#[tokio::test]
async fn a_read_whose_time_is_up_gets_the_last_error() {
    let reads = ReadIndex::start(Duration::ZERO, true, |within| async move {
        assert_eq!(within, Duration::ZERO);
        Err(Error::new(Kind::NoLeader, "none"))
    });
    assert_eq!(reads.get().await.unwrap_err().kind, Kind::NoLeader);
    assert_eq!(reads.known(Duration::MAX), None);
}

#[tokio::test]
async fn an_answer_is_known_as_long_as_it_is_fresh() {
    let reads = ReadIndex::start(LIMIT, true, |_| async { Ok(7) });
    assert_eq!(reads.known(Duration::MAX), None, "nobody has asked");
    assert_eq!(reads.get().await, Ok(7));
    assert_eq!(reads.known(Duration::MAX), Some(7));
}

#[test]
fn an_answer_ages_from_the_moment_before_the_question() {
    let asked = Instant::now();
    let known = ConfirmedIndex { asked, index: 7 };
    let ms = Duration::from_millis;
    let table =
        [(0, 0, true), (499, 500, true), (500, 500, true), (501, 500, false), (1, 0, false)];
    for (age, freshness, expected) in table {
        let fresh = known.is_fresh(asked + ms(age), ms(freshness));
        assert_eq!(fresh, expected, "{age} ms old, {freshness} ms allowed");
    }
}
