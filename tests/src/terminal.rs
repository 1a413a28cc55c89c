//! A program in a pseudo-terminal, what is typed into it and what it shows.

use crate::wait::wait_until;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The sequences that a terminal sends before and after a pasted text.
const PASTE: (&str, &str) = ("\x1b[200~", "\x1b[201~");

/// A program in a terminal of 24 lines and 100 columns. Dropping it closes the terminal.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<Vec<u8>>>,
    /// Length of the output up to the end of the last text that was waited for.
    passed: usize,
}

impl Terminal {
    /// Starts a command of `sh`; `prepare` sets its directory and environment.
    pub fn start(command: &str, prepare: impl FnOnce(&mut Command)) -> Terminal {
        let mut script = Command::new("script");
        let sized = format!("stty rows 24 cols 100; exec {command}");
        script.args(["-qefc", &sized, "/dev/null"]);
        script.env("TERM", "xterm").env("NO_COLOR", "1");
        prepare(&mut script);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().expect("script, which makes the terminal");
        let keys = child.stdin.take().expect("its input");
        let mut screen = child.stdout.take().expect("its output");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let adds = seen.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut part) {
                adds.lock().expect("no panic").extend_from_slice(&part[..length]);
            }
        });
        Terminal { child, keys, seen, passed: 0 }
    }

    /// Sends keys.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal is there");
        self.keys.flush().expect("the terminal is there");
    }

    /// Types a line and presses Enter.
    pub fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\r"));
    }

    /// Pastes a text and presses Enter.
    pub fn paste(&mut self, text: &str) {
        self.keys(&format!("{}{text}{}\r", PASTE.0, PASTE.1));
    }

    /// Waits until a text is shown after the previous one that was waited for; returns the output
    /// between the two.
    pub async fn sees(&mut self, text: &str) -> String {
        let (seen, passed) = (self.seen.clone(), self.passed);
        let (found, end) = wait_until(&format!("{text:?} is seen"), async || {
            let seen = seen.lock().expect("no panic");
            let rest = String::from_utf8_lossy(&seen[passed..]).into_owned();
            match rest.find(text) {
                Some(at) => Ok((rest[..at + text.len()].to_owned(), passed + at + text.len())),
                None => Err(rest),
            }
        })
        .await;
        self.passed = end;
        found
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
