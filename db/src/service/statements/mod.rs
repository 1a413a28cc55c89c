//! Statements of the text languages: JQL, SQL and MongoDB's shell language. A text is read once,
//! into the requests that other doors make of their messages.

mod parse;

pub use parse::parse;

use super::bulk::{self, BulkResult};
use super::catalog::{self, DatabaseEntry};
use super::confirm::{self, Action};
use super::count::{self, Count, Distinct};
use super::explain::{self, Explain, Explained};
use super::find::{self, Find, Page};
use super::indexes::{self, IndexEntry, NewIndex};
use super::pipelines::{self, PageRequest, Pipeline};
use super::place::{Place, Wait};
use super::writes::{
    self, Delete, FindAndModify, Modified, Replace, Update, Updated, insert_operation,
};
use super::{Response, Session, output};
use crate::auth::Permission;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};

/// A statement that was read.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The collection that it is about; none when it is about all.
    collection: Option<String>,
    request: Request,
}

/// What a statement asks for.
#[derive(Debug, Clone)]
enum Request {
    /// Documents; the first without a list when `one`.
    Find {
        find: Find,
        one: bool,
    },
    Aggregate(Pipeline),
    Count(Count),
    Distinct(Distinct),
    InsertOne(Value),
    InsertMany(Vec<Value>),
    Update(Update),
    Replace(Replace),
    FindAndModify(FindAndModify),
    Delete(Delete),
    CreateIndex(NewIndex),
    DropIndex(String),
    ShowIndexes,
    CreateCollection,
    DropCollection,
    RenameCollection(String),
    ShowCollections,
    ShowDatabases,
    Explain(Explained, Explain),
}

/// What a statement came to.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementResult {
    /// A list of documents, or its plan.
    List(Page),
    /// The text of one document, if there is one.
    Document(Option<Vec<u8>>),
    /// The number of documents.
    Count(u64),
    /// The different values of a field.
    Values(Vec<Value>),
    /// How a request finds its documents.
    Explained(serde_json::Value),
    /// A document was inserted.
    InsertedOne {
        /// Its `_id`.
        id: Option<DocumentId>,
        /// What a schema that only warns has found, each as JSON text.
        warnings: Vec<String>,
    },
    /// Documents were inserted, perhaps not all.
    InsertedMany(BulkResult),
    /// Documents were updated, or one was replaced.
    Updated(Updated),
    /// A document was changed or deleted.
    Modified(Modified),
    /// The number of documents that were deleted.
    Deleted(u64),
    /// The number of documents that a pipeline has written.
    Written(u64),
    /// An index exists now.
    IndexCreated {
        /// Its name.
        name: String,
        /// Whether it is new.
        created: bool,
    },
    /// The index of this name was dropped.
    IndexDropped(String),
    /// The indexes of a collection.
    Indexes(Vec<IndexEntry>),
    /// The collection of this name was created.
    CollectionCreated(String),
    /// The collection of this name was dropped.
    CollectionDropped(String),
    /// The collection of this name was renamed.
    CollectionRenamed(String),
    /// The names of the collections.
    Collections(Vec<String>),
    /// The databases.
    Databases(Vec<DatabaseEntry>),
}

impl Statement {
    /// Where it is carried out.
    pub fn place(&self) -> Place {
        match self.writes() {
            true => Place::Leader(Wait::Ready),
            false => Place::Here(Wait::Level),
        }
    }

    /// Whether it changes something.
    pub fn writes(&self) -> bool {
        match &self.request {
            Request::Find { .. }
            | Request::Count(_)
            | Request::Distinct(_)
            | Request::ShowIndexes
            | Request::ShowCollections
            | Request::ShowDatabases
            | Request::Explain(..) => false,
            Request::Aggregate(pipeline) => pipeline.output().is_some(),
            _ => true,
        }
    }

    /// Whether it needs the name of a database.
    pub fn is_about_database(&self) -> bool {
        !matches!(self.request, Request::ShowDatabases)
    }

    /// Whether its result is a list of documents.
    fn is_list(&self) -> bool {
        match &self.request {
            Request::Find { find, one } => !one && find.explain.is_none(),
            Request::Aggregate(pipeline) => pipeline.is_read(),
            _ => false,
        }
    }

    fn namespace(&self, database: &str) -> Namespace {
        let collection = self.collection.clone().unwrap_or_default();
        Namespace { database: database.to_owned(), collection }
    }
}

