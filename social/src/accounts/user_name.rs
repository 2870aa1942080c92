//! Names of users.

use std::fmt;
use std::str::FromStr;

/// A user's name: 1 to 32 characters of `A-Z a-z 0-9 - _`, the first a letter or digit.
/// Shown as it was given; upper and lower case are the same name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserName(String);

/// The longest user name, in characters.
const MAX_USER_NAME: usize = 32;

/// Why a text cannot be a user's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "user name {0:?} is not valid: expected 1 to {MAX_USER_NAME} characters of A-Z a-z 0-9 - _, the first a letter or digit"
)]
pub struct InvalidUserName(String);

impl FromStr for UserName {
    type Err = InvalidUserName;
    fn from_str(text: &str) -> Result<Self, InvalidUserName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= MAX_USER_NAME && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidUserName(
                text.chars().take(MAX_USER_NAME + 1).collect(),
            ))
        }
    }
}

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names() {
        for good in ["ada", "Ada-1_x", "0", &"x".repeat(32)] {
            assert!(good.parse::<UserName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a.b", "é", "a\n", &"x".repeat(33)] {
            let error = bad.parse::<UserName>().unwrap_err();
            assert!(error.to_string().contains("expected 1 to 32"), "{error}");
        }
    }
}
