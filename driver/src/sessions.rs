//! Logging in and out, and the caller as the cluster knows it.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{LoginReply, SessionReply};
use reqwest::Method;
use serde_json::json;

impl Client {
    /// Verifies the credentials and returns the role.
    pub async fn login(&self, username: &str, password: &str) -> Result<LoginReply> {
        let call = Call::plain(Method::POST, &["api", "login"])
            .body(&json!({"username": username, "password": password}));
        self.send(call).await?.json()
    }

    /// Ends the session that a cookie names. With Basic credentials there is none to end.
    pub async fn logout(&self) -> Result<()> {
        self.send(Call::plain(Method::POST, &["api", "logout"])).await.map(drop)
    }

    /// The user of this client, with its role and its rights.
    pub async fn session(&self) -> Result<SessionReply> {
        self.send(Call::plain(Method::GET, &["api", "v1", "session"])).await?.json()
    }

    /// Changes the password of the user of this client.
    pub async fn change_password(&self, old_password: &str, new_password: &str) -> Result<()> {
        let call = Call::plain(Method::POST, &["api", "change-password"])
            .body(&json!({"oldPassword": old_password, "newPassword": new_password}));
        self.send(call).await.map(drop)
    }
}
