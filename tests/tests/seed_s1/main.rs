//! JadeVectorDB's document about its cluster program, run as written with `jettra` in place of that program:
//! each command and its output, each script, and the Python library.

mod commands;
mod scripts;
mod silent;

use jettra_driver::wire::NewGroup;
use jettra_tests::{Bed, Cluster, PASSWORD, Settings, program};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The scripts of the document.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seed_s1/scripts");
/// The folder with the Python file that is shipped.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/python");

/// What a program has printed, and its exit code.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// The output of a program that has succeeded.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }

    /// The same as JSON.
    fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// A folder for scripts: its programs come before those of the system.
struct Folder {
    path: PathBuf,
    url: String,
    password: Option<&'static str>,
}

impl Folder {
    /// With `jettra`, which calls the node at `url` unless a script says otherwise, and substitutes that make
    /// no noise and take no time.
    fn new(bed: &Bed, name: &str, url: &str) -> Folder {
        let folder =
            Folder { path: bed.dir().join(name), url: url.to_owned(), password: Some(PASSWORD) };
        std::fs::create_dir_all(folder.path.join("bin")).expect("a folder");
        let jettra = program("jettra");
        std::os::unix::fs::symlink(jettra, folder.path.join("bin/jettra")).expect("a link");
        folder.substitute("mail", "{ echo \"$@\"; cat; } >> mail.txt");
        folder.substitute("sleep", "exit 0");
        folder
    }

    /// Puts a program in the place of one of the system.
    fn substitute(&self, name: &str, text: &str) {
        let path = self.path.join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its mode");
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(&self.path)
            .env("PATH", format!("{}/bin:{path}", self.path.display()))
            .env("HOME", &self.path)
            .env("JETTRA_URL", &self.url)
            .env("PYTHONPATH", PYTHON)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("JETTRA_API_KEY")
            .env_remove("JETTRA_PASSWORD")
            .stdin(Stdio::null());
        if let Some(password) = self.password {
            command.env("JETTRA_PASSWORD", password);
        }
        command
    }

    /// Runs a program to its end.
    async fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(program);
        command.args(arguments);
        let running = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
        let output = running.await.expect("no panic");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Ended { code: output.status.code(), out, err }
    }

    /// Runs `jettra` with these words.
    async fn jettra(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.run("jettra", &words).await
    }

    /// Runs the Python program with these words.
    async fn python(&self, words: &str) -> Ended {
        let file = format!("{PYTHON}/cluster_cli.py");
        let mut all = vec![file.as_str()];
        all.extend(words.split_whitespace());
        self.run("python3", &all).await
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }
}

/// A script of the document.
fn script(name: &str) -> String {
    std::fs::read_to_string(Path::new(SCRIPTS).join(name)).expect("a script of the document")
}

/// The host and port of a node.
fn address(cluster: &Cluster, index: usize) -> String {
    cluster.nodes[index].url().trim_start_matches("http://").trim_end_matches('/').to_owned()
}

/// The options that name a node.
fn host_and_port(cluster: &Cluster, index: usize) -> String {
    let address = address(cluster, index);
    let (host, port) = address.rsplit_once(':').expect("a port");
    format!("--host {host} --port {port}")
}

/// A cluster of three nodes with two groups, the first on `first`, the second on `second`.
async fn cluster_with_groups(name: &str, first: &[&str], second: &[&str]) -> Cluster {
    // Only the tests move replicas. Programs need no credentials, as those of the document have none.
    let adjust =
        |settings: Settings| settings.key("AutoRebalance", false).key("OpenOnLoopback", true);
    let cluster = Cluster::start_with(name, 3, adjust).await;
    for (id, members) in [(1, first), (5, second)] {
        let members = Some(members.iter().map(|node| (*node).to_owned()).collect());
        let group = NewGroup { id, members, ..NewGroup::default() };
        cluster.client().create_group(&group, true).await.expect("a group");
    }
    cluster
}
