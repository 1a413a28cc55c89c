//! The audit log.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{AuditReply, Positions};
use reqwest::Method;

/// Which entries of the audit log are returned; see [`Client::audit`]. A field without a value does
/// not narrow the query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// The number of entries at most; the cluster has a default and a bound of its own.
    pub limit: Option<u64>,
    /// Only entries with a smaller number in their group: [`AuditReply::next`] of the answer before.
    pub before: Option<Positions>,
    /// Only actions of this user, also refused ones.
    pub user: Option<String>,
    /// Only this action, for example `login_failed`.
    pub action: Option<String>,
}

impl Client {
    /// The entries of the audit log, the latest first. Administrators only.
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
        let limit = query.limit.map(|limit| limit.to_string());
        let before = query.before.as_ref().map(Positions::to_string);
        let (user, action) = (&query.user, &query.action);
        let fields = [("limit", &limit), ("before", &before), ("user", user), ("action", action)];
        for (name, text) in fields {
            if let Some(text) = text {
                call = call.query(name, text);
            }
        }
        self.send(call).await?.json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use crate::fake::{Answer, node};

    #[tokio::test]
    async fn only_what_is_given_narrows_the_answer() {
        let page = || Answer::With(200, r#"{"entries": [], "next": 7}"#.into());
        let (client, requests) = node(vec![page(), page()]);
        let query = AuditQuery {
            limit: Some(5),
            before: Some("9,4@3".parse().unwrap()),
            user: Some("ada l".into()),
            action: Some("login".into()),
        };
        assert_eq!(client.audit(&query).await.unwrap().next, Some(Position::system(7).into()));
        client.audit(&AuditQuery::default()).await.unwrap();
        let requests = requests.lock().unwrap();
        let lines: Vec<&str> = requests.iter().map(|call| call.line.as_str()).collect();
        let expected = [
            "GET /api/v1/audit?limit=5&before=9%2C4%403&user=ada+l&action=login HTTP/1.1",
            "GET /api/v1/audit HTTP/1.1",
        ];
        assert_eq!(lines, expected);
    }
}
