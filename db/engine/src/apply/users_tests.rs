use super::*;
use crate::accounts::revision;
use crate::apply::tokens::TOKENS_MAX;
use crate::audit::{self, AuditEntry};
use crate::command::{Command, CommandResult, CredentialRevisions, Proposal};
use crate::error::Kind;
use crate::storage::Store;
use crate::system::{ScramKeys, TokenDocument};
use crate::{Applier, catalog};

/// A cluster of one with its first user, in which each command is a log entry.
struct World {
    _dir: tempfile::TempDir,
    store: Store,
    index: u64,
    time_ms: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        let mut world = World { _dir: dir, store, index: 0, time_ms: 1_000 };
        let init = Command::InitCluster {
            cluster_id: "c".into(),
            node: "n".into(),
            url: "http://n:1".into(),
            admin_hash: "hash".into(),
            time_ms: 1,
        };
        world.run(None, init).unwrap();
        world
    }

    fn run(&mut self, user: Option<&str>, command: Command) -> CommandResult {
        let user = user.map(str::to_owned);
        self.propose(Proposal { user, ..command.into() })
    }

    fn run_as(
        &mut self,
        user: &str,
        credentials: Option<CredentialRevisions>,
        command: Command,
    ) -> CommandResult {
        self.propose(Proposal { user: Some(user.to_owned()), credentials, ..command.into() })
    }

    fn propose(&mut self, proposal: Proposal) -> CommandResult {
        self.index += 1;
        let mut txn = self.store.write().unwrap();
        let mut applier = Applier::default();
        applier.begin(&txn).unwrap();
        let proposal = Proposal { time_ms: self.time_ms, ..proposal };
        let answer = applier.apply(&mut txn, self.index, proposal).unwrap();
        applier.end_entry(&mut txn).unwrap();
        applier.flush(&mut txn).unwrap();
        txn.commit().unwrap();
        answer.result
    }

    fn refused(&mut self, command: Command) -> Kind {
        self.run(None, command).unwrap_err().kind
    }

    fn user(&self, name: &str) -> Option<UserDocument> {
        stored(&self.store.read().unwrap(), system::USERS, name).unwrap().map(|(_, user)| user)
    }

    fn tokens(&self) -> Vec<String> {
        let tokens: Vec<TokenDocument> = all(&self.store.read().unwrap(), system::TOKENS).unwrap();
        tokens.into_iter().map(|token| token.id).collect()
    }

    fn entries(&self) -> Vec<AuditEntry> {
        audit::entries(&self.store.read().unwrap(), None, 1000, |_| true).unwrap()
    }
}

fn user(name: &str, role: &str) -> UserDocument {
    UserDocument {
        name: name.into(),
        password_hash: "hash".into(),
        role: role.into(),
        allowed_dbs: vec!["*".into()],
        grants: Default::default(),
        disabled: false,
        created_ms: 1,
        changed_ms: 1,
        scram_sha_256: None,
    }
}

fn create(name: &str, role: &str) -> Command {
    Command::CreateUser(Box::new(user(name, role)))
}

fn update(name: &str, change: impl FnOnce(&mut UserUpdate)) -> Command {
    let mut update = UserUpdate { name: name.into(), ..UserUpdate::default() };
    change(&mut update);
    Command::UpdateUser(Box::new(update))
}

fn token(id: &str, user: &str, kind: TokenKind, created_ms: u64) -> Command {
    Command::CreateToken(Box::new(TokenDocument {
        id: id.into(),
        kind,
        user: user.into(),
        name: None,
        role: None,
        databases: None,
        token_hash: "hash".into(),
        created_ms,
        expires_ms: Some(5_000),
    }))
}

/// Symptom: a right that was taken away while a long call wrote held to the end of that call.
#[test]
fn a_command_of_a_caller_that_was_changed_is_refused_by_apply() {
    let mut world = World::new();
    world.run(None, create("ada", "owner")).unwrap();
    world.run(None, token("key", "ada", TokenKind::ApiKey, 1)).unwrap();
    let credentials = |world: &World, with_token: bool| {
        let read = world.store.read().unwrap();
        let user = revision(&read, system::USERS, "ada").unwrap().unwrap();
        let known = revision(&read, system::TOKENS, "key").unwrap().unwrap();
        let token = with_token.then(|| ("key".to_owned(), known));
        Some(CredentialRevisions { user, token })
    };
    let make = |name: &str| Command::CreateDatabase { name: name.into(), engine: "e".into() };
    let (basic, key) = (credentials(&world, false), credentials(&world, true));
    for (name, known) in [("a", &basic), ("b", &key), ("c", &None)] {
        world.run_as("ada", known.clone(), make(name)).unwrap();
    }
    let revoke = Command::RevokeToken { id: "key".into(), user: None };
    world.run(None, revoke).unwrap();
    let refused = world.run_as("ada", key.clone(), make("d")).unwrap_err();
    assert_eq!(refused.kind, Kind::UserChanged);
    world.run_as("ada", basic.clone(), make("e")).unwrap();
    world.run(None, update("ada", |update| update.role = Some("reader".into()))).unwrap();
    for known in [basic, key] {
        let refused = world.run_as("ada", known, make("f")).unwrap_err();
        assert_eq!(refused.kind, Kind::UserChanged);
    }
    let read = world.store.read().unwrap();
    let left = catalog::databases(&read).unwrap().into_iter().map(|(name, _)| name);
    assert_eq!(left.filter(|name| name.len() == 1).collect::<Vec<_>>(), ["a", "b", "c", "e"]);
}

