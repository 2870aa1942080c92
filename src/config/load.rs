//! File and environment over the defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use edge::access::{InvalidKey, InvalidScope};
use serde::Deserialize;
use storage::without_credentials;
use toml::{Table, Value};
use transcode::{EncoderChoice, EngineName, InvalidProfile, Profile};

use super::{Config, HIDDEN};

/// What the environment's keys begin with: `NOVA__SECTION__KEY`.
const PREFIX: &str = "NOVA__";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named on the command line cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the line.
        message: String,
    },
    /// There is no such key.
    #[error("{origin}: there is no key {key}; did you mean {nearest}?")]
    UnknownKey {
        /// The file or variable it stands in.
        origin: String,
        /// The key as given.
        key: String,
        /// The known key that is spelled most like it.
        nearest: String,
    },
    /// A value that cannot be.
    #[error("{key} = {given}: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        given: String,
        /// What would do.
        expected: String,
    },
    /// A URL that names nothing that Nova knows.
    #[error("{key}: {why}")]
    Url {
        /// The key.
        key: &'static str,
        /// What is wrong with it, without its credentials.
        why: String,
    },
    /// A ladder that cannot be.
    #[error("{key}: {error}")]
    Ladder {
        /// The key.
        key: String,
        /// What is wrong with it, and what was expected.
        error: InvalidProfile,
    },
    /// A key ring that cannot be.
    #[error("{key}: {error}")]
    Keys {
        /// The key.
        key: &'static str,
        /// What is wrong with it, without the keys.
        error: InvalidKey,
    },
    /// A path that is none.
    #[error("{key}: {error}")]
    Path {
        /// The key.
        key: &'static str,
        /// What is wrong with it, and what was expected.
        error: InvalidScope,
    },
    /// There is no data directory and none can be made.
    #[error(
        "cannot make the data directory {}: {source}; let the user that runs Nova write to its parent, or name another with --data-dir", path.display()
    )]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A demo that others could reach: its password and stream key are known to all.
    #[error(
        "{key} = {given}: with --demo every address must be a loopback address, since the demo's password and stream key are public"
    )]
    DemoAddress {
        /// The key.
        key: &'static str,
        /// Its value.
        given: SocketAddr,
    },
    /// What a demo left, where others could reach it: its passwords are known to all.
    #[error(
        "{key} = {given}: {} has the accounts of a demo, whose passwords are public: without --demo, too, every address must be a loopback address there; or name another with --data-dir", path.display()
    )]
    DemoDirectory {
        /// The key.
        key: &'static str,
        /// Its value.
        given: SocketAddr,
        /// The directory.
        path: PathBuf,
    },
}

/// The defaults, then the file (`nova.toml` in the working directory when none is
/// named and it exists), then `NOVA__SECTION__KEY` from `environment`.
pub fn load(
    defaults: &Config,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut values = Table::try_from(defaults).unwrap_or_default();
    let default_file = Path::new("nova.toml");
    let file = file.or_else(|| default_file.exists().then_some(default_file));
    if let Some(path) = file {
        merge_file(&mut values, path)?;
    }
    for (name, value) in environment {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            merge_variable(&mut values, &name, rest, &value)?;
        }
    }
    let config = Config::deserialize(values).map_err(|error| ConfigError::Value {
        key: "configuration".to_owned(),
        // It quotes what was given.
        given: match error.message().trim() {
            quoted if quoted.contains('@') => without_credentials(quoted),
            quoted => quoted.to_owned(),
        },
        expected: "values of the types that `nova config check` prints".to_owned(),
    })?;
    config.check()?;
    Ok(config)
}

fn merge_file(values: &mut Table, path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    let given: Table = text
        .parse()
        .map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: without_the_line(&text, &error),
        })?;
    let origin = path.display().to_string();
    merge_table(values, given, "", &origin)
}

/// The keys below `path`, those of sections in it too.
fn merge_table(
    known: &mut Table,
    given: Table,
    path: &str,
    origin: &str,
) -> Result<(), ConfigError> {
    for (name, value) in given {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match (known.get_mut(&name), value) {
            (Some(Value::Table(section)), Value::Table(given)) => {
                merge_table(section, given, &path, origin)?;
            }
            (Some(known), value) => set(known, value, &path)?,
            (None, Value::Table(given)) if !given.is_empty() => {
                let key = given.keys().next().map_or("", String::as_str);
                return Err(unknown(origin, &format!("{path}.{key}")));
            }
            (None, _) => return Err(unknown(origin, &path)),
        }
    }
    Ok(())
}

