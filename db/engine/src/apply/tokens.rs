//! Applying commands about sessions, API keys and join tokens. Secrets arrive as hashes.

use crate::accounts::{all, has_ended, stored};
use crate::apply::Applier;
use crate::apply::result::{ApplyResult, refuse, settle};
use crate::apply::users::no_user;
use crate::command::Outcome;
use crate::error::{Error, Kind};
use crate::storage::{Result, WriteTxn};
use crate::system::{self, TokenDocument, TokenKind, UserDocument};

/// API keys that one user may have, and sessions: the oldest session ends for a new one.
pub(super) const TOKENS_MAX: usize = 100;

impl Applier {
    pub(super) fn create_token(
        &mut self,
        txn: &mut WriteTxn<'_>,
        token: &TokenDocument,
    ) -> ApplyResult {
        let user: Option<(u64, UserDocument)> = stored(txn, system::USERS, &token.user)?;
        if user.is_none_or(|(_, user)| user.disabled) {
            return no_user(&token.user);
        }
        if stored::<TokenDocument>(txn, system::TOKENS, &token.id)?.is_some() {
            return refuse(Kind::NameTaken, "a token of this id exists", "make it again");
        }
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        let same =
            tokens.iter().filter(|known| known.user == token.user && known.kind == token.kind);
        if same.clone().count() >= TOKENS_MAX {
            let oldest = same.min_by_key(|known| (known.created_ms, &known.id));
            match oldest.filter(|_| token.kind == TokenKind::Session) {
                Some(oldest) => drop(settle(self.remove_system(txn, system::TOKENS, &oldest.id))?),
                None => {
                    return refuse(
                        Kind::NotPossibleNow,
                        format!("user {:?} has {TOKENS_MAX} of them", token.user),
                        "revoke those that are not needed any more",
                    );
                }
            }
        }
        self.put_system(txn, system::TOKENS, &token.id, token)?;
        Ok(Outcome::Done)
    }

    pub(super) fn revoke_token(
        &mut self,
        txn: &mut WriteTxn<'_>,
        id: &str,
        user: Option<&str>,
    ) -> ApplyResult {
        let token: Option<(u64, TokenDocument)> = stored(txn, system::TOKENS, id)?;
        match token {
            Some((_, token)) if user.is_none_or(|user| token.user == user) => {
                self.note_rights_taken(txn)?;
                self.remove_system(txn, system::TOKENS, id)
            }
            _ => no_token(id),
        }
    }

    pub(super) fn use_join_token(&mut self, txn: &mut WriteTxn<'_>, id: &str) -> ApplyResult {
        let token: Option<(u64, TokenDocument)> = stored(txn, system::TOKENS, id)?;
        let now = self.counters.time_ms;
        let usable = token.is_some_and(|(_, token)| {
            token.kind == TokenKind::Join && token.expires_ms.is_none_or(|end| end > now)
        });
        match usable {
            true => self.remove_system(txn, system::TOKENS, id),
            false => no_token(id),
        }
    }

    pub(super) fn remove_ended_tokens(
        &mut self,
        txn: &mut WriteTxn<'_>,
        before_ms: u64,
        rows: usize,
    ) -> ApplyResult {
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        let ended = tokens.iter().filter(|token| has_ended(token, before_ms)).take(rows);
        let mut worked = 0;
        for token in ended {
            let _ = settle(self.remove_system(txn, system::TOKENS, &token.id))?;
            worked += 1;
        }
        Ok(Outcome::Worked(worked))
    }

    pub(super) fn end_tokens(
        &mut self,
        txn: &mut WriteTxn<'_>,
        user: &str,
        which: impl Fn(&TokenDocument) -> bool,
    ) -> Result<()> {
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        for token in tokens.iter().filter(|token| token.user == user && which(token)) {
            // They are there, and nothing refuses to remove them.
            let _ = settle(self.remove_system(txn, system::TOKENS, &token.id))?;
        }
        Ok(())
    }
}

fn no_token(id: &str) -> ApplyResult {
    Err(Error::new(Kind::TokenNotFound, format!("there is no token {id:?}")).into())
}