#[test]
fn somebody_administers_the_cluster_whatever_is_tried() {
    let mut world = World::new();
    let takes_away = |name: &str| {
        [
            Command::DeleteUser { name: name.into() },
            update(name, |update| update.role = Some("owner".into())),
            update(name, |update| update.disabled = Some(true)),
        ]
    };
    for command in takes_away("admin") {
        assert_eq!(world.refused(command), Kind::LastAdmin);
    }
    let disabled = UserDocument { disabled: true, ..user("asleep", "admin") };
    world.run(None, Command::CreateUser(Box::new(disabled))).unwrap();
    world.run(None, create("own", "owner")).unwrap();
    for command in takes_away("admin") {
        assert_eq!(world.refused(command), Kind::LastAdmin);
    }
    world.run(None, create("second", "admin")).unwrap();
    let [delete, ..] = takes_away("admin");
    world.run(None, delete).unwrap();
    assert!(world.user("admin").is_none());
    for command in takes_away("second") {
        assert_eq!(world.refused(command), Kind::LastAdmin);
    }
}

#[test]
fn a_user_is_made_once_and_changed_as_far_as_is_given() {
    let mut world = World::new();
    world.run(None, create("ada", "reader")).unwrap();
    assert_eq!(world.refused(create("ada", "admin")), Kind::UserExists);
    let before = world.user("ada").unwrap();
    world.run(None, update("ada", |update| update.role = Some("owner".into()))).unwrap();
    let expected = UserDocument { role: "owner".into(), changed_ms: 1_000, ..before };
    assert_eq!(world.user("ada").unwrap(), expected);
    assert_eq!(world.refused(update("bob", |_| ())), Kind::UserNotFound);
    assert_eq!(world.refused(Command::DeleteUser { name: "bob".into() }), Kind::UserNotFound);
}

#[test]
fn scram_keys_go_with_the_password_they_were_made_of() {
    let mut world = World::new();
    let keys = |key: &str| {
        let [salt, stored_key, server_key] = ["c2FsdA==", key, key].map(str::to_owned);
        Some(ScramKeys { salt, iterations: 15_000, stored_key, server_key })
    };
    let ada = UserDocument { scram_sha_256: keys("b25l"), ..user("ada", "reader") };
    world.run(None, Command::CreateUser(Box::new(ada))).unwrap();
    let stored = |world: &World| world.user("ada").unwrap().scram_sha_256;
    world.run(None, update("ada", |update| update.role = Some("owner".into()))).unwrap();
    assert_eq!(stored(&world), keys("b25l"));
    let change = |scram: Option<ScramKeys>| {
        update("ada", |update| {
            update.password_hash = Some("other".into());
            update.scram_sha_256 = scram;
        })
    };
    world.run(None, change(keys("dHdv"))).unwrap();
    assert_eq!(stored(&world), keys("dHdv"));
    world.run(None, change(None)).unwrap();
    assert_eq!(stored(&world), None);
}

/// Symptom: a password is changed by who knew an older one only.
#[test]
fn a_password_is_changed_only_if_it_is_still_the_one_that_was_proved() {
    let mut world = World::new();
    let change = |proved: &str, new: &str| {
        update("admin", |update| {
            update.proved_hash = Some(proved.into());
            update.password_hash = Some(new.into());
        })
    };
    world.run(None, change("hash", "second")).unwrap();
    assert_eq!(world.refused(change("hash", "third")), Kind::BadCredentials);
    assert_eq!(world.user("admin").unwrap().password_hash, "second");
}

#[test]
fn sessions_end_with_the_password_and_keys_with_the_user() {
    let mut world = World::new();
    world.run(None, create("ada", "owner")).unwrap();
    let fill = |world: &mut World| {
        world.run(None, token("s", "ada", TokenKind::Session, 1)).unwrap();
        world.run(None, token("other", "admin", TokenKind::Session, 1)).unwrap();
    };
    fill(&mut world);
    world.run(None, token("k", "ada", TokenKind::ApiKey, 1)).unwrap();
    assert_eq!(world.refused(token("k", "ada", TokenKind::ApiKey, 1)), Kind::NameTaken);
    world.run(None, update("ada", |update| update.role = Some("reader".into()))).unwrap();
    assert_eq!(world.tokens(), ["k", "other", "s"]);
    world.run(None, update("ada", |update| update.password_hash = Some("new".into()))).unwrap();
    assert_eq!(world.tokens(), ["k", "other"]);
    world.run(None, update("ada", |update| update.disabled = Some(true))).unwrap();
    assert_eq!(world.refused(token("late", "ada", TokenKind::Session, 1)), Kind::UserNotFound);
    world.run(None, Command::DeleteUser { name: "ada".into() }).unwrap();
    assert_eq!(world.tokens(), ["other"]);
    assert_eq!(world.refused(token("k", "ada", TokenKind::ApiKey, 1)), Kind::UserNotFound);
    let of = |user: &str| Command::RevokeToken { id: "other".into(), user: Some(user.into()) };
    assert_eq!(world.refused(of("ada")), Kind::TokenNotFound);
    world.run(None, of("admin")).unwrap();
    assert!(world.tokens().is_empty());
}

