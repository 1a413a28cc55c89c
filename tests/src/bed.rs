//! The environment of a test: its directory, its ports, and its permit to run.

use crate::node::{Node, Role, Settings};
use crate::wait::wait_until;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Tests of one process that may run at the same time. It matters to `cargo test`, which runs the tests
/// of a program as threads; nextest gives each its own process and limits their number itself.
const PARALLEL: usize = 1;
static TURN: Semaphore = Semaphore::const_new(PARALLEL);

/// First port handed out. The range lies below the ephemeral ports, so that the port of a stopped
/// node stays free until the node is back.
const PORT_MIN: u32 = 10_000;
const PORTS: u32 = 20_000;
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);
/// Locks on the ports that were handed out.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A test bed: the directory and the permit of one test. If the test fails, the directory stays.
pub struct Bed {
    dir: Option<TempDir>,
    _turn: SemaphorePermit<'static>,
}

impl Bed {
    /// Waits for a permit and creates an empty directory.
    pub async fn new(name: &str) -> Bed {
        let turn = TURN.acquire().await.expect("the semaphore is never closed");
        let prefix = format!("jettra-test-{name}-");
        let dir =
            tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory");
        Bed { dir: Some(dir), _turn: turn }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it is taken in drop only").path()
    }

    /// Starts a node that is a cluster of its own, and waits until it serves calls.
    pub async fn serving_node(&self) -> Node {
        let mut node = self.node("node", Settings::new(Role::First));
        node.start();
        let http = node.http();
        wait_until("the node serves", async || match http.try_get("/api/dbs").await {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        node
    }

    /// A node with its own directory and port; it does not run yet.
    pub fn node(&self, name: &str, settings: Settings) -> Node {
        Node::new(self.dir(), name, free_port(), settings)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("the files of the test stay in {}", dir.keep().display());
        }
    }
}

/// A port that no process listens on, and that no other test is given while this process runs.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..PORTS {
        let offset = start.wrapping_add(NEXT_PORT.fetch_add(1, Ordering::Relaxed));
        let port = (PORT_MIN + offset % PORTS) as u16;
        if claim(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {PORT_MIN} on is free");
}

/// The first of `count` consecutive ports, each chosen as by [`free_port`].
pub fn free_ports(count: u16) -> u16 {
    loop {
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        if ports.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return ports[0];
        }
    }
}

/// Reserves a port against the other test programs of this machine until this process ends, even
/// while the node that uses it is down.
fn claim(port: u16) -> bool {
    let dir = std::env::temp_dir().join("jettra-test-ports");
    std::fs::create_dir_all(&dir).expect("a directory for the locks of ports");
    let path = dir.join(port.to_string());
    // A file of another user cannot be opened for writing; a lock does not need that.
    let file = File::open(&path).or_else(|_| File::create(&path));
    let Ok(file) = file else { return false };
    let claimed = file.try_lock().is_ok();
    if claimed {
        CLAIMS.lock().expect("no thread panics with it").push(file);
    }
    claimed
}

/// A program of the workspace, built beside the tests.
///
/// # Panics
/// If it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let beside = test.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first"))
}
