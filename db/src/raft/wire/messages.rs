//! The forms of the messages between nodes.

use super::{EntryForm, LogIdForm, Malformed, VoteForm, Wire, forms, values};
use crate::raft::append_stream::{AppendAnswer, AppendMessage};
use crate::raft::clock::Times;
use crate::raft::transfer::{Offer, ReceiverReply};
use crate::raft::types::{Entry, LogId, RaftId, TypeConfig, Vote};
use minicbor::{CborLen, Decode, Encode};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

/// The form of an [`AppendMessage`].
#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
pub struct AppendForm {
    #[n(0)]
    times: Times,
    #[n(1)]
    vote: VoteForm,
    #[n(2)]
    previous: Option<LogIdForm>,
    #[n(3)]
    entries: Vec<EntryForm>,
    #[n(4)]
    committed: Option<LogIdForm>,
}

impl Wire for AppendMessage {
    type Form = AppendForm;

    fn form(&self) -> AppendForm {
        let append = &self.append;
        AppendForm {
            times: self.times.clone(),
            vote: append.vote.form(),
            previous: forms(&append.prev_log_id),
            entries: append.entries.iter().map(Entry::form).collect(),
            committed: forms(&append.leader_commit),
        }
    }

    fn from_form(form: AppendForm) -> Result<Self, Malformed> {
        let entries: Result<_, _> = form.entries.into_iter().map(Entry::from_form).collect();
        let append = AppendEntriesRequest {
            vote: Vote::from_form(form.vote)?,
            prev_log_id: values(form.previous)?,
            entries: entries?,
            leader_commit: values(form.committed)?,
        };
        Ok(AppendMessage { times: form.times, append })
    }
}

/// The form of openraft's response to a request to append.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum AppendedForm {
    /// All entries are appended.
    #[n(0)]
    Success,
    /// The entries up to this one are.
    #[n(1)]
    Partly(#[n(0)] Option<LogIdForm>),
    /// The log differs before the first of them.
    #[n(2)]
    Conflict,
    /// Another leader is known.
    #[n(3)]
    HigherVote(#[n(0)] VoteForm),
}

impl Wire for AppendEntriesResponse<TypeConfig> {
    type Form = AppendedForm;

    fn form(&self) -> AppendedForm {
        match self {
            AppendEntriesResponse::Success => AppendedForm::Success,
            AppendEntriesResponse::PartialSuccess(id) => AppendedForm::Partly(forms(id)),
            AppendEntriesResponse::Conflict => AppendedForm::Conflict,
            AppendEntriesResponse::HigherVote(vote) => AppendedForm::HigherVote(vote.form()),
        }
    }

    fn from_form(form: AppendedForm) -> Result<Self, Malformed> {
        Ok(match form {
            AppendedForm::Success => AppendEntriesResponse::Success,
            AppendedForm::Partly(id) => AppendEntriesResponse::PartialSuccess(values(id)?),
            AppendedForm::Conflict => AppendEntriesResponse::Conflict,
            AppendedForm::HigherVote(vote) => {
                AppendEntriesResponse::HigherVote(Vote::from_form(vote)?)
            }
        })
    }
}

/// The form of an [`AppendAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct AppendAnswerForm {
    #[n(0)]
    wall_ms: u64,
    #[n(1)]
    result: Result<AppendedForm, String>,
}

impl Wire for AppendAnswer {
    type Form = AppendAnswerForm;

    fn form(&self) -> AppendAnswerForm {
        AppendAnswerForm { wall_ms: self.wall_ms, result: self.result.form() }
    }

    fn from_form(form: AppendAnswerForm) -> Result<Self, Malformed> {
        Ok(AppendAnswer { wall_ms: form.wall_ms, result: Wire::from_form(form.result)? })
    }
}

/// A response, or a refusal in words.
impl<T: Wire> Wire for Result<T, String> {
    type Form = Result<T::Form, String>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(T::form).map_err(String::clone)
    }

    fn from_form(form: Self::Form) -> Result<Self, Malformed> {
        form.map_or_else(|refusal| Ok(Err(refusal)), |form| T::from_form(form).map(Ok))
    }
}

/// The form of a request for a vote.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct VoteRequestForm {
    #[n(0)]
    vote: VoteForm,
    #[n(1)]
    last: Option<LogIdForm>,
    /// Whether the leader has asked for the election.
    #[n(2)]
    transfer: bool,
}

impl Wire for VoteRequest<TypeConfig> {
    type Form = VoteRequestForm;

    fn form(&self) -> VoteRequestForm {
        VoteRequestForm {
            vote: self.vote.form(),
            last: forms(&self.last_log_id),
            transfer: self.leadership_transfer,
        }
    }

    fn from_form(form: VoteRequestForm) -> Result<Self, Malformed> {
        Ok(VoteRequest {
            vote: Vote::from_form(form.vote)?,
            last_log_id: values(form.last)?,
            leadership_transfer: form.transfer,
        })
    }
}

/// The form of a response to a request for a vote.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct VoteResponseForm {
    #[n(0)]
    vote: VoteForm,
    #[n(1)]
    granted: bool,
    #[n(2)]
    last: Option<LogIdForm>,
}

