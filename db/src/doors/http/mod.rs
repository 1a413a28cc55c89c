//! The HTTP interface. This file is the route table: method, path, who may call it, where it
//! runs, and by which driver method and shell command a person reaches it.

pub mod aggregate;
pub mod aggregate_page;
pub mod audit;
pub mod auth;
pub mod call;
pub mod catalog;
pub mod cluster;
pub mod command;
pub mod confirm;
pub mod describe;
pub mod dispatch;
pub mod document;
mod explain;
pub mod index;
pub mod jettradbvm;
pub mod openapi;
pub mod paging;
pub mod precondition;
pub mod query;
pub mod reply;
pub mod schema;
pub mod server;
pub mod threads;
pub mod tokens;
pub mod transaction;
pub mod update;
pub mod users;
pub mod version;
pub mod view;
pub mod watch;
pub mod web;

use crate::auth::Access::{self, Node, Open, User};
use crate::auth::Permission::{Admin, Login, Own, Read, Write};
use crate::doors::peer;
use Place::{Depends, Here, Leader};
use Wait::{Level, Nothing, Rights};
use call::Call;
use reply::Reply;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// What a handler returns.
pub type Handled = Pin<Box<dyn Future<Output = crate::error::Result<Reply>>>>;

/// Where a call is carried out.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// On the node that was called, once it has waited.
    Here(Wait),
    /// On the leader; other nodes forward it.
    Leader,
    /// On the leader when the function says so of the call, else as [`Wait::Level`].
    Depends(fn(&Call) -> crate::error::Result<bool>),
}

/// What the node waits for before it answers a call by itself. Users change while calls are under
/// way, and a node learns of it later than others: the dispatcher waits, so no handler can forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: the answer is for everybody, or for nodes.
    Nothing,
    /// Until its state is as fresh as the read level of the call asks for; then the caller must
    /// still be who it was.
    Level,
    /// Until the leader has said that the caller is still who it was. When no leader answers,
    /// what this node knows must do: the answer is about the cluster, and is wanted most then.
    Rights,
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
    pub place: Place,
    /// What it does.
    pub handler: fn(Rc<Call>) -> Handled,
    /// The driver method that calls it; empty for calls that no program makes.
    pub driver: &'static str,
    /// The shell command that leads to it; empty likewise.
    pub shell: &'static str,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:expr, $place:expr, $($handler:ident)::+, $driver:literal, $shell:literal;)*) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            access: $access,
            place: $place,
            handler: |call| Box::pin($($handler)::+(call)),
            driver: $driver,
            shell: $shell,
        },)*]
    };
}

