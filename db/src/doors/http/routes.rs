//! The route table: method, path, who may call it, where it runs, and by which driver method and
//! shell command a person reaches it.

use super::call::Call;
use super::endpoint::{Endpoint, Prepared, Run};
use super::{
    audit, catalog, changes, cluster, documents, find, groups, indexes, jettradbvm, kv, metrics,
    openapi, overview, pipelines, processes, schema, sessions, shards, statements, tasks, tokens,
    transactions, users, versions, writes,
};
use crate::auth::Access::{self, Node, Open, User};
use crate::auth::Permission::{self, Admin, Login, Own, Read, Write};
use crate::doors::peer;
use crate::error::Result;
use crate::service::place::Place;
use crate::service::place::Wait::{self, Level, Nothing, Ready, Rights};
use About::{Document, Documents, Find, Members, Other, Session, Transactions};
use Runs::{ByBody, Here, Leader};

/// Where a call is carried out, and what is waited for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// On the node that was called; in a transaction on the leader.
    Here(Wait),
    /// On the leader; other nodes forward it.
    Leader(Wait),
    /// On the leader when it changes something, which its body says; else on the node that was
    /// called.
    ByBody,
}

impl Runs {
    /// Whether a read level may be waited for.
    pub fn may_read(self) -> bool {
        matches!(self, Here(Level) | Leader(Level) | ByBody)
    }

    /// Whether it is always carried out on the node that was called.
    pub fn is_here(self) -> bool {
        matches!(self, Here(_))
    }
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One document as it stands: no filter, no expression, no statement.
    Document,
    /// Documents of one collection.
    Documents,
    /// The same, and often only a few that an index leads to.
    Find,
    /// Transactions, or what is done in one step.
    Transactions,
    /// The members of the cluster.
    Members,
    /// The caller's own session.
    Session,
    /// Anything else.
    Other,
}

impl About {
    /// Whether it reads or writes documents of one collection.
    pub fn is_documents(self) -> bool {
        matches!(self, Document | Documents | Find)
    }

    /// Whether it can belong to a transaction.
    pub fn knows_transactions(self) -> bool {
        self.is_documents() || self == Transactions
    }

    /// Whether its work is bounded by one small document, so that it may be carried out on a thread
    /// that serves Raft.
    pub fn is_light(self) -> bool {
        matches!(self, Document | Members)
    }

    /// Whether it may be begun there, and goes on elsewhere when it turns out to be longer.
    pub fn may_be_brief(self) -> bool {
        self == Find
    }
}

/// One row of the table.
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; parts in braces are parameters.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Where it runs.
    pub runs: Runs,
    /// What it is about.
    pub about: About,
    /// How it is carried out, and what is said of it.
    pub endpoint: Endpoint,
    /// The driver method that calls it; empty for calls that no program makes.
    pub driver: &'static str,
    /// The shell command that leads to it; empty if there is none.
    pub shell: &'static str,
}

impl Route {
    /// Whether its answer goes on as long as somebody reads it.
    pub fn is_feed(&self) -> bool {
        self.path.ends_with("/watch")
    }

    /// Whether it is about a key of the collection that the configuration names.
    pub fn is_kv(&self) -> bool {
        self.path.starts_with("/api/kv/") || self.is_kv_at_root()
    }

    /// Whether it is such a route that is there only if the configuration says so.
    pub fn is_kv_at_root(&self) -> bool {
        KV_AT_ROOT.iter().any(|route| route.path == self.path)
    }

    /// Whether it lists what every group has of its own.
    pub fn lists_groups(&self) -> bool {
        self.method == "GET" && matches!(self.path, "/api/v1/tasks" | "/api/v1/transactions")
    }

    /// Whether it reads documents and changes none, so that it can read the past.
    pub fn reads_documents(&self) -> bool {
        self.about.is_documents() && self.access == User(Permission::Read)
    }

    /// Whether it can be asked to change many documents only once a person has agreed.
    pub fn asks_first(&self) -> bool {
        self.method != "GET" && self.about.knows_transactions()
    }

    /// Where a call is carried out, and how.
    ///
    /// # Errors
    /// Those of its body, when that says where.
    pub fn prepare(&self, call: &Call) -> Result<Prepared> {
        let place = match self.runs {
            Here(wait) => Place::Here(wait),
            Leader(wait) => Place::Leader(wait),
            ByBody => Place::Leader(Ready),
        };
        match self.endpoint.run {
            Run::Fixed(run) => Ok(Prepared { place, run: Box::new(run) }),
            Run::ByBody(prepare) => prepare(call),
        }
    }
}

