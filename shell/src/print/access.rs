//! Users, tokens and the audit log, for people.

use super::{Format, Output, fields, rows};
use jettra_driver::wire::{
    ALL_DATABASES, AuditReply, SessionReply, TokenInfo, TokenKind, TokenReply, UserInfo,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Who is calling, and what they may do.
pub(crate) fn session(session: &SessionReply) -> Output {
    let role = session.role.as_deref();
    let mut record = json!({
        "user": session.username, "role": role.unwrap_or_default(),
        "databases": databases(role, &session.allowed_dbs),
    });
    if !session.grants.is_empty() {
        record["grants"] = grants(&session.grants).into();
    }
    Output::Report { text: fields(&record), answer: json!(session) }
}

/// The users as a table.
pub(crate) fn users(list: &[UserInfo], format: Format) -> Output {
    let list_rows: Vec<Value> = list.iter().map(user_row).collect();
    Output::Report { text: rows(&list_rows, format), answer: json!(list) }
}

/// One user, line by line.
pub(crate) fn user(user: &UserInfo) -> Output {
    let mut record = user_row(user);
    record["created"] = time(user.created_ms).into();
    record["changed"] = time(user.changed_ms).into();
    Output::Report { text: fields(&record), answer: json!(user) }
}

fn user_row(user: &UserInfo) -> Value {
    json!({
        "user": user.username, "role": user.role,
        "databases": databases(Some(&user.role), &user.allowed_dbs),
        "grants": grants(&user.grants),
        "state": if user.disabled { "disabled" } else { "active" },
    })
}

/// The databases that a role holds for.
fn databases(role: Option<&str>, names: &[String]) -> String {
    match names {
        _ if role == Some("admin") => "all".to_owned(),
        names if names.iter().any(|name| name == ALL_DATABASES) => "all".to_owned(),
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

fn grants(grants: &BTreeMap<String, String>) -> String {
    let each = grants.iter().map(|(database, role)| format!("{database}={role}"));
    each.collect::<Vec<_>>().join(", ")
}

/// Sessions, API keys and join tokens as a table.
pub(crate) fn tokens(list: &[TokenInfo], format: Format) -> Output {
    let row = |one: &TokenInfo| {
        json!({
            "id": one.id, "kind": kind(one.kind), "user": one.user,
            "name": one.name.as_deref().unwrap_or_default(),
            "may": limits(one), "created": time(one.created_ms), "ends": ends(one),
        })
    };
    let text = match list {
        [] => "There are no sessions and no keys.\n".to_owned(),
        list => rows(&list.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(list) }
}

fn kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Session => "session",
        TokenKind::ApiKey => "API key",
        TokenKind::Join => "join token",
    }
}

/// The most that a token may do.
fn limits(token: &TokenInfo) -> String {
    let role = token.role.as_deref();
    match (token.kind, role, &token.databases) {
        (TokenKind::Join, ..) => "admit one node".to_owned(),
        (_, None, None) => "all that its user may do".to_owned(),
        (_, role, None) => role.unwrap_or_default().to_owned(),
        (_, role, Some(names)) => {
            format!("{} in {}", role.unwrap_or("all"), databases(None, names))
        }
    }
}

fn ends(token: &TokenInfo) -> String {
    token.expires_ms.map_or("never".to_owned(), time)
}

/// A new API key with its secret.
pub(crate) fn new_key(made: &TokenReply) -> Output {
    let until = match made.info.expires_ms {
        Some(expires_ms) => format!("It holds until {}", time(expires_ms)),
        None => "It holds until it is revoked".to_owned(),
    };
    let text = format!(
        "{}\nThis is the key {}. It is not shown again: keep it where only its program reads it.\n\
         {until}; end it with: revoke token {}\n\
         Programs send it as: Authorization: Bearer <key>; the shell takes it with --api-key-file.\n",
        made.token,
        super::printable(made.info.name.as_deref().unwrap_or_default()),
        made.info.id,
    );
    Output::Report { text, answer: json!(made) }
}

/// A new join token, and the command that starts a node with it.
pub(crate) fn join_token(made: &TokenReply, leader: &str) -> Output {
    let command = format!(
        "jettradb --distributed --peers {} --join-token {} --port 8080 --data-dir data",
        super::printable(leader),
        made.token
    );
    let until = made.info.expires_ms.map_or(String::new(), |ms| format!(" until {}", time(ms)));
    let text = format!(
        "{}\nThis token admits one node{until}. It is not shown again. Start the new node with:\n  \
         {command}\nOn another machine, add --host and --advertise-url with its address.\n",
        made.token
    );
    let mut answer = json!(made);
    answer["command"] = command.into();
    Output::Report { text, answer }
}

/// Who did what, as a table.
pub(crate) fn audit(reply: &AuditReply, format: Format) -> Output {
    let entries = reply.entries.iter().map(|entry| {
        json!({
            "id": entry.id, "time": time(entry.time_ms),
            "user": entry.user.as_deref().unwrap_or(match entry.from {
                Some(_) => "not logged in", // a caller whose login fails has proved no name
                None => "the database",
            }),
            "from": entry.from.as_deref().unwrap_or_default(),
            "action": entry.action, "target": entry.target, "outcome": entry.outcome.replace('_', " "),
        })
    });
    let mut text = match reply.entries.is_empty() {
        true => "There is no such entry.\n".to_owned(),
        false => rows(&entries.collect::<Vec<_>>(), format),
    };
    if let Some(next) = reply.next {
        let break_before = if text.ends_with('\n') { "" } else { "\n" };
        text += &format!("{break_before}Older ones: show audit --before {next}\n");
    }
    Output::Report { text, answer: json!(reply.entries) }
}

const SECOND_MS: u64 = 1_000;
const DAY_SECONDS: u64 = 86_400;

/// A moment in UTC, to the second: `2026-03-01 12:00:00Z`.
fn time(since_1970_ms: u64) -> String {
    let seconds = since_1970_ms / SECOND_MS;
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let (hours, minutes) = (seconds % DAY_SECONDS / 3_600, seconds % 3_600 / 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

/// Year, month and day of the Gregorian calendar, from the days since 1970
/// (Howard Hinnant, `civil_from_days`). Years begin in March here, so that leap days come last.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097; // 400 years
    let days = days.saturating_add(719_468); // since the first of March of the year 0
    let (era, of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, render};

    const FORMAT: Format = Format { mode: Mode::Compact, width: None, quiet: false };

    #[test]
    fn times_are_those_of_the_calendar() {
        let table = [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399_999, "2000-02-28 23:59:59Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_772_366_400_000, "2026-03-01 12:00:00Z"),
            (4_107_542_399_000, "2100-02-28 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ];
        for (ms, expected) in table {
            assert_eq!(time(ms), expected, "{ms}");
        }
        time(u64::MAX); // is some date
    }

    fn ada() -> UserInfo {
        UserInfo {
            id: "ada".into(),
            username: "ada".into(),
            role: "reader".into(),
            allowed_dbs: vec!["shop".into(), "crm".into()],
            grants: BTreeMap::from([("shop".to_owned(), "owner".to_owned())]),
            disabled: true,
            created_ms: 0,
            changed_ms: 0,
        }
    }

    #[test]
    fn users_are_shown_with_what_they_may_do() {
        let text = render(&users(&[ada()], FORMAT), FORMAT);
        for part in ["ada", "reader", "shop, crm", "shop=owner", "disabled"] {
            assert!(text.contains(part), "{text}");
        }
        let json = Format { mode: Mode::Ndjson, ..FORMAT };
        let text = render(&users(&[ada()], json), json);
        assert!(text.starts_with("{\"_id\":\"ada\"") && text.ends_with("}\n"), "{text}");
        let admin = UserInfo { role: "admin".into(), allowed_dbs: vec![], ..ada() };
        assert!(render(&user(&admin), FORMAT).contains("databases = all"));
    }

    #[test]
    fn a_session_tells_what_one_may_do() {
        let reply = json!({
            "username": "ada", "role": "reader", "allowed_dbs": ["shop"], "grants": {"crm": "owner"},
        });
        let reply = serde_json::from_value(reply).unwrap();
        let text = render(&session(&reply), FORMAT);
        assert!(text.contains("databases = shop\n") && text.contains("crm=owner"), "{text}");
        let admin = json!({"username": "admin", "role": "admin", "allowed_dbs": ["*"]});
        let text = render(&session(&serde_json::from_value(admin).unwrap()), FORMAT);
        assert!(text.contains("all\n") && !text.contains("grants"), "{text}");
    }

    fn made(kind: TokenKind) -> TokenReply {
        let info = TokenInfo {
            id: "0f".into(),
            kind,
            user: "ada".into(),
            name: Some("ci\u{1b}[2J".into()),
            role: Some("reader".into()),
            databases: Some(vec!["shop".into()]),
            created_ms: 0,
            expires_ms: Some(3_600_000),
        };
        TokenReply { token: "jettra_0f_secret".into(), info }
    }

    #[test]
    fn a_new_key_is_shown_with_the_way_to_end_it() {
        let text = render(&new_key(&made(TokenKind::ApiKey)), FORMAT);
        assert!(text.starts_with("jettra_0f_secret\n"), "{text}");
        assert!(text.contains("not shown again") && text.contains("revoke token 0f"), "{text}");
        assert!(text.contains("1970-01-01 01:00:00Z") && !text.contains('\u{1b}'), "{text}");
        let json = Format { mode: Mode::Json, ..FORMAT };
        let answer: Value =
            serde_json::from_str(&render(&new_key(&made(TokenKind::ApiKey)), json)).unwrap();
        assert_eq!(answer["token"], "jettra_0f_secret");
    }

    #[test]
    fn a_join_token_comes_with_the_whole_command() {
        let output = join_token(&made(TokenKind::Join), "http://h:1");
        let command = "jettradb --distributed --peers http://h:1 --join-token jettra_0f_secret";
        assert!(render(&output, FORMAT).contains(command), "{output:?}");
    }

    #[test]
    fn what_a_token_may_do_is_said_in_words() {
        let info = made(TokenKind::ApiKey).info;
        let unlimited = TokenInfo { role: None, databases: None, ..info.clone() };
        let all = TokenInfo { role: None, ..info.clone() };
        let table = [
            (&info, "reader in shop"),
            (&all, "all in shop"),
            (&unlimited, "all that its user may do"),
        ];
        for (token, expected) in table {
            assert_eq!(limits(token), expected);
        }
        assert!(render(&tokens(&[], FORMAT), FORMAT).contains("no sessions"));
    }

    #[test]
    fn the_audit_log_tells_where_it_goes_on() {
        let entry = json!({
            "_id": 9, "time_ms": 0, "user": "ada", "from": "127.0.0.1", "action": "login",
            "target": "ada", "outcome": "ok",
        });
        let reply = json!({"entries": [entry], "next": 9});
        let reply = serde_json::from_value(reply).unwrap();
        let text = render(&audit(&reply, FORMAT), FORMAT);
        assert!(text.contains("login") && text.ends_with("--before 9\n"), "{text}");
    }
}
