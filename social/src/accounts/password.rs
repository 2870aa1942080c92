//! Passwords as they are typed.

use std::fmt;
use std::str::FromStr;

/// A password as its owner typed it. Its `Debug` form tells nothing.
#[derive(Clone)]
pub struct Password(String);

/// The shortest password, in characters: NIST SP 800-63B 5.1.1.2.
const MIN_PASSWORD: usize = 8;

/// The longest password, in bytes.
pub(super) const MAX_PASSWORD: usize = 1_024;

/// Why a text cannot be a password. It does not say which text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a password has at least {MIN_PASSWORD} characters, and at most {MAX_PASSWORD} bytes")]
pub struct InvalidPassword;

impl FromStr for Password {
    type Err = InvalidPassword;
    fn from_str(text: &str) -> Result<Self, InvalidPassword> {
        if text.len() <= MAX_PASSWORD && text.chars().count() >= MIN_PASSWORD {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPassword)
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

impl Password {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let typed: Password = "demo-password".parse().unwrap();
        assert!(!format!("{typed:?}").contains("demo"));
        assert!("ééééééé".parse::<Password>().is_err());
        assert!("éééééééé".parse::<Password>().is_ok());
        assert!("x".repeat(MAX_PASSWORD + 1).parse::<Password>().is_err());
    }
}