/// What is wrong and where. The parser's own message shows the line, which may have a
/// password in it.
fn without_the_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', ", ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("line {line}, column {column}: {message}")
        }
        None => message,
    }
}

fn merge_variable(
    values: &mut Table,
    name: &str,
    rest: &str,
    given: &str,
) -> Result<(), ConfigError> {
    let path = rest.to_lowercase().replace("__", ".");
    let known = find(values, &path).filter(|value| !value.is_table());
    let Some(known) = known else {
        let ConfigError::UnknownKey { key, nearest, .. } = unknown(name, &path) else {
            return Err(unknown(name, &path));
        };
        return Err(ConfigError::UnknownKey {
            origin: "environment".to_owned(),
            key: format!("{name} ({key})"),
            nearest: format!("{PREFIX}{}", nearest.to_uppercase().replace('.', "__")),
        });
    };
    let parsed = match known {
        Value::Integer(_) => given.parse().ok().map(Value::Integer),
        Value::Boolean(_) => given.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let members = given
                .split(',')
                .map(str::trim)
                .filter(|one| !one.is_empty());
            let members = members.map(|one| Value::String(one.to_owned()));
            Some(Value::Array(members.collect()))
        }
        _ => Some(Value::String(given.to_owned())),
    };
    let value = parsed.ok_or_else(|| wrong_type(name, known, given))?;
    set(known, value, name)
}

/// The value at `section.section.key`.
fn find<'a>(values: &'a mut Table, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => values.get_mut(path),
        Some((section, rest)) => find(values.get_mut(section)?.as_table_mut()?, rest),
    }
}

fn set(known: &mut Value, value: Value, path: &str) -> Result<(), ConfigError> {
    if !known.same_type(&value) {
        return Err(wrong_type(path, known, &value.to_string()));
    }
    // Texts with a shape of their own.
    let refused = |expected: String| ConfigError::Value {
        key: path.to_owned(),
        given: value.to_string(),
        expected,
    };
    if let Some(text) = value.as_str() {
        let path = path.to_lowercase().replace("__", ".");
        if path.ends_with("transcode.engine") {
            EngineName::from_str(text).map_err(|_| refused("ffmpeg or gstreamer".to_owned()))?;
        }
        if path.ends_with("transcode.encoder") {
            EncoderChoice::from_str(text)
                .map_err(|_| refused("software, auto, vaapi, nvenc, qsv or v4l2".to_owned()))?;
        }
    }
    if path.to_lowercase().ends_with("bind")
        && let Some(text) = value.as_str()
        && text.parse::<SocketAddr>().is_err()
    {
        return Err(refused(
            "ADDRESS:PORT, for example 127.0.0.1:8080".to_owned(),
        ));
    }
    if path.to_lowercase().ends_with("ladder")
        && let Some(Err(error)) = value.as_str().map(str::parse::<Profile>)
    {
        return Err(ConfigError::Ladder {
            key: path.to_owned(),
            error,
        });
    }
    *known = value;
    Ok(())
}

fn wrong_type(path: &str, known: &Value, given: &str) -> ConfigError {
    let expected = match known {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list, [...]",
        Value::Table(_) => "a section, [name], with keys of its own",
        _ => "a text",
    };
    let path_of_key = path.to_lowercase().replace("__", ".");
    let is_secret = ["access.keys", "hooks.secret"]
        .iter()
        .any(|key| path_of_key.ends_with(key));
    ConfigError::Value {
        key: path.to_owned(),
        given: match is_secret {
            true => HIDDEN.to_owned(),
            false => without_credentials(given),
        },
        expected: expected.to_owned(),
    }
}

fn unknown(origin: &str, key: &str) -> ConfigError {
    let defaults = Table::try_from(Config::default()).unwrap_or_default();
    let mut known = Vec::new();
    names(&defaults, "", &mut known);
    let nearest = known
        .into_iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(candidate, key))
        .unwrap_or_default();
    ConfigError::UnknownKey {
        origin: origin.to_owned(),
        key: key.to_owned(),
        nearest,
    }
}