/// Every route but the page's files and the append stream and snapshots of `peer`.
#[rustfmt::skip]
pub const ROUTES: &[Route] = routes! {
    // Session
    POST   "/api/login"                          Open,         Leader,        auth::login,            "login",              "login";
    POST   "/api/logout"                         User(Login),  Leader,        auth::logout,           "logout",             "logout";
    GET    "/api/v1/session"                     User(Login),  Here(Rights),  auth::session,          "session",            "whoami";
    POST   "/api/change-password"                User(Login),  Leader,        auth::change_password,  "change_password",    "password";
    // Catalog
    GET    "/api/dbs"                            User(Login),  Here(Level),   catalog::databases,          "list_databases",     "show dbs";
    POST   "/api/dbs"                            User(Own),    Leader,        catalog::create_database,    "create_database",    "create db";
    DELETE "/api/dbs"                            User(Own),    Leader,        catalog::drop_database,      "drop_database",      "drop db";
    POST   "/api/dbs/rename"                     User(Own),    Leader,        catalog::rename_database,    "rename_database",    "rename db";
    GET    "/api/dbs/{db}/cols"                  User(Read),   Here(Level),   jettradbvm::documents::list_collections, "list_collections",   "show collections";
    POST   "/api/cols"                           User(Write),  Leader,        catalog::create_collection,  "create_collection",  "create col";
    DELETE "/api/cols"                           User(Own),    Leader,        catalog::drop_collection,    "drop_collection",    "drop col";
    POST   "/api/cols/rename"                    User(Own),    Leader,        catalog::rename_collection,  "rename_collection",  "rename col";
    // Documents, as JettraDBVM has them
    POST   "/api/doc"                            User(Write),  Leader,        jettradbvm::documents::save,    "insert",   "insert";
    GET    "/api/doc"                            User(Read),   Here(Level),   jettradbvm::documents::get,     "get",      "get";
    PUT    "/api/doc"                            User(Write),  Leader,        jettradbvm::documents::replace, "save",     "update";
    DELETE "/api/doc"                            User(Write),  Leader,        jettradbvm::documents::delete,  "delete",   "delete";
    GET    "/api/query"                          User(Read),   Here(Level),   jettradbvm::documents::query,   "list",     "find";
    GET    "/api/count"                          User(Read),   Here(Level),   jettradbvm::documents::count,   "count",    "count";
    POST   "/api/command"                        User(Read),   Depends(command::writes), command::run, "statement_pages",  "sql";
    GET    "/api/index"                          User(Read),   Here(Level),   jettradbvm::documents::list_indexes,  "list_indexes", "indexes";
    POST   "/api/index"                          User(Own),    Leader,        jettradbvm::documents::create_index,  "create_index", "create index";
    DELETE "/api/index"                          User(Own),    Leader,        jettradbvm::documents::drop_index,    "drop_index",   "drop index";
    // Documents, as REST
    GET    "/api/v1/databases/{db}/collections/{col}/documents"       User(Read),  Here(Level),   query::list,       "list",     "find";
    POST   "/api/v1/databases/{db}/collections/{col}/documents"       User(Write), Leader,        document::insert,  "insert",   "insert";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}"  User(Read),  Here(Level),   document::get,     "get",      "get";
    PUT    "/api/v1/databases/{db}/collections/{col}/documents/{id}"  User(Write), Leader,        document::put,     "save",     "update";
    PATCH  "/api/v1/databases/{db}/collections/{col}/documents/{id}"  User(Write), Leader,        update::patch,     "patch",    "patch";
    DELETE "/api/v1/databases/{db}/collections/{col}/documents/{id}"  User(Write), Leader,        document::delete,  "delete",   "delete";
    // Queries
    POST   "/api/v1/databases/{db}/collections/{col}/find"            User(Read),  Here(Level),   query::find,               "find",            "find";
    POST   "/api/v1/databases/{db}/collections/{col}/aggregate"       User(Read),  Depends(aggregate::pipeline_writes), aggregate::aggregate, "aggregate", "aggregate";
    GET    "/api/v1/databases/{db}/collections/{col}/count"           User(Read),  Here(Level),   query::count,              "count",           "count";
    POST   "/api/v1/databases/{db}/collections/{col}/count"           User(Read),  Here(Level),   query::count,              "count_matching",  "count";
    POST   "/api/v1/databases/{db}/collections/{col}/distinct"        User(Read),  Here(Level),   query::distinct,           "distinct",        "distinct";
    POST   "/api/v1/databases/{db}/collections/{col}/update"          User(Write), Leader,        update::update_documents,  "update_one",      "update";
    POST   "/api/v1/databases/{db}/collections/{col}/replace"         User(Write), Leader,        update::replace_document,  "replace_one",     "replace";
    POST   "/api/v1/databases/{db}/collections/{col}/delete"          User(Write), Leader,        update::delete_documents,  "delete_many",     "delete";
    POST   "/api/v1/databases/{db}/collections/{col}/find-and-modify" User(Write), Leader,        update::find_and_modify,   "find_and_modify", "modify";
    POST   "/api/v1/databases/{db}/collections/{col}/bulk"            User(Write), Leader,        update::bulk,              "bulk",            "bulk";
    // Transactions
    POST   "/api/tx/begin"                                            User(Write), Leader,        transaction::begin_ancestor,    "begin",             "begin";
    POST   "/api/tx/commit"                                           User(Write), Leader,        transaction::commit_ancestor,   "commit",            "commit";
    POST   "/api/tx/rollback"                                         User(Write), Leader,        transaction::rollback_ancestor, "rollback",          "rollback";
    GET    "/api/v1/transactions"                                     User(Read),  Leader,        transaction::list,              "list_transactions", "show transactions";
    POST   "/api/v1/transactions"                                     User(Write), Leader,        transaction::begin,             "begin",             "begin";
    POST   "/api/v1/transactions/{tx}/commit"                         User(Write), Leader,        transaction::commit,            "commit",            "commit";
    DELETE "/api/v1/transactions/{tx}"                                User(Write), Leader,        transaction::end,               "end_transaction",   "end transaction";
    POST   "/api/v1/batch"                                            User(Write), Leader,        transaction::batch,             "batch",             "batch";
    // Versions and changes
    GET    "/api/versions"                                            User(Read),  Here(Level),   version::list_ancestor,    "history",         "history";
    GET    "/api/version"                                             User(Read),  Here(Level),   version::get,              "version",         "show version";
    POST   "/api/restore-version"                                     User(Write), Leader,        version::restore_ancestor, "restore",         "revert";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions"                   User(Read),  Here(Level),   version::list,     "history",  "history";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}"         User(Read),  Here(Level),   version::get,      "version",  "show version";
    GET    "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/diff"    User(Read),  Here(Level),   version::diff,     "diff",     "diff";
    POST   "/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/restore" User(Write), Leader,        version::restore,  "restore",  "revert";
    POST   "/api/v1/databases/{db}/collections/{col}/documents/{id}/undelete"                   User(Write), Leader,        version::undelete, "undelete", "undelete";
    GET    "/api/v1/databases/{db}/collections/{col}/versions"        User(Read),  Here(Level),   version::settings, "versions",        "versions";
    PUT    "/api/v1/databases/{db}/collections/{col}/versions"        User(Own),   Leader,        version::keep,     "keep_versions",   "versions on";
    DELETE "/api/v1/databases/{db}/collections/{col}/versions"        User(Own),   Leader,        version::forget,   "forget_versions", "versions off";
    GET    "/api/v1/databases/{db}/collections/{col}/watch"           User(Read),  Here(Level),   watch::collection, "watch",           "watch";
    GET    "/api/v1/databases/{db}/watch"                             User(Read),  Here(Level),   watch::database,   "watch_database",  "watch";
    // Indexes, schemas, statistics
    GET    "/api/v1/databases/{db}/collections/{col}/indexes"         User(Read),  Here(Level),   index::list,      "list_indexes", "indexes";
    POST   "/api/v1/databases/{db}/collections/{col}/indexes"         User(Own),   Leader,        index::create,    "create_index", "create index";
    DELETE "/api/v1/databases/{db}/collections/{col}/indexes/{name}"  User(Own),   Leader,        index::drop,      "drop_index",   "drop index";
    GET    "/api/v1/databases/{db}/collections/{col}/schema"          User(Read),  Here(Level),   schema::get,      "schema",       "schema";
    PUT    "/api/v1/databases/{db}/collections/{col}/schema"          User(Own),   Leader,        schema::put,      "set_schema",   "schema set";
    DELETE "/api/v1/databases/{db}/collections/{col}/schema"          User(Own),   Leader,        schema::remove,   "drop_schema",  "schema drop";
    POST   "/api/v1/databases/{db}/collections/{col}/validate"        User(Read),  Here(Level),   schema::validate, "validate",     "validate";
    GET    "/api/v1/databases/{db}/collections/{col}/stats"           User(Read),  Here(Level),   index::stats,     "stats",        "stats";
    GET    "/api/v1/databases/{db}/hash"                              User(Admin), Here(Level),   index::hash,      "hash",         "hash";
    // Users, tokens, audit
    GET    "/api/users"                          User(Admin),  Here(Level),   users::list,             "list_users",   "show users";
    POST   "/api/users"                          User(Admin),  Leader,        users::create_ancestor,  "create_user",  "create user";
    DELETE "/api/users"                          User(Admin),  Leader,        users::delete_ancestor,  "delete_user",  "drop user";
    GET    "/api/v1/users"                       User(Admin),  Here(Level),   users::list,             "list_users",   "show users";
    POST   "/api/v1/users"                       User(Admin),  Leader,        users::create,           "create_user",  "create user";
    GET    "/api/v1/users/{user}"                User(Admin),  Here(Level),   users::get,              "user",         "show user";
    PATCH  "/api/v1/users/{user}"                User(Admin),  Leader,        users::update,           "update_user",  "alter user";
    DELETE "/api/v1/users/{user}"                User(Admin),  Leader,        users::delete,           "delete_user",  "drop user";
    GET    "/api/v1/tokens"                      User(Login),  Here(Level),   tokens::list,            "list_tokens",  "show tokens";
    POST   "/api/v1/tokens"                      User(Login),  Leader,        tokens::create_key,      "create_api_key", "create key";
    DELETE "/api/v1/tokens/{token}"              User(Login),  Leader,        tokens::revoke,          "revoke_token", "revoke token";
    POST   "/api/v1/cluster/tokens"              User(Admin),  Leader,        tokens::create_join,     "create_join_token", "cluster token";
    GET    "/api/v1/audit"                       User(Admin),  Here(Level),   audit::list,             "audit",        "show audit";
    // Cluster
    GET    "/health"                             Open,         Here(Nothing), cluster::health,     "health",             "health";
    GET    "/api/cluster"                        User(Login),  Here(Rights),  cluster::status,     "cluster_status",     "status";
    POST   "/api/cluster/register"               User(Admin),  Leader,        cluster::register,   "cluster_register",   "cluster add";
    POST   "/api/cluster/deregister"             User(Admin),  Leader,        cluster::deregister, "cluster_deregister", "cluster remove";
    POST   "/api/cluster/stop"                   User(Admin),  Leader,        cluster::stop,       "cluster_stop",       "cluster stop";
    POST   "/api/cluster/pause"                  User(Admin),  Leader,        cluster::pause,      "cluster_pause",      "cluster pause";
    POST   "/api/cluster/resume"                 User(Admin),  Leader,        cluster::resume,     "cluster_resume",     "cluster resume";
    POST   "/api/cluster/promote"                User(Admin),  Leader,        cluster::promote,    "cluster_promote",    "cluster promote";
    POST   "/api/cluster/restart"                User(Admin),  Leader,        cluster::restart,    "cluster_restart",    "cluster restart";
    GET    "/raft/rpc/status"                    User(Login),  Here(Rights),  cluster::nodes,      "cluster_nodes",      "cluster nodes";
    GET    "/openapi.json"                       Open,         Here(Nothing), openapi::document,   "openapi",            "show openapi";
    // Between nodes
    GET    "/raft/rpc/identity"                  Node,         Here(Nothing), peer::identity,        "", "";
    GET    "/raft/rpc/view"                      Node,         Here(Nothing), cluster::view,         "", "";
    POST   "/raft/rpc/invite"                    Node,         Here(Nothing), peer::invite,          "", "";
    POST   "/raft/rpc/join-token"                Open,         Leader,        peer::join_token,      "", "";
    POST   "/raft/rpc/join"                      Node,         Leader,        cluster::register,     "", "";
    POST   "/raft/rpc/note"                      Node,         Leader,        audit::receive,       "", "";
    POST   "/raft/rpc/hello"                     Node,         Here(Nothing), peer::hello,           "", "";
    POST   "/raft/rpc/vote"                      Node,         Here(Nothing), peer::vote,            "", "";
    POST   "/raft/rpc/pre-vote"                  Node,         Here(Nothing), peer::pre_vote,        "", "";
    POST   "/raft/rpc/transfer-leader"           Node,         Here(Nothing), peer::transfer_leader, "", "";
    POST   "/raft/rpc/read-index"                Node,         Here(Nothing), peer::read_index,      "", "";
};

