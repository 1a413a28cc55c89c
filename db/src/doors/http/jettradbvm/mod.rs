//! JettraDBVM's calls: its names, parameters and answers, on the operations of the service.

pub mod catalog;
pub mod documents;
pub mod transactions;
pub mod users;
pub mod versions;
