//! The numbered forms in which openraft's types, and ours about them, are stored and sent.
//!
//! openraft's own encodings change between its versions, so what stands in the log, in the state
//! and in messages between nodes is made of the types here, in CBOR. Fields and variants have
//! numbers: a field is added at the end, as an `Option` or with a default, and a reader that does
//! not know it skips it. A number is never used again.

use super::append_stream::{AppendAnswer, AppendMessage};
use super::clock::Times;
use super::read_index::Proof;
use super::snapshot::{AppliedState, Owner};
use super::transfer::{Offer, ReceiverReply};
use super::types::{Entry, EntryPayload, LogId, Membership, Payload, RaftId, TypeConfig, Vote};
use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode};

use openraft::BasicNode;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::vote::RaftVote;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Bytes that are not the form of what they should hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Malformed {}

fn malformed(error: impl fmt::Display) -> Malformed {
    Malformed(error.to_string())
}

/// A type with a numbered form.
pub trait Wire: Sized {
    /// The form.
    type Form: Encode<()> + for<'b> Decode<'b, ()>;

    /// The value in its form.
    fn form(&self) -> Self::Form;

    /// The value of a form.
    ///
    /// # Errors
    /// When no value has this form.
    fn from_form(form: Self::Form) -> Result<Self, Malformed>;
}

/// The bytes of a value.
///
/// # Errors
/// None today; the encoder cannot promise it.
pub fn encode<T: Wire>(value: &T) -> Result<Vec<u8>, Malformed> {
    minicbor::to_vec(value.form()).map_err(malformed)
}

/// The value of the whole of `bytes`.
///
/// # Errors
/// When they are not the form of a value, or go on behind it.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let form = decoder.decode().map_err(malformed)?;
    match decoder.position() == bytes.len() {
        true => T::from_form(form),
        false => Err(Malformed(format!("{} bytes too many", bytes.len() - decoder.position()))),
    }
}

/// Index of the entry in the bytes of an [`AppliedState`], without reading the rest.
pub(super) fn applied_index(bytes: &[u8]) -> Result<u64, Malformed> {
    let mut decoder = Decoder::new(bytes);
    decoder.array().map_err(malformed)?;
    let log_id: Option<LogIdForm> = decoder.decode().map_err(malformed)?;
    Ok(log_id.map_or(0, |id| id.index))
}

/// Types that are their own form.
macro_rules! own_form {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Form = Self;

            fn form(&self) -> Self {
                self.clone()
            }

            fn from_form(form: Self) -> Result<Self, Malformed> {
                Ok(form)
            }
        }
    )*};
}

own_form!((), u64, Times, Proof, Owner, RefusedForm);

/// The log entries that a state has recorded as refused: log index and hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct RefusedForm {
    /// They.
    #[n(0)]
    pub entries: BTreeMap<u64, u64>,
}

/// The form of a [`LogId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LogIdForm {
    #[n(0)]
    term: u64,
    #[n(1)]
    leader: RaftId,
    #[n(2)]
    index: u64,
}

impl Wire for LogId {
    type Form = LogIdForm;

    fn form(&self) -> LogIdForm {
        LogIdForm { term: self.leader_id.term, leader: self.leader_id.node_id, index: self.index }
    }

    fn from_form(form: LogIdForm) -> Result<Self, Malformed> {
        let LogIdForm { term, leader, index } = form;
        Ok(LogId::new(LeaderId { term, node_id: leader }, index))
    }
}

/// The form of a [`Vote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct VoteForm {
    #[n(0)]
    term: u64,
    #[n(1)]
    candidate: RaftId,
    #[n(2)]
    committed: bool,
}

impl Wire for Vote {
    type Form = VoteForm;

    fn form(&self) -> VoteForm {
        VoteForm {
            term: self.leader_id.term,
            candidate: self.leader_id.node_id,
            committed: self.committed,
        }
    }

    fn from_form(form: VoteForm) -> Result<Self, Malformed> {
        let VoteForm { term, candidate, committed } = form;
        Ok(Vote::from_leader_id(LeaderId { term, node_id: candidate }, committed))
    }
}

type Members = openraft::Membership<RaftId, BasicNode>;