/// Whether a route reads or writes documents of one collection: those calls can belong to a
/// transaction.
pub fn is_about_documents(route: &Route) -> bool {
    const ANCESTOR: [&str; 4] = ["/api/doc", "/api/query", "/api/count", "/api/command"];
    const REST: [&str; 11] = [
        "documents",
        "documents/{id}",
        "find",
        "aggregate",
        "count",
        "distinct",
        "update",
        "replace",
        "delete",
        "find-and-modify",
        "bulk",
    ];
    let rest = route.path.strip_prefix("/api/v1/databases/{db}/collections/{col}/");
    ANCESTOR.contains(&route.path) || rest.is_some_and(|rest| REST.contains(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_health_and_what_brings_its_own_proof_is_open() {
        let open: BTreeSet<_> =
            ROUTES.iter().filter(|route| route.access == Open).map(|route| route.path).collect();
        assert_eq!(open, ["/api/login", "/health", "/openapi.json", "/raft/rpc/join-token"].into());
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
            let reads = route.method == "GET";
            let leader = matches!(route.place, Place::Leader);
            assert_ne!(leader, reads, "{} {}", route.method, route.path);
        }
    }

    /// What a call has proposed is counted, so that it is not begun again when a part took effect.
    #[test]
    fn no_handler_proposes_but_by_its_call() {
        let api = concat!(env!("CARGO_MANIFEST_DIR"), "/src/doors/http");
        for entry in std::fs::read_dir(api).unwrap() {
            let path = entry.unwrap().path();
            // The audit log is no part of a call.
            let may = path.ends_with("call.rs") || path.ends_with("audit.rs");
            if path.is_file() && !may {
                let text = std::fs::read_to_string(&path).unwrap();
                for past in ["group.propose(", "group()?.propose(", "raft.client_write("] {
                    // Not this list.
                    let here = usize::from(path.ends_with("mod.rs"));
                    assert_eq!(text.matches(past).count(), here, "{} {past}", path.display());
                }
            }
        }
    }

    #[test]
    fn what_a_node_answers_a_user_by_itself_waits_for_the_users_rights() {
        for route in ROUTES.iter().filter(|route| matches!(route.access, User(_))) {
            assert!(!matches!(route.place, Here(Nothing)), "{} {}", route.method, route.path);
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
