//! `jettradb`: flags, logging, exit.

use clap::{Arg, Command};
use jettra_db::cluster::Exit;
use jettra_db::config::{Config, KEYS, Type};
use jettra_db::error::{Error, Kind, Result};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    return_large_blocks();
    match start() {
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

fn start() -> Result<Exit> {
    set_limits();
    let config = read_config()?;
    init_logging(&config.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    runtime.block_on(jettra_db::node::run(config))
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
        // The dispatcher calls it an error when a stranger sends what is no HTTP.
        format!("warn,jettra_db={level},openraft=error,actix_http::h1::dispatcher=off")
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
