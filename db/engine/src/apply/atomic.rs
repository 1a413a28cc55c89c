//! Parts of a command that leave no trace when they are refused half way.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::budget;
use crate::storage::WriteTxn;

impl Applier {
    /// Runs a step so that it leaves no trace when it is refused half way.
    pub(super) fn all_or_nothing<T>(
        &mut self,
        txn: &mut WriteTxn<'_>,
        many: bool,
        step: impl FnOnce(&mut Self, &mut WriteTxn<'_>) -> ApplyResult<T>,
    ) -> ApplyResult<T> {
        if !many {
            return step(self, txn);
        }
        if txn.is_marked() {
            return self.few_or_nothing(txn, step);
        }
        self.context(0).work(budget::NESTED)?;
        // What is noted so far is stored by the mark, and stays counted.
        let mark = self.mark_changes(txn)?;
        let (numbers, effects) = (self.counters.clone(), self.effects.len());
        let mut nested = txn.nested()?;
        let done = step(self, &mut nested);
        if done.is_ok() {
            nested.commit()?;
        } else {
            drop(nested);
            self.counters = numbers;
            self.effects.truncate(effects);
            self.take_back_changes(mark);
            self.forget_all();
        }
        done
    }

    /// As [`Applier::all_or_nothing`], for steps that change few documents: what was there is
    /// kept in memory meanwhile.
    pub(super) fn few_or_nothing<T>(
        &mut self,
        txn: &mut WriteTxn<'_>,
        step: impl FnOnce(&mut Self, &mut WriteTxn<'_>) -> ApplyResult<T>,
    ) -> ApplyResult<T> {
        let noted = self.mark_changes(txn)?;
        let (numbers, effects) = (self.counters.clone(), self.effects.len());
        let mark = txn.mark();
        let done = step(self, txn);
        if done.is_ok() {
            txn.release(mark);
        } else {
            txn.roll_back(mark)?;
            self.counters = numbers;
            self.effects.truncate(effects);
            self.take_back_changes(noted);
            self.forget_all();
        }
        done
    }
}
