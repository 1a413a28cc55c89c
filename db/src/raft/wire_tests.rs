//! The bytes of every form, and what a reader does with forms of other versions.

use super::append_stream::{AppendAnswer, AppendMessage};
use super::clock::Times;
use super::node_key::{hex, unhex};
use super::read_index::Proof;
use super::snapshot::{AppliedState, Owner};
use super::transfer::{Offer, ReceiverReply};
use super::types::{Entry, EntryPayload, LogId, Membership, Payload, TypeConfig, Vote};
use super::wire::{RefusedForm, Wire, applied_index, decode, encode, write_counted};
use openraft::BasicNode;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::vote::RaftVote;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId { term: 2, node_id: 3 }, index)
}

fn vote() -> Vote {
    Vote::from_leader_id(LeaderId { term: 4, node_id: 5 }, true)
}

fn members() -> openraft::Membership<u64, BasicNode> {
    let voters = vec![BTreeSet::from([1]), BTreeSet::from([1, 6])];
    let nodes = BTreeMap::from([(1, BasicNode::new("a")), (6, BasicNode::new("b"))]);
    openraft::Membership::new(voters, nodes).unwrap()
}

fn payloads() -> [EntryPayload; 3] {
    use openraft::EntryPayload::{Blank, Membership, Normal};
    [Blank, Normal(Payload(b"xy".to_vec().into())), Membership(members())]
}

fn append() -> AppendMessage {
    let entries = payloads().into_iter().zip(8..);
    AppendMessage {
        times: Times { time_ms: 1000, ahead_ms: BTreeMap::from([(1, -7)]) },
        append: AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(7)),
            entries: entries.map(|(payload, index)| Entry::new(log_id(index), payload)).collect(),
            leader_commit: None,
        },
    }
}

/// Differences from what is expected, by the name of the form.
#[derive(Default)]
struct Golden(Vec<String>);

