//! Validation: which settings are valid, and which contradict each other.

use super::keys::find;
use super::{Config, DEPTH_MOST, DOCUMENT_BYTES_MOST, NAME_BYTES_MAX, check_url, wrong};
use crate::engine::system::check_name;
use crate::error::Result;
use std::net::{IpAddr, SocketAddr};
use url::Url;

impl Config {
    /// Checks the settings, each by itself and together.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key and what would be right.
    pub(super) fn validate(&self) -> Result<()> {
        self.validate_address()?;
        self.validate_peer_address()?;
        self.validate_membership()?;
        self.validate_secrets()?;
        for peer in &self.peers {
            check_url(peer)
                .map_err(|error| wrong(format!("Peers: {error}"), "write http://host:port"))?;
        }
        self.validate_join_token()?;
        self.validate_loopback()?;
        for (key, value) in
            [("MetricsDefault", &self.metrics_default), ("LogFormat", &self.log_format)]
        {
            if !matches!(value.as_str(), "text" | "json") {
                return Err(wrong(format!("{key}: {value:?} is unknown"), "use text or json"));
            }
        }
        self.validate_tls()?;
        self.networks()?;
        self.refused_entries()?;
        if let Some(name) = &self.node_id {
            check_node_id(name)?;
        }
        if let Some(zone) = &self.zone {
            check_label("Zone", zone)?;
        }
        let (database, collection) = self.kv_collection();
        for name in [database, collection] {
            check_name("KvCollection", name, self.name_bytes_max).map_err(|error| {
                wrong(error.message, "write database.collection, such as kv.entries")
            })?;
        }
        self.validate_origins()?;
        self.validate_numbers()
    }

    fn validate_peer_address(&self) -> Result<()> {
        let Some(listen) = self.peer_listener()? else { return Ok(()) };
        if listen == SocketAddr::new(self.host, self.port) {
            return Err(wrong(
                format!("PeerAddress: {listen} is that of Host and Port"),
                "give it a port of its own, or leave it out: then Host and Port serve nodes too",
            ));
        }
        if !listen.ip().is_loopback() && !self.has_cluster_secret() {
            return Err(wrong(
                format!(
                    "PeerAddress: {listen} can be reached from other machines, but there is no cluster secret"
                ),
                "set ClusterSecretFile (or JETTRA_CLUSTER_SECRET), join with a JoinToken, or listen on \
                 127.0.0.1",
            ));
        }
        Ok(())
    }

    /// Whether a cluster secret is configured, was kept, or is to come by a join token.
    fn has_cluster_secret(&self) -> bool {
        self.cluster_secret.is_some()
            || self.cluster_secret_file.is_some()
            || self.has_join_token()
            || self.kept_secret().exists()
    }

