//! Users, API keys and other tokens, and the audit log.

use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::wire::{
    AuditReply, NewJoinToken, NewToken, NewUser, TokenInfo, TokenReply, TokensReply, UserChange,
    UserInfo,
};
use reqwest::Method;

/// Which entries of the audit log are asked for; see [`Client::audit`]. What is not given does
/// not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// At most so many entries; the cluster has a default and a bound of its own.
    pub limit: Option<u64>,
    /// Only entries with a smaller number: [`AuditReply::next`] of the answer before.
    pub before: Option<u64>,
    /// Only what this user did, or tried to do.
    pub user: Option<String>,
    /// Only this action, for example `login_failed`.
    pub action: Option<String>,
}

impl Client {
    /// All users, without their passwords. Only administrators may.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_users(&self) -> Result<Vec<UserInfo>> {
        self.send(Call::plain(Method::GET, &["api", "v1", "users"])).await?.json()
    }

    /// Makes a user. Only administrators may.
    ///
    /// # Errors
    /// `forbidden`, `user_exists`; `invalid_body` when the name, a role, a database or the
    /// password is not allowed.
    pub async fn create_user(&self, user: &NewUser) -> Result<UserInfo> {
        let call = Call::plain(Method::POST, &["api", "v1", "users"]).body(user);
        self.send(call.keyed()).await?.json()
    }

    /// One user. Only administrators may.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`.
    pub async fn user(&self, name: &str) -> Result<UserInfo> {
        self.send(named(Method::GET, "users", name)?).await?.json()
    }

    /// Changes what `change` gives of a user; the rest stays. Only administrators may.
    ///
    /// A new password ends the sessions of the user; so does disabling it.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`; `last_admin` when no administrator would be left who can
    /// log in; `invalid_body` as for [`Client::create_user`].
    pub async fn update_user(&self, name: &str, change: &UserChange) -> Result<UserInfo> {
        let call = named(Method::PATCH, "users", name)?.body(change);
        self.send(call.keyed()).await?.json()
    }

    /// Deletes a user with its sessions and API keys. Only administrators may.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`, `last_admin`.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.send(named(Method::DELETE, "users", name)?.keyed()).await.map(drop)
    }

    /// The sessions and API keys of one's own, the oldest first; for administrators those of
    /// everybody, and the join tokens.
    pub async fn list_tokens(&self) -> Result<Vec<TokenInfo>> {
        let call = Call::plain(Method::GET, &["api", "v1", "tokens"]);
        Ok(self.send(call).await?.json::<TokensReply>()?.tokens)
    }

    /// Makes an API key of one's own; the answer is the only one that tells its secret, which
    /// [`ClientBuilder::api_key`](crate::ClientBuilder::api_key) takes. It never does more than
    /// its user may, whatever it is given. A client that uses an API key itself cannot make one.
    ///
    /// It is sent once: after an interruption ([`Error::Unknown`]) there may be a key whose
    /// secret nobody knows. [`Client::list_tokens`] shows it.
    ///
    /// # Errors
    /// `forbidden`; `invalid_body` for a name, role, database or time that cannot be;
    /// `not_possible_now` with 100 keys already.
    pub async fn create_api_key(&self, key: &NewToken) -> Result<TokenReply> {
        let call = Call::plain(Method::POST, &["api", "v1", "tokens"]).body(key);
        self.send(call).await?.json()
    }

    /// Ends a session, an API key or a join token by its id: one's own, or as an administrator
    /// any.
    ///
    /// # Errors
    /// `token_not_found`.
    pub async fn revoke_token(&self, id: &str) -> Result<()> {
        self.send(named(Method::DELETE, "tokens", id)?.keyed()).await.map(drop)
    }

    /// Makes a token with which one new node can join the cluster without knowing its secret.
    /// Only administrators may.
    ///
    /// `expires_in_ms` is the time after which it ends unused; one hour when it is not given.
    /// As with [`Client::create_api_key`], the answer is the only one that tells it, and it is
    /// sent once.
    ///
    /// # Errors
    /// `forbidden`; `invalid_body` for more than a week.
    pub async fn create_join_token(&self, expires_in_ms: Option<u64>) -> Result<TokenReply> {
        let path = ["api", "v1", "cluster", "tokens"];
        let call = Call::plain(Method::POST, &path).body(&NewJoinToken { expires_in_ms });
        self.send(call).await?.json()
    }

    /// Who did what, the latest first. Only administrators may.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::AuditQuery;
    ///
    /// let mut query = AuditQuery { action: Some("login_failed".into()), ..Default::default() };
    /// loop {
    ///     let page = client.audit(&query).await?;
    ///     for entry in &page.entries {
    ///         println!("{} {:?} {}", entry.time_ms, entry.user, entry.outcome);
    ///     }
    ///     match page.next {
    ///         Some(next) => query.before = Some(next),
    ///         None => return Ok(()),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditReply> {
        let mut call = Call::plain(Method::GET, &["api", "v1", "audit"]);
        let numbers = [("limit", query.limit), ("before", query.before)];
        for (name, number) in numbers {
            if let Some(number) = number {
                call = call.query(name, &number.to_string());
            }
        }
        for (name, text) in [("user", &query.user), ("action", &query.action)] {
            if let Some(text) = text {
                call = call.query(name, text);
            }
        }
        self.send(call).await?.json()
    }
}