impl Golden {
    fn check<T: Wire + Debug>(&mut self, name: &str, value: T, expected: &str) {
        let bytes = encode(&value).unwrap();
        if hex(&bytes) != expected {
            self.0.push(format!("{name}: {} instead of {expected}", hex(&bytes)));
        }
        let mut counted = Vec::new();
        assert_eq!(write_counted(&value, &mut counted).unwrap(), 4 + bytes.len());
        assert_eq!(counted, [&(bytes.len() as u32).to_be_bytes(), &bytes[..]].concat(), "{name}");
        let read: T = decode(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{value:?}"), "{name}");
    }
}

#[test]
fn every_form_has_the_bytes_that_were_released() {
    let mut golden = Golden::default();
    golden.check("log id", log_id(300), "83020319012c");
    golden.check("vote", vote(), "830405f5");
    for (payload, expected) in payloads().into_iter().zip([
        "820080",
        "820181427879",
        "82028182828101820106a20181616106816162",
    ]) {
        golden.check("payload", payload, expected);
    }
    let applied = AppliedState {
        log_id: Some(log_id(9)),
        membership: Membership::new(Some(log_id(8)), members()),
    };
    golden.check("applied", applied, "83830203098302030882828101820106a20181616106816162");
    golden.check("applied, new", AppliedState::default(), "83f6f68280a0");
    let owner = Owner { cluster_id: "c".into(), group: 3, raft_id: 17 };
    golden.check("owner", owner, "8361630311");
    golden.check("refused", RefusedForm { entries: BTreeMap::from([(7, 255)]) }, "81a10718ff");
    golden.check("append", append(), "84821903e8a10126830405f5830203078382830203088200808283020309820181427879828302030a82028182828101820106a20181616106816162");
    for (result, expected) in [
        (Ok(AppendEntriesResponse::Success), "82018200820080"),
        (Ok(AppendEntriesResponse::PartialSuccess(Some(log_id(1)))), "8201820082018183020301"),
        (Ok(AppendEntriesResponse::Conflict), "82018200820280"),
        (Ok(AppendEntriesResponse::HigherVote(vote())), "82018200820381830405f5"),
        (Err("no".to_owned()), "82018201626e6f"),
    ] {
        golden.check("append answer", AppendAnswer { wall_ms: 1, result }, expected);
    }
    let request = VoteRequest::<TypeConfig> {
        vote: vote(),
        last_log_id: Some(log_id(1)),
        leadership_transfer: true,
    };
    golden.check("vote request", request, "83830405f583020301f5");
    let response =
        VoteResponse::<TypeConfig> { vote: vote(), vote_granted: true, last_log_id: None };
    golden.check("vote response", Ok::<_, String>(response), "820082830405f5f5");
    let transfer = TransferLeaderRequest::<TypeConfig>::new(vote(), 6, Some(log_id(1)));
    golden.check("transfer", transfer, "83830405f50683020301");
    let changed = TransferLeaderError::VoteChanged { expected: vote(), actual: vote() };
    let flushed = TransferLeaderError::LogNotFlushed { expected: Some(log_id(1)), actual: None };
    for (answer, expected) in [
        (Ok(()), "820080"),
        (Err(changed), "820182830405f5830405f5"),
        (Err(flushed), "82028183020301"),
    ] {
        let answer: TransferLeaderResponse<TypeConfig> = answer;
        golden.check("transfer answer", answer, expected);
    }
    golden.check("read index by quorum", Proof::Quorum, "820080");
    golden.check("read index by lease", Proof::Lease, "820180");
    golden.check("read index", Ok::<u64, String>(17), "820011");
    golden.check("offer", Offer { vote: vote(), bytes: 1 << 20 }, "82830405f51a00100000");
    for (reply, expected) in [
        (ReceiverReply::Go(1), "82008101"),
        (ReceiverReply::Working, "820180"),
        (ReceiverReply::Refused("no".into()), "820281626e6f"),
        (ReceiverReply::Done(SnapshotResponse::new(vote())), "820381830405f5"),
    ] {
        golden.check("receiver's reply", reply, expected);
    }
    assert!(golden.0.is_empty(), "{:#?}", golden.0);
}

#[test]
fn a_reader_skips_fields_that_it_does_not_know_and_refuses_the_rest() {
    let read = |text: &str| decode::<LogId>(&unhex(text).unwrap());
    assert_eq!(read("83020307"), Ok(log_id(7)));
    assert_eq!(read("8502030781f6a0"), Ok(log_id(7)), "two fields were added");
    for (bad, what) in [
        ("820203", "a field is missing"),
        ("8302030700", "it goes on"),
        ("830203", "it is cut off"),
        ("83020360", "a text is no index"),
        ("", "there is nothing"),
    ] {
        assert!(read(bad).is_err(), "{what}");
    }
    let unknown = decode::<EntryPayload>(&unhex("821863").unwrap());
    assert!(unknown.is_err(), "an unknown variant");
}

#[test]
fn the_applied_index_is_read_alone() {
    let applied = AppliedState { log_id: Some(log_id(70_000)), ..AppliedState::default() };
    assert_eq!(applied_index(&encode(&applied).unwrap()), Ok(70_000));
    assert_eq!(applied_index(&encode(&AppliedState::default()).unwrap()), Ok(0));
    assert!(applied_index(b"").is_err());
}

#[test]
fn the_length_before_an_entry_is_that_of_its_bytes() {
    for length in [0, 23, 24, 255, 256, 65_535, 65_536] {
        let payload = EntryPayload::Normal(Payload(vec![7; length].into()));
        let (bytes, mut counted) = (encode(&payload).unwrap(), Vec::new());
        write_counted(&payload, &mut counted).unwrap();
        assert_eq!(counted, [&(bytes.len() as u32).to_be_bytes(), &bytes[..]].concat(), "{length}");
    }
}
