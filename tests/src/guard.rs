//! Ends a process when the test program ends, also by a signal, after which nothing is dropped.

use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of its input, which this process holds open, and then kills
/// another process. (`PR_SET_PDEATHSIG` would not do: it acts when the thread ends that has started
/// the process, and threads of an asynchronous runtime come and go.)
pub struct Guard(Child);

impl Guard {
    /// Guards the process with this id; to drop the guard leaves the process alone.
    pub fn of(pid: u32) -> Guard {
        let script = "trap '' INT TERM; read -r line; kill -s KILL $0";
        let mut command = Command::new("sh");
        command.args(["-c", script, &pid.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Guard(command.spawn().expect("sh can be started"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn sleeping() -> Child {
        Command::new("sleep").arg("600").spawn().expect("sleep can be started")
    }

    #[test]
    fn a_process_ends_with_the_input_of_its_guard() {
        let mut process = sleeping();
        let mut guard = Guard::of(process.id());
        drop(guard.0.stdin.take());
        assert_eq!(process.wait().expect("it ends").signal(), Some(9));
    }

    #[test]
    fn a_process_outlives_a_guard_that_is_dropped() {
        let mut process = sleeping();
        drop(Guard::of(process.id()));
        assert!(process.try_wait().expect("its state").is_none());
        process.kill().expect("it can be killed");
        process.wait().expect("it ends");
    }
}
