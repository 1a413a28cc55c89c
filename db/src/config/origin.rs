//! Where each setting comes from.

use super::keys::{KEYS, Key, find};
use super::{Config, File, Rockraft, parse_file};
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What a secret is shown as.
const HIDDEN: &str = "(hidden)";

/// Where the value of a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A variable of the environment.
    Environment,
    /// The configuration file.
    File,
    /// Nobody has said otherwise.
    Default,
}

/// A setting.
pub struct Setting {
    /// Its key.
    pub key: &'static Key,
    /// Its value.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
}

/// All settings, in the order of [`KEYS`]; whether they can be used is not checked yet.
pub struct Settings {
    /// The settings.
    pub all: Vec<Setting>,
    /// Notes about the file for the operator.
    pub(super) notes: Vec<String>,
    /// The file of rockraft's example, if it is one.
    pub(super) rockraft: Option<Rockraft>,
}

impl Settings {
    /// Merges defaults, file, environment and flags.
    ///
    /// `environment` looks a variable up, `flags` holds the command line's values by key.
    ///
    /// # Errors
    /// `invalid_parameter` for a value of another type, or a file with unknown keys.
    pub fn collect(
        file: Option<File<'_>>,
        environment: impl Fn(&str) -> Option<String>,
        flags: &BTreeMap<&'static str, String>,
    ) -> Result<Settings> {
        let mut rockraft = None;
        let (from_file, notes) = match file {
            None => Default::default(),
            Some(File::Json(text)) => parse_file(text)?,
            Some(File::Rockraft(text)) => {
                let file = rockraft.insert(Rockraft::parse(text)?);
                let tls = find("TlsCert").is_some_and(|key| {
                    flags.contains_key(key.name) || environment(&key.variable()).is_some()
                });
                (file.settings(tls)?, Vec::new())
            }
        };
        let mut all = Vec::with_capacity(KEYS.len());
        for key in KEYS {
            let flag = flags.get(key.name).map(|text| key.parse_text(text, "flag")).transpose()?;
            let variable = environment(&key.variable());
            let variable = variable.map(|text| key.parse_text(&text, "environment")).transpose()?;
            let given = [
                (flag, Origin::Flag),
                (variable, Origin::Environment),
                (from_file.get(key.name).cloned(), Origin::File),
            ];
            let given = given.into_iter().find_map(|(value, origin)| Some((value?, origin)));
            let default = || serde_json::from_str(key.default).unwrap_or(Value::Null);
            let (value, origin) = given.unwrap_or_else(|| (default(), Origin::Default));
            all.push(Setting { key, value, origin });
        }
        Ok(Settings { all, notes, rockraft })
    }

    /// Checks the settings, each by itself and together.
    ///
    /// # Errors
    /// `invalid_parameter` that names the key and what would be right.
    pub fn check(&self) -> Result<Config> {
        Config::from_settings(self)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Flag => "flag",
            Origin::Environment => "environment",
            Origin::File => "file",
            Origin::Default => "default",
        })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting { key, value, origin } = self;
        match key.is_secret() && !value.is_null() {
            true => write!(f, "{:<19} {origin:<11} {HIDDEN}", key.name),
            false => write!(f, "{:<19} {origin:<11} {value}", key.name),
        }
    }
}

/// One setting a line: its key, its origin, its value as JSON.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.iter().try_for_each(|setting| writeln!(f, "{setting}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_an_origin_and_no_secret_is_shown() {
        let file = r#"{"Port": 1000, "HeartbeatMs": 60, "AdminPassword": "from the file"}"#;
        let environment = |name: &str| match name {
            "JETTRA_PORT" => Some("2000".to_owned()),
            "JETTRA_CLUSTER_SECRET" => Some("0123456789abcdef".to_owned()),
            _ => None,
        };
        let flags = BTreeMap::from([("DataDir", "d".to_owned())]);
        let settings = Settings::collect(Some(File::Json(file)), environment, &flags).unwrap();
        let text = settings.to_string();
        for expected in [
            "Port                environment 2000",
            "HeartbeatMs         file        60",
            "DataDir             flag        \"d\"",
            "MaxVoters           default     5",
            "ClusterSecret       environment (hidden)",
            "AdminPassword       file        (hidden)",
            "JoinToken           default     null",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}: {text}");
        }
        assert_eq!(text.lines().count(), KEYS.len());
        assert!(!text.contains("0123456789abcdef") && !text.contains("from the file"), "{text}");
        assert_eq!(settings.check().unwrap().port, 2000);
    }

    #[test]
    fn what_cannot_be_used_is_still_shown() {
        let flags =
            BTreeMap::from([("Bootstrap", "true".to_owned()), ("Peers", "http://a:1".to_owned())]);
        let settings = Settings::collect(None, |_| None, &flags).unwrap();
        assert!(settings.to_string().contains("Peers               flag        [\"http://a:1\"]"));
        assert!(settings.check().unwrap_err().message.contains("Peers"));
    }
}
