//! The interactive shell: prompt, history, greeting.

use crate::complete::LineHelper;
use crate::failure::exit;
use crate::lookup::lookup;
use crate::print::{colours, printable, say};
use crate::script::split_statements;
use crate::shell::{Flow, Shell};
use jettra_driver::wire::HealthReply;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::path::PathBuf;
use std::time::Duration;

/// Longest time the prompt waits for the node's health.
const PROMPT_MAX: Duration = Duration::from_millis(400);
const HISTORY_FILE: &str = ".jettra_history";
const HISTORY_MAX: usize = 2_000;

type LineEditor = Editor<LineHelper, FileHistory>;

/// Reads and runs statements until the person leaves; the exit code.
pub(crate) fn run(mut shell: Shell) -> rustyline::Result<u8> {
    let mut editor = editor(&shell)?;
    let history = history_path();
    if let Some(path) = &history {
        protect(path);
        // A first start has no history yet.
        let _ = editor.load_history(path);
    }
    // From now on Ctrl-C only ends what listens to it, not the shell while a pager is open.
    shell.runtime.spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    greet(&mut shell);
    shell.learn_members();
    renew(&mut editor, &shell);
    loop {
        let size = editor.dimensions();
        shell.session.settings.width = size.map(|(columns, _)| columns.into());
        shell.session.settings.height = size.map(|(_, lines)| lines.into());
        let (plain, styled) = prompt(&shell);
        match editor.readline(&(plain, styled)) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                remember(&mut editor, history.as_ref(), &line);
                if split_statements(&line)
                    .iter()
                    .any(|it| shell.execute(&it.text, "") == Flow::Leave)
                {
                    break;
                }
                renew(&mut editor, &shell);
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        }
    }
    shell.close();
    say("Goodbye!\n");
    Ok(exit::OK)
}

fn editor(shell: &Shell) -> rustyline::Result<LineEditor> {
    let config = Config::builder()
        .max_history_size(HISTORY_MAX)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config)?;
    let client = shell.session.client.clone();
    let helper = LineHelper::new(client, shell.runtime.handle().clone(), colours());
    editor.set_helper(Some(helper));
    Ok(editor)
}

/// Gives the completion what the last statement may have changed.
fn renew(editor: &mut LineEditor, shell: &Shell) {
    if let Some(helper) = editor.helper_mut() {
        helper.client = shell.session.client.clone();
        helper.database = shell.session.database.clone();
        helper.forget();
    }
}

fn greet(shell: &mut Shell) {
    if shell.session.settings.quiet {
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    say(&format!("Jettra shell {version}. Type help for commands, Tab completes.\n"));
    match shell.session.has_credentials() {
        true => {
            shell.execute("whoami", "");
        }
        false => say("Not logged in. Type: login admin\n"),
    }
}

/// The prompt without and with colours: database, node and the node's role, open transaction.
fn prompt(shell: &Shell) -> (String, String) {
    let database = shell.session.database.as_deref().map(printable);
    let database = database.map_or(String::new(), |name| format!(":{name}"));
    let place = place(health(shell).as_ref());
    let transaction = marker(shell.session.transaction_id());
    let plain = format!("jettra{database}{place}> {transaction}");
    let styled = match colours() {
        true => {
            format!(
                "\x1b[1mjettra{database}\x1b[0m\x1b[90m{place}\x1b[0m> \x1b[33m{transaction}\x1b[0m"
            )
        }
        false => plain.clone(),
    };
    (plain, styled)
}

/// The beginning of the id of the open transaction.
fn marker(id: Option<&str>) -> String {
    let Some(id) = id else {
        return String::new();
    };
    let beginning: String = id.chars().take(4).collect();
    format!("(TX:{}) ", printable(&beginning))
}

fn health(shell: &Shell) -> Option<HealthReply> {
    let client = &shell.session.client;
    let health = async { tokio::time::timeout(PROMPT_MAX, client.health()).await };
    shell.runtime.block_on(health).ok()?.ok()
}

/// The node and the letter of its role, or what keeps it from serving.
fn place(health: Option<&HealthReply>) -> String {
    let Some(health) = health else {
        return "@no answer".to_owned();
    };
    let node = printable(&health.node_id.0);
    let letter = match health.state.as_str() {
        "Leader" => "L",
        "Follower" => "F",
        "Candidate" => "C",
        other => other,
    };
    match health.status.as_str() {
        "ok" => format!("@{node}[{letter}]"),
        status => format!("@{node}[{letter}, {}]", printable(&status.replace('_', " "))),
    }
}

fn history_path() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(HISTORY_FILE))
}

/// Makes the history file readable by its owner only.
fn protect(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    if path.exists() {
        // A file of another user is no reason to refuse the shell.
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    }
}

fn remember(editor: &mut LineEditor, path: Option<&PathBuf>, line: &str) {
    if holds_secret(line) {
        return;
    }
    // The statement matters more than its place in the history.
    let _ = editor.add_history_entry(line.trim_end());
    if let Some(path) = path {
        let _ = editor.append_history(path);
    }
}

/// Whether a line may hold a password or another secret.
fn holds_secret(line: &str) -> bool {
    if line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(is_token) {
        return true;
    }
    let first = line.split_whitespace().next().unwrap_or("").to_lowercase();
    match lookup(line) {
        Some((command, _)) => (command.holds_secret)(line),
        // A misspelt command.
        None => first.starts_with("log") || first.starts_with("pass") || line.contains("--pass"),
    }
}

/// `jettra_<id>_<secret>`
fn is_token(word: &str) -> bool {
    word.starts_with("jettra_") && word.matches('_').count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::NodeId;

    #[test]
    fn lines_with_passwords_are_not_remembered() {
        let secret = ["login admin hunter2", "LOGIN a b", "password a b", "logn admin x"];
        let others = [
            "connect http://a:b@h:1",
            "create user ada hunter2",
            "create user ada --password hunter2",
            "alter user ada --password hunter2",
            "atler user ada --password hunter2",
            "revoke token jettra_0f_5ec2e7",
            "jettra_join_0f_5ec2e7",
            "insert keys {\"k\": \"jettra_0f_5ec2e7\"}",
        ];
        for line in secret.into_iter().chain(others) {
            assert!(holds_secret(line), "{line}");
        }
        let plain = ["login admin", "password", "find users", "connect http://h:1"];
        let users = ["create user ada --role owner", "alter user ada --password", "use jettra_x"];
        for line in plain.into_iter().chain(users) {
            assert!(!holds_secret(line), "{line}");
        }
    }

    #[test]
    fn the_prompt_shows_the_truth() {
        let mut health = HealthReply {
            reason: None,
            status: "ok".into(),
            node_id: NodeId("node2".into()),
            raft_id: Some(2),
            is_leader: true,
            current_leader: Some(NodeId("node2".into())),
            leader_raft_id: Some(2),
            current_term: 3,
            state: "Leader".into(),
            warnings: Vec::new(),
        };
        assert_eq!(place(Some(&health)), "@node2[L]");
        health.state = "Follower".into();
        health.status = "no_leader".into();
        assert_eq!(place(Some(&health)), "@node2[F, no leader]");
        assert_eq!(place(None), "@no answer");
        assert_eq!(marker(Some("0197f3c0-1")), "(TX:0197) ");
        assert_eq!(marker(None), "");
    }
}
