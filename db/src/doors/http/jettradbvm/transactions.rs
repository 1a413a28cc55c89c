//! JettraDBVM's calls about transactions.

use crate::doors::http::call::Call;
use crate::doors::http::describe::{COMMIT_ERRORS, JETTRADBVM, describe};
use crate::doors::http::endpoint::Endpoint;
use crate::doors::http::reply::Reply;
use crate::doors::http::transactions::id;
use crate::error::{Kind, Result};
use crate::service::transactions;
use jettra_driver::wire::StatusReply;
use schemars::JsonSchema;
use serde_json::json;
use std::rc::Rc;

/// The answer to `POST /api/tx/begin`.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it gives a shape only")]
struct Begun {
    /// Pass it as `tx=` to the calls that belong to the transaction.
    #[serde(rename = "txID")]
    tx_id: String,
}

/// `POST /api/tx/begin`
pub const BEGIN: Endpoint = Endpoint::new(
    |call| Box::pin(begin(call)),
    || describe(JETTRADBVM, "Begin a transaction").gives::<Begun>(200).reads_latest().keyed(),
);

async fn begin(call: Rc<Call>) -> Result<Reply> {
    let begun = transactions::begin(&call.session).await?;
    Ok(Reply::of(begun.map(|begun| Reply::json(&json!({"txID": begun.id})))))
}

/// `POST /api/tx/commit`
pub const COMMIT: Endpoint = Endpoint::new(
    |call| Box::pin(commit(call)),
    || {
        describe(JETTRADBVM, "Commit a transaction")
            .query("txID!")
            .gives::<StatusReply>(200)
            .proposes()
            .fails(COMMIT_ERRORS)
    },
);

async fn commit(call: Rc<Call>) -> Result<Reply> {
    let committed = transactions::commit(&call.session, id(&call)?).await?;
    Ok(Reply::of(committed.map(|_| Reply::status("committed"))))
}

/// `POST /api/tx/rollback`
pub const ROLLBACK: Endpoint = Endpoint::new(
    |call| Box::pin(rollback(call)),
    || {
        describe(JETTRADBVM, "Roll a transaction back; succeeds if it does not exist")
            .query("txID!")
            .gives::<StatusReply>(200)
            .proposes()
            .fails(&[Kind::NotPossibleNow, Kind::IdempotencyFull])
    },
);

async fn rollback(call: Rc<Call>) -> Result<Reply> {
    let ended = transactions::end(&call.session, id(&call)?).await?;
    Ok(Reply::of(ended.map(|()| Reply::status("rolledback"))))
}
