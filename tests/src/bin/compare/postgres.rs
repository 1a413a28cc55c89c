//! PostgreSQL: a primary and two synchronous standbys, of which one must confirm each commit.

use crate::process::{Process, metered, run, wait_for};
use crate::system::System;
use crate::workload::{
    AGE_MIN, CITIES, FIRST, GROUP, GROUP_SIZE, Large, POSTGRES, PRICE_MAX, Plan, SEQUENCE, Sample,
    Work, once, small,
};
use jettra_tests::free_ports;
use jettra_tests::measure::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 1GB
max_wal_size = 4GB
jit = off
synchronous_standby_names = 'ANY 1 (s1, s2)'
";
/// The name under which a server runs when root starts it, which PostgreSQL refuses.
const USER: &str = "postgres";

/// A primary and its standbys.
pub(crate) struct Postgres {
    programs: PathBuf,
    dir: PathBuf,
    port: u16,
    servers: Vec<Process>,
    loads: usize,
}

/// The directory of the newest version installed, if it is complete.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(number)?;
    let complete = |bin: &PathBuf| {
        ["postgres", "psql", "pgbench"].iter().all(|program| bin.join(program).is_file())
    };
    Some(newest.join("bin")).filter(complete)
}

impl Postgres {
    /// Starts the primary and the standbys with data in `dir`.
    pub(crate) fn start(programs: PathBuf, dir: &Path) -> Result<Postgres, Failure> {
        std::fs::create_dir_all(dir)?;
        let (dir, port) = (dir.to_owned(), free_ports(3));
        let mut postgres = Postgres { programs, dir, port, servers: Vec::new(), loads: 0 };
        if is_root() {
            run(Command::new("chown").arg(USER).arg(&postgres.dir))?;
        }
        let data = postgres.dir.join("n0");
        run(postgres.as_user("initdb").args(["-A", "trust", "-U", USER, "-D"]).arg(&data))?;
        let mut file = std::fs::File::options().append(true).open(data.join("postgresql.conf"))?;
        file.write_all(SETTINGS.as_bytes())?;
        postgres.start_server(0)?;
        for standby in 1..=2 {
            let source =
                format!("host=127.0.0.1 port={port} user={USER} application_name=s{standby}");
            let mut copy = postgres.as_user("pg_basebackup");
            copy.args(["-R", "-c", "fast", "-d", &source, "-D"]);
            run(copy.arg(postgres.dir.join(format!("n{standby}"))))?;
            postgres.start_server(standby)?;
        }
        wait_for("two standbys", || {
            let standbys = postgres
                .sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'")?;
            if standbys.trim() == "2" { Ok(()) } else { Err(standbys.into()) }
        })?;
        postgres.sql(
            "CREATE TABLE docs (id bigint PRIMARY KEY, doc jsonb NOT NULL);
             CREATE TABLE inserts (id bigserial PRIMARY KEY, doc jsonb NOT NULL);
             CREATE INDEX ON docs (((doc->>'g')::int))",
        )?;
        Ok(postgres)
    }

    /// A program of PostgreSQL's server, run by a user that it accepts.
    fn as_user(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match is_root() {
            true => Command::new("setpriv"),
            false => Command::new(&path),
        };
        if is_root() {
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(path);
        }
        command.current_dir(&self.dir);
        command
    }

    fn start_server(&mut self, at: u16) -> Result<(), Failure> {
        let mut command = self.as_user("postgres");
        command.arg("-D").arg(self.dir.join(format!("n{at}")));
        command.args(["-p", &(self.port + at).to_string()]);
        let log = self.dir.join(format!("n{at}.log"));
        self.servers.push(Process::start(command, &log, "QUIT")?);
        wait_for("PostgreSQL", || self.sql_at(at, "SELECT 1"))?;
        Ok(())
    }

