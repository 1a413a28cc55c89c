//! The form of a log entry: its head, then one frame for each proposal.
//!
//! ```text
//! entry = format (1 byte), version of the proposing node (3 bytes), frame …
//! frame = number of the command (2 bytes), length (4 bytes), proposal in CBOR
//! ```
//!
//! Every replica reads an entry alike. A proposal whose content cannot be read is refused, and
//! its neighbours are carried out: its length says where the next one begins. An entry of an
//! unknown format, or with a command that only a later version knows, cannot be judged here
//! at all: the node must stop before it applies anything of it ([`UnknownEntry`]). Content that
//! changes its form therefore gets a new command number, or the entry a new format.

use super::{Command, Proposal};
use crate::cbor;
use crate::error::{Error, Kind, Result};
use crate::format::{Supported, Unsupported};
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before the first frame, in every format.
pub const HEAD_BYTES: usize = 4;
const FRAME_HEAD_BYTES: usize = 6;

/// Major, minor and patch version of a node.
type Version = [u8; 3];

/// Gives each command its number in the log. A number is never given to another command.
macro_rules! command_numbers {
    ($($command:ident $number:literal)*) => {
        /// The number of a command in the log.
        pub(crate) fn number(command: &Command) -> u16 {
            match command { $(Command::$command { .. } => $number,)* }
        }

        /// The numbers of all commands.
        pub(crate) const NUMBERS: &[u16] = &[$($number,)*];
    };
}

command_numbers! {
    InitCluster 1
    CreateDatabase 2
    DropDatabase 3
    RenameDatabase 4
    CreateCollection 5
    DropCollection 6
    RenameCollection 7
    Put 8
    Delete 9
    ClusterRegister 10
    ClusterUpdate 11
    ClusterStop 12
    ClusterDeregister 13
    Write 14
    CreateIndex 15
    DropIndex 16
    BuildIndex 17
    Expire 18
    ClearGarbage 19
    SetSchema 20
    ReplaceCollection 21
    ClusterMark 22
    Commit 23
    Batch 24
    SetVersions 25
    Restore 26
    TrimVersions 27
    TrimChanges 28
    ForgetRetries 29
    CreateUser 30
    UpdateUser 31
    DeleteUser 32
    CreateToken 33
    RevokeToken 34
    UseJoinToken 35
    RemoveEndedTokens 36
    Audit 37
    TrimAudit 38
    SetVersionsDefault 39
    SetFeatureLevel 40
    ClusterAnnounce 41
    SetMaxFeatureLevel 42
    Placement 43
    InGroup 44
}

/// Why an entry cannot be applied by this version: another one has written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownEntry {
    /// Its form is of another format.
    Format(Unsupported),
    /// It holds what only a later version knows.
    Content {
        /// What it holds.
        what: String,
        /// The version that has written it.
        version: [u8; 3],
    },
}

impl fmt::Display for UnknownEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnknownEntry::Format(unsupported) => unsupported.fmt(f),
            UnknownEntry::Content { what, version } => write!(
                f,
                "it holds {what}, which version {} does not know; it was written by version {}: \
                 start this node with that version or a later one",
                dotted(OWN_VERSION),
                dotted(*version)
            ),
        }
    }
}

const OWN_VERSION: Version = [
    number_of(env!("CARGO_PKG_VERSION_MAJOR")),
    number_of(env!("CARGO_PKG_VERSION_MINOR")),
    number_of(env!("CARGO_PKG_VERSION_PATCH")),
];

const fn number_of(digits: &str) -> u8 {
    let (digits, mut at, mut number) = (digits.as_bytes(), 0, 0);
    while at < digits.len() {
        number = number * 10 + (digits[at] - b'0');
        at += 1;
    }
    number
}

fn dotted([major, minor, patch]: Version) -> String {
    format!("{major}.{minor}.{patch}")
}

/// Encodes a proposal as a frame, of which it knows the length before it takes memory for it.
pub struct FrameEncoder<'p> {
    proposal: &'p Proposal,
    content: u32,
}

impl<'p> FrameEncoder<'p> {
    /// Measures a proposal.
    ///
    /// # Errors
    /// `internal` when it cannot be encoded.
    pub fn new(proposal: &'p Proposal) -> Result<Self> {
        let content = cbor::len(proposal).try_into().map_err(failed)?;
        Ok(FrameEncoder { proposal, content })
    }

