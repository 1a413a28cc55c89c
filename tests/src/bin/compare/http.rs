//! Calls that prepare and check a system, one after the other.

use jettra_tests::certs::http_client;
use jettra_tests::measure::Failure;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;

const TIMEOUT: Duration = Duration::from_secs(600);
/// Pause before a call that has failed is repeated.
const PAUSE: Duration = Duration::from_millis(5);

/// A client that waits for each response.
pub(crate) struct Http {
    runtime: Runtime,
    client: reqwest::Client,
    password: Option<String>,
}

impl Http {
    /// A client; with a password it shows that of the user `admin`.
    pub(crate) fn new(password: Option<&str>) -> Result<Http, Failure> {
        // A thread of its own, so that it notices between two calls that a server closes a connection.
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        let client = http_client(None, None).tcp_nodelay(true).timeout(TIMEOUT).build()?;
        Ok(Http { runtime, client, password: password.map(str::to_owned) })
    }

    /// `POST` of a JSON text.
    ///
    /// # Errors
    /// If the response is not a success.
    pub(crate) fn post(&self, url: &str, body: String) -> Result<Value, Failure> {
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        self.send(request)
    }

    /// The same with a limit of time.
    pub(crate) fn post_within(
        &self,
        url: &str,
        body: String,
        time: Duration,
    ) -> Result<Value, Failure> {
        let request = self.client.post(url).header("content-type", "application/json").body(body);
        self.send(request.timeout(time))
    }

    /// `GET`.
    ///
    /// # Errors
    /// If the response is not a success.
    pub(crate) fn get(&self, url: &str) -> Result<Value, Failure> {
        self.send(self.client.get(url))
    }

    /// `PUT` of a JSON text.
    ///
    /// # Errors
    /// If the response is not a success.
    pub(crate) fn put(&self, url: &str, body: String) -> Result<Value, Failure> {
        let request = self.client.put(url).header("content-type", "application/json").body(body);
        self.send(request)
    }

    /// Waits at the same time until each of these calls has succeeded: a JSON text is posted to its
    /// addresses in turn, for `time` each.
    ///
    /// # Errors
    /// The first call that has not succeeded within `limit`.
    pub(crate) fn post_until_done(
        &self,
        calls: &[Vec<String>],
        body: &str,
        (time, limit): (Duration, Duration),
    ) -> Result<(), Failure> {
        let post = async |urls: &Vec<String>| {
            for url in urls.iter().cycle() {
                let request = self.client.post(url).header("content-type", "application/json");
                if self.sent(request.body(body.to_owned()).timeout(time)).await.is_ok() {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let all = futures_util::future::join_all(calls.iter().map(post));
        let waiting = async { tokio::time::timeout(limit, all).await };
        self.runtime.block_on(waiting).map(drop).map_err(|_| "calls did not succeed in time".into())
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        self.runtime.block_on(self.sent(request))
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let mut request = request.header("accept", "application/json");
        if let Some(password) = &self.password {
            request = request.basic_auth("admin", Some(password));
        }
        let response = request.send().await?;
        let (status, url) = (response.status(), response.url().clone());
        let body = response.text().await?;
        if !status.is_success() {
            return Err(format!("{url} answered {status}: {body}").into());
        }
        match body.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_str(&body)
                .map_err(|error| format!("{url}: {error}: {body}").into()),
        }
    }
}
