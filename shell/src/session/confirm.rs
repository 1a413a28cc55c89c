//! Questions to the person at the terminal: confirmations, names and passwords.

use super::Session;
use crate::ask;
use crate::failure::Failure;

/// What a script does instead of typing its password.
pub(crate) const PASSWORD_IN_SCRIPTS: &str = "there is no terminal to ask for the password; start \
     jettra with --user and --password-file, or set JETTRA_PASSWORD";

impl Session {
    /// Lets the person type `name` before a change that `warning` describes.
    pub(crate) fn confirm_name(&self, warning: &str, name: &str) -> Result<(), Failure> {
        let question = format!("{warning}\nType {name} to go on: ");
        self.confirm(&question, |answer| answer == name)
    }

    /// Lets the person say yes before a change that `warning` describes.
    pub(crate) fn confirm_yes(&self, warning: &str) -> Result<(), Failure> {
        let question = format!("{warning} Go on? (y/n) ");
        self.confirm(&question, |answer| matches!(answer, "y" | "Y" | "yes"))
    }

    fn confirm(&self, question: &str, agrees: impl Fn(&str) -> bool) -> Result<(), Failure> {
        if self.settings.yes {
            return Ok(());
        }
        if !self.settings.interactive {
            let text = "this needs a confirmation; a script gives it with --yes";
            return Err(Failure::Refused(text.into()));
        }
        match ask::line(question) {
            Some(answer) if agrees(answer.trim()) => Ok(()),
            _ => Err(Failure::Refused("not confirmed; nothing was changed".into())),
        }
    }

    /// Asks for a secret; refuses with `instead` without a person at the terminal.
    pub(crate) fn ask_secret(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
        self.need_person(instead)?;
        ask::secret(prompt).ok_or(Failure::Cancelled { reads: true })
    }

    /// Asks for a new password twice, to find a typing error; refuses with `instead` without a
    /// person at the terminal.
    pub(crate) fn ask_secret_twice(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
        let secret = self.ask_secret(prompt, instead)?;
        match self.ask_secret("Once more: ", instead)? == secret {
            true => Ok(secret),
            false => Err(Failure::Refused("the two passwords differ; nothing was changed".into())),
        }
    }

    /// Asks for a text that must not be empty; refuses with `instead` without a person at the
    /// terminal.
    pub(crate) fn ask_line(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
        self.need_person(instead)?;
        let answer = ask::line(prompt).ok_or(Failure::Cancelled { reads: true })?;
        match answer.trim() {
            "" => Err(Failure::Refused(instead.to_owned())),
            answer => Ok(answer.to_owned()),
        }
    }

    fn need_person(&self, instead: &str) -> Result<(), Failure> {
        match self.settings.interactive {
            true => Ok(()),
            false => Err(Failure::Refused(instead.to_owned())),
        }
    }
}
