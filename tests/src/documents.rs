//! One collection over HTTP, as the tests of documents and queries use it.

use crate::http::{Answer, Http, try_send};
use serde_json::{Value, json};

/// Documents inserted by one call.
const BATCH: usize = 500;
/// More pages than any collection of the tests has; a cursor that goes on for longer never ends.
const PAGES_MAX: usize = 1_000;

/// A collection, through one node.
#[derive(Clone)]
pub struct Documents {
    http: Http,
    base: String,
    parameters: String,
}

impl Documents {
    /// A collection that may not exist yet; its database must.
    pub fn new(http: Http, database: &str, collection: &str) -> Documents {
        let base = format!("/api/v1/databases/{database}/collections/{collection}");
        Documents { http, base, parameters: String::new() }
    }

    /// The same collection through another node.
    pub fn through(&self, http: Http) -> Documents {
        Documents { http, ..self.clone() }
    }

    /// The same collection with a parameter added to every call, such as `level=local` or `tx=…`.
    pub fn with(&self, parameter: &str) -> Documents {
        let separator = if self.parameters.is_empty() { "" } else { "&" };
        let parameters = format!("{}{separator}{parameter}", self.parameters);
        Documents { parameters, ..self.clone() }
    }

    /// The path of `tail` below the collection, with the parameters.
    pub fn target(&self, tail: &str) -> String {
        let separator = match (self.parameters.is_empty(), tail.contains('?')) {
            (true, _) => "",
            (false, false) => "?",
            (false, true) => "&",
        };
        format!("{}/{tail}{separator}{}", self.base, self.parameters)
    }

    /// `POST …/<action>`.
    pub async fn post(&self, action: &str, body: Value) -> Answer {
        self.http.post(&self.target(action), &body).await
    }

    /// `POST …/<action>`.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_post(&self, action: &str, body: Value) -> Result<Answer, String> {
        self.try_call("POST", action, body).await
    }

    /// A call with another method and a JSON body.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_call(&self, method: &str, tail: &str, body: Value) -> Result<Answer, String> {
        try_send(self.http.request(method, &self.target(tail)).json(&body)).await
    }

    /// `GET …/<tail>`.
    ///
    /// # Errors
    /// If there is no response; the reason as text.
    pub async fn try_get(&self, tail: &str) -> Result<Answer, String> {
        self.http.try_get(&self.target(tail)).await
    }

    /// `GET …/<tail>`.
    pub async fn get(&self, tail: &str) -> Answer {
        self.http.get(&self.target(tail)).await
    }

    /// A call with another method and a JSON body.
    pub async fn call(&self, method: &str, tail: &str, body: Value) -> Answer {
        self.http.json(method, &self.target(tail), &body).await
    }

    /// `POST …/<action>`, which must succeed; returns the body of the response.
    pub async fn ask(&self, action: &str, body: Value) -> Value {
        let text = body.to_string();
        let answer = self.post(action, body).await;
        assert_eq!(answer.status / 100, 2, "{action} {text}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// The first page of a query.
    pub async fn find(&self, body: Value) -> Vec<Value> {
        let mut answer = self.ask("find", body).await;
        match answer["documents"].take() {
            Value::Array(documents) => documents,
            _ => panic!("no documents: {answer}"),
        }
    }

    /// The ids in the first page of a query.
    pub async fn ids(&self, body: Value) -> Value {
        self.find(body).await.into_iter().map(|mut document| document["_id"].take()).collect()
    }

    /// Reads all documents of a query page by page, and calls `page` after each page.
    pub async fn pages(
        &self,
        query: &Value,
        limit: u64,
        mut page: impl AsyncFnMut(),
    ) -> Vec<Value> {
        let (mut all, mut body) = (Vec::new(), query.clone());
        body["limit"] = json!(limit);
        for _ in 0..PAGES_MAX {
            let mut answer = self.ask("find", body.clone()).await;
            let documents = answer["documents"].as_array().expect("documents").clone();
            let full = documents.len() as u64 == limit;
            all.extend(documents);
            let cursor = answer["cursor"].take();
            if cursor.is_null() {
                return all;
            }
            assert!(full, "a page that is not the last has fewer than {limit} documents");
            body["cursor"] = cursor;
            page().await;
        }
        panic!("the pages of {query} have no end");
    }

    /// How many documents match.
    pub async fn count(&self, filter: Value) -> u64 {
        let answer = self.ask("count", json!({"filter": filter})).await;
        answer["count"].as_u64().unwrap_or_else(|| panic!("no count: {answer}"))
    }

    /// The document with this id, `null` if it does not exist.
    pub async fn one(&self, id: Value) -> Value {
        self.find(json!({"filter": {"_id": id}})).await.pop().unwrap_or_default()
    }

    /// Inserts documents in batches.
    pub async fn insert_all(&self, documents: impl IntoIterator<Item = Value>) {
        let operations = documents.into_iter().map(|document| insert(&document));
        let operations: Vec<_> = operations.collect();
        for batch in operations.chunks(BATCH) {
            self.ask("bulk", json!({"operations": batch})).await;
        }
    }

    /// Creates an index and waits until it is built.
    pub async fn index(&self, keys: Value, mut options: Value) {
        options["keys"] = keys;
        let made = self.ask("indexes", options).await;
        assert_eq!(made["state"], "ready", "{made}");
    }

    /// The description of an index, `null` if it does not exist.
    pub async fn index_info(&self, name: &str) -> Value {
        let answer = self.get("indexes").await.ok().json();
        let indexes = answer["indexes"].as_array().expect("a list").clone();
        indexes.into_iter().find(|index| index["name"] == name).unwrap_or_default()
    }

    /// Executes a query and returns its plan with statistics.
    pub async fn explain(&self, mut query: Value) -> Value {
        query["explain"] = json!("executionStats");
        self.ask("find", query).await["explain"].take()
    }
}

/// The operation of a bulk write that inserts a document.
pub fn insert(document: &Value) -> Value {
    json!({"insertOne": {"document": document}})
}

/// The names of a plan's stages, from the outermost to the first innermost one.
pub fn stages(explained: &Value) -> Vec<String> {
    let mut stages = Vec::new();
    let mut stage = &explained["queryPlanner"]["winningPlan"];
    while let Some(name) = stage["stage"].as_str() {
        stages.push(name.to_owned());
        stage = match &stage["inputStage"] {
            Value::Null => &stage["inputStages"][0],
            input => input,
        };
    }
    stages
}