    /// Bytes of its frame.
    pub fn length(&self) -> usize {
        FRAME_HEAD_BYTES + self.content as usize
    }

    /// Its frame.
    ///
    /// # Errors
    /// `internal` when it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut frame = Vec::with_capacity(self.length());
        frame.extend_from_slice(&number(&self.proposal.command).to_be_bytes());
        frame.extend_from_slice(&self.content.to_be_bytes());
        cbor::append(self.proposal, &mut frame)?;
        Ok(frame)
    }
}

fn failed(error: impl fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("a command cannot be encoded: {error}"))
}

/// Reads a frame as apply will.
///
/// # Errors
/// `invalid_body` when apply could not.
pub fn read_frame(frame: &[u8]) -> Result<Proposal> {
    let mut frames = Frames(frame);
    let frame = frames.next().flatten().filter(|_| frames.0.is_empty());
    frame.and_then(|frame| frame.proposal()).ok_or_else(unreadable)
}

/// The entry that holds these frames, in the format with this number.
pub fn join<F: AsRef<[u8]>>(frames: &[F], format: u8) -> Vec<u8> {
    let length: usize = frames.iter().map(|frame| frame.as_ref().len()).sum();
    let mut entry = Vec::with_capacity(HEAD_BYTES + length);
    entry.push(format);
    entry.extend_from_slice(&OWN_VERSION);
    frames.iter().for_each(|frame| entry.extend_from_slice(frame.as_ref()));
    entry
}

/// The hash that names an entry which is to be refused as a whole.
pub fn hash(entry: &[u8]) -> u64 {
    xxh3_64(entry)
}

/// The proposals of an entry of one of the formats `supported`, each with the reason when it cannot
/// be read.
///
/// # Errors
/// [`UnknownEntry`] when this version cannot judge the entry.
pub fn read(
    entry: &[u8],
    supported: Supported,
) -> std::result::Result<Vec<Result<Proposal>>, UnknownEntry> {
    let Some((head, frames)) = entry.split_first_chunk::<HEAD_BYTES>() else {
        return Ok(vec![Err(unreadable())]);
    };
    let [format, version @ ..] = *head;
    let unknown = |what: String| UnknownEntry::Content { what, version };
    if let Err(unsupported) = supported.check(format.into()) {
        return Err(UnknownEntry::Format(unsupported));
    }
    let proposal = |frame: Option<Frame<'_>>| match frame {
        Some(frame) if !NUMBERS.contains(&frame.number) => {
            Err(unknown(format!("command {}", frame.number)))
        }
        frame => match frame.and_then(|frame| frame.proposal()) {
            None if version > OWN_VERSION => Err(unknown("a command".into())),
            proposal => Ok(proposal.ok_or_else(unreadable)),
        },
    };
    Frames(frames).map(proposal).collect()
}

/// How many proposals an entry has, without reading them.
pub fn count(entry: &[u8]) -> usize {
    entry.get(HEAD_BYTES..).map_or(1, |frames| Frames(frames).count())
}

fn unreadable() -> Error {
    Error::new(Kind::InvalidBody, "the command cannot be read as it stands in the log")
        .hint("this is a fault of the database; report what was asked for")
}

struct Frame<'e> {
    number: u16,
    content: &'e [u8],
}

impl Frame<'_> {
    fn proposal(&self) -> Option<Proposal> {
        let proposal = cbor::decode::<Proposal>(self.content).ok()?;
        (number(&proposal.command) == self.number).then_some(proposal)
    }
}

/// The frames of an entry; `None` for trailing bytes that are no frame.
struct Frames<'e>(&'e [u8]);

