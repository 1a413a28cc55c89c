//! Why a statement or the program failed, and the exit code that tells a script.

use jettra_driver::Error;
use std::fmt;

/// Exit codes of the program.
pub(crate) mod exit {
    /// Everything succeeded.
    pub(crate) const OK: u8 = 0;
    /// A statement failed.
    pub(crate) const STATEMENT: u8 = 1;
    /// The command line cannot be understood, or a file it names cannot be read.
    pub(crate) const USAGE: u8 = 2;
    /// No node answered.
    pub(crate) const CONNECT: u8 = 3;
    /// The user or the password is wrong or missing.
    pub(crate) const AUTHENTICATION: u8 = 4;
    /// The cluster has no leader.
    pub(crate) const NO_LEADER: u8 = 5;
}

/// Why something failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The cluster refused, or did not answer.
    Driver(Error),
    /// The shell refused; a sentence for the person.
    Refused(String),
    /// The command line is at fault; a sentence for the person.
    Usage(String),
    /// The person pressed Ctrl-C.
    Cancelled,
}

impl Failure {
    /// The exit code that tells a script about it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Driver(error) => driver_exit_code(error),
            Failure::Usage(_) => exit::USAGE,
            Failure::Refused(_) | Failure::Cancelled => exit::STATEMENT,
        }
    }
}

fn driver_exit_code(error: &Error) -> u8 {
    match (error, error.status(), error.code()) {
        (Error::Unavailable { .. }, ..) => exit::CONNECT,
        (_, Some(401), _) => exit::AUTHENTICATION,
        (_, _, Some("no_leader")) => exit::NO_LEADER,
        _ => exit::STATEMENT,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Driver(error) if error.code() == Some("not_authenticated") => write!(
                f,
                "{error}\nIn the shell type: login <user>. A script names a file with \
                 --password-file, or sets JETTRA_PASSWORD."
            ),
            Failure::Driver(error) => error.fmt(f),
            Failure::Refused(text) | Failure::Usage(text) => f.write_str(text),
            Failure::Cancelled => f.write_str("cancelled; if it was a write, it may have happened"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Driver(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::ErrorDetail;
    use std::time::Duration;

    fn answer(status: u16, code: &str) -> Failure {
        Failure::Driver(Error::Api {
            status,
            detail: Box::new(ErrorDetail {
                code: code.into(),
                message: "no".into(),
                hint: Some("try this".into()),
                details: None,
                request_id: String::new(),
            }),
        })
    }

    #[test]
    fn exit_codes_tell_the_kinds_apart() {
        let silent = Failure::Driver(Error::Unavailable {
            nodes: "http://h".into(),
            deadline: Duration::from_secs(1),
            reason: "refused".into(),
        });
        let table = [
            (silent, exit::CONNECT),
            (answer(401, "not_authenticated"), exit::AUTHENTICATION),
            (answer(401, "bad_credentials"), exit::AUTHENTICATION),
            (answer(503, "no_leader"), exit::NO_LEADER),
            (answer(404, "database_not_found"), exit::STATEMENT),
            (Failure::Usage("x".into()), exit::USAGE),
            (Failure::Cancelled, exit::STATEMENT),
        ];
        for (failure, code) in table {
            assert_eq!(failure.exit_code(), code, "{failure}");
        }
    }

    #[test]
    fn a_missing_login_names_the_next_step() {
        let text = answer(401, "not_authenticated").to_string();
        assert!(text.contains("try this") && text.contains("login <user>"));
    }
}
