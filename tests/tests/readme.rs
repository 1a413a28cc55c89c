//! Runs all commands of `README.md` in their order, in one shell and an empty directory, as a new
//! user pastes them.

use jettra_tests::{Bed, free_ports, program};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// The ports in the text, which may be in use on this machine.
const PORTS: [&str; 6] = ["8080", "8090", "8091", "8092", "8094", "8095"];

/// A substitute for Cargo that builds nothing, since the programs are built already.
const CARGO: &str = "#!/bin/sh\n\
    case \"$*\" in\n\
    'run --release') exec \"$PROGRAMS/jettradb\" --port \"$README_PORT\" ;;\n\
    'build --release --workspace') mkdir -p target; ln -sfn \"$PROGRAMS\" target/release ;;\n\
    *) echo \"unknown: cargo $*\" >&2; exit 1 ;;\n\
    esac\n";

/// Ends all processes started by the script.
const END: &str =
    "kill $(jobs -p) 2>/dev/null; target/release/jettra dev down >/dev/null 2>&1; wait";
/// Longer than the script takes on a busy machine.
const HANGS: Duration = Duration::from_secs(300);

/// The lines of all code blocks for a shell.
fn commands(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line),
            _ => {}
        }
    }
    lines
}

/// The commands as one script that ends with the first failure. Commands that run until Ctrl-C are
/// started in the background: the server, until it responds, and the change feed, until it prints an
/// event. The command that runs the tests is left out.
fn script(commands: &[&str]) -> String {
    let mut script = format!("set -euo pipefail\ntrap '{END}' EXIT\n");
    for line in commands {
        match *line {
            "cargo run --release" => {
                script += "cargo run --release > server.log 2>&1 &\n";
                script += "curl --retry 60 --retry-connrefused localhost:8080/health\n";
            }
            "bash tests/check.sh" => {}
            line if line.starts_with("curl -Nu") => {
                script += &format!("{line} > feed.log & FEED=$!\n");
                script += "until grep -q : feed.log; do\n";
                script += "curl -u admin:$P $C/update -d \
                    '{\"filter\":{\"_id\":\"ada\"},\"update\":{\"$inc\":{\"books\":1}}}'\n";
                script += "done\nkill $FEED\n";
            }
            line => {
                script += line;
                script += "\n";
            }
        }
    }
    script + "echo ALL DONE\n"
}

/// Replaces the ports in the text by free ones.
fn with_free_ports(script: &str) -> (String, String) {
    let begin = free_ports(6);
    let mut text = script.to_owned();
    for (port, offset) in PORTS.into_iter().zip([0, 1, 2, 3, 4, 5]) {
        text = text.replace(port, &(begin + offset).to_string());
    }
    (text, begin.to_string())
}

/// Ends the process group of the script, if the test fails.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let ended = Command::new("kill").args(["-TERM", "--", &format!("-{}", self.0)]).output();
        drop(ended);
    }
}

fn write(dir: &Path, name: &str, text: &str, executable: bool) {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a file is written");
    let mode = if executable { 0o700 } else { 0o600 };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_readme_works() {
    let bed = Bed::new("readme").await;
    let readme = std::fs::read_to_string(README).expect("the file");
    let commands = commands(&readme);
    assert!(commands.len() > 30, "{commands:?}");
    let (script, port) = with_free_ports(&script(&commands));
    let (home, work) = (bed.dir().join("home"), bed.dir().join("work"));
    let programs = bed.dir().join("programs");
    for dir in [&home, &work, &programs] {
        std::fs::create_dir(dir).expect("a folder");
    }
    for name in ["jettra", "jettradb"] {
        symlink(program(name), programs.join(name)).expect("a link");
    }
    write(&home, "cargo", CARGO, true);
    // Makes curl fail for error statuses, which it would only print otherwise.
    write(&home, ".curlrc", "silent\nshow-error\nfail-with-body\nretry-delay = 1\n", false);
    write(bed.dir(), "script.sh", &script, false);
    let path = std::env::var("PATH").expect("a PATH");
    let child = Command::new("bash")
        .arg(bed.dir().join("script.sh"))
        .current_dir(&work)
        .env("HOME", &home)
        .env("PATH", format!("{}:{path}", home.display()))
        .env("PROGRAMS", &programs)
        .env("README_PORT", &port)
        .env("JETTRA_URL", format!("http://localhost:{port}"))
        .env_remove("JETTRA_PASSWORD")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash");
    let _group = Group(child.id());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = tokio::time::timeout(HANGS, output).await.expect("a command hangs");
    let output = output.expect("no panic").expect("its end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.ends_with("ALL DONE\n"), "{}\n{out}\n{err}", output.status);
    // Output that the text promises.
    for shown in ["\"books\":1", "Ada Lovelace", "\"openapi\"", "dev-certs", "user_create"] {
        assert!(out.contains(shown), "{shown} is not in {out}");
    }
}

#[test]
fn the_ports_of_the_readme_are_replaced() {
    let readme = std::fs::read_to_string(README).expect("the file");
    for line in commands(&readme) {
        let after = line.split("localhost:").skip(1).chain(line.split("--port ").skip(1));
        for port in after {
            let port = port.get(..4).unwrap_or_default();
            assert!(PORTS.contains(&port), "{port} in {line}");
        }
    }
}
