//! Applying a batch.

use crate::apply::Applier;
use crate::apply::commit::{is_too_much, too_much};
use crate::apply::operations::{OperationScope, result_bytes};
use crate::apply::result::{ApplyError, ApplyResult};
use crate::apply::select::matching;
use crate::apply::stored::{damaged, find, text};
use crate::command::texts::parse_filter;
use crate::command::{
    Batch, BatchCondition, BatchStep, OperationResult, Outcome, Put, PutMode, WriteLimits,
};
use crate::error::{Error, collection_not_found, database_not_found};
use crate::namespace::{Namespace, NamespaceRef};
use crate::query::context::Context;
use crate::query::filter::Filter;
use crate::storage::{StorageError, WriteTxn};
use crate::value::parse_stored;
use crate::{budget, catalog};

impl Applier {
    /// [`Command::Batch`](super::Command::Batch)
    pub(super) fn batch(&mut self, txn: &mut WriteTxn<'_>, batch: Batch) -> ApplyResult {
        let ctx = self.context(batch.time_ms);
        let many = batch.operations().any(|(_, operation)| operation.is_many());
        let work = |this: &mut Self, txn: &mut WriteTxn<'_>| {
            let mut succeeded = true;
            for (at, (namespace, condition)) in batch.conditions.iter().enumerate() {
                let holds = this.holds(txn, namespace.borrowed(), condition, &ctx);
                succeeded &= holds.map_err(|stop| named(stop, "if", at))?;
            }
            let (name, steps) = match succeeded {
                true => ("then", batch.then),
                false => ("else", batch.otherwise),
            };
            let steps = steps.into_iter().enumerate().map(|(at, (namespace, step))| {
                let kept = ctx.memory_used();
                let done = this.batch_step(txn, namespace, step, &batch.limits, &ctx);
                // Its memory is released, except that of its result.
                ctx.release(ctx.memory_used().saturating_sub(kept));
                let done = done.and_then(|done| {
                    let done = Ok(done);
                    ctx.charge(result_bytes(&done), "the results")?;
                    Ok(done?)
                });
                let done = done.and_then(|done| match is_too_much(txn) {
                    true => Err(too_much().into()),
                    false => Ok(done),
                });
                done.map_err(|stop| named(stop, name, at))
            });
            let results = steps.collect::<ApplyResult<Vec<_>>>()?;
            Ok(Outcome::Batched { succeeded, results })
        };
        match many {
            true => self.all_or_nothing(txn, true, work),
            false => self.few_or_nothing(txn, work),
        }
    }

    pub(super) fn holds(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        condition: &BatchCondition,
        ctx: &Context<'_>,
    ) -> ApplyResult<bool> {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Ok(!condition.exists);
        };
        ctx.work(budget::PLAN)?;
        let filter = condition.filter.as_ref().map(|text| parse_filter(text)).transpose()?;
        ctx.work(filter.as_ref().map_or(0, Filter::parse_steps))?;
        let Some(id) = &condition.id else {
            let Some(filter) = filter else { return Ok(!condition.exists) };
            let indexes = collection.indexes.len() as u64;
            ctx.work((budget::PLAN + budget::STATISTICS) * indexes)?;
            self.flush(txn)?;
            let found = matching(txn, &collection, &filter, None, None, 1, ctx)?;
            return Ok(found.is_empty() != condition.exists);
        };
        let fits = match find(txn, collection.id, id)? {
            None => false,
            Some(stored) => {
                condition.revision.is_none_or(|revision| revision == stored.revision)
                    && match &filter {
                        None => true,
                        Some(filter) => {
                            let document = parse_stored(&stored.json).ok_or_else(damaged)?;
                            filter.matches(&document, ctx)?
                        }
                    }
            }
        };
        Ok(fits == condition.exists)
    }

    fn batch_step(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: Namespace,
        step: BatchStep,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> ApplyResult<OperationResult> {
        ctx.work(budget::LOOK_UP)?;
        if catalog::database(txn, &namespace.database)?.is_none() {
            return Err(database_not_found(&namespace.database).into());
        }
        match step {
            BatchStep::Operation(operation) => {
                let scope = OperationScope { namespace: namespace.borrowed(), limits, ctx };
                self.operation(txn, scope, operation)
            }
            BatchStep::Save { id, body } => {
                let put = Put {
                    namespace,
                    target: id.into(),
                    body,
                    mode: PutMode::Upsert,
                    if_match: None,
                    create_database: false,
                };
                let (outcome, warnings) = self.put(txn, put)?.without_warnings();
                let Outcome::Written { id, revision, created } = outcome else {
                    let message = format!("unexpected outcome {outcome:?}");
                    return Err(StorageError::Failed(message).into());
                };
                Ok(OperationResult {
                    matched: u64::from(!created),
                    modified: u64::from(!created),
                    inserted: created.then_some(id),
                    revision: Some(revision),
                    warnings,
                    ..OperationResult::default()
                })
            }
            BatchStep::Get(id) => {
                let Some(collection) = self.collection(txn, namespace.borrowed())? else {
                    return Err(
                        collection_not_found(&namespace.database, &namespace.collection).into()
                    );
                };
                let found = find(txn, collection.id, &id)?;
                let bytes = found.as_ref().map_or(0, |stored| stored.json.len());
                ctx.charge(bytes, "the result")?;
                Ok(OperationResult {
                    matched: u64::from(found.is_some()),
                    revision: found.as_ref().map(|stored| stored.revision),
                    document: found.map(|stored| text(stored.json)),
                    ..OperationResult::default()
                })
            }
        }
    }
}

/// Says which part of the batch was refused.
pub(super) fn named(stop: ApplyError, part: &str, at: usize) -> ApplyError {
    match stop {
        ApplyError::Refused(error) => ApplyError::Refused(Error {
            message: format!("{part}[{at}]: {}", error.message),
            ..error
        }),
        failed => failed,
    }
}