/// Whether errors of calls at a path are texts, as in the program that their shape comes from.
pub fn has_plain_errors(path: &str) -> bool {
    path.starts_with("/cluster/")
        || path.starts_with("/api/kv/")
        || KV_AT_ROOT.iter().any(|route| route.path == path)
}

/// An endpoint in braces; in brackets a handler of calls between nodes, which has no description.
macro_rules! endpoint {
    ({ $($endpoint:ident)::+ }) => { $($endpoint)::+ };
    ([ $($handler:ident)::+ ]) => {
        Endpoint::between_nodes(|call| Box::pin($($handler)::+(call)))
    };
}

macro_rules! routes {
    ($($method:ident $path:literal $access:expr, $runs:expr, $about:expr, $endpoint:tt, $driver:literal, $shell:literal;)*) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            access: $access,
            runs: $runs,
            about: $about,
            endpoint: endpoint!($endpoint),
            driver: $driver,
            shell: $shell,
        },)*]
    };
}

/// Every route but the page's files and the append stream and snapshots of `peer`.
#[rustfmt::skip]
pub const ROUTES: &[Route] = routes! {
    // Session
    POST "/api/login"           Open,        Leader(Ready), Session, {sessions::LOGIN},           "login",           "login";
    POST "/api/logout"          User(Login), Leader(Ready), Session, {sessions::LOGOUT},          "logout",          "logout";
    GET  "/api/v1/session"      User(Login), Here(Rights),  Session, {sessions::WHOAMI},          "session",         "whoami";
    POST "/api/change-password" User(Login), Leader(Ready), Session, {sessions::CHANGE_PASSWORD}, "change_password", "password";
    // Catalog
    GET    "/api/dbs"           User(Login), Here(Level),   Other, {catalog::DATABASES},               "list_databases",    "show dbs";
    POST   "/api/dbs"           User(Own),   Leader(Ready), Other, {catalog::CREATE_DATABASE},         "create_database",   "create db";
    DELETE "/api/dbs"           User(Own),   Leader(Ready), Other, {catalog::DROP_DATABASE},           "drop_database",     "drop db";
    POST   "/api/dbs/rename"    User(Own),   Leader(Ready), Other, {catalog::RENAME_DATABASE},         "rename_database",   "rename db";
    GET    "/api/dbs/{db}/cols" User(Read),  Here(Level),   Other, {jettradbvm::catalog::COLLECTIONS}, "list_collections",  "show collections";
    POST   "/api/cols"          User(Write), Leader(Ready), Other, {catalog::CREATE_COLLECTION},       "create_collection", "create col";
    DELETE "/api/cols"          User(Own),   Leader(Ready), Other, {catalog::DROP_COLLECTION},         "drop_collection",   "drop col";
    POST   "/api/cols/rename"   User(Own),   Leader(Ready), Other, {catalog::RENAME_COLLECTION},       "rename_collection", "rename col";
    // Documents, as JettraDBVM has them
    POST   "/api/doc"     User(Write), Leader(Ready), Document,  {jettradbvm::documents::SAVE},       "insert",          "insert";
    GET    "/api/doc"     User(Read),  Here(Level),   Document,  {jettradbvm::documents::GET},        "get",             "get";
    PUT    "/api/doc"     User(Write), Leader(Ready), Document,  {jettradbvm::documents::REPLACE},    "save",            "update";
    DELETE "/api/doc"     User(Write), Leader(Ready), Document,  {jettradbvm::documents::DELETE},     "delete",          "delete";
    GET    "/api/query"   User(Read),  Here(Level),   Documents, {jettradbvm::documents::QUERY},      "list",            "find";
    GET    "/api/count"   User(Read),  Here(Level),   Documents, {jettradbvm::documents::COUNT},      "count",           "count";
    POST   "/api/command" User(Read),  ByBody,        Documents, {statements::COMMAND},               "statement_pages", "sql";
    GET    "/api/index"   User(Read),  Here(Level),   Other,     {jettradbvm::catalog::INDEXES},      "list_indexes",    "indexes";
    POST   "/api/index"   User(Own),   Leader(Ready), Other,     {jettradbvm::catalog::CREATE_INDEX}, "create_index",    "create index";
    DELETE "/api/index"   User(Own),   Leader(Ready), Other,     {jettradbvm::catalog::DROP_INDEX},   "drop_index",      "drop index";
    // Documents, as REST
    GET    "/api/v1/databases/{db}/collections/{col}/documents"      User(Read),  Here(Level),   Documents, {find::LIST},        "list",   "find";
    POST   "/api/v1/databases/{db}/collections/{col}/documents"      User(Write), Leader(Ready), Document,  {documents::INSERT}, "insert", "insert";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}" User(Read),  Here(Level),   Document,  {documents::GET},    "get",    "get";
    PUT    "/api/v1/databases/{db}/collections/{col}/documents/{id}" User(Write), Leader(Ready), Document,  {documents::PUT},    "save",   "update";
    PATCH  "/api/v1/databases/{db}/collections/{col}/documents/{id}" User(Write), Leader(Ready), Documents, {documents::PATCH},  "patch",  "patch";
    DELETE "/api/v1/databases/{db}/collections/{col}/documents/{id}" User(Write), Leader(Ready), Document,  {documents::DELETE}, "delete", "delete";
    // Keys and values, as rockraft's example has them
    GET  "/api/kv/get"    User(Read),  Here(Level),   Document, {kv::GET},    "kv_get",    "kv get";
    POST "/api/kv/set"    User(Write), Leader(Ready), Document, {kv::SET},    "kv_set",    "kv set";
    POST "/api/kv/delete" User(Write), Leader(Ready), Document, {kv::DELETE}, "kv_delete", "kv delete";
    // Queries
    POST "/api/v1/databases/{db}/collections/{col}/find"            User(Read),  Here(Level),   Find,      {find::FIND},              "find",            "find";
    POST "/api/v1/databases/{db}/collections/{col}/aggregate"       User(Read),  ByBody,        Documents, {pipelines::AGGREGATE},    "aggregate",       "aggregate";
    GET  "/api/v1/databases/{db}/collections/{col}/count"           User(Read),  Here(Level),   Documents, {find::COUNT},             "count",           "count";
    POST "/api/v1/databases/{db}/collections/{col}/count"           User(Read),  Here(Level),   Documents, {find::COUNT_MATCHING},    "count_matching",  "count";
    POST "/api/v1/databases/{db}/collections/{col}/distinct"        User(Read),  Here(Level),   Documents, {find::DISTINCT},          "distinct",        "distinct";
    POST "/api/v1/databases/{db}/collections/{col}/update"          User(Write), Leader(Ready), Documents, {writes::UPDATE},          "update_one",      "update";
    POST "/api/v1/databases/{db}/collections/{col}/replace"         User(Write), Leader(Ready), Documents, {writes::REPLACE},         "replace_one",     "replace";
    POST "/api/v1/databases/{db}/collections/{col}/delete"          User(Write), Leader(Ready), Documents, {writes::DELETE},          "delete_many",     "delete";
    POST "/api/v1/databases/{db}/collections/{col}/find-and-modify" User(Write), Leader(Ready), Documents, {writes::FIND_AND_MODIFY}, "find_and_modify", "modify";
    POST "/api/v1/databases/{db}/collections/{col}/bulk"            User(Write), Leader(Ready), Documents, {writes::BULK},            "bulk",            "bulk";
    // Transactions
    POST   "/api/tx/begin"                    User(Write), Leader(Ready), Transactions, {jettradbvm::transactions::BEGIN},    "begin",             "begin";
    POST   "/api/tx/commit"                   User(Write), Leader(Ready), Transactions, {jettradbvm::transactions::COMMIT},   "commit",            "commit";
    POST   "/api/tx/rollback"                 User(Write), Leader(Ready), Transactions, {jettradbvm::transactions::ROLLBACK}, "rollback",          "rollback";
    GET    "/api/v1/transactions"             User(Read),  Leader(Level), Transactions, {transactions::LIST},                 "list_transactions", "show transactions";
    POST   "/api/v1/transactions"             User(Write), Leader(Ready), Transactions, {transactions::BEGIN},                "begin",             "begin";
    POST   "/api/v1/transactions/{tx}/commit" User(Write), Leader(Ready), Transactions, {transactions::COMMIT},               "commit",            "commit";
    DELETE "/api/v1/transactions/{tx}"        User(Write), Leader(Ready), Transactions, {transactions::END},                  "end_transaction",   "end transaction";
    POST   "/api/v1/batch"                    User(Write), Leader(Ready), Transactions, {transactions::BATCH},                "batch",             "batch";
    // Versions and changes
    GET    "/api/versions"                                                                      User(Read),  Here(Level),   Other, {jettradbvm::versions::HISTORY}, "history",         "history";
    GET    "/api/version"                                                                       User(Read),  Here(Level),   Other, {jettradbvm::versions::GET},     "version",         "show version";
    POST   "/api/restore-version"                                                               User(Write), Leader(Ready), Other, {jettradbvm::versions::RESTORE}, "restore",         "revert";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions"                   User(Read),  Here(Level),   Other, {versions::HISTORY},             "history",         "history";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}"         User(Read),  Here(Level),   Other, {versions::GET},                 "version",         "show version";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/diff"    User(Read),  Here(Level),   Other, {versions::DIFF},                "diff",            "diff";
    POST   "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/restore" User(Write), Leader(Ready), Other, {versions::RESTORE},             "restore",         "revert";
    POST   "/api/v1/databases/{db}/collections/{col}/documents/{id}/undelete"                   User(Write), Leader(Ready), Other, {versions::UNDELETE},            "undelete",        "undelete";
    GET    "/api/v1/databases/{db}/collections/{col}/versions"                                  User(Read),  Here(Level),   Other, {versions::SETTINGS},            "versions",        "versions";
    PUT    "/api/v1/databases/{db}/collections/{col}/versions"                                  User(Own),   Leader(Ready), Other, {versions::KEEP},                "keep_versions",   "versions on";
    DELETE "/api/v1/databases/{db}/collections/{col}/versions"                                  User(Own),   Leader(Ready), Other, {versions::FORGET},              "forget_versions", "versions off";
    GET    "/api/v1/databases/{db}/collections/{col}/watch"                                     User(Read),  Here(Level),   Other, {changes::COLLECTION},           "watch",           "watch";
    GET    "/api/v1/databases/{db}/watch"                                                       User(Read),  Here(Level),   Other, {changes::DATABASE},             "watch_database",  "watch";
    // Indexes, schemas, statistics
    GET    "/api/v1/databases/{db}/collections/{col}/indexes"        User(Read),  Here(Level),   Other, {indexes::LIST},       "list_indexes", "indexes";
    POST   "/api/v1/databases/{db}/collections/{col}/indexes"        User(Own),   Leader(Ready), Other, {indexes::CREATE},     "create_index", "create index";
    DELETE "/api/v1/databases/{db}/collections/{col}/indexes/{name}" User(Own),   Leader(Ready), Other, {indexes::DROP_INDEX}, "drop_index",   "drop index";
    GET    "/api/v1/databases/{db}/collections/{col}/schema"         User(Read),  Here(Level),   Other, {schema::GET},         "schema",       "schema";
    PUT    "/api/v1/databases/{db}/collections/{col}/schema"         User(Own),   Leader(Ready), Other, {schema::PUT},         "set_schema",   "schema set";
    DELETE "/api/v1/databases/{db}/collections/{col}/schema"         User(Own),   Leader(Ready), Other, {schema::REMOVE},      "drop_schema",  "schema drop";
    POST   "/api/v1/databases/{db}/collections/{col}/validate"       User(Read),  Here(Level),   Other, {schema::VALIDATE},    "validate",     "validate";
    GET    "/api/v1/databases/{db}/collections/{col}/stats"          User(Read),  Here(Level),   Other, {indexes::STATS},      "stats",        "stats";
    GET    "/api/v1/databases/{db}/hash"                             User(Admin), Here(Level),   Other, {catalog::HASH},       "hash",         "hash";
    // Users, tokens, audit
    GET    "/api/users"             User(Admin), Here(Level),   Other, {users::LIST},               "list_users",        "show users";
    POST   "/api/users"             User(Admin), Leader(Ready), Other, {jettradbvm::users::CREATE}, "create_user",       "create user";
    DELETE "/api/users"             User(Admin), Leader(Ready), Other, {jettradbvm::users::DELETE}, "delete_user",       "drop user";
    GET    "/api/v1/users"          User(Admin), Here(Level),   Other, {users::LIST},               "list_users",        "show users";
    POST   "/api/v1/users"          User(Admin), Leader(Ready), Other, {users::CREATE},             "create_user",       "create user";
    GET    "/api/v1/users/{user}"   User(Admin), Here(Level),   Other, {users::GET},                "user",              "show user";
    PATCH  "/api/v1/users/{user}"   User(Admin), Leader(Ready), Other, {users::UPDATE},             "update_user",       "alter user";
    DELETE "/api/v1/users/{user}"   User(Admin), Leader(Ready), Other, {users::DELETE},             "delete_user",       "drop user";
    GET    "/api/v1/tokens"         User(Login), Here(Level),   Other, {tokens::LIST},              "list_tokens",       "show tokens";
    POST   "/api/v1/tokens"         User(Login), Leader(Ready), Other, {tokens::CREATE_API_KEY},    "create_api_key",    "create key";
    DELETE "/api/v1/tokens/{token}" User(Login), Leader(Ready), Other, {tokens::REVOKE},            "revoke_token",      "revoke token";
    POST   "/api/v1/cluster/tokens" User(Admin), Leader(Ready), Other, {tokens::CREATE_JOIN_TOKEN}, "create_join_token", "cluster token";
    GET    "/api/v1/audit"          User(Admin), Here(Level),   Other, {audit::LIST},               "audit",             "show audit";
    // Tasks
    GET  "/api/v1/tasks"               User(Read), Leader(Level), Other, {tasks::LIST},   "list_tasks",  "task list";
    GET  "/api/v1/tasks/{task}"        User(Read), Leader(Level), Other, {tasks::GET},    "task",        "task show";
    GET  "/api/v1/tasks/{task}/events" User(Read), Here(Level),   Other, {tasks::EVENTS}, "task_events", "task watch";
    POST "/api/v1/tasks/{task}/cancel" User(Own),  Leader(Ready), Other, {tasks::CANCEL}, "cancel_task", "task cancel";
    // Cluster
    GET  "/health"                 Open,        Here(Nothing), Members, {cluster::HEALTH},     "health",             "health";
    GET  "/livez"                  Open,        Here(Nothing), Members, {metrics::LIVE},       "live",               "show live";
    GET  "/readyz"                 Open,        Here(Nothing), Members, {metrics::READY},      "ready",              "show ready";
    GET  "/metrics"                User(Login), Here(Rights),  Other,   {metrics::GET},        "metrics",            "show metrics";
    GET  "/api/cluster"            User(Login), Here(Rights),  Members, {cluster::STATUS},     "cluster_status",     "cluster status";
    POST "/api/cluster/register"   User(Admin), Leader(Ready), Members, {cluster::REGISTER},   "cluster_register",   "cluster add";
    POST "/api/cluster/deregister" User(Admin), Leader(Ready), Members, {cluster::DEREGISTER}, "cluster_deregister", "cluster remove";
    POST "/api/cluster/stop"       User(Admin), Leader(Ready), Members, {cluster::STOP},       "cluster_stop",       "cluster stop";
    POST "/api/cluster/pause"      User(Admin), Leader(Ready), Members, {cluster::PAUSE},      "cluster_pause",      "cluster pause";
    POST "/api/cluster/resume"     User(Admin), Leader(Ready), Members, {cluster::RESUME},     "cluster_resume",     "cluster resume";
    POST "/api/cluster/promote"    User(Admin), Leader(Ready), Members, {cluster::PROMOTE},    "cluster_promote",    "cluster promote";
    POST "/api/cluster/restart"    User(Admin), Leader(Ready), Members, {cluster::RESTART},    "cluster_restart",    "cluster restart";
    POST   "/api/v1/nodes"                 User(Admin), Leader(Ready), Other, {cluster::ADD_NODE},    "add_node",    "node add";
    DELETE "/api/v1/nodes/{node}"          User(Admin), Leader(Ready), Other, {cluster::REMOVE_NODE}, "remove_node", "drain";
    GET    "/api/v1/groups"                User(Admin), Here(Level),   Other, {groups::LIST},       "list_groups",      "group list";
    POST   "/api/v1/groups"                User(Admin), Leader(Ready), Other, {groups::CREATE},     "create_group",     "group create";
    GET    "/api/v1/groups/{group}"        User(Admin), Here(Level),   Other, {groups::GET},        "group",            "group show";
    DELETE "/api/v1/groups/{group}"        User(Admin), Leader(Ready), Other, {groups::REMOVE},     "remove_group",     "group remove";
    PUT    "/api/v1/groups/{group}/leader" User(Admin), Leader(Ready), Other, {groups::PIN_LEADER}, "set_group_leader", "group lead";
    GET    "/api/v1/cluster/status"              User(Login), Here(Rights),  Other, {overview::STATUS},      "cluster_overview",    "status";
    GET    "/api/v1/cluster/nodes"               User(Login), Here(Rights),  Other, {overview::NODES},       "list_nodes",          "nodes";
    POST   "/api/v1/cluster/nodes"               User(Admin), Leader(Ready), Other, {overview::ADD_NODE},    "cluster_add_node",    "add-node";
    DELETE "/api/v1/cluster/nodes/{node}"        User(Admin), Leader(Ready), Other, {cluster::REMOVE_NODE},  "cluster_remove_node", "remove-node";
    GET    "/api/v1/cluster/nodes/{node}/health" User(Admin), Here(Rights),  Other, {overview::NODE_HEALTH}, "node_health",         "node-health";
    GET    "/api/v1/cluster/metrics"             User(Admin), Here(Rights),  Other, {overview::METRICS},     "cluster_metrics",     "metrics";
    GET    "/api/v1/cluster/diagnostics"         User(Admin), Here(Rights),  Other, {overview::DIAGNOSTICS}, "diagnostics",         "diagnostics";
    GET    "/api/v1/cluster/shards"                 User(Admin), Here(Level),   Other, {shards::LIST},      "list_shards",   "shard list";
    GET    "/api/v1/cluster/shards/{shard}"         User(Admin), Here(Level),   Other, {shards::GET},       "shard",         "shard show";
    GET    "/api/v1/cluster/shards/{shard}/explain" User(Admin), Here(Level),   Other, {shards::EXPLAIN},   "explain_shard", "shard explain";
    POST   "/api/v1/cluster/shards/{shard}/migrate" User(Admin), Leader(Ready), Other, {shards::MIGRATE},   "migrate_shard", "shard migrate";
    GET    "/api/v1/cluster/ring"                   User(Login), Here(Level),   Other, {shards::RING},      "ring",          "cluster ring";
    POST   "/api/v1/cluster/rebalance"              User(Admin), Leader(Ready), Other, {shards::REBALANCE}, "rebalance",     "rebalance";
    // Nodes as processes of one machine
    POST "/cluster/add-node"    User(Admin), Here(Rights), Other, {processes::START},  "start_node",  "node start";
    POST "/cluster/remove-node" User(Admin), Here(Rights), Other, {processes::END},    "end_node",    "node end";
    GET  "/cluster/list-nodes"  User(Login), Here(Rights), Other, {processes::LIST},   "node_list",   "node list";
    GET  "/cluster/status"      User(Login), Here(Rights), Other, {processes::STATUS}, "peer_health", "cluster peers";
    PUT  "/api/v1/cluster/feature-level" User(Admin), Leader(Ready), Other, {cluster::SET_MAX_FEATURE_LEVEL}, "set_max_feature_level", "cluster max-level";
    GET  "/raft/rpc/status"        User(Login), Here(Rights),  Other,   {cluster::NODES},      "cluster_nodes",      "cluster nodes";
    GET  "/openapi.json"           Open,        Here(Nothing), Other,   {openapi::DOCUMENT},   "openapi",            "show openapi";
    // Between nodes
    GET  "/raft/rpc/identity"        Node, Here(Nothing), Other, [peer::identity],        "", "";
    GET  "/raft/rpc/view"            Node, Here(Nothing), Other, [peer::view],            "", "";
    POST "/raft/rpc/found"           Node, Here(Nothing), Other, [peer::found],           "", "";
    POST "/raft/rpc/invite"          Node, Here(Nothing), Other, [peer::invite],          "", "";
    POST "/raft/rpc/end"             Node, Here(Nothing), Other, [peer::end],             "", "";
    POST "/raft/rpc/join-token"      Open, Leader(Ready), Other, [peer::join_token],      "", "";
    POST "/raft/rpc/join"            Node, Leader(Ready), Other, [cluster::join],         "", "";
    POST "/raft/rpc/note"            Node, Leader(Ready), Other, [peer::note],            "", "";
    POST "/raft/rpc/placement"       Node, Leader(Ready), Other, [peer::placement],       "", "";
    POST "/raft/rpc/in-group"        Node, Here(Nothing), Other, [peer::in_group],        "", "";
    GET  "/raft/rpc/node-state"      Node, Here(Nothing), Other, [peer::node_state],      "", "";
    GET  "/raft/rpc/group-status"    Node, Here(Nothing), Other, [peer::group_status],    "", "";
    POST "/raft/rpc/group-audit"     Node, Here(Nothing), Other, [peer::group_audit],     "", "";
    GET  "/raft/rpc/leader"          Node, Here(Nothing), Other, [peer::leader],          "", "";
    POST "/raft/rpc/hello"           Node, Here(Nothing), Other, [peer::hello],           "", "";
    POST "/raft/rpc/vote"            Node, Here(Nothing), Other, [peer::vote],            "", "";
    POST "/raft/rpc/pre-vote"        Node, Here(Nothing), Other, [peer::pre_vote],        "", "";
    POST "/raft/rpc/transfer-leader" Node, Here(Nothing), Other, [peer::transfer_leader], "", "";
    POST "/raft/rpc/read-index"      Node, Here(Nothing), Other, [peer::read_index],      "", "";
};

