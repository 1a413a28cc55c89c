//! Users.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{NewUser, UserInfo, UserUpdateBody};
use reqwest::Method;

impl Client {
    /// All users, without their passwords. Administrators only.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list_users(&self) -> Result<Vec<UserInfo>> {
        self.send(Call::plain(Method::GET, &["api", "v1", "users"])).await?.json()
    }

    /// Creates a user. Administrators only.
    ///
    /// # Errors
    /// `forbidden`, `user_exists`; `invalid_body` when the name, a role, a database or the
    /// password is not allowed.
    pub async fn create_user(&self, user: &NewUser) -> Result<UserInfo> {
        let call = Call::plain(Method::POST, &["api", "v1", "users"]).body(user);
        self.send(call.keyed()).await?.json()
    }

    /// One user. Administrators only.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`.
    pub async fn user(&self, name: &str) -> Result<UserInfo> {
        self.send(Call::named(Method::GET, "users", name)?).await?.json()
    }

    /// Changes what `update` names of a user; the rest stays. Administrators only.
    ///
    /// A new password ends the sessions of the user; so does disabling it.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`; `last_admin` when no administrator that can log in would be
    /// left; `invalid_body` as for [`Client::create_user`].
    pub async fn update_user(&self, name: &str, update: &UserUpdateBody) -> Result<UserInfo> {
        let call = Call::named(Method::PATCH, "users", name)?.body(update);
        self.send(call.keyed()).await?.json()
    }

    /// Deletes a user with its sessions and API keys. Administrators only.
    ///
    /// # Errors
    /// `forbidden`, `user_not_found`, `last_admin`.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.send(Call::named(Method::DELETE, "users", name)?.keyed()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::fake::{Answer, Requests, node};
    use serde_json::{Value, json};

    fn ada() -> Value {
        json!({
            "_id": "ada", "username": "ada", "role": "reader", "allowed_dbs": ["*"],
            "created_ms": 1, "changed_ms": 2,
        })
    }

    fn lines(requests: &Requests) -> Vec<String> {
        let requests = requests.lock().unwrap();
        let line = |line: &str| line.split(" HTTP").next().unwrap().to_owned();
        requests.iter().map(|call| line(&call.line)).collect()
    }

    #[tokio::test]
    async fn each_call_has_its_route() {
        let (client, requests) = node(vec![
            Answer::With(200, json!([ada()]).to_string()),
            Answer::With(200, ada().to_string()),
            Answer::With(200, ada().to_string()),
            Answer::With(204, String::new()),
        ]);
        assert_eq!(client.list_users().await.unwrap()[0].username, "ada");
        assert!(!client.user("a@b.c").await.unwrap().disabled);
        let change = UserUpdateBody { role: Some("owner".into()), ..UserUpdateBody::default() };
        client.update_user("ada", &change).await.unwrap();
        client.delete_user("ada").await.unwrap();
        let expected = [
            "GET /api/v1/users",
            "GET /api/v1/users/a@b.c",
            "PATCH /api/v1/users/ada",
            "DELETE /api/v1/users/ada",
        ];
        assert_eq!(lines(&requests), expected);
        assert_eq!(requests.lock().unwrap()[2].body, r#"{"role":"owner"}"#);
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
        let (client, requests) =
            node(vec![Answer::Break, shown(), Answer::Break, Answer::With(204, String::new())]);
        client.create_user(&user).await.unwrap();
        client.revoke_token("0f").await.unwrap();
        let requests = requests.lock().unwrap();
        let keys: Vec<_> = requests.iter().map(|call| call.header("idempotency-key")).collect();
        assert!(keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
        assert!(keys[2].is_some() && keys[2] == keys[3] && keys[2] != keys[0], "{keys:?}");
    }

    #[tokio::test]
    async fn a_name_that_would_change_the_address_is_not_sent() {
        let (client, requests) = node(vec![Answer::With(200, "[]".into())]);
        for name in ["", ".", ".."] {
            assert!(matches!(client.delete_user(name).await, Err(Error::Invalid(_))), "{name}");
        }
        assert!(requests.lock().unwrap().is_empty());
    }
}
