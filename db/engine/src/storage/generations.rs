//! The state of a group on disk: numbered generations, of which one is current.
//!
//! ```text
//! state-current    the number of the current generation
//! state-3/         that generation: one LMDB environment
//! state-4/         one that is being received
//! ```
//!
//! A copy of another member's state is received, checked and flushed beside the current
//! generation; then the pointer file is renamed into place. So the state is replaced in one
//! step, and never needs the address space twice. Readers that have begun finish on the old
//! generation: its directory goes at once, its disk space when the last of them ends. A start
//! removes what the pointer does not name.

use super::env::{ReadTxn, Store};
use super::error::{Result, StorageError};
use parking_lot::RwLock;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Start of the names of all that lies here.
const PREFIX: &str = "state-";
const POINTER: &str = "state-current";
const NEW_POINTER: &str = "state-current.new";
const FIRST: u64 = 1;

/// The steps of a switch, in their order, for tests that end the process after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwitchStep {
    /// The new pointer is written beside the old one.
    PointerWritten,
    /// It is in its place.
    PointerRenamed,
    /// New readers see the new generation.
    Switched,
}

/// The generations of one group's state.
pub struct Generations {
    dir: PathBuf,
    map_bytes: usize,
    current: RwLock<(u64, Arc<Store>)>,
    /// The highest number that was used.
    last: AtomicU64,
    closed: AtomicBool,
}

/// A generation that is not current yet. Its directory goes with it, unless it became current.
#[derive(Debug)]
pub struct IncomingGeneration {
    dir: PathBuf,
    number: u64,
    kept: AtomicBool,
}

impl IncomingGeneration {
    /// Where its environment lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of its environment, as `Store::copy_to` writes it.
    pub fn file(&self) -> PathBuf {
        self.dir.join(Store::FILE)
    }
}

impl Drop for IncomingGeneration {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

impl Generations {
    /// Whether there is a state in `dir`.
    pub fn exist(dir: &Path) -> bool {
        let current = read_pointer(dir).ok().flatten();
        current.is_some_and(|number| place(dir, number).join(Store::FILE).exists())
    }

    /// Opens the current generation in `dir`, creates one if there is none, and removes what else
    /// lies there: what was not received completely, and former generations.
    ///
    /// # Errors
    /// When the pointer cannot be read, or the environment cannot be opened.
    pub fn open(dir: &Path, map_bytes: usize) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(failed)?;
        let known = read_pointer(dir)?;
        let number = known.unwrap_or(FIRST);
        remove_all_but(dir, known);
        let store = Store::open(&place(dir, number), map_bytes)?;
        if known.is_none() {
            write_pointer(dir, number, &|_| ())?;
        }
        Ok(Generations {
            dir: dir.to_owned(),
            map_bytes,
            current: RwLock::new((number, Arc::new(store))),
            last: AtomicU64::new(number),
            closed: AtomicBool::new(false),
        })
    }

    /// The current generation.
    pub fn current(&self) -> Arc<Store> {
        self.current.read().1.clone()
    }

    /// Begins reading the current generation; the view does not change until it is dropped,
    /// whatever becomes current meanwhile.
    ///
    /// # Errors
    /// When the node is stopping, or LMDB refuses.
    pub fn read(&self) -> Result<ReadTxn<'static>> {
        self.current().snapshot("a query")
    }

    /// Bytes of address space of each generation.
    pub fn map_bytes(&self) -> usize {
        self.map_bytes
    }

    /// Creates an empty directory for the next generation.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn begin(&self) -> Result<IncomingGeneration> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let dir = place(&self.dir, number);
        std::fs::create_dir_all(&dir).map_err(failed)?;
        Ok(IncomingGeneration { dir, number, kept: AtomicBool::new(false) })
    }

    /// Makes a generation current that is complete and flushed; `store` is its environment.
    /// Calls `after` after each step.
    ///
    /// # Errors
    /// When the pointer cannot be written; then either generation may be current after a start.
    pub fn switch(
        &self,
        incoming: &IncomingGeneration,
        store: Arc<Store>,
        after: &dyn Fn(SwitchStep),
    ) -> Result<()> {
        // From here on the pointer may name it.
        incoming.kept.store(true, Ordering::Release);
        sync_dir(&incoming.dir)?;
        write_pointer(&self.dir, incoming.number, after)?;
        if self.closed.load(Ordering::Acquire) {
            store.close();
        }
        let former = {
            let mut current = self.current.write();
            std::mem::replace(&mut *current, (incoming.number, store))
        };
        after(SwitchStep::Switched);
        // What is open of it stays readable until it is closed.
        let _ = std::fs::remove_dir_all(place(&self.dir, former.0));
        Ok(())
    }

    /// Refuses reads from now on; called when the node stops.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.current().close();
    }
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Failed(error.to_string())
}

fn place(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number}"))
}

fn read_pointer(dir: &Path) -> Result<Option<u64>> {
    let path = dir.join(POINTER);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("{}: {error}", path.display()))),
    };
    let number = text.trim_end().parse().ok();
    number.map(Some).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        failed(format!("{} is damaged: it says {text:?}, not a number", path.display()))
    })
}