/// The routes of keys and values once more, where rockraft's example has them; served when `KvAtRoot`
/// is true.
#[rustfmt::skip]
pub const KV_AT_ROOT: &[Route] = routes! {
    GET  "/get"    User(Read),  Here(Level),   Document, {kv::GET},    "kv_get",    "kv get";
    POST "/set"    User(Write), Leader(Ready), Document, {kv::SET},    "kv_set",    "kv set";
    POST "/delete" User(Write), Leader(Ready), Document, {kv::DELETE}, "kv_delete", "kv delete";
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_health_and_what_brings_its_own_proof_is_open() {
        let open: BTreeSet<_> =
            ROUTES.iter().filter(|route| route.access == Open).map(|route| route.path).collect();
        assert_eq!(
            open,
            ["/api/login", "/health", "/livez", "/openapi.json", "/raft/rpc/join-token", "/readyz"]
                .into()
        );
    }

    #[test]
    fn what_nodes_say_to_each_other_is_for_nodes_only() {
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/raft/")) {
            // The members' states are for users; a join token is a proof of its own.
            let others = matches!(route.path, "/raft/rpc/status" | "/raft/rpc/join-token");
            assert_eq!(route.access == Node, !others, "{}", route.path);
        }
    }

    #[test]
    fn no_route_stands_twice() {
        let all: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!(all.len(), ROUTES.len());
    }

    #[test]
    fn what_changes_something_runs_on_the_leader() {
        for route in ROUTES.iter().filter(|route| matches!(route.access, User(Write | Admin))) {
            // Processes belong to the machine of the node that is called.
            let own = matches!(route.path, "/cluster/add-node" | "/cluster/remove-node");
            let reads = route.method == "GET" || own;
            let leader = matches!(route.runs, Leader(_));
            assert_ne!(leader, reads, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn a_call_whose_body_says_where_it_runs_has_no_other_place() {
        for route in ROUTES {
            let by_body = matches!(route.endpoint.run, Run::ByBody(_));
            assert_eq!(by_body, route.runs == ByBody, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn what_a_node_answers_a_user_by_itself_waits_for_the_users_rights() {
        for route in ROUTES.iter().filter(|route| matches!(route.access, User(_))) {
            assert!(!matches!(route.runs, Here(Nothing)), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_route_for_users_has_its_driver_method_and_shell_command() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        fn source(dir: &std::path::Path) -> String {
            let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let text = |path: std::path::PathBuf| match path.is_dir() {
                true => source(&path),
                false => std::fs::read_to_string(path).unwrap(),
            };
            entries.map(text).collect()
        }
        let driver = source(format!("{root}/driver/src").as_ref());
        let shell = source(format!("{root}/shell/src").as_ref());
        let between_nodes =
            |route: &&Route| route.access == Node || route.path == "/raft/rpc/join-token";
        for route in ROUTES.iter().filter(|route| !between_nodes(route)) {
            let method = ["pub async fn", "pub fn"].map(|it| format!("{it} {}(", route.driver));
            assert!(
                method.iter().any(|it| driver.contains(it)),
                "{}: the driver lacks {}",
                route.path,
                route.driver
            );
            assert!(
                shell.contains(&format!(".{}(", route.driver)),
                "{}: the shell never calls {}",
                route.path,
                route.driver
            );
            let command = format!("\"{}", route.shell);
            assert!(shell.contains(&command), "{}: the shell lacks {:?}", route.path, route.shell);
        }
    }
}
