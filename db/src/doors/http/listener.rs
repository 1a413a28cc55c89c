//! Two listeners, one for clients and one for nodes (`PeerAddress`): which calls each of them serves.

use super::call::{Call, Listener};
use super::routes::Route;
use crate::auth::Access;
use crate::cluster::join::JOIN_TOKEN_PATH;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::PEER_HEADER;
use crate::raft::peer_client::IDENTITY_PATH;

/// Refuses a call that came to the wrong one of two listeners. What a node has not signed is a client's,
/// but for its first call with a join token. Which node is at an address may be asked at each, so that
/// a node can be registered by either.
///
/// # Errors
/// `misdirected`.
pub(super) fn check(route: &Route, call: &Call) -> Result<()> {
    let signed = call.headers().contains_key(PEER_HEADER);
    let by_node = signed || route.access == Access::Node || route.path == JOIN_TOKEN_PATH;
    let cluster = call.cluster();
    let (config, what) = (&cluster.config, format!("{} {}", route.method, route.path));
    match call.app.listener {
        Listener::Nodes if !by_node => Err(for_nodes(config, &what)),
        Listener::Clients
            if by_node && route.path != IDENTITY_PATH && cluster.is_known_at_peer_url() =>
        {
            let message = format!("{what}: this address serves clients only");
            Err(Error::new(Kind::Misdirected, message)
                .hint(format!("nodes reach this one at {}", config.peer_url())))
        }
        Listener::All | Listener::Clients | Listener::Nodes => Ok(()),
    }
}

/// The error for a client where nodes are served.
pub(super) fn for_nodes(config: &Config, what: &str) -> Error {
    Error::new(Kind::Misdirected, format!("{what}: this address serves nodes only"))
        .hint(format!("clients reach this node at {}", config.url()))
}
