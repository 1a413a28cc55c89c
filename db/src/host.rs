//! What this process and its machine use: processors, memory, disk. Read from the system when somebody
//! asks, so that it costs an idle node nothing.

use crate::error::{Error, Kind, Result};
use parking_lot::Mutex;
use procfs::process::Process;
use procfs::{Current, CurrentSI, KernelStats, Meminfo};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Shortest time over which the use of processors is measured: the system counts in hundredths of a
/// second.
const WINDOW_MIN: Duration = Duration::from_millis(250);
/// Age from which a measurement begins anew with the next one.
const WINDOW_NEXT: Duration = Duration::from_secs(1);
/// Age up to which a measurement goes on: an average over more says nothing about now.
const WINDOW_MAX: Duration = Duration::from_secs(15);

/// What a process and its machine have used of processors so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuTimes {
    /// When it was read.
    pub at: Instant,
    /// Processor time of this process.
    pub process: Duration,
    /// Processor time of everything on the machine.
    pub machine_busy: Duration,
    /// The same with the time in which processors had nothing to do.
    pub machine_all: Duration,
}

/// What is read at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HostReading {
    /// Processors.
    pub cpu: CpuTimes,
    /// How many processors the machine has.
    pub processors: usize,
    /// Memory of this process that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Files and connections that this process has open.
    pub open_files: u64,
    /// How many it may have open; none for as many as it likes.
    pub open_files_max: Option<u64>,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// What of it is available to programs.
    pub memory_available_bytes: u64,
    /// Size of the disk of the data directory, in bytes.
    pub disk_bytes: u64,
    /// What of it is free for this process.
    pub disk_free_bytes: u64,
    /// Space that the data directory takes on it.
    pub data_bytes: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
}

/// What this process and its machine use, in the form that people ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HostUsage {
    /// Use of the machine's processors by all programs, in percent of all of them.
    pub cpu_percent: f64,
    /// Use of the machine's processors by this process, in percent of all of them.
    pub process_cpu_percent: f64,
    /// How many processors the machine has.
    pub processors: u64,
    /// Memory of this process that is in RAM, in bytes.
    pub resident_bytes: u64,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// What of it is available to programs.
    pub memory_available_bytes: u64,
    /// Size of the disk of the data directory, in bytes.
    pub disk_bytes: u64,
    /// What of it is free for this process.
    pub disk_free_bytes: u64,
    /// Space that the data directory takes on it.
    pub data_bytes: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// Files and connections that this process has open; none on a node of an older version.
    #[serde(default)]
    pub open_files: Option<u64>,
    /// How many it may have open; none for as many as it likes.
    #[serde(default)]
    pub open_files_max: Option<u64>,
}

/// Reads what this process and its machine use.
#[derive(Debug)]
pub struct Host {
    data_dir: PathBuf,
    started: Instant,
    /// Where the measurement of processors under way has begun.
    begin: Mutex<Option<CpuTimes>>,
}

impl Host {
    /// For the node with this data directory, which starts now.
    pub fn new(data_dir: &Path) -> Host {
        let data_dir = data_dir.to_path_buf();
        Host { data_dir, started: Instant::now(), begin: Mutex::new(CpuTimes::read().ok()) }
    }