fn write_pointer(dir: &Path, number: u64, after: &dyn Fn(SwitchStep)) -> Result<()> {
    let new = dir.join(NEW_POINTER);
    let mut file = File::create(&new).map_err(failed)?;
    writeln!(file, "{number}").and_then(|()| file.sync_all()).map_err(failed)?;
    after(SwitchStep::PointerWritten);
    std::fs::rename(&new, dir.join(POINTER)).map_err(failed)?;
    sync_dir(dir)?;
    after(SwitchStep::PointerRenamed);
    Ok(())
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn remove_all_but(dir: &Path, current: Option<u64>) {
    let current = current.map(|number| place(dir, number));
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if rest.parse::<u64>().is_ok() && Some(&path) != current.as_ref() {
            let _ = std::fs::remove_dir_all(path);
        }
    }
    let _ = std::fs::remove_file(dir.join(NEW_POINTER));
}

#[cfg(test)]
mod tests {
    use super::super::{Read, Table};
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const MAP: usize = 1 << 24;

    fn write(store: &Store, value: &[u8]) {
        let mut txn = store.write().unwrap();
        txn.put(Table::Meta, b"k", value).unwrap();
        txn.commit().unwrap();
    }

    fn value(read: &ReadTxn<'_>) -> Option<Vec<u8>> {
        read.get(Table::Meta, b"k").unwrap().map(<[u8]>::to_vec)
    }

    fn receive(state: &Generations, value: &[u8]) -> (IncomingGeneration, Arc<Store>) {
        let incoming = state.begin().unwrap();
        let store = Arc::new(Store::open(incoming.dir(), MAP).unwrap());
        write(&store, value);
        store.sync().unwrap();
        (incoming, store)
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn readers_finish_on_the_generation_they_began_with() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Generations::exist(dir.path()));
        let state = Generations::open(dir.path(), MAP).unwrap();
        assert!(Generations::exist(dir.path()));
        write(&state.current(), b"old");
        let reader = state.read().unwrap();
        let (incoming, store) = receive(&state, b"new");
        assert_eq!(value(&state.read().unwrap()).unwrap(), b"old");
        state.switch(&incoming, store, &|_| ()).unwrap();
        drop(incoming);
        assert_eq!(value(&reader).unwrap(), b"old");
        assert_eq!(value(&state.read().unwrap()).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["state-2", "state-current"]);
        drop((reader, state));
        let state = Generations::open(dir.path(), MAP).unwrap();
        assert_eq!(value(&state.read().unwrap()).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["state-2", "state-current"]);
    }

    #[test]
    fn what_was_not_received_completely_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = Generations::open(dir.path(), MAP).unwrap();
        drop(receive(&state, b"given up"));
        assert_eq!(names(dir.path()), ["state-1", "state-current"]);
        let (incoming, store) = receive(&state, b"the process ended");
        std::mem::forget(incoming);
        drop((store, state));
        assert_eq!(names(dir.path()), ["state-1", "state-3", "state-current"]);
        let state = Generations::open(dir.path(), MAP).unwrap();
        assert_eq!(names(dir.path()), ["state-1", "state-current"]);
        assert_eq!(value(&state.read().unwrap()), None);
    }

    #[test]
    fn an_end_after_any_step_of_a_switch_leaves_one_state_or_the_other() {
        for (step, expected) in [
            (SwitchStep::PointerWritten, &b"old"[..]),
            (SwitchStep::PointerRenamed, b"new"),
            (SwitchStep::Switched, b"new"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let state = Generations::open(dir.path(), MAP).unwrap();
            write(&state.current(), b"old");
            let (incoming, store) = receive(&state, b"new");
            let end = |after| assert!(after != step, "the end");
            catch_unwind(AssertUnwindSafe(|| state.switch(&incoming, store, &end))).unwrap_err();
            drop((incoming, state));
            let state = Generations::open(dir.path(), MAP).unwrap();
            assert_eq!(value(&state.read().unwrap()).unwrap(), expected, "{step:?}");
            assert_eq!(names(dir.path()).len(), 2, "{step:?}: {:?}", names(dir.path()));
            // A number that was given up may be used again.
            let (incoming, store) = receive(&state, b"next");
            state.switch(&incoming, store, &|_| ()).unwrap();
            assert_eq!(value(&state.read().unwrap()).unwrap(), b"next", "{step:?}");
        }
    }

    #[test]
    fn a_damaged_pointer_is_reported_and_nothing_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        drop(Generations::open(dir.path(), MAP).unwrap());
        for damaged in ["", "x", "-1"] {
            std::fs::write(dir.path().join(POINTER), damaged).unwrap();
            let error = Generations::open(dir.path(), MAP).err().unwrap();
            assert!(error.to_string().contains("state-current is damaged"), "{error}");
            assert!(!Generations::exist(dir.path()));
        }
        assert_eq!(names(dir.path()), ["state-1", "state-current"]);
    }
}
