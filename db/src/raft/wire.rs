//! The numbered forms in which openraft's types, and ours about them, are stored and sent.
//!
//! openraft's own encodings change between its versions, so what stands in the log, in the state
//! and in messages between nodes is made of the types here, in CBOR. Fields and variants have
//! numbers: a field is added at the end, as an `Option` or with a default, and a reader that does
//! not know it skips it. A number is never used again.

pub mod messages;

use super::clock::Times;
use super::read_index::Proof;
use super::snapshot::{AppliedState, Owner};
use super::types::{Entry, EntryPayload, LogId, Membership, Payload, RaftId, Vote};
use crate::engine::cbor;
use bytes::Bytes;
use minicbor::encode::write::Writer;
use minicbor::{CborLen, Decode, Decoder, Encode};
use openraft::BasicNode;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::vote::RaftVote;
use std::collections::{BTreeMap, BTreeSet};
use std::{fmt, io};

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
    type Form: Encode<()> + CborLen<()> + for<'b> Decode<'b, ()>;

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
    let form = value.form();
    // A large entry would be copied repeatedly while the bytes grow.
    let mut bytes = Vec::with_capacity(cbor::len(&form));
    minicbor::encode(form, &mut bytes).map_err(malformed)?;
    Ok(bytes)
}

/// The number of a value's bytes.
pub fn length<T: Wire>(value: &T) -> usize {
    cbor::len(&value.form())
}

/// Adds the bytes of a value to others.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<T: Wire>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    minicbor::encode(value.form(), bytes).map_err(malformed)
}

/// Writes the length of the bytes of a value in 4 bytes, then them; returns how many it wrote. The
/// bytes are not gathered before, so that those of a large entry are copied once.
///
/// # Errors
/// Those of the writer.
pub fn write_counted<T: Wire>(value: &T, mut to: impl io::Write) -> io::Result<usize> {
    let form = value.form();
    let length = cbor::len(&form);
    to.write_all(&u32::try_from(length).map_err(io::Error::other)?.to_be_bytes())?;
    minicbor::encode(form, Writer::new(to)).map_err(io::Error::other)?;
    Ok(4 + length)
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct RefusedForm {
    /// They.
    #[n(0)]
    pub entries: BTreeMap<u64, u64>,
}

/// The form of a [`LogId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct MembershipForm {
    /// The voters; two sets while the membership changes.
    #[n(0)]
    voters: Vec<BTreeSet<RaftId>>,
    /// Voters and learners.
    #[n(1)]
    members: BTreeMap<RaftId, MemberForm>,
}

/// The form of a member.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
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
    use minicbor::bytes::ByteSlice;
    use minicbor::encode::Write;
    use minicbor::{CborLen, Decoder, Encoder};

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

    pub(super) fn cbor_len<C>(bytes: &Bytes, context: &mut C) -> usize {
        <&ByteSlice>::from(bytes.as_ref()).cbor_len(context)
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
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
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
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
