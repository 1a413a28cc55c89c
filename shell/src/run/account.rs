//! Statements about the connection and the user.

use super::{Connection, Ran, Session, done, refused};
use crate::ask;
use crate::failure::Failure;
use std::time::Duration;

/// Longest time to find out whether an address belongs to the present cluster.
const LOOKUP_MAX: Duration = Duration::from_secs(2);

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
            authority: self.connection.authority.clone(),
        };
        let client = connection.client()?;
        let health = client.health().await?;
        (self.connection, self.client) = (connection, client);
        if !same_cluster {
            self.database = None;
            self.members = vec![url.clone()];
        }
        let next = match self.user() {
            Some(user) => format!("as {user}"),
            None => "not logged in; type: login <user>".into(),
        };
        let (node, status) = (health.node_id, health.status);
        done(format!("Connected to {url} ({node}, {status}), {next}."))
    }

    /// Whether the present cluster has a node with this address.
    ///
    /// What was known before counts too, for when no node can be asked any more.
    async fn is_member(&mut self, url: &str) -> bool {
        let asked = tokio::time::timeout(LOOKUP_MAX, self.client.cluster_nodes()).await;
        if let Ok(Ok(nodes)) = asked {
            self.members.extend(nodes.into_iter().map(|node| node.url));
            self.members.sort_unstable();
            self.members.dedup();
        }
        self.members.iter().any(|known| plain_url(known) == plain_url(url))
    }

    pub(super) async fn login(&mut self, user: String, password: Option<String>) -> Ran {
        let password = match password {
            Some(password) => password,
            None => self.ask_secret("Password: ")?,
        };
        let reply = self.client.login(&user, &password).await?;
        let role = reply.role.map_or(String::new(), |role| format!(" ({role})"));
        let text = format!("Logged in as {user}{role}.");
        self.take_credentials(Some((user, password)))?;
        done(text)
    }

    pub(super) async fn logout(&mut self) -> Ran {
        let ended = match self.user() {
            Some(_) => self.client.logout().await,
            None => return refused("nobody is logged in".into()),
        };
        self.take_credentials(None)?;
        ended?;
        done("Logged out.".into())
    }

    fn take_credentials(&mut self, credentials: Option<(String, String)>) -> Result<(), Failure> {
        self.connection.credentials = credentials;
        self.client = self.connection.client()?;
        Ok(())
    }

    pub(super) async fn change_password(&mut self, pair: Option<(String, String)>) -> Ran {
        let Some(user) = self.user().map(str::to_owned) else {
            return refused("nobody is logged in; type: login <user>".into());
        };
        let (old, new) = match pair {
            Some(pair) => pair,
            None => self.ask_new_password()?,
        };
        self.client.change_password(&old, &new).await?;
        self.take_credentials(Some((user, new)))?;
        done("Changed the password.".into())
    }

    fn ask_new_password(&self) -> Result<(String, String), Failure> {
        let old = self.ask_secret("Old password: ")?;
        let new = self.ask_secret("New password: ")?;
        if self.ask_secret("New password again: ")? != new {
            return Err(Failure::Refused("the two new passwords differ".into()));
        }
        Ok((old, new))
    }

    fn ask_secret(&self, prompt: &str) -> Result<String, Failure> {
        if !self.settings.interactive {
            let text = "nobody is there to type the password; start jettra with --user and \
                        --password-file, or set JETTRA_PASSWORD";
            return Err(Failure::Refused(text.into()));
        }
        ask::secret(prompt).ok_or(Failure::Cancelled)
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