/// The form of a membership.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MembershipForm {
    /// The voters; two sets while the membership changes.
    #[n(0)]
    voters: Vec<BTreeSet<RaftId>>,
    /// Voters and learners.
    #[n(1)]
    members: BTreeMap<RaftId, MemberForm>,
}

/// The form of a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MemberForm {
    #[n(0)]
    url: String,
}

impl Wire for Members {
    type Form = MembershipForm;

    fn form(&self) -> MembershipForm {
        let member =
            |(id, node): (&RaftId, &BasicNode)| (*id, MemberForm { url: node.addr.clone() });
        MembershipForm {
            voters: self.get_joint_config().clone(),
            members: self.nodes().map(member).collect(),
        }
    }

    fn from_form(form: MembershipForm) -> Result<Self, Malformed> {
        let members = form.members.into_iter().map(|(id, member)| (id, BasicNode::new(member.url)));
        let members: BTreeMap<_, _> = members.collect();
        Members::new(form.voters, members).map_err(malformed)
    }
}

/// The form of an [`EntryPayload`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PayloadForm {
    /// The first entry of a leader.
    #[n(0)]
    Blank,
    /// Proposals.
    #[n(1)]
    Proposals(#[cbor(n(0), with = "shared_bytes")] Bytes),
    /// A new membership.
    #[n(2)]
    Membership(#[n(0)] MembershipForm),
}

/// Bytes that are not copied when they are put into a form.
mod shared_bytes {
    use bytes::Bytes;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(super) fn encode<C, W: Write>(
        bytes: &Bytes,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(bytes).map(drop)
    }

    pub(super) fn decode<C>(
        decoder: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Bytes, minicbor::decode::Error> {
        decoder.bytes().map(Bytes::copy_from_slice)
    }
}

impl Wire for EntryPayload {
    type Form = PayloadForm;

    fn form(&self) -> PayloadForm {
        match self {
            openraft::EntryPayload::Blank => PayloadForm::Blank,
            openraft::EntryPayload::Normal(Payload(bytes)) => PayloadForm::Proposals(bytes.clone()),
            openraft::EntryPayload::Membership(members) => PayloadForm::Membership(members.form()),
        }
    }

    fn from_form(form: PayloadForm) -> Result<Self, Malformed> {
        Ok(match form {
            PayloadForm::Blank => openraft::EntryPayload::Blank,
            PayloadForm::Proposals(bytes) => openraft::EntryPayload::Normal(Payload(bytes)),
            PayloadForm::Membership(form) => {
                openraft::EntryPayload::Membership(Members::from_form(form)?)
            }
        })
    }
}

/// The form of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EntryForm {
    #[n(0)]
    log_id: LogIdForm,
    #[n(1)]
    payload: PayloadForm,
}

impl Wire for Entry {
    type Form = EntryForm;

    fn form(&self) -> EntryForm {
        EntryForm { log_id: self.log_id.form(), payload: self.payload.form() }
    }

    fn from_form(form: EntryForm) -> Result<Self, Malformed> {
        Ok(Entry::new(LogId::from_form(form.log_id)?, EntryPayload::from_form(form.payload)?))
    }
}

fn forms<T: Wire>(value: &Option<T>) -> Option<T::Form> {
    value.as_ref().map(T::form)
}

fn values<T: Wire>(form: Option<T::Form>) -> Result<Option<T>, Malformed> {
    form.map(T::from_form).transpose()
}

/// The form of an [`AppliedState`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AppliedForm {
    /// The first field: [`applied_index`] reads it alone.
    #[n(0)]
    log_id: Option<LogIdForm>,
    #[n(1)]
    membership_log_id: Option<LogIdForm>,
    #[n(2)]
    membership: MembershipForm,
}

impl Wire for AppliedState {
    type Form = AppliedForm;

    fn form(&self) -> AppliedForm {
        AppliedForm {
            log_id: forms(&self.log_id),
            membership_log_id: forms(self.membership.log_id()),
            membership: self.membership.membership().form(),
        }
    }

    fn from_form(form: AppliedForm) -> Result<Self, Malformed> {
        let members = Members::from_form(form.membership)?;
        let membership: Membership = Membership::new(values(form.membership_log_id)?, members);
        Ok(AppliedState { log_id: values(form.log_id)?, membership })
    }
}

/// The form of an [`AppendMessage`].
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
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
