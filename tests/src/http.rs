//! Plain HTTP calls, for what the driver deliberately does not do.

use crate::certs::http_client;
use jettra_driver::wire::ErrorBody;
use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Calls to one node.
#[derive(Clone)]
pub struct Http {
    client: Client,
    base: String,
    credentials: Option<(String, String)>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers; of several with the same name, the last.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub text: String,
}

impl Http {
    /// Calls without credentials to the node at `base`.
    pub fn new(base: &str) -> Http {
        Http::over(http_client(None, None), base)
    }

    /// The same over the connections of `connections`.
    pub fn over(connections: ClientBuilder, base: &str) -> Http {
        let client = connections.timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("an HTTP client");
        Http { client, base: base.to_owned(), credentials: None }
    }

    /// The same with HTTP Basic authentication.
    pub fn login(&self, user: &str, password: &str) -> Http {
        Http { credentials: Some((user.to_owned(), password.to_owned())), ..self.clone() }
    }

    /// Builds a request, to which headers and a body can be added.
    pub fn request(&self, method: &str, target: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.client.request(method, format!("{}{target}", self.base));
        match &self.credentials {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
    }

    /// `GET`.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_get(&self, target: &str) -> Result<Answer, String> {
        try_send(self.request("GET", target)).await
    }

    /// `GET`.
    pub async fn get(&self, target: &str) -> Answer {
        send(self.request("GET", target)).await
    }

    /// A call with a body that is not marked as JSON, as `curl -d` sends it.
    pub async fn curl(&self, method: &str, target: &str, body: &str) -> Answer {
        let form = "application/x-www-form-urlencoded";
        send(self.request(method, target).header("content-type", form).body(body.to_owned())).await
    }

    /// A call with a JSON body.
    pub async fn json(&self, method: &str, target: &str, body: &Value) -> Answer {
        send(self.request(method, target).json(body)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, target: &str, body: &Value) -> Answer {
        self.json("POST", target, body).await
    }
}

/// Sends a request.
///
/// # Panics
/// If there is no response.
pub async fn send(request: RequestBuilder) -> Answer {
    try_send(request).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends a request.
///
/// # Errors
/// If there is no response; the reason as text.
pub async fn try_send(request: RequestBuilder) -> Result<Answer, String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let text = |value: &reqwest::header::HeaderValue| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
    let headers = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answer { status, headers, text })
}

impl Answer {
    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The code of an error.
    pub fn code(&self) -> String {
        serde_json::from_str(&self.text).map_or(String::new(), |body: ErrorBody| body.error.code)
    }

    /// A header, empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// This response, if it is a success.
    ///
    /// # Panics
    /// If it is an error.
    #[track_caller]
    pub fn ok(self) -> Answer {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        self
    }

    /// Checks that this is an error as the interface specifies it: status, code, JSON, a message and
    /// a hint.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Answer {
        let fault = self.fault(status, code);
        assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        self
    }

    /// How this response differs from the error that is expected.
    pub fn fault(&self, status: u16, code: &str) -> Option<String> {
        if (self.status, self.code().as_str()) != (status, code) {
            return Some(format!("{} where {status} {code} is due: {}", self.status, self.text));
        }
        if self.header("content-type") != "application/json" {
            return Some(format!("it is {:?}", self.header("content-type")));
        }
        let Ok(ErrorBody { error }) = serde_json::from_str(&self.text) else {
            return Some(format!("it is not an error: {}", self.text));
        };
        let fields = [
            ("message", error.message),
            ("hint", error.hint.unwrap_or_default()),
            ("request_id", error.request_id),
        ];
        let (field, _) = fields.into_iter().find(|(_, text)| text.is_empty())?;
        Some(format!("{field} is missing: {}", self.text))
    }
}
