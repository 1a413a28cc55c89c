//! The settings of a client.

use super::{Client, Inner};
use crate::call::Scope;
use crate::error::{Error, Result};
use crate::tls;
use base64::Engine;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use url::Url;

const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);
const ATTEMPT_DEFAULT: Duration = Duration::from_secs(5);
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Longest silence of a change feed; a node sends a comment every 10 s.
const FEED_SILENCE_MAX: Duration = Duration::from_secs(60);

/// Collects the settings of a [`Client`].
#[derive(Default)]
pub struct ClientBuilder {
    seeds: Vec<String>,
    authorization: Option<String>,
    deadline: Option<Duration>,
    attempt: Option<Duration>,
    stay: bool,
    end_when_unreachable: bool,
    authority: Option<Vec<u8>>,
}

impl ClientBuilder {
    /// Nodes to begin with, as `http://host:port` or `https://host:port`; the port alone is no
    /// address.
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(Into::into));
        self
    }

    /// User name and password, sent as HTTP Basic. They replace an API key.
    pub fn credentials(mut self, username: &str, password: &str) -> Self {
        self.authorization = Some(basic(username, password));
        self
    }

    /// An API key, sent as HTTP Bearer: the token that [`Client::create_api_key`] returned,
    /// `jettra_…`. It replaces user name and password.
    pub fn api_key(mut self, key: &str) -> Self {
        self.authorization = Some(format!("Bearer {key}"));
        self
    }

    /// Longest time a call may take with all its retries. Default 15 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Longest time one attempt may take. Default 5 s. Calls that may look at many documents
    /// (queries, changes by filter, indexes) get two thirds of the deadline if that is more.
    pub fn attempt_timeout(mut self, attempt: Duration) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sends every call to the first seed that answers instead of going to the leader.
    pub fn stay_on_seed(mut self) -> Self {
        self.stay = true;
        self
    }

    /// Ends a call with [`Error::Unreachable`] as soon as no seed takes a connection, instead of
    /// trying again until the deadline. For programs with a person waiting; others do better to
    /// wait for a node that starts again.
    pub fn end_when_unreachable(mut self) -> Self {
        self.end_when_unreachable = true;
        self
    }

    /// The authority that has signed the certificates of the nodes, in PEM; no other is trusted
    /// then. Without it, those of the system are trusted.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(pem.into());
        self
    }

    /// Builds the client. It connects with the first call.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a seed, when one is not an address, when the authority cannot
    /// be read, or when there is none to trust and a seed is `https://`.
    pub fn build(self) -> Result<Client> {
        let seeds = self.seeds.iter().map(|seed| parse_seed(seed)).collect::<Result<Vec<_>>>()?;
        let first = seeds
            .first()
            .cloned()
            .ok_or_else(|| Error::Invalid("give at least one seed node".into()))?;
        let attempt = self.attempt.unwrap_or(ATTEMPT_DEFAULT);
        let build = |http: reqwest::ClientBuilder| {
            http.build().map_err(|error| Error::Invalid(error.to_string()))
        };
        let tls = tls::config(&seeds, self.authority.as_deref())?;
        let http = || http().tls_backend_preconfigured(tls.clone());
        Ok(Client {
            scope: Scope::default(),
            inner: Arc::new(Inner {
                http: build(http().timeout(attempt))?,
                feeds: build(http().read_timeout(FEED_SILENCE_MAX))?,
                seeds,
                authorization: self.authorization,
                deadline: self.deadline.unwrap_or(DEADLINE_DEFAULT),
                attempt,
                follow_leader: !self.stay,
                end_when_unreachable: self.end_when_unreachable,
                target: Mutex::new(first),
                seen: Mutex::default(),
                clock_behind: AtomicI64::new(0),
            }),
        })
    }
}

fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

fn parse_seed(seed: &str) -> Result<Url> {
    let text = if seed.contains("://") { seed.to_owned() } else { format!("http://{seed}") };
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Error::Invalid(format!(
            "{seed:?} is not the address of a node; write http://host:port or https://host:port"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_needs_a_host() {
        assert!(parse_seed("http://127.0.0.1:8080").is_ok());
        assert_eq!(parse_seed("127.0.0.1:8080").unwrap().as_str(), "http://127.0.0.1:8080/");
        for bad in ["", "ftp://host", "http://"] {
            assert!(parse_seed(bad).is_err(), "{bad}");
        }
    }
}
