//! The HTTP interface: what each call takes and gives is in the file of its feature, and the calls
//! themselves are the rows of [`routes`].

pub mod audit;
mod body;
pub mod call;
pub mod catalog;
pub mod changes;
pub mod cluster;
pub mod describe;
pub mod dispatch;
pub mod documents;
pub mod endpoint;
pub mod find;
pub mod groups;
pub mod hints;
pub mod indexes;
pub mod jettradbvm;
pub mod openapi;
pub mod overview;
pub mod pipelines;
mod positions;
pub mod reply;
mod respond;
pub mod routes;
pub mod schema;
pub mod server;
pub mod sessions;
pub mod shards;
pub mod statements;
pub mod tasks;
pub mod threads;
pub mod tokens;
pub mod transactions;
pub mod upgrade;
pub mod users;
pub mod versions;
pub mod web;
pub mod writes;
