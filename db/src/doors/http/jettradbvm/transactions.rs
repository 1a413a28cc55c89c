//! JettraDBVM's calls about transactions.

use crate::doors::http::call::Call;
use crate::doors::http::reply::Reply;
use crate::doors::http::transactions::id;
use crate::error::Result;
use crate::service::transactions;
use serde_json::json;
use std::rc::Rc;

/// `POST /api/tx/begin`
pub async fn begin(call: Rc<Call>) -> Result<Reply> {
    let begun = transactions::begin(&call.session).await?;
    Ok(Reply::of(begun.map(|begun| Reply::json(&json!({"txID": begun.id})))))
}

/// `POST /api/tx/commit`
pub async fn commit(call: Rc<Call>) -> Result<Reply> {
    let committed = transactions::commit(&call.session, id(&call)?).await?;
    Ok(Reply::of(committed.map(|_| Reply::status("committed"))))
}

/// `POST /api/tx/rollback`
pub async fn rollback(call: Rc<Call>) -> Result<Reply> {
    let ended = transactions::end(&call.session, id(&call)?).await?;
    Ok(Reply::of(ended.map(|()| Reply::status("rolledback"))))
}