    /// What is used now. It reads files of the system and the data directory, so a thread that
    /// serves others must not call it.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn read(&self) -> Result<HostReading> {
        let process = Process::myself().map_err(unreadable)?;
        let stat = process.stat().map_err(unreadable)?;
        let memory = Meminfo::current().map_err(unreadable)?;
        let disk = rustix::fs::statvfs(&self.data_dir).map_err(unreadable)?;
        let data_bytes = space_of(&self.data_dir).map_err(unreadable)?;
        Ok(HostReading {
            cpu: CpuTimes::read()?,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            resident_bytes: stat.rss * procfs::page_size(),
            open_files: process.fd_count().map_err(unreadable)? as u64,
            open_files_max: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            memory_bytes: memory.mem_total,
            memory_available_bytes: memory.mem_available.unwrap_or(memory.mem_free),
            disk_bytes: disk.f_blocks * disk.f_frsize,
            disk_free_bytes: disk.f_bavail * disk.f_frsize,
            data_bytes,
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// What is used now, the processors over the last moments: it takes up to 250 ms when nobody has
    /// asked in the last 15 s.
    ///
    /// # Errors
    /// When the system does not say.
    pub async fn usage(self: &Arc<Host>) -> Result<HostUsage> {
        let begin = self.begin()?;
        tokio::time::sleep(WINDOW_MIN.saturating_sub(begin.at.elapsed())).await;
        let host = self.clone();
        let reading =
            tokio::task::spawn_blocking(move || host.read()).await.map_err(unreadable)??;
        self.go_on(reading.cpu);
        let (cpu_percent, process_cpu_percent) = percent(begin, reading.cpu);
        Ok(HostUsage {
            cpu_percent,
            process_cpu_percent,
            processors: reading.processors as u64,
            resident_bytes: reading.resident_bytes,
            memory_bytes: reading.memory_bytes,
            memory_available_bytes: reading.memory_available_bytes,
            disk_bytes: reading.disk_bytes,
            disk_free_bytes: reading.disk_free_bytes,
            data_bytes: reading.data_bytes,
            uptime_ms: reading.uptime_ms,
            open_files: Some(reading.open_files),
            open_files_max: reading.open_files_max,
        })
    }

    /// Where the measurement begins.
    fn begin(&self) -> Result<CpuTimes> {
        let mut begin = self.begin.lock();
        match *begin {
            Some(known) if known.at.elapsed() <= WINDOW_MAX => Ok(known),
            _ => Ok(*begin.insert(CpuTimes::read()?)),
        }
    }

    /// Lets the next measurement begin at `now` when the one under way is long enough.
    fn go_on(&self, now: CpuTimes) {
        let mut begin = self.begin.lock();
        if begin.is_none_or(|begin| now.at.saturating_duration_since(begin.at) >= WINDOW_NEXT) {
            *begin = Some(now);
        }
    }
}

impl CpuTimes {
    fn read() -> Result<CpuTimes> {
        let stat = Process::myself().and_then(|process| process.stat()).map_err(unreadable)?;
        let total = KernelStats::current().map_err(unreadable)?.total;
        let busy = [total.user, total.nice, total.system]
            .into_iter()
            .chain([total.irq, total.softirq, total.steal].into_iter().flatten());
        let busy = busy.sum::<u64>();
        let idle = total.idle + total.iowait.unwrap_or_default();
        Ok(CpuTimes {
            at: Instant::now(),
            process: ticks(stat.utime + stat.stime),
            machine_busy: ticks(busy),
            machine_all: ticks(busy + idle),
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / procfs::ticks_per_second() as f64)
}

/// The use of all processors between two moments, by everything and by this process.
fn percent(begin: CpuTimes, end: CpuTimes) -> (f64, f64) {
    let all = end.machine_all.saturating_sub(begin.machine_all).as_secs_f64();
    let of_all = |begin: Duration, end: Duration| match all > 0.0 {
        true => rounded((end.saturating_sub(begin).as_secs_f64() / all * 100.0).min(100.0)),
        false => 0.0,
    };
    (of_all(begin.machine_busy, end.machine_busy), of_all(begin.process, end.process))
}

/// A percentage with one digit after the point; what is measured is not known better.
pub fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// Space that the files in a directory take on the disk. Files that go away meanwhile do not count.
fn space_of(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            bytes += match space_of(&entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                space => space?,
            };
        }
    }
    Ok(bytes)
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("the system does not say what is used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(process: u64, busy: u64, all: u64) -> CpuTimes {
        let [process, machine_busy, machine_all] = [process, busy, all].map(Duration::from_millis);
        CpuTimes { at: Instant::now(), process, machine_busy, machine_all }
    }

    #[test]
    fn processors_are_in_percent_of_all_of_them() {
        let begin = times(1_000, 9_000, 100_000);
        assert_eq!(percent(begin, times(1_500, 10_000, 102_000)), (50.0, 25.0));
        assert_eq!(percent(begin, times(1_010, 9_010, 103_000)), (0.3, 0.3));
        // Counters that stand still or go back are no use of processors.
        assert_eq!(percent(begin, begin), (0.0, 0.0));
        assert_eq!(percent(begin, times(0, 0, 101_000)), (0.0, 0.0));
    }

    #[tokio::test]
    async fn a_node_knows_what_it_uses() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a/b");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), vec![7; 100_000]).unwrap();
        let host = Arc::new(Host::new(directory.path()));
        // It would take a quarter of a second of work to be sure of more than 0 %.
        let usage = host.usage().await.unwrap();
        assert!((0.0..=100.0).contains(&usage.cpu_percent), "{usage:?}");
        assert!(usage.process_cpu_percent <= 100.0 && usage.processors > 0, "{usage:?}");
        assert!(usage.resident_bytes > 1 << 20, "{usage:?}");
        assert!(usage.memory_available_bytes < usage.memory_bytes, "{usage:?}");
        assert!(usage.disk_free_bytes <= usage.disk_bytes, "{usage:?}");
        assert!((100_000..1 << 20).contains(&usage.data_bytes), "{usage:?}");
        assert!(usage.uptime_ms >= 250, "{usage:?}");
        assert!(
            usage.open_files > Some(2) && usage.open_files <= usage.open_files_max,
            "{usage:?}"
        );
    }
}