impl Wire for VoteResponse<TypeConfig> {
    type Form = VoteResponseForm;

    fn form(&self) -> VoteResponseForm {
        VoteResponseForm {
            vote: self.vote.form(),
            granted: self.vote_granted,
            last: forms(&self.last_log_id),
        }
    }

    fn from_form(form: VoteResponseForm) -> Result<Self, Malformed> {
        Ok(VoteResponse {
            vote: Vote::from_form(form.vote)?,
            vote_granted: form.granted,
            last_log_id: values(form.last)?,
        })
    }
}

/// The form of a request to take leadership over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct TransferForm {
    #[n(0)]
    from: VoteForm,
    #[n(1)]
    to: RaftId,
    #[n(2)]
    last: Option<LogIdForm>,
}

impl Wire for TransferLeaderRequest<TypeConfig> {
    type Form = TransferForm;

    fn form(&self) -> TransferForm {
        TransferForm {
            from: self.from_leader().form(),
            to: *self.to_node_id(),
            last: self.last_log_id().map(LogId::form),
        }
    }

    fn from_form(form: TransferForm) -> Result<Self, Malformed> {
        let (from, last) = (Vote::from_form(form.from)?, values(form.last)?);
        Ok(TransferLeaderRequest::new(from, form.to, last))
    }
}

/// The form of a response to a request to take leadership over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum TransferAnswerForm {
    /// The member stands for election.
    #[n(0)]
    Standing,
    /// It knows another vote.
    #[n(1)]
    VoteChanged {
        /// The leader's.
        #[n(0)]
        expected: VoteForm,
        /// The member's.
        #[n(1)]
        actual: VoteForm,
    },
    /// Its log is not flushed up to the leader's.
    #[n(2)]
    NotFlushed {
        /// The end of the leader's log.
        #[n(0)]
        expected: Option<LogIdForm>,
        /// Up to where the member's is flushed.
        #[n(1)]
        actual: Option<LogIdForm>,
    },
}

impl Wire for TransferLeaderResponse<TypeConfig> {
    type Form = TransferAnswerForm;

    fn form(&self) -> TransferAnswerForm {
        match self {
            Ok(()) => TransferAnswerForm::Standing,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                TransferAnswerForm::VoteChanged { expected: expected.form(), actual: actual.form() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                TransferAnswerForm::NotFlushed { expected: forms(expected), actual: forms(actual) }
            }
        }
    }

    fn from_form(form: TransferAnswerForm) -> Result<Self, Malformed> {
        Ok(match form {
            TransferAnswerForm::Standing => Ok(()),
            TransferAnswerForm::VoteChanged { expected, actual } => {
                let (expected, actual) = (Vote::from_form(expected)?, Vote::from_form(actual)?);
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            TransferAnswerForm::NotFlushed { expected, actual } => {
                let (expected, actual) = (values(expected)?, values(actual)?);
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
        })
    }
}

/// The form of an [`Offer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct OfferForm {
    #[n(0)]
    vote: VoteForm,
    #[n(1)]
    bytes: u64,
}

impl Wire for Offer {
    type Form = OfferForm;

    fn form(&self) -> OfferForm {
        OfferForm { vote: self.vote.form(), bytes: self.bytes }
    }

    fn from_form(form: OfferForm) -> Result<Self, Malformed> {
        Ok(Offer { vote: Vote::from_form(form.vote)?, bytes: form.bytes })
    }
}

/// The form of a [`ReceiverReply`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum ReceiverReplyForm {
    /// As [`ReceiverReply::Go`].
    #[n(0)]
    Go(#[n(0)] u64),
    /// As [`ReceiverReply::Working`].
    #[n(1)]
    Working,
    /// As [`ReceiverReply::Refused`].
    #[n(2)]
    Refused(#[n(0)] String),
    /// As [`ReceiverReply::Done`], with the receiver's vote.
    #[n(3)]
    Done(#[n(0)] VoteForm),
}

impl Wire for ReceiverReply {
    type Form = ReceiverReplyForm;

    fn form(&self) -> ReceiverReplyForm {
        match self {
            ReceiverReply::Go(bytes) => ReceiverReplyForm::Go(*bytes),
            ReceiverReply::Working => ReceiverReplyForm::Working,
            ReceiverReply::Refused(reason) => ReceiverReplyForm::Refused(reason.clone()),
            ReceiverReply::Done(response) => ReceiverReplyForm::Done(response.vote.form()),
        }
    }

    fn from_form(form: ReceiverReplyForm) -> Result<Self, Malformed> {
        Ok(match form {
            ReceiverReplyForm::Go(bytes) => ReceiverReply::Go(bytes),
            ReceiverReplyForm::Working => ReceiverReply::Working,
            ReceiverReplyForm::Refused(reason) => ReceiverReply::Refused(reason),
            ReceiverReplyForm::Done(vote) => {
                ReceiverReply::Done(SnapshotResponse::new(Vote::from_form(vote)?))
            }
        })
    }
}
