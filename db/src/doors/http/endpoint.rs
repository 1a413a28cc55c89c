//! What a row of the route table leads to: how a call is carried out, and its description.

use super::call::Call;
use super::describe::Description;
use super::reply::Reply;
use crate::error::Result;
use crate::service::place::Place;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// What a handler returns.
pub type Handled = Pin<Box<dyn Future<Output = Result<Reply>>>>;

/// How a call is carried out, and what is said of it.
pub struct Endpoint {
    /// How it is carried out.
    pub run: Run,
    /// What is said of it; none of calls between nodes.
    pub describe: Option<fn() -> Description>,
}

/// How a call is carried out.
pub enum Run {
    /// Where the row says.
    Fixed(fn(Rc<Call>) -> Handled),
    /// Where its body says, which is read once, before.
    ByBody(fn(&Call) -> Result<Prepared>),
}

/// A call whose body was read.
pub struct Prepared {
    /// Where it is carried out.
    pub place: Place,
    /// Carries it out; called again when there was no leader.
    pub run: Box<dyn Fn(Rc<Call>) -> Handled>,
}

impl Endpoint {
    /// One that is carried out where its row says.
    pub const fn new(run: fn(Rc<Call>) -> Handled, describe: fn() -> Description) -> Endpoint {
        Endpoint { run: Run::Fixed(run), describe: Some(describe) }
    }

    /// One whose body says where it is carried out.
    pub const fn by_body(
        prepare: fn(&Call) -> Result<Prepared>,
        describe: fn() -> Description,
    ) -> Endpoint {
        Endpoint { run: Run::ByBody(prepare), describe: Some(describe) }
    }

    /// One between nodes, of which nothing is said.
    pub const fn between_nodes(run: fn(Rc<Call>) -> Handled) -> Endpoint {
        Endpoint { run: Run::Fixed(run), describe: None }
    }
}

impl Prepared {
    /// A call that is carried out at a place by `run`.
    pub fn new<F>(place: Place, run: impl Fn(Rc<Call>) -> F + 'static) -> Prepared
    where
        F: Future<Output = Result<Reply>> + 'static,
    {
        Prepared { place, run: Box::new(move |call| Box::pin(run(call))) }
    }
}
