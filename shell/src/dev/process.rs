//! The processes of a development cluster.

use super::files::{Cluster, Node, failed};
use crate::failure::Failure;
use crate::print::say;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SERVER: &str = "jettradb";
/// Variables that would change the configuration of a node.
const VARIABLE_PREFIX: &str = "JETTRA_";
const FOLLOW_POLL: Duration = Duration::from_millis(200);

/// Finds the server: at the path given, else beside this program, else in `PATH`.
pub(crate) fn find_server(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = given {
        let is_server = file_name(path).starts_with(SERVER) && path.is_file();
        return match fs::canonicalize(path) {
            Ok(path) if is_server => Ok(path),
            _ => Err(Failure::Usage(format!("{} is no {SERVER} program", path.display()))),
        };
    }
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(SERVER));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(SERVER));
    beside.into_iter().chain(in_path).find(|file| file.is_file()).ok_or_else(|| {
        Failure::Usage(format!(
            "{SERVER} is neither beside jettra nor in PATH; build it with \
             cargo build --release --workspace, or name it with --server FILE"
        ))
    })
}

/// Refuses a port that is in use.
pub(crate) fn check_port(name: &str, port: u16) -> Result<(), Failure> {
    TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|error| {
        Failure::Refused(format!(
            "{name} cannot have port {port}: {error}; free it, or name others with --port (and \
             --dir for another cluster); nothing was started"
        ))
    })
}

/// Starts a node in a process group of its own, so that it outlives the shell.
pub(crate) fn start(server: &Path, cluster: &Cluster, node: &Node) -> Result<(), Failure> {
    let log_path = cluster.log(node);
    let open = || File::options().create(true).append(true).open(&log_path);
    let log = open().map_err(|error| failed(&log_path, error))?;
    let errors = log.try_clone().map_err(|error| failed(&log_path, error))?;
    let mut command = Command::new(server);
    command.arg(if node.conf.is_some() { "--conf" } else { "--config" }).arg(cluster.config(node));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(VARIABLE_PREFIX) {
            command.env_remove(name);
        }
    }
    command.envs(cluster.variables(node));
    command.current_dir(&cluster.root).process_group(0);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let child = command.spawn().map_err(|error| failed(server, error))?;
    let pid_path = cluster.pid(node);
    fs::write(&pid_path, format!("{}\n", child.id())).map_err(|error| failed(&pid_path, error))
}

/// The process of a node, if it runs.
///
/// The number in the file counts only if that process is a server with the configuration of this
/// node; after a crash the system may have given it to another process. A node that was started
/// again under another number is found among all processes.
pub(crate) fn running(cluster: &Cluster, node: &Node) -> Option<u32> {
    let config = cluster.config(node);
    let is_it = |pid: &u32| command_line(*pid).is_some_and(|words| is_node(&words, &config));
    let written = fs::read_to_string(cluster.pid(node)).ok();
    let written = written.and_then(|text| text.trim().parse().ok());
    written.filter(is_it).or_else(|| all_processes().into_iter().find(is_it))
}

fn all_processes() -> Vec<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn is_node(arguments: &[String], config: &Path) -> bool {
    let mut arguments = arguments.iter();
    let is_server =
        arguments.next().is_some_and(|program| file_name(Path::new(program)).starts_with(SERVER));
    is_server && arguments.any(|argument| Path::new(argument) == config)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The words of a process's command line.
fn command_line(pid: u32) -> Option<Vec<String>> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Some(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Asks a process to end (`SIGTERM`).
pub(crate) fn terminate(pid: u32) -> Result<(), Failure> {
    let ended = Command::new("kill").arg("-TERM").arg(pid.to_string()).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::Refused(format!("process {pid} cannot be stopped by this user"))),
        Err(error) => Err(failed(Path::new("kill"), error)),
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> io::Result<String> {
    Ok(last_lines(&String::from_utf8_lossy(&fs::read(path)?), lines).to_owned())
}

fn last_lines(text: &str, lines: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    match body.rmatch_indices('\n').nth(lines.saturating_sub(1)) {
        _ if lines == 0 => "",
        Some((end, _)) => &text[end + 1..],
        None => text,
    }
}

/// Prints the end of a log and, with `follow`, its growth until Ctrl-C.
pub(crate) fn print_log(path: &Path, lines: usize, follow: bool) -> Result<(), Failure> {
    let refused = |error| failed(path, error);
    let mut file = File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(refused)?;
    say(last_lines(&String::from_utf8_lossy(&bytes), lines));
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(FOLLOW_POLL);
        bytes.clear();
        let length = file.metadata().map_err(refused)?.len();
        if length < file.stream_position().map_err(refused)? {
            // It was emptied.
            file.rewind().map_err(refused)?;
        }
        file.read_to_end(&mut bytes).map_err(refused)?;
        say(&String::from_utf8_lossy(&bytes));
    }
}

/// A word as a Unix shell reads it back.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,@%+=".contains(c);
    match word.chars().all(plain) && !word.is_empty() {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn another_process_with_the_same_number_is_not_the_node() {
        let config = Path::new("/c/node1/config.json");
        let is = |line: &str| is_node(&words(line), config);
        assert!(is("/b/jettradb --config /c/node1/config.json"));
        assert!(!is("/b/jettradb --config /c/node2/config.json"));
        assert!(!is("/usr/bin/vi /c/node1/config.json"));
        assert!(!is("/b/jettradb"));
        assert!(!is_node(&[], config));
    }

    #[test]
    fn the_own_command_line_can_be_read() {
        let own = command_line(std::process::id()).unwrap();
        assert_eq!(own, std::env::args().collect::<Vec<_>>());
    }

    #[test]
    fn the_last_lines_of_a_log() {
        let text = "a\nb\nc\n";
        for (lines, expected) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, text), (9, text)] {
            assert_eq!(last_lines(text, lines), expected, "{lines}");
        }
        assert_eq!(last_lines("a\nb", 1), "b");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn words_with_spaces_are_quoted() {
        assert_eq!(quoted("dev-cluster/x"), "dev-cluster/x");
        assert_eq!(quoted("my dir/it's"), r"'my dir/it'\''s'");
    }

    #[test]
    fn a_wrong_server_is_named() {
        let error = find_server(Some(Path::new("/bin/sh"))).unwrap_err();
        assert!(error.to_string().contains("/bin/sh is no jettradb"));
    }
}