/// A call about the user or token with this name.
fn named(method: Method, kind: &str, name: &str) -> Result<Call> {
    // An address with such a part would be that of something else.
    if matches!(name, "" | "." | "..") {
        return Err(Error::Invalid(format!("{name:?} cannot be part of an address")));
    }
    Ok(Call::plain(method, &["api", "v1", kind, name]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Answer, Heard, node};
    use serde_json::{Value, json};

    const TOKEN: &str =
        r#"{"token": "jettra_a_s", "id": "a", "kind": "api_key", "user": "ada", "created_ms": 1}"#;

    fn ada() -> Value {
        json!({
            "_id": "ada", "username": "ada", "role": "reader", "allowed_dbs": ["*"],
            "created_ms": 1, "changed_ms": 2,
        })
    }

    fn lines(heard: &Heard) -> Vec<String> {
        let heard = heard.lock().unwrap();
        let line = |line: &str| line.split(" HTTP").next().unwrap().to_owned();
        heard.iter().map(|call| line(&call.line)).collect()
    }

    #[tokio::test]
    async fn each_call_has_its_route() {
        let (client, heard) = node(vec![
            Answer::With(200, json!([ada()]).to_string()),
            Answer::With(200, ada().to_string()),
            Answer::With(200, ada().to_string()),
            Answer::With(204, String::new()),
            Answer::With(200, r#"{"tokens": []}"#.into()),
            Answer::With(204, String::new()),
            Answer::With(200, r#"{"entries": [], "next": 7}"#.into()),
        ]);
        assert_eq!(client.list_users().await.unwrap()[0].username, "ada");
        assert!(!client.user("a@b.c").await.unwrap().disabled);
        let change = UserChange { role: Some("owner".into()), ..UserChange::default() };
        client.update_user("ada", &change).await.unwrap();
        client.delete_user("ada").await.unwrap();
        assert!(client.list_tokens().await.unwrap().is_empty());
        client.revoke_token("0f").await.unwrap();
        let query = AuditQuery {
            limit: Some(5),
            before: Some(9),
            user: Some("ada l".into()),
            action: Some("login".into()),
        };
        assert_eq!(client.audit(&query).await.unwrap().next, Some(7));
        let expected = [
            "GET /api/v1/users",
            "GET /api/v1/users/a@b.c",
            "PATCH /api/v1/users/ada",
            "DELETE /api/v1/users/ada",
            "GET /api/v1/tokens",
            "DELETE /api/v1/tokens/0f",
            "GET /api/v1/audit?limit=5&before=9&user=ada+l&action=login",
        ];
        assert_eq!(lines(&heard), expected);
        assert_eq!(heard.lock().unwrap()[2].body, r#"{"role":"owner"}"#);
    }

    #[tokio::test]
    async fn what_makes_a_secret_is_sent_once() {
        let (client, heard) = node(vec![Answer::Break]);
        let key = NewToken { name: "ci".into(), ..NewToken::default() };
        assert!(matches!(client.create_api_key(&key).await, Err(Error::Unknown { .. })));
        assert!(matches!(client.create_join_token(None).await, Err(Error::Unknown { .. })));
        assert_eq!(heard.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_else_was_interrupted_is_sent_again_with_its_key() {
        let user = NewUser {
            username: "ada".into(),
            password: "long enough".into(),
            role: "reader".into(),
            allowed_dbs: None,
            grants: Default::default(),
            disabled: false,
        };
        let shown = || Answer::With(200, ada().to_string());
        let (client, heard) =
            node(vec![Answer::Break, shown(), Answer::Break, Answer::With(204, String::new())]);
        client.create_user(&user).await.unwrap();
        client.revoke_token("0f").await.unwrap();
        let heard = heard.lock().unwrap();
        let keys: Vec<_> = heard.iter().map(|call| call.header("idempotency-key")).collect();
        assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
        assert!(keys[2].is_some() && keys[2] == keys[3] && keys[2] != keys[0], "{keys:?}");
    }

    #[tokio::test]
    async fn a_secret_comes_with_what_is_known_of_it() {
        let (client, heard) = node(vec![Answer::With(201, TOKEN.into())]);
        let key = NewToken {
            name: "ci".into(),
            role: Some("reader".into()),
            databases: Some(vec!["shop".into()]),
            expires_in_ms: Some(1000),
        };
        let made = client.create_api_key(&key).await.unwrap();
        assert_eq!((made.token.as_str(), made.info.id.as_str()), ("jettra_a_s", "a"));
        let body: Value = serde_json::from_str(&heard.lock().unwrap()[0].body).unwrap();
        let expected = json!({
            "name": "ci", "role": "reader", "databases": ["shop"], "expires_in_ms": 1000,
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn a_name_that_would_change_the_address_is_not_sent() {
        let (client, heard) = node(vec![Answer::With(200, "[]".into())]);
        for name in ["", ".", ".."] {
            assert!(matches!(client.delete_user(name).await, Err(Error::Invalid(_))), "{name}");
        }
        assert!(heard.lock().unwrap().is_empty());
    }
}
