//! What is measured: the operations, the documents, and the goals.

use jettra_tests::measure::Failure;
use std::path::PathBuf;
use std::time::Instant;

/// Stands for the id of a stored document, chosen at random, in a request.
pub(crate) const ID: &str = "71828182";
/// Stands for the group of that document: its id divided by ten.
pub(crate) const GROUP: &str = "3141592";
/// Stands for a number that no other call has. Like every text of 16 digits, it is Base64 as well.
pub(crate) const SEQUENCE: &str = "1618033988749894";
/// Stands for the database in a request that is sent to one of many.
pub(crate) const DATABASE: &str = "b57721566";
/// The first id. All have as many digits as [`ID`].
pub(crate) const FIRST: u64 = 10_000_000;
/// The first number of [`SEQUENCE`].
pub(crate) const SEQUENCE_FIRST: u64 = 1_000_000_000_000_000;
/// Documents of a group, which a find by index returns.
pub(crate) const GROUP_SIZE: u64 = 10;

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Inserts one document of this many bytes, by a call to the leader.
    Insert(usize),
    /// Inserts one document of 200 bytes, by a call to a follower.
    InsertAtFollower,
    /// Replaces one document of 200 bytes.
    Update,
    /// Reads one document by its id, and sees every acknowledged write.
    Get,
    /// Reads one document by its id in the state of the node that is called.
    LocalGet,
    /// Reads the ten documents of a group by an index, in the state of the node that is called.
    Find,
    /// Loads large documents into a new collection, many with each call.
    Load,
    /// Builds an index over the large documents.
    BuildIndex,
    /// Counts the large documents in a range of the index.
    CountIndexed,
    /// Counts the large documents that match a filter without an index.
    Scan,
    /// Groups all large documents.
    Group,
}

impl Work {
    /// What the table calls it.
    pub(crate) fn name(self) -> String {
        match self {
            Work::Insert(bytes) if bytes >= 1000 => format!("insert {} KB", bytes / 1000),
            Work::Insert(bytes) => format!("insert {bytes} B"),
            Work::InsertAtFollower => "insert 200 B, sent to a follower".into(),
            Work::Update => "update by id".into(),
            Work::Get => "linearizable get".into(),
            Work::LocalGet => "local get".into(),
            Work::Find => "find by index, 10 documents, local".into(),
            Work::Load => "bulk load, documents/s".into(),
            Work::BuildIndex => "index build, documents/s".into(),
            Work::CountIndexed => "count, filter on an index".into(),
            Work::Scan => "full scan with a filter".into(),
            Work::Group => "`$group`".into(),
        }
    }

    /// Whether the operations whose names contain `only` need it before them.
    pub(crate) fn is_needed_for(self, only: &str) -> bool {
        let named = |works: &[Work]| works.iter().any(|work| work.name().contains(only));
        match self {
            Work::Load => named(&[Work::BuildIndex, Work::CountIndexed, Work::Scan, Work::Group]),
            Work::BuildIndex => named(&[Work::CountIndexed]),
            _ => false,
        }
    }

    /// Whether it adds documents to the collection of inserts.
    pub(crate) fn inserts(self) -> bool {
        matches!(self, Work::Insert(_) | Work::InsertAtFollower)
    }
}

/// What is demanded of Jettra in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// At least this many times the operations per second of another system.
    Peer(&'static str, f64),
    /// At least this many times its own operations per second of another row.
    Row(Work, f64),
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The operation.
    pub(crate) work: Work,
    /// Clients that carry it out at the same time.
    pub(crate) clients: usize,
    /// The goals.
    pub(crate) goals: &'static [Goal],
}

/// The columns that goals name.
pub(crate) const ETCD: &str = "etcd HTTP";
/// etcd by gRPC.
pub(crate) const ETCD_GRPC: &str = "etcd gRPC";
/// PostgreSQL.
pub(crate) const POSTGRES: &str = "PostgreSQL";
/// A handler of actix-web that does nothing else.
pub(crate) const ACTIX: &str = "bare actix";

const fn row(work: Work, clients: usize, goals: &'static [Goal]) -> Row {
    Row { work, clients, goals }
}

/// The rows, in the order in which they are measured: each round loads the large documents anew
/// before it reads them.
pub(crate) const ROWS: &[Row] = &[
    row(Work::Insert(200), 1, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Insert(200), 64, &[Goal::Peer(POSTGRES, 1.8), Goal::Peer(ETCD_GRPC, 2.5)]),
    row(Work::Insert(200), 256, &[Goal::Peer(ETCD, 4.0)]),
    row(Work::InsertAtFollower, 64, &[]),
    row(Work::Insert(1000), 64, &[]),
    row(Work::Update, 64, &[Goal::Peer(POSTGRES, 1.3)]),
    row(Work::Get, 1, &[]),
    row(Work::Get, 64, &[Goal::Peer(ETCD, 8.0), Goal::Row(Work::LocalGet, 0.75)]),
    row(Work::LocalGet, 64, &[Goal::Peer(ACTIX, 0.85)]),
    row(Work::LocalGet, 256, &[Goal::Peer(ACTIX, 0.85)]),
    row(Work::Find, 1, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Find, 64, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Find, 256, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Load, 1, &[Goal::Peer(POSTGRES, 0.7), Goal::Peer(ETCD, 5.0)]),
    row(Work::BuildIndex, 1, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::CountIndexed, 1, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Scan, 1, &[Goal::Peer(POSTGRES, 1.0)]),
    row(Work::Group, 1, &[Goal::Peer(POSTGRES, 1.0)]),
];

