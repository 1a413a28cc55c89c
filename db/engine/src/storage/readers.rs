//! The open readers of an environment, so that the one can be named that holds its pages.

use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Transaction that is read, and a number that distinguishes readers of the same one.
type Key = (u64, u64);

#[derive(Default)]
struct OpenReaders {
    next: u64,
    readers: BTreeMap<Key, Reader>,
}

struct Reader {
    name: Cow<'static, str>,
    since: Instant,
}

/// The open read transactions of an environment.
#[derive(Default)]
pub(super) struct Readers(Arc<Mutex<OpenReaders>>);

/// A reader that is known until this is dropped.
pub(super) struct Registration {
    key: Key,
    open: Arc<Mutex<OpenReaders>>,
}

impl Readers {
    /// Notes that `name` reads what the transaction `txn` has committed.
    pub(super) fn register(&self, txn: u64, name: impl Into<Cow<'static, str>>) -> Registration {
        let mut open = self.0.lock();
        open.next += 1;
        let key = (txn, open.next);
        open.readers.insert(key, Reader { name: name.into(), since: Instant::now() });
        Registration { key, open: self.0.clone() }
    }

    /// The oldest transaction that is being read.
    pub(super) fn oldest_txn(&self) -> Option<u64> {
        self.0.lock().readers.first_key_value().map(|(key, _)| key.0)
    }

    /// The reader of the oldest transaction, and its age.
    pub(super) fn oldest(&self) -> Option<(String, Duration)> {
        let open = self.0.lock();
        let (_, reader) = open.readers.first_key_value()?;
        Some((reader.name.to_string(), reader.since.elapsed()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.open.lock().readers.remove(&self.key);
    }
}