    fn connection(&self, program: &str, at: u16) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-U", USER, "-p", &(self.port + at).to_string()]);
        command
    }

    fn sql_at(&self, at: u16, text: &str) -> Result<String, Failure> {
        let mut psql = self.connection("psql", at);
        run(psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-qAtc", text, "postgres"]))
    }

    fn sql(&self, text: &str) -> Result<String, Failure> {
        self.sql_at(0, text)
    }

    /// Writes a file of documents as `COPY` reads it.
    fn copy_file(
        &self,
        numbers: std::ops::Range<u64>,
        document: impl Fn(u64) -> String,
    ) -> Result<PathBuf, Failure> {
        let path = self.dir.join("documents.tsv");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for number in numbers {
            writeln!(file, "{number}\t{}", document(number))?;
        }
        file.flush()?;
        Ok(path)
    }

    fn copy(&self, table: &str, path: &Path) -> Result<(), Failure> {
        self.sql(&format!("\\copy {table} FROM '{}'", path.display())).map(drop)
    }

    fn bench(
        &self,
        script: &str,
        variables: &[(&str, String)],
        plan: &Plan,
    ) -> Result<Sample, Failure> {
        // Opening the connections takes long on a busy machine.
        for opening_max in [plan.clients as u64 / 32, 20, 60] {
            let run = || self.pgbench(script, variables, plan, opening_max);
            let sample = metered(&self.pids(), run)?;
            if sample.operations > 0 {
                return Ok(sample);
            }
        }
        Err("pgbench did not open its connections in time".into())
    }

    /// Runs a script with pgbench, once in each transaction. `variables` are those of the script. No
    /// operations, if opening the connections took longer than the plan's time and `opening_max`
    /// seconds.
    fn pgbench(
        &self,
        script: &str,
        variables: &[(&str, String)],
        plan: &Plan,
        opening_max: u64,
    ) -> Result<Sample, Failure> {
        let file = plan.dir.join("script.sql");
        std::fs::write(&file, script)?;
        let logs = plan.dir.join("transactions");
        let _ = std::fs::remove_dir_all(&logs);
        std::fs::create_dir(&logs)?;
        let mut pgbench = self.connection("pgbench", 0);
        pgbench.args(["-n", "-M", "prepared", "-c", &plan.clients.to_string()]);
        // Its time includes that for opening the connections, which its result does not.
        let seconds = plan.seconds + opening_max;
        pgbench.args(["-T", &seconds.to_string(), "-f"]).arg(&file);
        pgbench.arg("-l").arg(format!("--log-prefix={}", logs.join("log").display()));
        for (name, value) in variables {
            pgbench.arg("-D").arg(format!("{name}={value}"));
        }
        let output = run(pgbench.arg("postgres"))?;
        if !output.contains("number of failed transactions: 0 ") {
            return Err(output.into());
        }
        let line = output.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap_or_default();
        let rate: f64 = line.split(' ').next().unwrap_or_default().parse().unwrap_or_default();
        let mut latencies = Vec::new();
        for entry in std::fs::read_dir(&logs)? {
            let text = std::fs::read_to_string(entry?.path())?;
            let microseconds = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            latencies.extend(microseconds.map(|time: f64| time / 1e3));
        }
        let seconds = latencies.len() as f64 / rate;
        Ok(Sample::of(latencies, seconds))
    }

    fn table(&self) -> String {
        format!("large{}", self.loads)
    }

    /// Checks that a query returns a number.
    fn expect(&self, query: &str, expected: u64) -> Result<(), Failure> {
        let found = self.sql(query)?;
        match found.trim() == expected.to_string() {
            true => Ok(()),
            false => Err(format!("{query}: {found} instead of {expected}").into()),
        }
    }

    fn load(&mut self, count: u64) -> Result<Sample, Failure> {
        self.loads += 1;
        let table = self.table();
        self.sql(&format!("CREATE TABLE {table} (id bigint PRIMARY KEY, doc jsonb NOT NULL)"))?;
        let path = self.copy_file(0..count, |number| Large::new(number).text())?;
        let sample = metered(&self.pids(), || once(count, || self.copy(&table, &path)))?;
        self.sql(&format!("VACUUM ANALYZE {table}"))?;
        Ok(sample)
    }

    fn build_index(&self, count: u64) -> Result<Sample, Failure> {
        let table = self.table();
        let create = format!("CREATE INDEX ON {table} (((doc->>'price')::numeric))");
        let sample = metered(&self.pids(), || once(count, || self.sql(&create).map(drop)))?;
        self.sql(&format!("ANALYZE {table}"))?;
        Ok(sample)
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The parts of a small document between its numbers, and an expression that joins them.
fn insert(bytes: usize) -> (&'static str, Vec<(&'static str, String)>) {
    let document = small(SEQUENCE, GROUP, bytes);
    let (before, rest) = document.split_once(SEQUENCE).unwrap_or_default();
    let (between, after) = rest.split_once(GROUP).unwrap_or_default();
    let parts = [("a", before), ("b", between), ("c", after)];
    let parts = parts.map(|(name, text)| (name, text.to_owned())).to_vec();
    ("(:a::text || :n || :b || :g || :c)::jsonb", parts)
}

impl System for Postgres {
    fn name(&self) -> String {
        POSTGRES.to_owned()
    }

    fn pids(&self) -> Vec<u32> {
        self.servers.iter().filter_map(Process::pid).collect()
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn fill(&mut self, documents: u64) -> Result<(), Failure> {
        let path = self.copy_file(FIRST..FIRST + documents, |number| {
            small(&number.to_string(), &(number / GROUP_SIZE).to_string(), 200)
        })?;
        self.copy("docs", &path)?;
        std::fs::remove_file(path)?;
        self.sql("VACUUM ANALYZE docs").map(drop)
    }

    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure> {
        let last = FIRST + plan.documents - 1;
        let id = format!("\\set id random({FIRST}, {last})\n");
        let group = format!("\\set g random({}, {})\n", FIRST / GROUP_SIZE, last / GROUP_SIZE);
        let number = format!("\\set n random({0}, {0} * 2)\n", plan.sequence);
        let table = self.table();
        let sample = match work {
            Work::Insert(bytes) => {
                let (document, parts) = insert(bytes);
                let script =
                    format!("{number}{group}INSERT INTO inserts (doc) VALUES ({document});\n");
                self.bench(&script, &parts, plan)?
            }
            Work::Update => {
                let (document, parts) = insert(200);
                let set = format!("UPDATE docs SET doc = {document} WHERE id = :id;\n");
                let script = format!("{id}\\set g :id / {GROUP_SIZE}\n{number}{set}");
                self.bench(&script, &parts, plan)?
            }
            Work::Get | Work::LocalGet => {
                self.bench(&format!("{id}SELECT doc FROM docs WHERE id = :id;\n"), &[], plan)?
            }
            Work::Find => {
                let find = "SELECT doc FROM docs WHERE (doc->>'g')::int = :g;\n";
                self.bench(&format!("{group}{find}"), &[], plan)?
            }
            Work::Load => self.load(plan.large)?,
            Work::BuildIndex => self.build_index(plan.large)?,
            Work::CountIndexed | Work::Scan => {
                let condition = match work {
                    Work::Scan => format!("(doc->>'age')::int >= {AGE_MIN}"),
                    _ => format!("(doc->>'price')::numeric < {PRICE_MAX}"),
                };
                let expected = match work {
                    Work::Scan => Large::matching(plan.large, |large| large.age >= AGE_MIN),
                    _ => Large::matching(plan.large, |large| large.price < PRICE_MAX),
                };
                let query = format!("SELECT count(*) FROM {table} WHERE {condition}");
                self.expect(&query, expected)?;
                self.bench(&format!("{query};\n"), &[], plan)?
            }
            Work::Group => {
                let groups = format!(
                    "SELECT doc->>'city', count(*), avg((doc->>'price')::numeric) FROM {table} GROUP BY 1"
                );
                self.expect(
                    &format!("SELECT count(*) FROM ({groups}) AS g"),
                    CITIES.min(plan.large),
                )?;
                self.bench(&format!("{groups};\n"), &[], plan)?
            }
            Work::InsertAtFollower => return Ok(None),
        };
        Ok(Some(sample))
    }

    fn inserted(&self) -> Result<u64, Failure> {
        Ok(self.sql("SELECT count(*) FROM inserts")?.trim().parse()?)
    }

    fn verify(&self, documents: u64) -> Result<(), Failure> {
        let id = FIRST + documents / 2;
        let group = id / GROUP_SIZE;
        self.expect(&format!("SELECT doc->>'g' FROM docs WHERE id = {id}"), group)?;
        let find = format!("SELECT count(*) FROM docs WHERE (doc->>'g')::int = {group}");
        self.expect(&find, GROUP_SIZE)
    }

    fn restart_node(&mut self) -> Result<Option<f64>, Failure> {
        self.servers[1].end("INT")?;
        let started = Instant::now();
        self.servers[1].restart()?;
        let get = format!("SELECT doc FROM docs WHERE id = {FIRST}");
        wait_for("a standby that was restarted", || self.sql_at(1, &get))?;
        Ok(Some(started.elapsed().as_secs_f64()))
    }

    fn kill_leader(&mut self) -> Result<Option<f64>, Failure> {
        Ok(None)
    }
}
