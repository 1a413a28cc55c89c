//! Server processes, and what they use: processor time, memory, disk.

use crate::workload::Sample;
use jettra_tests::Guard;
use jettra_tests::measure::Failure;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// The unit of processor time in `/proc`: 100 for each second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const EXIT_MAX: Duration = Duration::from_secs(20);
const READY_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on an interrupt or `SIGTERM` only makes [`check_interrupt`] fail, so that every process is
/// ended and every file removed.
pub(crate) fn catch_interrupt() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    let mut signals = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    std::thread::spawn(move || {
        let [interrupt, terminate] = &mut signals;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        INTERRUPTED.store(true, Ordering::Release);
    });
    Ok(())
}

/// Fails once the comparison has been interrupted.
pub(crate) fn check_interrupt() -> Result<(), Failure> {
    if INTERRUPTED.load(Ordering::Acquire) { Err("interrupted".into()) } else { Ok(()) }
}

/// A server process that can be started again. Dropping it ends it.
pub(crate) struct Process {
    command: Command,
    /// The signal that ends it when it is dropped.
    end: &'static str,
    child: Option<(Child, Guard)>,
}

impl Process {
    /// Starts a process without input; its output goes to the file `log`.
    pub(crate) fn start(
        mut command: Command,
        log: &Path,
        end: &'static str,
    ) -> Result<Process, Failure> {
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut process = Process { command, end, child: None };
        process.restart()?;
        Ok(process)
    }

    /// Starts it again after [`Process::end`].
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        let child = self
            .command
            .spawn()
            .map_err(|error| format!("{:?}: {error}", self.command.get_program()))?;
        let guard = Guard::of(child.id());
        self.child = Some((child, guard));
        Ok(())
    }

    /// Its id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(|(child, _)| child.id())
    }

    /// Sends a signal and waits until the process has ended.
    pub(crate) fn end(&mut self, signal: &str) -> Result<(), Failure> {
        let Some((mut child, _guard)) = self.child.take() else { return Ok(()) };
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status()?;
        let deadline = Instant::now() + EXIT_MAX;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end(self.end);
    }
}

/// Runs a program to its end and returns its output.
pub(crate) fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        let (out, err) = (output.stdout, output.stderr);
        let text = [String::from_utf8_lossy(&out), String::from_utf8_lossy(&err)].concat();
        return Err(format!("{:?}: {text}", command.get_program()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Calls `condition` until it returns a value.
pub(crate) fn wait_for<T>(
    what: &str,
    mut condition: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + READY_MAX;
    loop {
        check_interrupt()?;
        match condition() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("{what}: {error}").into());
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// A process as `/proc` shows it.
struct Stat {
    parent: u32,
    /// Time of the processor used by it and the children that it has waited for.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may contain anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).filter_map(number).sum();
    Some(Stat { parent: number(1)? as u32, ticks })
}

/// These processes and all that they have started.
fn tree(roots: &[u32]) -> Vec<(u32, Stat)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut all: HashMap<u32, Stat> = pids.filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut found = Vec::new();
    let mut next = roots.to_vec();
    while let Some(pid) = next.pop() {
        next.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| *pid));
        found.extend(all.remove(&pid).map(|stat| (pid, stat)));
    }
    found
}

/// Processor time that the processes and their children have used, in seconds.
pub(crate) fn cpu_seconds(roots: &[u32]) -> f64 {
    tree(roots).iter().map(|(_, stat)| stat.ticks).sum::<u64>() as f64 / TICKS_PER_SECOND
}

/// Measures with the processor time that the processes use meanwhile.
pub(crate) fn metered(
    roots: &[u32],
    measure: impl FnOnce() -> Result<Sample, Failure>,
) -> Result<Sample, Failure> {
    check_interrupt()?;
    let before = cpu_seconds(roots);
    let sample = measure()?;
    let used = cpu_seconds(roots) - before;
    Ok(Sample { cpu_us: used * 1e6 / sample.operations.max(1) as f64, ..sample })
}

/// Memory of the processes and their children that no file backs, shared memory counted once, in MB.
pub(crate) fn private_mb(roots: &[u32]) -> f64 {
    let kilobytes = |(pid, _): (u32, Stat)| -> u64 {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let fields = text.lines().filter_map(|line| {
            let rest =
                line.strip_prefix("Pss_Anon:").or_else(|| line.strip_prefix("Pss_Shmem:"))?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        });
        fields.sum()
    };
    tree(roots).into_iter().map(kilobytes).sum::<u64>() as f64 / 1024.0
}

/// What a process uses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Memory that it has changed and shares with no other process, in MB.
    pub(crate) private_mb: f64,
    /// The part of it in the heap that grows with `brk`, which is that of the first thread.
    pub(crate) heap_mb: f64,
    /// The part of it in other memory that no file backs.
    pub(crate) mapped_mb: f64,
    /// The part of it in pages of files.
    pub(crate) files_mb: f64,
    /// Threads.
    pub(crate) threads: usize,
    /// Open file handles.
    pub(crate) handles: usize,
}

/// What a process uses now.
pub(crate) fn usage(pid: u32) -> Usage {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let count = |what| std::fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
    let (threads, handles) = (count("task"), count("fd"));
    let [heap, mapped, files] = private_kilobytes(&text).map(|part| part as f64 / 1024.0);
    Usage {
        private_mb: heap + mapped + files,
        heap_mb: heap,
        mapped_mb: mapped,
        files_mb: files,
        threads,
        handles,
    }
}

/// `Private_Dirty` of the heap, of other memory without a file, and of files, by the text of `smaps`.
fn private_kilobytes(smaps: &str) -> [u64; 3] {
    let (mut parts, mut part) = ([0; 3], 0);
    for line in smaps.lines() {
        let mut fields = line.split_whitespace();
        match fields.next() {
            Some("Private_Dirty:") => {
                parts[part] += fields.next().and_then(|size| size.parse().ok()).unwrap_or(0);
            }
            // A mapping: its addresses, rights, offset, device, inode, and what it maps.
            Some(first) if !first.ends_with(':') => {
                part = match fields.nth(4) {
                    Some("[heap]") => 0,
                    Some(file) if file.starts_with('/') => 2,
                    _ => 1,
                };
            }
            _ => {}
        }
    }
    parts
}

/// Space on disk that the files of a directory take, in MB.
pub(crate) fn disk_mb(dir: &Path) -> f64 {
    fn blocks(dir: &Path) -> u64 {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let size = |entry: std::fs::DirEntry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => blocks(&entry.path()),
            Ok(metadata) => metadata.blocks(),
            Err(_) => 0,
        };
        entries.map(size).sum()
    }
    blocks(dir) as f64 * 512.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_memory_is_counted_by_what_backs_it() {
        let smaps = "55d0-55d1 rw-p 00000000 00:00 0    [heap]\nSize: 8 kB\nPrivate_Dirty: 8 kB\n\
                     7f00-7f01 rw-p 00000000 00:00 0 \nPrivate_Dirty: 3 kB\n\
                     7f02-7f03 rw-s 00000000 fe:01 77    /a b/data.mdb\nPrivate_Dirty: 2 kB\n\
                     7f04-7f05 rw-p 00000000 00:00 0    [stack]\nPrivate_Dirty: 1 kB\n";
        assert_eq!(private_kilobytes(smaps), [8, 4, 2]);
    }
}