/// How an operation is measured.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Clients at the same time.
    pub(crate) clients: usize,
    /// Time for which they repeat it.
    pub(crate) seconds: u64,
    /// Small documents that are stored.
    pub(crate) documents: u64,
    /// Large documents.
    pub(crate) large: u64,
    /// The first number of [`SEQUENCE`] of this measurement.
    pub(crate) sequence: u64,
    /// A directory for the files of the generators.
    pub(crate) dir: PathBuf,
}

/// Figures of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Operations completed.
    pub(crate) operations: u64,
    /// How long they took together.
    pub(crate) seconds: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile of the latency in milliseconds.
    pub(crate) p99_ms: f64,
    /// Processor time of all processes of the system for one operation, in microseconds.
    pub(crate) cpu_us: f64,
}

impl Sample {
    /// Figures of operations with these latencies in milliseconds, one after the other or at the same
    /// time.
    pub(crate) fn of(mut latencies_ms: Vec<f64>, seconds: f64) -> Sample {
        latencies_ms.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (latencies_ms.len().saturating_sub(1) as f64 * part) as usize;
            latencies_ms.get(index).copied().unwrap_or_default()
        };
        let (p50_ms, p99_ms) = (at(0.5), at(0.99));
        Sample { operations: latencies_ms.len() as u64, seconds, p50_ms, p99_ms, cpu_us: 0.0 }
    }

    /// Operations per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.seconds
    }
}

/// Repeats a call until the time of the plan is over.
pub(crate) fn repeat(
    plan: &Plan,
    mut call: impl FnMut() -> Result<(), Failure>,
) -> Result<Sample, Failure> {
    let started = Instant::now();
    let mut latencies = Vec::new();
    while latencies.is_empty() || started.elapsed().as_secs() < plan.seconds {
        let begun = Instant::now();
        call()?;
        latencies.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Sample::of(latencies, started.elapsed().as_secs_f64()))
}

/// Measures one call that carries out `operations`.
pub(crate) fn once(
    operations: u64,
    call: impl FnOnce() -> Result<(), Failure>,
) -> Result<Sample, Failure> {
    let started = Instant::now();
    call()?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Sample { operations, ..Sample::of(vec![seconds * 1e3], seconds) })
}

/// A small document of this many bytes of JSON: a number, a group, and text.
pub(crate) fn small(number: &str, group: &str, bytes: usize) -> String {
    let head = format!(r#"{{"n":{number},"g":{group},"text":""#);
    let text = "x".repeat(bytes.saturating_sub(head.len() + 2));
    format!("{head}{text}\"}}")
}

/// What the large document with a number contains besides text.
pub(crate) struct Large {
    /// Its number.
    pub(crate) number: u64,
    /// From 0 to 99.
    pub(crate) city: u64,
    /// From 0 to 89.
    pub(crate) age: u64,
    /// From 0 to 999.99.
    pub(crate) price: f64,
    mixed: u64,
}

/// What is counted without an index: about a tenth of the large documents.
pub(crate) const AGE_MIN: u64 = 80;
/// What is counted by an index: about a tenth of the large documents.
pub(crate) const PRICE_MAX: f64 = 100.0;
/// Different cities.
pub(crate) const CITIES: u64 = 100;

impl Large {
    /// The document with this number.
    pub(crate) fn new(number: u64) -> Large {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let price = (mixed % 100_000) as f64 / 100.0;
        Large { number, city: mixed % CITIES, age: mixed % 90, price, mixed }
    }

    /// The document as JSON without `_id`: about 900 bytes.
    pub(crate) fn text(&self) -> String {
        let Large { number, city, age, price, mixed } = self;
        let (even, one, two) = (mixed.is_multiple_of(2), mixed % 7, mixed % 11);
        let (street, zip) = (mixed % 1000, mixed % 99_999);
        let text = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. ".repeat(13);
        format!(
            r#"{{"email":"user{number}@example.org","city":"city{city}","age":{age},"price":{price},"active":{even},"tags":["t{one}","t{two}"],"address":{{"street":"Street {street}","zip":"{zip:05}"}},"text":"{text}"}}"#
        )
    }

    /// How many of the first `count` documents satisfy a condition.
    pub(crate) fn matching(count: u64, condition: impl Fn(&Large) -> bool) -> u64 {
        (0..count).map(Large::new).filter(condition).count() as u64
    }
}
