use super::*;
use crate::storage::{Read, Store, Table};
use std::cell::Cell;
use std::sync::atomic::AtomicUsize;

/// As many rows as make several batches, some of them large.
const ROWS: u32 = 3_000;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1 << 28).unwrap();
    let mut txn = store.write().unwrap();
    for number in 0..ROWS {
        let length = if number % 500 == 499 { 300_000 } else { number as usize % 50 };
        txn.put(Table::Documents, &number.to_be_bytes(), &vec![7; length]).unwrap();
    }
    txn.commit().unwrap();
    (dir, store)
}

fn number(row: SealedEntry<'_>) -> Result<u32> {
    let (key, _) = row.open()?;
    Ok(u32::from_be_bytes(*key.first_chunk().unwrap()))
}

/// What `work` makes of a scan in which `look` looks at the number of each row.
fn scan<T: Send, U>(
    store: &Store,
    helpers: usize,
    interrupt: &dyn Fn() -> Result<()>,
    look: impl Fn(u32, &Context<'_>) -> Result<Option<T>> + Sync,
    work: impl FnOnce(Stream<'_, T>) -> Result<U>,
) -> (Result<U>, u64, u64) {
    let ctx = Context::new(0, usize::MAX, interrupt);
    let read = store.read().unwrap();
    let rows = read.sealed_range(Table::Documents, &[0], &[0xff]).unwrap().unwrap();
    let seen = Cell::new(0);
    let each = |row: SealedEntry<'_>, ctx: &Context<'_>| look(number(row)?, ctx);
    let count = |rows| seen.set(seen.get() + rows);
    let done = in_order(rows, helpers, &ctx, &each, &count, work);
    (done, seen.get(), ctx.steps())
}

#[test]
fn what_several_threads_find_is_in_the_order_of_the_rows() {
    let (_dir, store) = store();
    let expected: Vec<u32> = (0..ROWS).filter(|number| number % 4 != 1).collect();
    for helpers in 0..4 {
        let look = |number: u32, ctx: &Context<'_>| {
            ctx.work(2)?;
            Ok((number % 4 != 1).then_some(number))
        };
        let collect = |found: Stream<'_, u32>| found.collect::<Result<Vec<_>>>();
        let (found, rows, steps) = scan(&store, helpers, &|| Ok(()), look, collect);
        assert_eq!(found.unwrap(), expected, "{helpers} helpers");
        assert_eq!((rows, steps), (u64::from(ROWS), 2 * u64::from(ROWS)), "{helpers} helpers");
    }
}

#[test]
fn an_error_comes_after_what_was_found_before_it() {
    let (_dir, store) = store();
    for helpers in 0..3 {
        let look = |number: u32, _: &Context<'_>| match number {
            1_000.. => Err(Error::new(Kind::Internal, format!("row {number}"))),
            _ => Ok(Some(number)),
        };
        let (found, ..) = scan(&store, helpers, &|| Ok(()), look, |found| {
            let mut before = Vec::new();
            for one in found {
                match one {
                    Ok(one) => before.push(one),
                    Err(error) => return Ok((before, error.message.clone())),
                }
            }
            Ok((before, String::new()))
        });
        let expected = ((0..1_000).collect::<Vec<u32>>(), "row 1000".to_owned());
        assert_eq!(found.unwrap(), expected, "{helpers} helpers");
    }
}

#[test]
fn a_scan_that_is_not_read_to_its_end_ends_all_the_same() {
    let (_dir, store) = store();
    let looked = AtomicUsize::new(0);
    let look = |number: u32, _: &Context<'_>| {
        looked.fetch_add(1, Ordering::Relaxed);
        Ok(Some(number))
    };
    let (found, ..) = scan(&store, 2, &|| Ok(()), look, |mut found| found.next().transpose());
    assert_eq!(found.unwrap(), Some(0));
    let most = BATCHES_EACH * 3 * BATCH_ROWS;
    assert!(looked.into_inner() <= most, "no more is read than what is begun");
}

#[test]
fn a_scan_ends_when_its_time_is_up() {
    let (_dir, store) = store();
    let interrupt = || Err(Error::new(Kind::TimeLimit, "the time is up"));
    let look = |number: u32, ctx: &Context<'_>| {
        ctx.work(1)?;
        Ok(Some(number))
    };
    let count = |mut found: Stream<'_, u32>| found.try_for_each(|one| one.map(drop));
    for helpers in 0..3 {
        let (found, ..) = scan(&store, helpers, &interrupt, look, count);
        assert_eq!(found.unwrap_err().kind, Kind::TimeLimit, "{helpers} helpers");
    }
}
