//! Free space on disks, and a small disk for one node.

use crate::guard::Guard;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Mounts a file system in memory and keeps its namespace while no node runs in it.
const HOLD: &str =
    "mount -t tmpfs -o size=\"$0\"m tmpfs \"$1\" && echo mounted && exec sleep infinity";
/// The file that takes up space.
const FILLER: &str = "filler";

/// Megabytes that are free on the file system with this directory.
///
/// # Panics
/// If there is no such directory.
pub fn free_mb(dir: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(dir).output();
    let text = String::from_utf8(output.expect("stat runs").stdout).expect("text");
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [blocks, block_bytes] = numbers[..] else { panic!("{}: {text:?}", dir.display()) };
    (blocks * block_bytes) >> 20
}

/// A disk that only processes started with [`SmallDisk::inside`] see. It is a file system in memory in a mount
/// namespace of its own, which takes no privileges where user namespaces are allowed, and changes nothing for
/// anything else on the machine. Dropping it lets it go with the last of the processes.
pub struct SmallDisk {
    holder: Child,
    _guard: Guard,
    dir: PathBuf,
}

impl SmallDisk {
    /// An empty disk of this size at a directory.
    ///
    /// # Panics
    /// If the kernel forbids user namespaces.
    pub fn mount(dir: &Path, megabytes: u64) -> SmallDisk {
        std::fs::create_dir_all(dir).expect("a directory to mount at");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD]);
        command.arg(megabytes.to_string()).arg(dir).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare can be started");
        let guard = Guard::of(holder.id());
        let mut line = String::new();
        let output = holder.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("its output");
        assert_eq!(line, "mounted\n", "no disk: are user namespaces allowed?");
        SmallDisk { holder, _guard: guard, dir: dir.to_owned() }
    }

    /// The same command among the processes that see the disk.
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.holder.id().to_string(), "--user", "--mount"]);
        inside.args(["--preserve-credentials", "--"]);
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.stdin(Stdio::null());
        inside
    }

    /// The directory as this process sees it.
    pub fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.strip_prefix("/").expect("an absolute path"))
    }

    /// Megabytes that are free.
    pub fn free_mb(&self) -> u64 {
        free_mb(&self.path())
    }

    /// Takes up space until this many megabytes are free, with 0 until not a byte is.
    pub fn fill(&self, leave_mb: u64) {
        let file = File::options().create(true).append(true).open(self.path().join(FILLER));
        let (mut file, chunk) = (file.expect("a file on the disk"), vec![1; 4096]);
        while leave_mb == 0 || self.free_mb() > leave_mb {
            let steps = if leave_mb == 0 { 1 } else { 256 };
            if (0..steps).any(|_| file.write_all(&chunk).is_err()) {
                assert_eq!(leave_mb, 0, "less than {leave_mb} MB are free");
                return;
            }
        }
    }

    /// Frees what [`SmallDisk::fill`] has taken up.
    pub fn free_up(&self) {
        std::fs::remove_file(self.path().join(FILLER)).expect("the disk was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_can_be_filled_and_only_those_inside_see_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().join("disk");
        let disk = SmallDisk::mount(&at, 8);
        assert_eq!(disk.free_mb(), 8);
        let touch = |name: &str| {
            let mut command = Command::new("dd");
            command.args(["if=/dev/zero", "bs=64k", "count=1", "status=none"]);
            command.arg(format!("of={}", at.join(name).display())).stderr(Stdio::null());
            disk.inside(&command).status().expect("dd runs").success()
        };
        assert!(touch("first") && disk.path().join("first").exists() && !at.join("first").exists());
        disk.fill(2);
        assert!(disk.free_mb() == 2 && touch("second"));
        disk.fill(0);
        assert!(disk.free_mb() == 0 && !touch("third"));
        disk.free_up();
        assert!(disk.free_mb() >= 7 && touch("third"));
    }
}