#[test]
fn the_oldest_session_ends_for_one_too_many_and_keys_have_a_bound() {
    let mut world = World::new();
    for number in 0..TOKENS_MAX as u64 + 3 {
        let id = format!("s{number:03}");
        world.run(None, token(&id, "admin", TokenKind::Session, number)).unwrap();
    }
    let sessions = world.tokens();
    assert_eq!((sessions.len(), sessions[0].as_str()), (TOKENS_MAX, "s003"));
    for number in 0..TOKENS_MAX {
        world.run(None, token(&format!("k{number}"), "admin", TokenKind::ApiKey, 1)).unwrap();
    }
    let another = token("k", "admin", TokenKind::ApiKey, 1);
    assert_eq!(world.refused(another), Kind::NotPossibleNow);
}

#[test]
fn a_join_token_lets_one_node_in_and_only_in_time() {
    let mut world = World::new();
    let use_it = |id: &str| Command::UseJoinToken { id: id.into(), node: "n2".into() };
    world.run(None, token("j", "admin", TokenKind::Join, 1)).unwrap();
    world.run(None, token("k", "admin", TokenKind::ApiKey, 1)).unwrap();
    assert_eq!(world.refused(use_it("k")), Kind::TokenNotFound);
    world.run(None, use_it("j")).unwrap();
    assert_eq!(world.refused(use_it("j")), Kind::TokenNotFound);
    // A token of a user that no longer administers the cluster admits no node.
    for change in [
        update("boss", |update| update.role = Some("owner".into())),
        update("boss", |update| update.disabled = Some(true)),
    ] {
        let _ = world.run(None, create("boss", "admin"));
        world.run(None, update("boss", |update| update.role = Some("admin".into()))).unwrap();
        world.run(None, token("b", "boss", TokenKind::Join, 1)).unwrap();
        world.run(None, change).unwrap();
        assert_eq!(world.refused(use_it("b")), Kind::TokenNotFound);
    }
    world.run(None, token("late", "admin", TokenKind::Join, 1)).unwrap();
    world.time_ms = 5_000;
    assert_eq!(world.refused(use_it("late")), Kind::TokenNotFound);
    let ended = Command::RemoveEndedTokens { before_ms: 4_999, rows: 9 };
    assert_eq!(world.run(None, ended), Ok(Outcome::Worked(0)));
    let ended = Command::RemoveEndedTokens { before_ms: 5_000, rows: 1 };
    assert_eq!(world.run(None, ended), Ok(Outcome::Worked(1)));
    assert_eq!(world.tokens(), ["late"]);
}

#[test]
fn what_somebody_does_is_noted_whether_or_not_it_is_done() {
    let mut world = World::new();
    world.run(None, Command::DropDatabase { name: "quiet".into() }).unwrap();
    assert!(world.entries().is_empty(), "what the database does by itself is not noted");
    world.run(Some("admin"), create("ada", "owner")).unwrap();
    world.run(Some("admin"), create("ada", "owner")).unwrap_err();
    world.run(Some("ada"), Command::DropDatabase { name: "shop".into() }).unwrap();
    let secret = update("ada", |update| {
        update.password_hash = Some("the secret hash".into());
        update.role = Some("reader".into());
    });
    world.run(Some("admin"), secret).unwrap();
    world.run(Some("ada"), Command::ClearGarbage { rows: 1 }).unwrap();
    let entries = world.entries();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let user = entry.user.as_deref().unwrap_or("-");
            format!("{user} {} {} {}", entry.action, entry.target, entry.outcome)
        })
        .collect();
    let expected = [
        "admin user_update ada password role=reader ok",
        "ada drop_database shop ok",
        "admin user_create ada (owner) user_exists",
        "admin user_create ada (owner) ok",
    ];
    assert_eq!(told, expected);
    assert!(!format!("{entries:?}").contains("secret hash"));
    let numbers: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    let read = world.store.read().unwrap();
    let earlier = audit::entries(&read, Some(numbers[1]), 1, |_| true).unwrap();
    assert_eq!(earlier, entries[2..3]);
    drop(read);
    for (rows, left) in [(1, 3), (9, 2), (9, 2)] {
        world.run(None, Command::TrimAudit { entries_max: 2, rows }).unwrap();
        assert_eq!(world.entries(), entries[..left]);
    }
}