impl<'e> Iterator for Frames<'e> {
    type Item = Option<Frame<'e>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let frame = || {
            let (number, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (content, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            Some((Frame { number: u16::from_be_bytes(*number), content }, rest))
        };
        Some(frame().map(|(frame, rest)| {
            self.0 = rest;
            frame
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Write, WriteLimits};
    use crate::format::LOG_ENTRY;
    use crate::namespace::Namespace;

    const FORMAT: u8 = LOG_ENTRY.newest as u8;

    fn read(entry: &[u8]) -> std::result::Result<Vec<Result<Proposal>>, UnknownEntry> {
        super::read(entry, LOG_ENTRY)
    }

    fn proposal(name: &str) -> Proposal {
        Proposal {
            time_ms: 7,
            user: Some("u".into()),
            ..Proposal::from(Command::DropDatabase { name: name.into() })
        }
    }

    fn entry(names: &[&str]) -> Vec<u8> {
        join(
            &names
                .iter()
                .map(|name| FrameEncoder::new(&proposal(name)).unwrap().encode().unwrap())
                .collect::<Vec<_>>(),
            FORMAT,
        )
    }

    #[test]
    fn the_bytes_of_an_entry_stay_as_they_are() {
        let golden = [
            &[3][..],
            &OWN_VERSION,
            b"\0\x03\0\0\0\x0b\x86\x07\x61u\xf6\xf6\xf6\x82\x03\x61a",
            b"\0\x03\0\0\0\x0b\x86\x07\x61u\xf6\xf6\xf6\x82\x03\x61b",
        ];
        assert_eq!(entry(&["a", "b"]), golden.concat());
        assert_eq!(read(&golden.concat()).unwrap(), [Ok(proposal("a")), Ok(proposal("b"))]);
        assert_eq!(count(&golden.concat()), 2);
    }

    #[test]
    fn the_bytes_of_a_write_stay_as_they_are() {
        let limits = WriteLimits {
            documents_max: 1,
            document_bytes_max: 2,
            depth_max: 3,
            memory_max: 4,
            steps_max: 5,
            written_max: 6,
        };
        let write = Write {
            namespace: Namespace::new("d", "c"),
            create_database: false,
            operations: Vec::new(),
            ordered: true,
            time_ms: 9,
            limits,
        };
        let frame = FrameEncoder::new(&Proposal::from(Command::Write(Box::new(write))))
            .unwrap()
            .encode()
            .unwrap();
        let golden = [
            &b"\0\x0e\0\0\0\x19\x86\0\xf6\xf6\xf6\xf6\x82\x0e"[..],
            b"\x86\x82\x61d\x61c\xf4\x80\xf5\x09\x86\x01\x02\x03\x04\x05\x06",
        ];
        assert_eq!(frame, golden.concat());
    }

    #[test]
    fn every_command_has_a_number_of_its_own() {
        assert_eq!(NUMBERS, (1..=NUMBERS.len() as u16).collect::<Vec<_>>());
    }

    /// Symptom: one command that apply could not read ended every node, with all that
    /// travelled in its entry.
    #[test]
    fn a_proposal_that_cannot_be_read_is_refused_and_its_neighbours_are_not() {
        let good = entry(&["a", "b", "c"]);
        let second = HEAD_BYTES + 17;
        for (at, value) in [
            // Number of another command, type of the user, variant, type of the name.
            (second + 1, 4),
            (second + 8, 9),
            (second + 14, 250),
            (second + 15, 200),
        ] {
            let mut damaged = good.clone();
            damaged[at] = value;
            let read = read(&damaged).unwrap();
            assert_eq!(read[0], Ok(proposal("a")), "{at}");
            assert_eq!(read[1].as_ref().unwrap_err().kind, Kind::InvalidBody, "{at}");
            assert_eq!(read[2], Ok(proposal("c")), "{at}");
            assert_eq!(count(&damaged), 3);
        }
        for end in [0, 1, HEAD_BYTES + 1, good.len() - 1] {
            let read = read(&good[..end]).unwrap();
            assert!(read.last().unwrap().is_err(), "{end}");
            assert_eq!(count(&good[..end]), read.len(), "{end}");
        }
    }

    #[test]
    fn what_a_later_version_has_written_is_not_refused_but_names_that_version() {
        let mut command = entry(&["a", "b"]);
        command[1] = 4;
        command[HEAD_BYTES + 17] = 200;
        let mut content = entry(&["a"]);
        content[1] = 5;
        content[HEAD_BYTES + 14] = 250;
        for (content, what, version) in [(command, "command 51203", "4."), (content, "", "5.")] {
            let error = read(&content).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains(&format!("by version {version}")));
        }
        for number in [FORMAT - 1, FORMAT + 1] {
            let mut format = entry(&["a"]);
            format[0] = number;
            let error = read(&format).unwrap_err().to_string();
            assert!(error.contains(&format!("has format {number}, ")), "{error}");
        }
    }
}
