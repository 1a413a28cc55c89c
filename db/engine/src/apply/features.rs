//! The feature level of the state, see [`format`](crate::format).

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, refuse};
use crate::command::Outcome;
use crate::error::Kind;
use crate::format::{FEATURES, LEVEL_KEY, Supported, feature_level};
use crate::members::{check_level, cluster, nodes};
use crate::storage::{Read, Result, Table, WriteTxn};
use crate::system;

/// The newest feature level that is supported.
pub(super) struct LevelMax(u32);

impl Default for LevelMax {
    fn default() -> Self {
        LevelMax(FEATURES.newest)
    }
}

impl Applier {
    /// One that supports feature levels up to `level`.
    pub fn supporting(level: u32) -> Self {
        Applier { level_max: LevelMax(level), ..Applier::default() }
    }

    fn check_supported(&self, level: u32) -> Result<()> {
        // What is only tried out runs on a state that was checked before.
        if self.provisional {
            return Ok(());
        }
        Ok(Supported { newest: self.level_max.0, ..FEATURES }.check(level)?)
    }

    /// The level of a state; an error if it is not supported here.
    pub(super) fn supported_level(&self, read: &impl Read) -> Result<u32> {
        let level = feature_level(read)?;
        self.check_supported(level)?;
        Ok(level)
    }

    /// [`Command::SetFeatureLevel`](crate::Command::SetFeatureLevel). A level that is not supported
    /// here ends the node before anything is done at it.
    pub(super) fn set_feature_level(&mut self, txn: &mut WriteTxn<'_>, level: u32) -> ApplyResult {
        let current = self.counters.level;
        if level < current {
            let message = format!("the feature level is {current}, and cannot become {level}");
            return refuse(Kind::NotPossibleNow, message, "it is never lowered");
        }
        if level > current {
            let max = cluster(txn)?.and_then(|cluster| cluster.max_feature_level);
            check_level(level, max, &nodes(txn)?)?;
        }
        self.check_supported(level)?;
        txn.put(Table::Meta, LEVEL_KEY, &u64::from(level).to_be_bytes())?;
        self.counters.level = level;
        Ok(Outcome::Done)
    }

    /// [`Command::SetMaxFeatureLevel`](crate::Command::SetMaxFeatureLevel).
    pub(super) fn set_max_feature_level(
        &mut self,
        txn: &mut WriteTxn<'_>,
        max: Option<u32>,
    ) -> ApplyResult {
        let current = self.counters.level;
        if let Some(max) = max.filter(|max| *max < current) {
            let message =
                format!("max: the feature level is {current}, and cannot be held at {max}");
            let hint = "it is never lowered; hold it at the level in force, or at a higher one";
            return refuse(Kind::InvalidParameter, message, hint);
        }
        let Some(mut document) = cluster(txn)? else {
            let message = "this group does not hold the settings of the cluster";
            return refuse(Kind::NotPossibleNow, message, "propose it in the system group");
        };
        document.max_feature_level = max;
        let id = document.id.clone();
        self.put_system(txn, system::CLUSTER, &id, &document)?;
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;
    use crate::command::CommandResult;
    use crate::storage::Store;
    use crate::system::Program;

    /// A cluster of one whose members may support levels 1 to 3.
    struct State {
        store: Store,
        index: u64,
        _dir: tempfile::TempDir,
    }

    impl State {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), 1 << 26).unwrap();
            let mut state = State { store, index: 0, _dir: dir };
            let first = Command::InitCluster {
                cluster_id: "c".into(),
                node: "n1".into(),
                url: "http://n1".into(),
                admin_hash: "$argon2id$".into(),
                time_ms: 1000,
            };
            state.run(first).unwrap();
            state
        }

        fn run(&mut self, command: Command) -> CommandResult {
            self.index += 1;
            let mut txn = self.store.write().unwrap();
            let mut applier = Applier::supporting(3);
            applier.begin(&txn).unwrap();
            let result = applier.apply(&mut txn, self.index, command.into()).unwrap().result;
            applier.end_entry(&mut txn).unwrap();
            applier.flush(&mut txn).unwrap();
            txn.commit().unwrap();
            result
        }

        fn kind(&mut self, command: Command) -> Option<Kind> {
            self.run(command).err().map(|error| error.kind)
        }

        fn level(&self) -> u32 {
            feature_level(&self.store.read().unwrap()).unwrap()
        }
    }

    fn program(oldest_level: u32, newest_level: u32) -> Program {
        Program { version: "1.0.0".into(), oldest_level, newest_level, addresses: None, zone: None }
    }

    fn register(node: &str, program: Option<Program>) -> Command {
        let (node, url) = (node.to_owned(), format!("http://{node}"));
        Command::ClusterRegister { node, url, description: None, program }
    }

    fn announce(newest: u32) -> Command {
        let program = program(1, newest);
        Command::ClusterAnnounce { raft_id: 1, program }
    }

    #[test]
    fn a_level_is_refused_while_a_member_does_not_support_it_or_it_is_held_back() {
        let mut state = State::new();
        let raise = |level| Command::SetFeatureLevel { level };
        let hold = |max| Command::SetMaxFeatureLevel { max };
        assert_eq!(state.kind(raise(2)), Some(Kind::UnsupportedLevel), "nothing was announced");
        assert_eq!(state.kind(announce(3)), None);
        assert_eq!(state.kind(hold(Some(1))), None);
        assert_eq!(state.kind(raise(2)), Some(Kind::NotPossibleNow));
        assert_eq!((state.kind(hold(Some(2))), state.kind(raise(2))), (None, None));
        assert_eq!(state.kind(raise(3)), Some(Kind::NotPossibleNow));
        let error = state.run(hold(Some(1))).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidParameter);
        assert_eq!(error.message, "max: the feature level is 2, and cannot be held at 1");
        assert_eq!((state.kind(hold(None)), state.kind(raise(3))), (None, None));
        assert_eq!(state.level(), 3);
    }

    #[test]
    fn a_node_that_does_not_support_the_level_is_not_admitted() {
        let mut state = State::new();
        assert_eq!(state.kind(announce(3)), None);
        assert_eq!(state.kind(Command::SetFeatureLevel { level: 2 }), None);
        for (levels, hint) in [(Some(program(1, 1)), "newer"), (Some(program(3, 3)), "older")] {
            let error = state.run(register("n2", levels)).unwrap_err();
            assert_eq!(error.kind, Kind::UnsupportedLevel);
            assert!(error.message.ends_with("and this is level 2"), "{error}");
            assert!(error.hint.is_some_and(|text| text.contains(hint)));
        }
        assert_eq!(state.kind(register("n2", None)), Some(Kind::UnsupportedLevel));
        assert_eq!(state.kind(register("n2", Some(program(1, 2)))), None);
        assert_eq!(state.kind(Command::SetFeatureLevel { level: 3 }), Some(Kind::UnsupportedLevel));
    }
}
