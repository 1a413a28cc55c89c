//! Where a test runs: its folder, its ports, and its turn on this machine.

use crate::node::{Node, Role, Settings};
use crate::wait::wait_until;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Tests of one program that may run at the same time; more would starve two cores, and
/// what they measure then is the machine.
const PARALLEL: usize = 1;
static TURN: Semaphore = Semaphore::const_new(PARALLEL);

/// First port given out, below those the kernel gives to outgoing connections, so that a
/// stopped node's port stays free until it is back.
const PORT_MIN: u32 = 10_000;
const PORTS: u32 = 20_000;
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

/// A test's folder and turn. When the test fails, the folder stays.
pub struct Bed {
    dir: Option<TempDir>,
    _turn: SemaphorePermit<'static>,
}

impl Bed {
    /// Waits for its turn and makes an empty folder.
    pub async fn new(name: &str) -> Bed {
        let turn = TURN.acquire().await.expect("the semaphore is never closed");
        let prefix = format!("jettra-test-{name}-");
        let dir = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder");
        Bed { dir: Some(dir), _turn: turn }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it is taken in drop only").path()
    }

    /// A node that is a cluster of its own and serves.
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

    /// A node with a folder and a port of its own; it does not run yet.
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

/// A port that nobody listens on, and that no other test of this process gets.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..PORTS {
        let offset = start.wrapping_add(NEXT_PORT.fetch_add(1, Ordering::Relaxed));
        let port = (PORT_MIN + offset % PORTS) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {PORT_MIN} on is free");
}

/// A program of the workspace, built beside the tests.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let beside = test.ancestors().skip(1).take(2).map(|dir| dir.join(name));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not built: run `cargo build --workspace` first"))
}
