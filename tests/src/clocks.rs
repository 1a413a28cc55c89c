//! Wrong clocks: each node has its own wall clock, which a test sets while the node runs. The
//! monotonic clock stays that of the machine, as it does when an operator or NTP sets the time.

use crate::node::Settings;
use std::cell::Cell;
use std::path::PathBuf;
use tempfile::TempDir;

/// The wall clocks of a cluster's nodes, provided by libfaketime.
pub struct Clocks {
    dir: TempDir,
    library: PathBuf,
    made: Cell<usize>,
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Clocks {
    /// An empty set of clocks.
    ///
    /// # Panics
    /// If libfaketime is not installed (`apt-get install faketime`).
    pub fn new() -> Clocks {
        let dirs = std::fs::read_dir("/usr/lib").expect("a folder of libraries").flatten();
        let mut libraries = dirs.map(|dir| dir.path().join("faketime/libfaketimeMT.so.1"));
        let library = libraries.find(|path| path.is_file());
        let library = library.expect("libfaketime; tests/check.sh installs it");
        let dir = tempfile::tempdir().expect("a temporary folder");
        Clocks { dir, library, made: Cell::new(0) }
    }

    fn file(&self, node: usize) -> PathBuf {
        self.dir.path().join(node.to_string())
    }

    /// The settings of the next node, with a correct clock.
    pub fn settings(&self, settings: Settings) -> Settings {
        let node = self.made.replace(self.made.get() + 1);
        if !self.file(node).exists() {
            self.set(node, 0);
        }
        settings
            .env("LD_PRELOAD", &self.library.display().to_string())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file(node).display().to_string())
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Sets the clock of the node at `index` ahead by a number of seconds, or behind if it is negative.
    pub fn set(&self, node: usize, seconds: i64) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("the time of a node");
        std::fs::rename(new, self.file(node)).expect("the time of a node");
    }
}