/// Every key there is, with its sections.
fn names(values: &Table, path: &str, all: &mut Vec<String>) {
    for (name, value) in values {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Table(section) => names(section, &path, all),
            _ => all.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        let owned: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        owned.into_iter()
    }

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nova.toml");
        std::fs::write(&path, text).unwrap();
        load(&Config::default(), Some(&path), variables(&[]))
    }

    #[test]
    fn environment_wins_over_file_over_default() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nova.toml");
        std::fs::write(&path, "[live]\ngrace_seconds = 5\nwindow_segments = 6\n").unwrap();
        let environment = variables(&[("NOVA__LIVE__GRACE_SECONDS", "7"), ("HOME", "/")]);
        let config = load(&Config::default(), Some(&path), environment).unwrap();
        assert_eq!(config.live.grace_seconds, 7);
        assert_eq!(config.live.window_segments, 6);
        assert_eq!(config.live.segment_seconds, 2);
    }

    #[test]
    fn what_is_no_toml_is_told_by_its_place_without_its_line() {
        let text = "[database]\nurl = \"postgres://nova:pa55\"word@db/nova\"\n";
        let error = from_file(text).unwrap_err().to_string();
        assert!(error.contains("line 2, column "), "{error}");
        assert!(!error.contains("pa55") && !error.contains('\n'), "{error}");
        let text = "[database]\nurl = [\"postgres://nova:pa55word@db/nova\"]\n";
        let error = from_file(text).unwrap_err().to_string();
        assert!(error.contains("expected a text"), "{error}");
        assert!(!error.contains("pa55word"), "{error}");
    }

    #[test]
    fn a_url_that_names_nothing_is_refused() {
        for (text, wanted) in [
            (
                "[database]\nurl = \"mysql://a:pa55@b\"",
                "sqlite:FILE or postgres://",
            ),
            ("[objects]\nurl = \"gs://bucket\"", "s3://BUCKET"),
            (
                "[events]\nurl = \"redis://a:pa55@b\"",
                "no bus has this scheme",
            ),
        ] {
            let error = from_file(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(error.contains(".url: "), "{error}");
            assert!(!error.contains("pa55"), "{error}");
        }
    }

    #[test]
    fn upstreams_are_shields_before_origins_or_as_they_are_listed() {
        let members = |text: &str| -> Vec<String> {
            let members = from_file(&format!("[edge]\n{text}"))
                .unwrap()
                .edge
                .members();
            let spell = |one: edge::Member| format!("{} {} {}", one.group, one.kind, one.name);
            members.into_iter().map(spell).collect()
        };
        assert_eq!(members(""), ["1 origin http://127.0.0.1:8081"]);
        assert_eq!(
            members("shields = [\"http://a:1\", \"https://b\"]\norigins = [\"http://c/\"]"),
            [
                "0 shield http://a:1",
                "0 shield https://b",
                "1 origin http://c"
            ]
        );
        assert_eq!(
            members("origin = \"\"\nshields = [\"http://a\"]"),
            ["0 shield http://a"]
        );
        assert_eq!(
            members(
                "shields = [\"http://a\"]\n\
                 [[edge.upstreams]]\nurl = \"http://b\"\ngroup = 3\nkind = \"shield\"\n\
                 [[edge.upstreams]]\nurl = \"http://c\""
            ),
            ["3 shield http://b", "0 origin http://c"]
        );
        let listed = [("NOVA__EDGE__SHIELDS", "http://a:1, http://b:2")];
        let config = load(&Config::default(), None, variables(&listed)).unwrap();
        assert_eq!(config.edge.shields, ["http://a:1", "http://b:2"]);
        // What is printed can be read.
        for text in ["", "[[edge.upstreams]]\nurl = \"http://b\"\n"] {
            let edge = from_file(text).unwrap();
            let printed = from_file(&edge.to_toml().unwrap()).unwrap();
            assert_eq!(printed.edge, edge.edge);
        }
    }

    #[test]
    fn an_upstream_that_cannot_be_says_what_was_expected_and_no_password() {
        for (text, expected) in [
            ("origin = \"\"", "an address there"),
            ("origins = [\"c:1\"]", "https://HOST:PORT"),
            ("shields = [\"http://u:secret@c\"]", "edge.shields"),
            ("shields = \"http://c\"", "a list"),
            ("node = \"a b\"", "1 to 64"),
            (
                "[[edge.upstreams]]\nurl = \"http://c\"\nweight = 0",
                "from 1 to 1000",
            ),
            (
                "[[edge.upstreams]]\nurl = \"http://c\"\nwait = 1",
                "unknown field",
            ),
        ] {
            let error = from_file(&format!("[edge]\n{text}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_password_is_in_what_is_wrong_with_a_url() {
        for text in [
            "[edge]\npublic_url = \"https://u:pa55word@c\"",
            "[http]\nplayback_url = \"https://u:pa55word@c\"",
            "[edge]\nupstreams = [\"http://u:pa55word@c\"]",
        ] {
            let error = from_file(text).unwrap_err().to_string();
            assert!(!error.contains("pa55word"), "{error}");
        }
        let listed = [("NOVA__EDGE__UPSTREAMS", "http://u:pa55word@c")];
        let error = load(&Config::default(), None, variables(&listed));
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("pa55word"), "{error}");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        for (text, nearest) in [
            ("[live]\ngrace_secs = 5", "live.grace_seconds"),
            ("[ingest]\nrtmp_bnd = \"x\"", "ingest.rtmp_bind"),
            ("[htp]\nbind = \"x\"", "http.bind"),
            ("datadir = \"x\"", "data_dir"),
        ] {
            let error = from_file(text).unwrap_err().to_string();
            assert!(
                error.contains(&format!("did you mean {nearest}?")),
                "{error}"
            );
        }
        let error = load(
            &Config::default(),
            None,
            variables(&[("NOVA__INGEST__RTMP_BND", "x")]),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("did you mean NOVA__INGEST__RTMP_BIND?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        for (text, expected) in [
            ("[live]\ngrace_seconds = \"soon\"", "a whole number"),
            ("[live]\nsegment_seconds = 60", "a number from 1 to 4"),
            ("[http]\nbind = \"8080\"", "ADDRESS:PORT"),
            ("live = 3", "a section"),
            ("[edge]\norigin = \"ftp://x\"", "http://HOST:PORT"),
            (
                "[ingest]\nrtmp_url = \"in.example\"",
                "rtmp:// or rtmps://HOST:PORT",
            ),
            ("[edge]\naccess_log = \"\"", "off, -"),
            (
                "[transcode]\nladder = \"fast\"",
                "economy, standard, quality",
            ),
            (
                "[transcode]\nladder = \"480p:1M,720p:2M\"",
                "largest step first",
            ),
            ("[transcode]\nengine = \"libav\"", "ffmpeg or gstreamer"),
            ("[transcode]\nencoder = \"cuda\"", "nvenc"),
        ] {
            let error = from_file(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let error = load(
            &Config::default(),
            None,
            variables(&[("NOVA__TRANSCODE__ENABLED", "maybe")]),
        )
        .unwrap_err();
        assert!(error.to_string().contains("true or false"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_access_is_told_without_the_keys() {
        let secret = "c2VjcmV0";
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
        for (text, wanted) in [
            (
                format!("keys = \"a:hmac-sha256:{secret}\""),
                "access.keys: key \"a\" has 6 bytes",
            ),
            (
                format!("keys = [\"a:hmac-sha256:{key}\"]"),
                "access.keys = ***: expected a text",
            ),
            ("signed = \"/live/\"".to_owned(), "in access.keys or"),
            (
                "signed = \"/live/\"\nkeys = \"# none\"".to_owned(),
                "in access.keys or",
            ),
            (
                "public = \"/live/a/\"".to_owned(),
                "access.public = \"/live/a/\": expected also access.signed",
            ),
            ("signed = \"/live\"".to_owned(), "expected /live/,"),
            ("signed = \"/vod/a\"".to_owned(), "expected /vod/a/,"),
            (
                "signed = \"live\"".to_owned(),
                "access.signed: \"live\" is not a path",
            ),
            ("public = \"/a/../b\"".to_owned(), "access.public: "),
        ] {
            let error = from_file(&format!("[access]\n{text}\n"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(!error.contains(secret) && !error.contains(key), "{error}");
        }
        let text = format!("[access]\nkeys = \"a:hmac-sha256:{key}\"\nsigned = \"/live/\"\n");
        let printed = from_file(&text).unwrap().to_toml().unwrap();
        assert!(
            printed.contains("keys = \"***\"") && !printed.contains(key),
            "{printed}"
        );
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let config = Config::default();
        let mut expected = config.clone();
        expected.database.url = config.database_url();
        expected.objects.url = config.objects_url();
        assert_eq!(from_file(&config.to_toml().unwrap()).unwrap(), expected);
    }
}
