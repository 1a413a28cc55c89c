//! The memory of stages, and streams that start when they are first read.

use super::super::context::Context;
use super::Documents;
use crate::error::Result;
use crate::value::{LEVELS_MAX, Value, check_depth};

/// Memory charged for one stage; released when the stage ends.
pub(super) struct StageMemory<'a> {
    ctx: &'a Context<'a>,
    what: &'static str,
    bytes: usize,
}

impl<'a> StageMemory<'a> {
    /// Creates an empty charge; `what` names the stage in errors.
    pub(super) fn new(what: &'static str, ctx: &'a Context<'a>) -> StageMemory<'a> {
        StageMemory { ctx, what, bytes: 0 }
    }

    /// Takes over bytes that were charged before.
    pub(super) fn charged(
        what: &'static str,
        bytes: usize,
        ctx: &'a Context<'a>,
    ) -> StageMemory<'a> {
        StageMemory { ctx, what, bytes }
    }

    /// Charges more bytes.
    ///
    /// # Errors
    /// `query_too_large` if the query keeps too much.
    pub(super) fn add(&mut self, bytes: usize) -> Result<()> {
        self.ctx.charge(bytes, self.what)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Charges a value of `new` bytes in place of one of `old`.
    ///
    /// # Errors
    /// As [`StageMemory::add`].
    pub(super) fn replace(&mut self, old: usize, new: usize) -> Result<()> {
        let old = old.min(self.bytes);
        self.ctx.release(old);
        self.bytes -= old;
        self.add(new)
    }

    /// Reads all documents of a stream into memory.
    ///
    /// # Errors
    /// As [`StageMemory::add`], and those of the stream.
    pub(super) fn collect(&mut self, input: Documents<'_>) -> Result<Vec<Value>> {
        let mut documents = Vec::new();
        for document in input {
            let document = document?;
            self.ctx.step()?;
            self.add(document.bytes())?;
            documents.push(document);
        }
        Ok(documents)
    }
}

impl Drop for StageMemory<'_> {
    fn drop(&mut self) {
        self.ctx.release(self.bytes);
    }
}

/// A stream that is created when its first document is requested.
pub(super) fn later<'a>(make: impl FnOnce() -> Result<Documents<'a>> + 'a) -> Documents<'a> {
    let made = std::iter::once_with(make);
    Box::new(
        made.flat_map(|made| made.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))),
    )
}

/// Refuses a document that the stages have nested too deep to be read.
pub(super) fn shallow(document: Value) -> Result<Value> {
    check_depth(&document, LEVELS_MAX, "a document of the pipeline")?;
    Ok(document)
}
