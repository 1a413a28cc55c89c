//! One collection over HTTP, as the tests of queries address it.

use crate::http::{Answer, Http, try_send};
use serde_json::{Value, json};

/// Documents that one call inserts.
const BATCH: usize = 500;
/// Pages after which following cursors is given up: no collection of the tests has as many.
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

    /// The same collection with a parameter for every call, such as `level=local` or `tx=…`.
    pub fn with(&self, parameter: &str) -> Documents {
        let separator = if self.parameters.is_empty() { "" } else { "&" };
        let parameters = format!("{}{separator}{parameter}", self.parameters);
        Documents { parameters, ..self.clone() }
    }

    /// The target of something below the collection.
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

    /// `POST …/<action>`; the text of the failure when there is no answer.
    pub async fn try_post(&self, action: &str, body: Value) -> Result<Answer, String> {
        self.try_call("POST", action, body).await
    }

    /// A call of another method with a JSON body; the text of the failure when there is no
    /// answer.
    pub async fn try_call(&self, method: &str, tail: &str, body: Value) -> Result<Answer, String> {
        try_send(self.http.request(method, &self.target(tail)).json(&body)).await
    }

    /// `GET …/<tail>`; the text of the failure when there is no answer.
    pub async fn try_get(&self, tail: &str) -> Result<Answer, String> {
        self.http.try_get(&self.target(tail)).await
    }

    /// `GET …/<tail>`.
    pub async fn get(&self, tail: &str) -> Answer {
        self.http.get(&self.target(tail)).await
    }

    /// A call of another method with a JSON body.
    pub async fn call(&self, method: &str, tail: &str, body: Value) -> Answer {
        self.http.json(method, &self.target(tail), &body).await
    }

    /// The answer to `POST …/<action>`, which must succeed.
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

    /// The `_id`s of the first page of a query.
    pub async fn ids(&self, body: Value) -> Value {
        self.find(body).await.into_iter().map(|mut document| document["_id"].take()).collect()
    }

    /// All documents of a query, page by page; `page` is called after each.
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

    /// The document with this `_id`, `null` when there is none.
    pub async fn one(&self, id: Value) -> Value {
        self.find(json!({"filter": {"_id": id}})).await.pop().unwrap_or_default()
    }

    /// Inserts documents, many in one call.
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

    /// The description of an index, `null` when there is none.
    pub async fn index_info(&self, name: &str) -> Value {
        let answer = self.get("indexes").await.ok().json();
        let indexes = answer["indexes"].as_array().expect("a list").clone();
        indexes.into_iter().find(|index| index["name"] == name).unwrap_or_default()
    }

    /// The plan of a query, executed.
    pub async fn explain(&self, mut query: Value) -> Value {
        query["explain"] = json!("executionStats");
        self.ask("find", query).await["explain"].take()
    }
}

/// The operation of a bulk write that inserts a document.
pub fn insert(document: &Value) -> Value {
    json!({"insertOne": {"document": document}})
}

/// The stages of a plan from the outermost to the first innermost.
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
