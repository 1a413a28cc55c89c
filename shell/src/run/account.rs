//! Statements about the connection and the user.

use super::{Connection, Credentials, Ran, Session, done, here, refused};
use crate::ask;
use crate::failure::Failure;
use std::time::Duration;

/// Longest time to find out whether an address belongs to the present cluster.
const LOOKUP_MAX: Duration = Duration::from_secs(2);
/// What a script does instead of typing its password.
const LOGIN_INSTEAD: &str = "there is no terminal to ask for the password; start jettra with --user and \
     --password-file, or set JETTRA_PASSWORD";

impl Session {
    /// Another cluster is not told the password, and its databases are others.
    pub(super) async fn connect(&mut self, url: String, stay: bool) -> Ran {
        let same_cluster = self.is_member(&url).await;
        let credentials = self.connection.credentials.clone();
        let connection = Connection {
            seeds: vec![url.clone()],
            stay,
            credentials: credentials.filter(|_| same_cluster),
            deadline: self.connection.deadline,
            patient: self.connection.patient,
            authority: self.connection.authority.clone(),
        };
        let client = connection.client()?;
        let health = client.health().await?;
        (self.connection, self.client) = (connection, client);
        if !same_cluster {
            self.database = None;
            self.members = vec![url.clone()];
        }
        self.learn_members().await?;
        let next = match &self.connection.credentials {
            Some(Credentials::Password { user, .. }) => format!("as {user}"),
            Some(Credentials::ApiKey(_)) => "with an API key".into(),
            None => "not logged in; type: login <user>".into(),
        };
        let (node, status) = (health.node_id, health.status.replace('_', " "));
        here(format!("Connected to {url} ({node}, {status}), {next}."))
    }

    /// Whether the present cluster has a node with this address.
    ///
    /// What was known before counts too, for when no node can be asked any more.
    async fn is_member(&mut self, url: &str) -> bool {
        self.ask_members().await;
        self.members.iter().any(|known| plain_url(known) == plain_url(url))
    }

    async fn ask_members(&mut self) {
        let asked = tokio::time::timeout(LOOKUP_MAX, self.client.cluster_nodes()).await;
        for node in asked.ok().and_then(Result::ok).into_iter().flatten() {
            if !self.members.iter().any(|known| plain_url(known) == plain_url(&node.url)) {
                self.members.push(node.url);
            }
        }
    }

    /// Makes the other members known to the client, so that a person's next statement goes to them
    /// when the node at the address given is gone.
    pub(crate) async fn learn_members(&mut self) -> Result<(), Failure> {
        if self.settings.interactive && !self.connection.stay && self.is_somebody() {
            self.ask_members().await;
            self.connection.seeds = self.members.clone();
            self.client = self.connection.client()?;
        }
        Ok(())
    }

    pub(super) async fn login(&mut self, user: String, password: Option<String>) -> Ran {
        let password = match password {
            Some(password) => password,
            None => self.ask_secret("Password: ", LOGIN_INSTEAD)?,
        };
        let reply = self.client.login(&user, &password).await?;
        let role = reply.role.map_or(String::new(), |role| format!(" ({role})"));
        let text = format!("Logged in as {user}{role}.");
        self.take_password(&user, password)?;
        self.learn_members().await?;
        here(text)
    }

    pub(super) async fn logout(&mut self) -> Ran {
        let ended = match self.connection.credentials {
            Some(Credentials::Password { .. }) => self.client.logout().await,
            Some(Credentials::ApiKey(_)) => Ok(()), // it goes on holding, for its programs
            None => return refused("you are not logged in".into()),
        };
        self.take_credentials(None)?;
        ended?;
        here("Logged out.".into())
    }

    pub(super) fn take_password(&mut self, user: &str, password: String) -> Result<(), Failure> {
        self.take_credentials(Some(Credentials::Password { user: user.to_owned(), password }))
    }

    fn take_credentials(&mut self, credentials: Option<Credentials>) -> Result<(), Failure> {
        self.connection.credentials = credentials;
        self.client = self.connection.client()?;
        Ok(())
    }

    pub(super) async fn change_password(&mut self, pair: Option<(String, String)>) -> Ran {
        let Some(user) = self.user().map(str::to_owned) else {
            return refused("log in with your password first; type: login <user>".into());
        };
        let (old, new) = match pair {
            Some(pair) => pair,
            None => self.ask_new_password()?,
        };
        self.client.change_password(&old, &new).await?;
        self.take_password(&user, new)?;
        done("Changed the password.".into())
    }

    fn ask_new_password(&self) -> Result<(String, String), Failure> {
        let old = self.ask_secret("Old password: ", LOGIN_INSTEAD)?;
        Ok((old, self.ask_secret_twice("New password: ", LOGIN_INSTEAD)?))
    }

    /// Asks for a new password, once more to find a slip; without a person it says `instead`.
    pub(super) fn ask_secret_twice(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
        let secret = self.ask_secret(prompt, instead)?;
        match self.ask_secret("Once more: ", instead)? == secret {
            true => Ok(secret),
            false => Err(Failure::Refused("the two passwords differ; nothing was changed".into())),
        }
    }

    fn ask_secret(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
        self.need_person(instead)?;
        ask::secret(prompt).ok_or(Failure::Cancelled { reads: true })
    }

    /// Asks for a text that must not be empty; without a person it says `instead`.
    pub(super) fn ask_line(&self, prompt: &str, instead: &str) -> Result<String, Failure> {
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

/// An address without what may be left out of it.
fn plain_url(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_what_may_be_left_out() {
        assert_eq!(plain_url("http://h:1/"), plain_url("h:1"));
        assert_ne!(plain_url("http://h:1"), plain_url("http://h:2"));
    }
}
