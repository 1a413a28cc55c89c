//! `jettradb`: flags, logging, exit.

use clap::{Arg, Command};
use jettra_db::cluster::Exit;
use jettra_db::config::{Config, KEYS, Type};
use jettra_db::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Longest time from the first signal to the end of the process. What is acknowledged is in the
/// log by then, whatever is still under way.
const END_MAX: Duration = Duration::from_secs(10);
/// Time that work which cannot be interrupted gets at the end.
const WORK_MAX: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    return_large_blocks();
    let ended = follow_signals().and_then(start);
    match ended {
        Ok(Exit::Stop) => ExitCode::SUCCESS,
        Ok(Exit::Restart) => restart(),
        Ok(Exit::Failed(reason)) => fail(&reason),
        Err(error) => fail(&error.to_string()),
    }
}

/// Makes the allocator give large blocks back to the system. glibc keeps blocks of up to
/// 32 MiB once one has been freed, and each password check uses 19 MiB on some thread.
#[allow(unsafe_code)]
fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: called before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

/// Follows SIGTERM and SIGINT, on a thread that nothing else can keep busy. The first asks the node
/// to end, whatever it is doing; a second, or [`END_MAX`], ends the process at once.
fn follow_signals() -> Result<watch::Receiver<bool>> {
    let failed = |error: std::io::Error| {
        Error::new(Kind::Internal, format!("signals cannot be followed: {error}"))
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let mut signals = {
        let _context = runtime.enter();
        let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
        let [terminate, interrupt] = kinds.map(signal);
        [terminate.map_err(failed)?, interrupt.map_err(failed)?]
    };
    let (asked, stop) = watch::channel(false);
    let following = move || {
        runtime.block_on(next_signal(&mut signals));
        asked.send_replace(true);
        let again = async { tokio::time::timeout(END_MAX, next_signal(&mut signals)).await };
        let reason = match runtime.block_on(again) {
            Ok(()) => "ended at once by a second signal".to_owned(),
            Err(_) => format!("has not ended in good order within {END_MAX:?}"),
        };
        eprintln!("jettradb: {reason}");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("signals".into()).spawn(following).map_err(failed)?;
    Ok(stop)
}

async fn next_signal([terminate, interrupt]: &mut [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn fail(reason: &str) -> ExitCode {
    eprintln!("jettradb: {reason}");
    ExitCode::FAILURE
}

/// Becomes a new process image under the same number, with the same arguments.
fn restart() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return fail(&format!("cannot start again: {error}")),
    };
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    fail(&format!("cannot start again: {error}"))
}

/// Nobody but this user reads what the node writes; and it may open as many files and
/// connections as the system lets it.
fn set_limits() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let files = rustix::process::Resource::Nofile;
    let limit = rustix::process::getrlimit(files);
    let wanted = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = rustix::process::setrlimit(files, wanted) {
        eprintln!("jettradb: the limit of open files stays as it is: {error}");
    }
}

fn start(stop: watch::Receiver<bool>) -> Result<Exit> {
    set_limits();
    let config = read_config()?;
    init_logging(&config.log_level)?;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let exit = runtime.block_on(jettra_db::node::run(config, stop));
    runtime.shutdown_timeout(WORK_MAX);
    exit
}

fn command() -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("configuration file (JSON); may also be given without --config");
    let place = Arg::new("file").value_name("FILE").hide(true);
    let mut command = Command::new("jettradb")
        .version(env!("CARGO_PKG_VERSION"))
        .about("One node of Jettra, a replicated JSON document database")
        .after_help("Every option is also a key of the file (--data-dir: DataDir) and an environment variable (JETTRA_DATA_DIR).")
        .arg(file)
        .arg(place.conflicts_with("config"));
    for key in KEYS {
        let mut arg = Arg::new(key.name).long(key.flag()).value_name(key.name).help(key.help);
        if key.kind == Type::Bool {
            arg = arg.num_args(0..=1).default_missing_value("true").require_equals(false);
        }
        command = command.arg(arg);
    }
    command
}

fn read_config() -> Result<Config> {
    let matches = command().get_matches();
    let flags: BTreeMap<&'static str, String> = KEYS
        .iter()
        .filter_map(|key| Some((key.name, matches.get_one::<String>(key.name)?.clone())))
        .collect();
    let path = matches.get_one::<String>("config").or_else(|| matches.get_one("file"));
    let file = path.map(|path| {
        std::fs::read_to_string(path).map_err(|error| {
            Error::new(
                Kind::InvalidParameter,
                format!("the configuration file {path} cannot be read: {error}"),
            )
            .hint("copy config.json.example, or start without a file")
        })
    });
    Config::load(file.transpose()?.as_deref(), |name| std::env::var(name).ok(), &flags)
}

fn init_logging(level: &str) -> Result<()> {
    let filter = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        // The dispatcher calls it an error when a stranger sends what is no HTTP, and openraft when
        // a group that was stopped takes no message; one that fails is logged by its core.
        let quiet = "actix_http::h1::dispatcher=off,openraft::raft::raft_inner=off";
        format!("warn,jettra_db={level},openraft=error,{quiet}")
    };
    let filter = tracing_subscriber::EnvFilter::try_new(&filter).map_err(|error| {
        Error::new(Kind::InvalidParameter, format!("LogLevel: {error}"))
            .hint("use error, warn, info or debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    Ok(())
}
