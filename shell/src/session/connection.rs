//! Where the shell is connected, and as which user.

use super::Session;
use crate::failure::Failure;
use jettra_driver::Client;
use std::time::Duration;

/// Longest time to find out whether an address belongs to the present cluster.
const LOOKUP_MAX: Duration = Duration::from_secs(2);

/// The caller's credentials.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// A user with a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// The secret of an API key.
    ApiKey(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials") // no secret in a message by mistake
    }
}

/// Where the shell is connected, and as which user.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Nodes to begin with.
    pub(crate) seeds: Vec<String>,
    /// Talk to one node only.
    pub(crate) stay: bool,
    /// The caller's credentials.
    pub(crate) credentials: Option<Credentials>,
    /// Longest time of one call.
    pub(crate) deadline: Duration,
    /// Try again when every node refuses the connection, since one may be about to start.
    pub(crate) patient: bool,
    /// The authority that has signed the nodes' certificates, in PEM; else the system's.
    pub(crate) authority: Option<Vec<u8>>,
    /// Get documents in canonical Extended JSON.
    pub(crate) canonical: bool,
}

impl Connection {
    /// A client with these settings; it connects with its first call.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let builder = Client::builder().seeds(self.seeds.clone()).deadline(self.deadline);
        let builder = match &self.credentials {
            Some(Credentials::Password { user, password }) => builder.credentials(user, password),
            Some(Credentials::ApiKey(key)) => builder.api_key(key),
            None => builder,
        };
        let builder = match &self.authority {
            Some(pem) => builder.ca_certificate(pem.clone()),
            None => builder,
        };
        let builder = if self.stay { builder.stay_on_seed() } else { builder };
        let builder = if self.patient { builder } else { builder.end_when_unreachable() };
        let client = builder.build()?;
        Ok(if self.canonical { client.with_canonical_json() } else { client })
    }

    /// These settings for one node alone, whose calls take this time at most.
    pub(crate) fn only(&self, url: &str, call_max: Duration) -> Connection {
        Connection {
            seeds: vec![url.to_owned()],
            stay: true,
            patient: false,
            deadline: self.deadline.min(call_max),
            ..self.clone()
        }
    }
}

impl Session {
    /// The user of this session, if it has logged in with a password.
    pub(crate) fn user(&self) -> Option<&str> {
        match self.connection.credentials.as_ref()? {
            Credentials::Password { user, .. } => Some(user),
            Credentials::ApiKey(_) => None,
        }
    }

    /// Whether calls carry credentials.
    pub(crate) fn has_credentials(&self) -> bool {
        self.connection.credentials.is_some()
    }

    /// Goes on with the password of a user.
    pub(crate) fn use_password(&mut self, user: &str, password: String) -> Result<(), Failure> {
        self.use_credentials(Some(Credentials::Password { user: user.to_owned(), password }))
    }

    /// Goes on with other credentials, or without any.
    pub(crate) fn use_credentials(
        &mut self,
        credentials: Option<Credentials>,
    ) -> Result<(), Failure> {
        self.connection.credentials = credentials;
        self.client = self.connection.client()?;
        Ok(())
    }

    /// Connects to another node. Another cluster does not receive the password, and the database
    /// in use is left. Returns the name and the status of the node.
    pub(crate) async fn reconnect(
        &mut self,
        url: String,
        stay: bool,
    ) -> Result<(String, String), Failure> {
        let same_cluster = self.is_member(&url).await;
        let credentials = self.connection.credentials.clone().filter(|_| same_cluster);
        let seeds = vec![url.clone()];
        let connection = Connection { seeds, stay, credentials, ..self.connection.clone() };
        let client = connection.client()?;
        let health = client.health().await?;
        (self.connection, self.client) = (connection, client);
        if !same_cluster {
            self.database = None;
            self.members = vec![url];
        }
        self.learn_members().await?;
        Ok((health.node_id.0, health.status))
    }

    /// Whether the present cluster has a node with this address.
    ///
    /// Members that were known before count too, for when no node answers any more.
    async fn is_member(&mut self, url: &str) -> bool {
        self.ask_members().await;
        self.members.iter().any(|known| bare_url(known) == bare_url(url))
    }

    async fn ask_members(&mut self) {
        let asked = tokio::time::timeout(LOOKUP_MAX, self.client.cluster_nodes()).await;
        for node in asked.ok().and_then(Result::ok).into_iter().flatten() {
            if !self.members.iter().any(|known| bare_url(known) == bare_url(&node.url)) {
                self.members.push(node.url);
            }
        }
    }

    /// Makes the other members known to the client, so that a person's next statement goes to them
    /// when the node at the address given is down.
    pub(crate) async fn learn_members(&mut self) -> Result<(), Failure> {
        if self.settings.interactive && !self.connection.stay && self.has_credentials() {
            self.ask_members().await;
            self.connection.seeds = self.members.clone();
            self.client = self.connection.client()?;
        }
        Ok(())
    }
}

/// An address without the parts that may be left out.
fn bare_url(url: &str) -> &str {
    url.trim_start_matches("http://").trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_without_what_may_be_left_out() {
        assert_eq!(bare_url("http://h:1/"), bare_url("h:1"));
        assert_ne!(bare_url("http://h:1"), bare_url("http://h:2"));
    }
}
