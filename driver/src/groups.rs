//! Groups of replicas: listing, creating and removing them.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{GroupReply, LeaderPin, NewGroup, Removal};
use reqwest::Method;

impl Client {
    /// All groups; the first is the system group.
    pub async fn list_groups(&self) -> Result<Vec<GroupReply>> {
        self.send(Call::new(Method::GET, &["api", "v1", "groups"])).await?.json()
    }

    /// One group.
    ///
    /// # Errors
    /// `group_not_found`.
    pub async fn group(&self, id: u64) -> Result<GroupReply> {
        let id = id.to_string();
        self.send(Call::new(Method::GET, &["api", "v1", "groups", &id])).await?.json()
    }

    /// Creates a group. With `wait` it returns once the group is ready, else at once.
    ///
    /// # Errors
    /// `group_exists`, `node_not_found`.
    pub async fn create_group(&self, group: &NewGroup, wait: bool) -> Result<GroupReply> {
        let mut call = Call::new(Method::POST, &["api", "v1", "groups"]).body(group);
        if wait {
            call = call.query("wait", "ready");
        }
        self.send(call).await?.json()
    }

    /// Removes a group that holds no database; succeeds if it does not exist.
    ///
    /// # Errors
    /// `group_in_use`; `timeout` if it was waited for in vain: it is removed later.
    pub async fn remove_group(&self, id: u64, removal: Removal) -> Result<()> {
        let id = id.to_string();
        let Removal { wait, timeout_ms, snapshot } = removal;
        let mut call = Call::new(Method::DELETE, &["api", "v1", "groups", &id]);
        let timeout_ms = timeout_ms.map(|limit| limit.to_string());
        for (name, value) in [
            ("wait", wait.then_some("stopped")),
            ("timeout_ms", timeout_ms.as_deref()),
            ("snapshot", snapshot.then_some("true")),
        ] {
            if let Some(value) = value {
                call = call.query(name, value);
            }
        }
        self.send(call).await.map(drop)
    }

    /// Says which node is to lead a group; none: any.
    ///
    /// # Errors
    /// `group_not_found`, `node_not_found`, `not_possible_now` if it holds no voter of the group.
    pub async fn set_group_leader(&self, id: u64, node: Option<&str>) -> Result<()> {
        let id = id.to_string();
        let body = LeaderPin { node: node.map(str::to_owned) };
        let call = Call::new(Method::PUT, &["api", "v1", "groups", &id, "leader"]).body(&body);
        self.send(call).await.map(drop)
    }

    /// The name that dongting's clients have for [`Client::create_group`].
    ///
    /// # Errors
    /// Those of [`Client::create_group`].
    pub async fn server_add_group(&self, group: &NewGroup) -> Result<GroupReply> {
        self.create_group(group, false).await
    }

    /// The name that dongting's clients have for [`Client::remove_group`].
    ///
    /// # Errors
    /// Those of [`Client::remove_group`].
    pub async fn server_remove_group(&self, id: u64, removal: Removal) -> Result<()> {
        self.remove_group(id, removal).await
    }

    /// The name that dongting's clients have for [`Client::group`].
    ///
    /// # Errors
    /// Those of [`Client::group`].
    pub async fn query_raft_group_status(&self, id: u64) -> Result<GroupReply> {
        self.group(id).await
    }
}
