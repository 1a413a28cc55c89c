//! Sessions, API keys and join tokens.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{NewJoinToken, NewToken, TokenInfo, TokenReply, TokensReply};
use reqwest::Method;

impl Client {
    /// The sessions and API keys of the caller, the oldest first; for administrators those of all
    /// users, and the join tokens.
    pub async fn list_tokens(&self) -> Result<Vec<TokenInfo>> {
        let call = Call::plain(Method::GET, &["api", "v1", "tokens"]);
        Ok(self.send(call).await?.json::<TokensReply>()?.tokens)
    }

    /// Creates an API key of the caller; no other answer has its secret, which
    /// [`ClientBuilder::api_key`](crate::ClientBuilder::api_key) takes. Its rights never exceed
    /// those of its user. A client that uses an API key itself cannot create one.
    ///
    /// It is sent once: after an interruption ([`Error::Unknown`](crate::Error::Unknown)) there may
    /// be a key whose secret is lost. [`Client::list_tokens`] shows it.
    ///
    /// # Errors
    /// `forbidden`; `invalid_body` for a name, role, database or time that is not valid;
    /// `not_possible_now` with 100 keys already.
    pub async fn create_api_key(&self, key: &NewToken) -> Result<TokenReply> {
        let call = Call::plain(Method::POST, &["api", "v1", "tokens"]).body(key);
        self.send(call).await?.json()
    }

    /// Ends a session, an API key or a join token by its id: one of the caller, or for an
    /// administrator any.
    ///
    /// # Errors
    /// `token_not_found`.
    pub async fn revoke_token(&self, id: &str) -> Result<()> {
        self.send(Call::named(Method::DELETE, "tokens", id)?.keyed()).await.map(drop)
    }

    /// Creates a token with which one new node can join the cluster without knowing its secret.
    /// Administrators only.
    ///
    /// `expires_in_ms` is the time after which it ends unused; one hour when it is not given. As
    /// with [`Client::create_api_key`], no other answer has it, and the call is sent once.
    ///
    /// # Errors
    /// `forbidden`; `invalid_body` for more than a week.
    pub async fn create_join_token(&self, expires_in_ms: Option<u64>) -> Result<TokenReply> {
        let path = ["api", "v1", "cluster", "tokens"];
        let call = Call::plain(Method::POST, &path).body(&NewJoinToken { expires_in_ms });
        self.send(call).await?.json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::fake::{Answer, node};
    use serde_json::{Value, json};

    const TOKEN: &str =
        r#"{"token": "jettra_a_s", "id": "a", "kind": "api_key", "user": "ada", "created_ms": 1}"#;

    #[tokio::test]
    async fn tokens_are_listed_and_revoked_by_id() {
        let (client, requests) = node(vec![
            Answer::With(200, r#"{"tokens": []}"#.into()),
            Answer::With(204, String::new()),
        ]);
        assert!(client.list_tokens().await.unwrap().is_empty());
        client.revoke_token("0f").await.unwrap();
        let requests = requests.lock().unwrap();
        let lines: Vec<&str> = requests.iter().map(|call| call.line.as_str()).collect();
        let expected = ["GET /api/v1/tokens HTTP/1.1", "DELETE /api/v1/tokens/0f HTTP/1.1"];
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn a_call_that_creates_a_secret_is_sent_once() {
        let (client, requests) = node(vec![Answer::Break]);
        let key = NewToken { name: "ci".into(), ..NewToken::default() };
        assert!(matches!(client.create_api_key(&key).await, Err(Error::Unknown { .. })));
        assert!(matches!(client.create_join_token(None).await, Err(Error::Unknown { .. })));
        assert_eq!(requests.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_secret_comes_with_what_is_known_of_it() {
        let (client, requests) = node(vec![Answer::With(201, TOKEN.into())]);
        let key = NewToken {
            name: "ci".into(),
            role: Some("reader".into()),
            databases: Some(vec!["shop".into()]),
            expires_in_ms: Some(1000),
        };
        let made = client.create_api_key(&key).await.unwrap();
        assert_eq!((made.token.as_str(), made.info.id.as_str()), ("jettra_a_s", "a"));
        let body: Value = serde_json::from_str(&requests.lock().unwrap()[0].body).unwrap();
        let expected = json!({
            "name": "ci", "role": "reader", "databases": ["shop"], "expires_in_ms": 1000,
        });
        assert_eq!(body, expected);
    }
}