    fn validate_address(&self) -> Result<()> {
        if self
            .advertise_host()
            .is_none_or(|host| host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified()))
        {
            return Err(wrong(
                format!("AdvertiseUrl: {} is not an address that others can reach", self.url()),
                "set AdvertiseUrl to http://<name or address of this machine>:<port>",
            ));
        }
        if !self.host.is_loopback() && !self.has_cluster_secret() {
            return Err(wrong(
                format!(
                    "Host: {} can be reached from other machines, but there is no cluster secret",
                    self.host
                ),
                "set ClusterSecretFile (or JETTRA_CLUSTER_SECRET), join with a JoinToken, or listen on \
                 127.0.0.1",
            ));
        }
        Ok(())
    }

    /// Refuses what only callers on this machine may have.
    fn validate_loopback(&self) -> Result<()> {
        let given = [
            ("OpenOnLoopback", self.open_on_loopback),
            ("StartNodesIn", self.start_nodes_in.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((key, _)) if !self.host.is_loopback() => Err(wrong(
                format!("{key}: Host {} can be reached from other machines", self.host),
                format!("listen on 127.0.0.1, or leave {key} out"),
            )),
            _ => Ok(()),
        }
    }

    fn validate_membership(&self) -> Result<()> {
        if !self.distributed && !self.peers.is_empty() {
            return Err(wrong(
                "Peers is set, but distributed is false",
                "set distributed to true, or leave Peers empty",
            ));
        }
        if self.bootstrap && !self.peers.is_empty() {
            return Err(wrong(
                "Bootstrap and Peers contradict each other: a node makes a cluster or joins one",
                "leave Peers empty on the first node, and Bootstrap false on the others",
            ));
        }
        if self.bootstrap_lowest && self.peers.is_empty() {
            return Err(wrong(
                "BootstrapLowest is true, but Peers is empty: there is no node to agree with",
                "name the other nodes in Peers, or set Bootstrap on the one that is to make the cluster",
            ));
        }
        Ok(())
    }

    fn validate_secrets(&self) -> Result<()> {
        if self.cluster_secret.is_some() && self.cluster_secret_file.is_some() {
            return Err(wrong(
                "ClusterSecret and ClusterSecretFile are both set",
                "give one of them",
            ));
        }
        if self.admin_password.is_some() && self.admin_password_file.is_some() {
            return Err(wrong(
                "AdminPassword and AdminPasswordFile are both set",
                "give one of them",
            ));
        }
        if self.cluster_secret.as_ref().is_some_and(|secret| secret.len() < 16) {
            return Err(wrong(
                "ClusterSecret is shorter than 16 characters",
                "make one with: openssl rand -hex 32",
            ));
        }
        Ok(())
    }

    fn validate_origins(&self) -> Result<()> {
        for origin in &self.cors_origins {
            // A browser sends scheme, host and port only.
            let exact = Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.origin().ascii_serialization() == *origin
            });
            if !exact {
                return Err(wrong(
                    format!("CorsOrigins: {origin:?} is not the origin of a page"),
                    "write https://host or https://host:port, nothing after it",
                ));
            }
        }
        Ok(())
    }

    fn validate_join_token(&self) -> Result<()> {
        if self.join_token.is_some() && self.join_token_file.is_some() {
            return Err(wrong("JoinToken and JoinTokenFile are both set", "give one of them"));
        }
        if !self.has_join_token() {
            return Ok(());
        }
        if self.peers.is_empty() {
            return Err(wrong(
                "JoinToken is set, but Peers is empty",
                "name members of the cluster in Peers: they take the token",
            ));
        }
        if self.cluster_secret.is_some() || self.cluster_secret_file.is_some() {
            return Err(wrong(
                "JoinToken and ClusterSecret contradict each other: the token brings the secret",
                "leave one of them out",
            ));
        }
        Ok(())
    }

    fn validate_tls(&self) -> Result<()> {
        let files = "give TlsCert and TlsKey, or none of them";
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(_), None, _) => return Err(wrong("TlsCert is set, but TlsKey is not", files)),
            (None, Some(_), _) => return Err(wrong("TlsKey is set, but TlsCert is not", files)),
            (None, None, Some(_)) => {
                return Err(wrong(
                    "TlsCa is set, but this node has no certificate to show to the others",
                    "give TlsCert and TlsKey too; jettra dev certs makes some for trying it",
                ));
            }
            _ => {}
        }
        let wanted = if self.serves_tls() { "https" } else { "http" };
        if self.url().split("://").next() == Some(wanted) {
            return Ok(());
        }
        let reason = match self.serves_tls() {
            true => "but with TlsCert this node serves https only",
            false => "but without TlsCert this node serves http only",
        };
        Err(wrong(
            format!("AdvertiseUrl is {}, {reason}", self.url()),
            format!("write {wanted}:// in AdvertiseUrl, or correct TlsCert and TlsKey"),
        ))
    }

    fn validate_numbers(&self) -> Result<()> {
        let bounds: [(&str, u64, u64, u64); 40] = [
            ("Port", self.port.into(), 1, 65535),
            ("MaxVoters", self.max_voters as u64, 1, 9),
            ("HeartbeatMs", self.heartbeat_ms, 10, 10_000),
            ("ElectionMinMs", self.election_min_ms, self.heartbeat_ms * 3, 60_000),
            ("ElectionMaxMs", self.election_max_ms, self.election_min_ms + 1, 120_000),
            ("ClockSkewMaxMs", self.clock_skew_max_ms, 100, 60_000),
            ("InactiveAfterMs", self.inactive_after_ms, self.heartbeat_ms * 5, 600_000),
            ("ReplaceAfterMs", self.replace_after_ms, self.inactive_after_ms, 604_800_000),
            ("MoveMbPerSecond", self.move_mb_per_second, 0, 100_000),
            ("SnapshotEvery", self.snapshot_every, 10, 10_000_000),
            ("SnapshotLogMb", self.snapshot_log_mb, 1, 1024 * 1024),
            ("LogChunkMb", self.log_chunk_mb as u64, 1, 1024),
            ("MapSizeGb", self.map_size_gb as u64, 1, 64 * 1024),
            ("HttpWorkers", self.http_workers as u64, 1, 64),
            ("RequestTimeoutMs", self.request_timeout_ms, 100, 600_000),
            ("QueueMax", self.queue_max as u64, 1, 1_000_000),
            ("BodyMemoryMb", self.body_memory_mb as u64, 64, 1024 * 1024),
            ("BodyTimeoutMs", self.body_timeout_ms, 100, 600_000),
            ("BatchMax", self.batch_max as u64, 1, 4096),
            ("DocumentBytesMax", self.document_bytes_max as u64, 1024, DOCUMENT_BYTES_MOST as u64),
            ("DepthMax", self.depth_max as u64, 1, DEPTH_MOST as u64),
            ("IdBytesMax", self.id_bytes_max as u64, 36, 480),
            ("NameBytesMax", self.name_bytes_max as u64, 1, NAME_BYTES_MAX as u64),
            ("PageMax", self.page_max as u64, 1, 10_000),
            ("QueryMemoryMb", self.query_memory_mb as u64, 1, 16 * 1024),
            ("QueryTimeoutMs", self.query_timeout_ms, 10, 86_400_000),
            ("QueriesMax", self.queries_max as u64, 1, 256),
            ("WriteDocumentsMax", self.write_documents_max, 1, 10_000_000),
            ("WriteStepsMax", self.write_steps_max, 10_000, 1_000_000_000_000),
            ("TransactionsMax", self.transactions_max as u64, 1, 1024),
            ("TransactionMb", self.transaction_mb as u64, 1, 32),
            ("TransactionIdleMs", self.transaction_idle_ms, 100, 3_600_000),
            ("TransactionMaxMs", self.transaction_max_ms, 100, 3_600_000),
            ("IdempotencyMinutes", self.idempotency_minutes, 1, 10_080),
            ("IdempotencyMb", self.idempotency_mb, 1, 64 * 1024),
            ("ChangesMb", self.changes_mb, 1, 1024 * 1024),
            ("FeedsMax", self.feeds_max as u64, 1, 100_000),
            ("CallsPerUserMax", self.calls_per_user_max as u64, 1, 1_000_000),
            ("AuditMax", self.audit_max, 100, 100_000_000),
            ("SessionHours", self.session_hours, 1, 8_760),
        ];
        let open_files = self.open_files_max.map(|max| ("OpenFilesMax", max, 512, 1 << 30));
        for (name, value, min, max) in bounds.into_iter().chain(open_files) {
            if value < min || value > max {
                return Err(wrong(
                    format!("{name}: {value} is out of range"),
                    format!(
                        "use {min} to {max}; the default is {}",
                        find(name).map_or("", |key| key.default)
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Checks the name of a node.
///
/// # Errors
/// `invalid_parameter` with the rule.
pub fn check_node_id(name: &str) -> Result<()> {
    check_label("NodeID", name)
}

fn check_label(key: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err(wrong(
            format!("{key}: {name:?} cannot be used"),
            "use 1 to 64 ASCII letters, digits, '-', '_' and '.'",
        ));
    }
    Ok(())
}
