//! `jettradb`: flags, logging, exit.

use clap::{Arg, ArgAction, ArgMatches, Command};
use jettra_db::allocator;
use jettra_db::cluster::Exit;
use jettra_db::config::{File, KEYS, Settings, Type};
use jettra_db::error::{Error, Kind, Result};
use jettra_db::recent::KeepProblems;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Longest time from the first signal to the end of the process. Acknowledged writes are in the log
/// by then, whatever is still running.
const END_MAX: Duration = Duration::from_secs(10);
/// The flag with which the settings are only examined.
const CHECK_CONFIG: &str = "check-config";

fn main() -> ExitCode {
    // No other thread exists yet.
    allocator::tune();
    let matches = command().get_matches();
    if matches.get_flag(CHECK_CONFIG) {
        return check_config(&matches)
            .map_or_else(|error| fail(&error.to_string()), |()| ExitCode::SUCCESS);
    }
    let ended = follow_signals().and_then(|stop| start(&matches, stop));
    match ended {
        Ok(Exit::Stop) => ExitCode::SUCCESS,
        Ok(Exit::Restart) => restart(),
        Ok(Exit::Failed(reason)) => fail(&reason),
        Err(error) => fail(&error.to_string()),
    }
}

/// Handles SIGTERM and SIGINT on a thread of its own. The first signal asks the node to end,
/// whatever it is doing; a second one, or [`END_MAX`], ends the process at once.
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

/// Replaces the process image, with the same process id and arguments.
fn restart() -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return fail(&format!("cannot start again: {error}")),
    };
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    fail(&format!("cannot start again: {error}"))
}

fn start(matches: &ArgMatches, stop: watch::Receiver<bool>) -> Result<Exit> {
    // Only this user may read the node's files.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let config = read_settings(matches)?.check()?;
    init_logging(&config.log_level, &config.log_format)?;
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    jettra_db::node::run(config, stop)
}

fn command() -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("configuration file (JSON); may also be given without --config");
    let rockraft =
        Arg::new("conf").long("conf").value_name("FILE.toml").conflicts_with("config").help(
            "configuration file of rockraft's cluster example (TOML), instead of one in JSON",
        );
    let check = Arg::new(CHECK_CONFIG).long(CHECK_CONFIG).action(ArgAction::SetTrue).help(
        "print each setting with its value and origin, and end: with 0 when they can be used",
    );
    let place = Arg::new("file").value_name("FILE").hide(true);
    let mut command = Command::new("jettradb")
        .version(env!("CARGO_PKG_VERSION"))
        .about("One node of Jettra, a replicated JSON document database")
        .after_help("Every option is also a key of the file (--data-dir: DataDir) and an environment variable (JETTRA_DATA_DIR).")
        .arg(file)
        .arg(check)
        .arg(rockraft)
        .arg(place.conflicts_with_all(["config", "conf"]));
    for key in KEYS {
        let mut arg = Arg::new(key.name).long(key.flag()).value_name(key.name).help(key.help);
        if key.kind == Type::Bool {
            arg = arg.num_args(0..=1).default_missing_value("true").require_equals(false);
        }
        command = command.arg(arg);
    }
    command
}

/// Prints the settings, then fails if they cannot be used.
fn check_config(matches: &ArgMatches) -> Result<()> {
    let settings = read_settings(matches)?;
    print!("{settings}");
    let config = settings.check()?;
    log_filter(&config.log_level)?;
    for note in config.notes.iter().chain(&config.check_machine()?) {
        println!("Note: {note}");
    }
    println!("The settings can be used.");
    Ok(())
}

fn read_settings(matches: &ArgMatches) -> Result<Settings> {
    let flags: BTreeMap<&'static str, String> = KEYS
        .iter()
        .filter_map(|key| Some((key.name, matches.get_one::<String>(key.name)?.clone())))
        .collect();
    let read = |path: &String| {
        std::fs::read_to_string(path).map_err(|error| {
            Error::new(
                Kind::InvalidParameter,
                format!("the configuration file {path} cannot be read: {error}"),
            )
            .hint("copy config.json.example, or start without a file")
        })
    };
    let path = matches.get_one::<String>("config").or_else(|| matches.get_one("file"));
    let json = path.map(read).transpose()?;
    let toml = matches.get_one::<String>("conf").map(read).transpose()?;
    let file = match (&json, &toml) {
        (_, Some(text)) => Some(File::Rockraft(text)),
        (Some(text), None) => Some(File::Json(text)),
        (None, None) => None,
    };
    Settings::collect(file, |name| std::env::var(name).ok(), &flags)
}

fn log_filter(level: &str) -> Result<EnvFilter> {
    let filter = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        // actix logs an error when a client sends something other than HTTP, and openraft when a
        // stopped group receives a message; a failed group is logged by its core.
        let quiet = "actix_http::h1::dispatcher=off,openraft::raft::raft_inner=off";
        format!("warn,jettra_db={level},openraft=error,{quiet}")
    };
    EnvFilter::try_new(&filter).map_err(|error| {
        Error::new(Kind::InvalidParameter, format!("LogLevel: {error}"))
            .hint("use error, warn, info or debug")
    })
}

fn init_logging(level: &str, format: &str) -> Result<()> {
    let filter = log_filter(level)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        "json" => log.json().flatten_event(true).finish().with(KeepProblems).init(),
        _ => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            log.with_ansi(colours).finish().with(KeepProblems).init();
        }
    }
    Ok(())
}
