//! `create key`: creates an API key for a program.

use super::milliseconds;
use super::rights::{DATABASES, ROLE, names, role};
use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, printable, time};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{NewToken, TokenReply};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["create key"],
    arguments: &[
        Required(Kind::Other("new-name")),
        ROLE,
        DATABASES,
        Valued("--days", "N", Kind::Other("N")),
    ],
    help: "Create an API key of your own, and show it once",
    examples: &["create key nightly-import --role writereader --databases shop --days 90"],
    driver: &["create_api_key"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

const DAY_MS: u64 = 86_400_000;

#[derive(Debug, PartialEq)]
struct CreateKey {
    name: String,
    role: Option<String>,
    databases: Option<Vec<String>>,
    /// After which it ends.
    days: Option<u64>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let name = words.required("the name of the key")?;
    let mut key = CreateKey { name, role: None, databases: None, days: None };
    words.flags(|flag, words| {
        match flag {
            "--role" => key.role = Some(role(words)?),
            "--databases" => key.databases = Some(names(&words.required("the databases")?)),
            "--days" => key.days = Some(words.number(flag)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(key)
}

impl Action for CreateKey {
    async fn run(self, session: &mut Session) -> StatementResult {
        let CreateKey { name, role, databases, days } = self;
        let expires_in_ms = days.map(|days| milliseconds(days, DAY_MS)).transpose()?;
        let key = NewToken { name, role, databases, expires_in_ms };
        Ok(report(&session.client.create_api_key(&key).await?))
    }
}

fn report(created: &TokenReply) -> Output {
    let until = match created.info.expires_ms {
        Some(expires_ms) => format!("It holds until {}", time(expires_ms)),
        None => "It holds until it is revoked".to_owned(),
    };
    let text = format!(
        "{}\nThis is the key {}. It is not shown again: keep it where only its program reads it.\n\
         {until}; end it with: revoke token {}\n\
         Programs send it as: Authorization: Bearer <key>; the shell takes it with --api-key-file.\n",
        created.token,
        printable(created.info.name.as_deref().unwrap_or_default()),
        created.info.id,
    );
    Output::Report { text, answer: json!(created) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::{Format, Mode, render, rendered};
    use serde_json::Value;

    #[test]
    fn limits_of_a_key_are_flags() {
        let bare = CreateKey { name: "ci".into(), role: None, databases: None, days: None };
        assert_eq!(parsed::<CreateKey>("create key ci"), bare);
        let text = "create key ci --role reader --databases a --days 30";
        let (role, databases) = (Some("reader".to_owned()), Some(vec!["a".to_owned()]));
        assert_eq!(
            parsed::<CreateKey>(text),
            CreateKey { role, databases, days: Some(30), ..bare }
        );
    }

    #[test]
    fn a_new_key_is_shown_with_the_way_to_end_it() {
        let created: TokenReply = serde_json::from_value(json!({
            "token": "jettra_0f_secret", "id": "0f", "kind": "api_key", "user": "ada",
            "name": "ci\u{1b}[2J", "created_ms": 0, "expires_ms": 3_600_000,
        }))
        .unwrap();
        let text = rendered(&report(&created));
        assert!(text.starts_with("jettra_0f_secret\n"), "{text}");
        assert!(text.contains("not shown again") && text.contains("revoke token 0f"), "{text}");
        assert!(text.contains("1970-01-01 01:00:00Z") && !text.contains('\u{1b}'), "{text}");
        let json = render(&report(&created), Format::plain(Mode::Json));
        let answer: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(answer["token"], "jettra_0f_secret");
    }
}
