//! What a token grants.

use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use media::{AddressRange, InvalidAddressRange, Micros, Timestamp};

use super::scope::{InvalidScope, PathScope};

/// Bytes of the longest session name.
const MAX_SESSION_BYTES: usize = 64;
/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The name of a viewer's session: 1 to 64 of the characters `A-Z a-z 0-9 - . _ ~`. It means
/// something to who gave it; it is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionName(Arc<str>);

impl SessionName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionName {
    type Err = InvalidClaims;

    fn from_str(text: &str) -> Result<Self, InvalidClaims> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        match (1..=MAX_SESSION_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            true => Ok(Self(text.into())),
            false => Err(InvalidClaims::Session),
        }
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token grants, to whom, and for how long. Times have whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What may be asked for.
    pub path: PathScope,
    /// From when on it may not.
    pub expires: Timestamp,
    /// From when on it may.
    pub not_before: Option<Timestamp>,
    /// Who may.
    pub address: Option<AddressRange>,
    /// For whom usage is counted, and what a revocation names.
    pub session: Option<SessionName>,
}

/// Why a text says no [`Claims`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaims {
    /// A line that is no claim, or one that is there already.
    #[error("line {0} is not a claim: expected path=, exp=, nbf=, addr= or sid=, each once")]
    Line(usize),
    /// `path` is missing.
    #[error("there is no path")]
    NoPath,
    /// `exp` is missing.
    #[error("there is no exp")]
    NoExpiry,
    /// A time that is not one.
    #[error("{0} is not a time: expected seconds since 1970 as a decimal number")]
    Time(&'static str),
    /// `path` is not one.
    #[error(transparent)]
    Path(#[from] InvalidScope),
    /// `addr` is not one.
    #[error(transparent)]
    Address(#[from] InvalidAddressRange),
    /// `sid` is not one.
    #[error("the session is not valid: expected 1 to 64 letters, digits or - . _ ~")]
    Session,
}

impl Claims {
    /// For `path` until `expires`, and nothing beyond that asked.
    pub fn new(path: PathScope, expires: Timestamp) -> Self {
        Self {
            path,
            expires,
            not_before: None,
            address: None,
            session: None,
        }
    }
}

/// One claim a line: `path=/live/demo/`, `exp=1767225600`, then `nbf=`, `addr=` and `sid=`
/// where they are claimed.
impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path={}\nexp={}", self.path, seconds(self.expires))?;
        if let Some(not_before) = self.not_before {
            write!(f, "\nnbf={}", seconds(not_before))?;
        }
        if let Some(address) = self.address {
            write!(f, "\naddr={address}")?;
        }
        if let Some(session) = &self.session {
            f.write_char('\n')?;
            write!(f, "sid={session}")?;
        }
        Ok(())
    }
}

/// In any order. A claim that is not known is an error: it may take back what others grant.
impl FromStr for Claims {
    type Err = InvalidClaims;

    fn from_str(text: &str) -> Result<Self, InvalidClaims> {
        let (mut path, mut expires) = (None, None);
        let (mut not_before, mut address, mut session) = (None, None, None);
        for (index, line) in text.split('\n').enumerate() {
            let refused = InvalidClaims::Line(index + 1);
            let (name, value) = line.split_once('=').ok_or(refused.clone())?;
            let again = match name {
                "path" => path.replace(value.parse()?).is_some(),
                "exp" => expires.replace(time("exp", value)?).is_some(),
                "nbf" => not_before.replace(time("nbf", value)?).is_some(),
                "addr" => address.replace(value.parse()?).is_some(),
                "sid" => session.replace(value.parse()?).is_some(),
                _ => return Err(refused),
            };
            if again {
                return Err(refused);
            }
        }
        Ok(Self {
            path: path.ok_or(InvalidClaims::NoPath)?,
            expires: expires.ok_or(InvalidClaims::NoExpiry)?,
            not_before,
            address,
            session,
        })
    }
}

fn seconds(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000_000).clamp(0, LAST_SECOND)
}

fn time(name: &'static str, value: &str) -> Result<Timestamp, InvalidClaims> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let seconds = digits.then(|| value.parse().ok()).flatten();
    seconds
        .filter(|seconds| *seconds <= LAST_SECOND)
        .map(|seconds| Timestamp::from_micros(Micros::from_secs(seconds).as_micros()))
        .ok_or(InvalidClaims::Time(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str =
        "path=/live/demo/\nexp=1767225600\nnbf=1767222000\naddr=192.0.2.0/24\nsid=a-1";

    #[test]
    fn claims_are_lines() {
        let claims: Claims = ALL.parse().unwrap();
        assert_eq!(claims.to_string(), ALL);
        assert_eq!(claims.expires.to_rfc3339(), "2026-01-01T00:00:00.000Z");
        let few = "path=/a\nexp=0";
        let claims: Claims = few.parse().unwrap();
        assert_eq!(claims.to_string(), few);
        let turned: Claims = "exp=0\npath=/a".parse().unwrap();
        assert_eq!(turned, claims);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, wanted) in [
            ("", "line 1"),
            ("exp=1", "no path"),
            ("path=/a", "no exp"),
            ("path=/a\nexp=1\npath=/b", "line 3"),
            ("path=/a\nexp=1\nexp=2", "line 3"),
            ("path=/a\nexp=1\n", "line 3"),
            ("path=/a\nexp=1\nrate=5", "line 3"),
            ("path=/a\r\nexp=1", "/a\\r"),
            ("path=/a\nexp=-1", "exp is not a time"),
            ("path=/a\nexp=", "exp is not a time"),
            ("path=/a\nexp=253402300800", "exp is not a time"),
            ("path=/a\nexp=99999999999999999999", "exp is not a time"),
            ("path=/a\nexp=1\nnbf=1.5", "nbf is not a time"),
            ("path=/a\nexp=1\naddr=here", "\"here\""),
            ("path=/a\nexp=1\nsid=", "1 to 64"),
            ("path=/a\nexp=1\nsid=a b", "1 to 64"),
            ("path=/a/../b\nexp=1", "dot segment"),
        ] {
            let error = text.parse::<Claims>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}
