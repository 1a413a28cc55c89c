//! Keys and values, in a collection that the nodes are configured with.

use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::wire::{KvEntry, KvKey};
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::to_raw_value;

impl Client {
    /// The value of a key; `None` when there is no such key, or when its value is `null`. The read is
    /// linearizable.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn kv_get(&self, key: &str) -> Result<Option<Value>> {
        let call = Call::new(Method::GET, &["api", "kv", "get"]).query("key", key);
        let entry: KvEntry = self.send(call).await?.json()?;
        serde_json::from_str(entry.value.get()).map_err(|error| Error::Decode(error.to_string()))
    }

    /// Sets a key to any value that can be written as JSON. The first one creates the collection, and the
    /// database if the user owns it.
    ///
    /// # Errors
    /// `forbidden`, `database_not_found`, `id_too_long`.
    pub async fn kv_set(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let value = to_raw_value(value).map_err(|error| Error::Invalid(error.to_string()))?;
        let entry = KvEntry { key: key.to_owned(), value };
        self.send(Call::new(Method::POST, &["api", "kv", "set"]).body(&entry)).await.map(drop)
    }

    /// Deletes a key; succeeds if it does not exist.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn kv_delete(&self, key: &str) -> Result<()> {
        let body = KvKey { key: key.to_owned() };
        self.send(Call::new(Method::POST, &["api", "kv", "delete"]).body(&body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Error;
    use crate::fake::{Answer, node};
    use serde_json::json;

    #[tokio::test]
    async fn a_value_is_sent_and_read_as_it_is_written() {
        let set = r#"{"success":true,"message":"Key 'a' set successfully"}"#;
        let (client, requests) = node(vec![
            Answer::With(200, set.into()),
            Answer::With(200, r#"{"key":"a","value":{"n":1.50}}"#.into()),
            Answer::With(200, r#"{"key":"b","value":null}"#.into()),
        ]);
        client.kv_set("a", &json!({"n": 1.5})).await.unwrap();
        assert_eq!(client.kv_get("a").await.unwrap(), Some(json!({"n": 1.5})));
        assert_eq!(client.kv_get("b").await.unwrap(), None);
        let requests = requests.lock().unwrap();
        let lines: Vec<&str> = requests.iter().map(|call| call.line.as_str()).collect();
        let expected = [
            "POST /api/kv/set HTTP/1.1",
            "GET /api/kv/get?key=a HTTP/1.1",
            "GET /api/kv/get?key=b HTTP/1.1",
        ];
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn an_error_that_is_a_plain_text_has_its_code() {
        let body = r#"{"error":"this key is too long","code":"id_too_long","request_id":"r"}"#;
        let (client, _) = node(vec![Answer::With(400, body.into())]);
        match client.kv_delete("a").await.unwrap_err() {
            Error::Api { status, detail } => {
                assert_eq!((status, detail.code.as_str()), (400, "id_too_long"));
                assert_eq!(detail.message, "this key is too long");
            }
            other => panic!("{other}"),
        }
    }
}