/// Carries a statement out in a database. A list of documents comes in pages if `page` asks for
/// them, else as a whole.
///
/// # Errors
/// Those of what it asks for; `invalid_parameter` for the cursor of something that has no pages.
pub async fn run(
    session: &Session,
    database: &str,
    statement: Statement,
    page: Option<PageRequest>,
) -> Result<Response<StatementResult>> {
    if !statement.is_list() && page.as_ref().is_some_and(|page| page.cursor.is_some()) {
        return Err(Error::new(
            Kind::InvalidParameter,
            "the answer to this statement has no pages",
        )
        .hint("leave the cursor out; only lists of documents have one"));
    }
    if statement.writes() {
        session.authorize(Permission::Write, database)?;
        if session.moment.is_some() {
            return Err(Error::new(Kind::InvalidParameter, "the past cannot be changed")
                .hint("leave the moment out; it is for reading documents"));
        }
    }
    let namespace = statement.namespace(database);
    match statement.request {
        Request::Find { find, one } => run_find(session, &namespace, find, one, page).await,
        Request::Aggregate(pipeline) if pipeline.output().is_some() => {
            let written = output::write_output(session, &namespace, pipeline).await;
            written.map(|written| written.map(StatementResult::Written))
        }
        Request::Aggregate(pipeline) => {
            let page = match page {
                None => pipelines::aggregate(session, &namespace, pipeline).await,
                Some(page) => pipelines::aggregate_page(session, &namespace, pipeline, page).await,
            };
            page.map(|page| page.map(StatementResult::List))
        }
        Request::Count(count) => {
            let count = count::count(session, &namespace, count).await?;
            Ok(count.map(StatementResult::Count))
        }
        Request::Distinct(distinct) => {
            let values = count::distinct(session, &namespace, distinct).await?;
            Ok(values.map(StatementResult::Values))
        }
        Request::Explain(explained, explain) => {
            let explained = explain::explain(session, &namespace, explained, explain).await?;
            Ok(explained.map(StatementResult::Explained))
        }
        Request::ShowDatabases => {
            Ok(catalog::databases(session).await?.map(StatementResult::Databases))
        }
        Request::ShowCollections => {
            Ok(catalog::collections(session, database).await?.map(StatementResult::Collections))
        }
        Request::ShowIndexes => {
            Ok(indexes::list(session, &namespace).await?.map(StatementResult::Indexes))
        }
        change => run_change(session, namespace, change).await,
    }
}

async fn run_find(
    session: &Session,
    namespace: &Namespace,
    find: Find,
    one: bool,
    page: Option<PageRequest>,
) -> Result<Response<StatementResult>> {
    let find = match page {
        None => Find { limit: find.total, whole: true, ..find },
        Some(PageRequest { size, cursor }) => Find { limit: size, cursor, ..find },
    };
    let page = find::find(session, namespace, find).await?;
    Ok(page.map(|page| match one && page.explained.is_none() {
        true => StatementResult::Document(page.documents.iter().next().map(<[u8]>::to_vec)),
        false => StatementResult::List(page),
    }))
}

/// Carries out a statement that changes something.
async fn run_change(
    session: &Session,
    namespace: Namespace,
    request: Request,
) -> Result<Response<StatementResult>> {
    let name = namespace.collection.clone();
    Ok(match request {
        Request::InsertOne(document) => insert_one(session, namespace, document).await?,
        Request::InsertMany(documents) => bulk::insert_all(session, namespace, documents)
            .await?
            .map(StatementResult::InsertedMany),
        Request::Update(update) => {
            writes::update(session, namespace, update).await?.map(StatementResult::Updated)
        }
        Request::Replace(replace) => {
            writes::replace(session, namespace, replace).await?.map(StatementResult::Updated)
        }
        Request::FindAndModify(request) => {
            let modified = writes::find_and_modify(session, namespace, request).await?;
            modified.map(StatementResult::Modified)
        }
        Request::Delete(delete) => {
            writes::delete(session, namespace, delete).await?.map(StatementResult::Deleted)
        }
        Request::CreateIndex(index) => {
            let made = indexes::create(session, &namespace, index).await?;
            made.map(|made| StatementResult::IndexCreated {
                name: made.name,
                created: made.created,
            })
        }
        Request::DropIndex(name) => {
            let dropped = indexes::drop_index(session, &namespace, &name).await?;
            dropped.map(|()| StatementResult::IndexDropped(name))
        }
        Request::CreateCollection => {
            let created = catalog::create_collection(session, namespace).await?;
            created.map(|()| StatementResult::CollectionCreated(name))
        }
        Request::DropCollection => {
            session.check_writable(&namespace)?;
            confirm::check(session, &namespace, Action::Drop, &Action::all()).await?;
            let dropped = catalog::drop_collection(session, namespace).await?;
            dropped.map(|()| StatementResult::CollectionDropped(name))
        }
        Request::RenameCollection(to) => {
            let renamed = catalog::rename_collection(session, namespace, to).await?;
            renamed.map(|()| StatementResult::CollectionRenamed(name))
        }
        _ => return Err(Error::new(Kind::Internal, "this statement changes nothing")),
    })
}

async fn insert_one(
    session: &Session,
    namespace: Namespace,
    document: Value,
) -> Result<Response<StatementResult>> {
    let operation = insert_operation(document, &session.limits())?;
    let wrote = writes::write(session, namespace, operation).await?;
    Ok(wrote
        .map(|wrote| StatementResult::InsertedOne { id: wrote.inserted, warnings: wrote.warnings }))
}
