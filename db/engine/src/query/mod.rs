//! Queries: MongoDB's filters, updates and aggregation over [`Value`](super::value::Value)s,
//! the planner that chooses indexes for them, and the text languages.

pub mod aggregate;
pub mod bounds;
pub mod context;
pub mod exec;
pub mod expr;
pub mod filter;
mod hint;
pub mod merge_patch;
mod parallel;
pub mod path;
pub mod plan;
pub mod position;
pub mod project;
mod ranges;
mod run;
mod search;
pub mod sort;
pub mod source;
pub mod text;
pub mod update;

#[cfg(test)]
mod corpus_tests;
