//! Addresses that mail is sent to.

use std::str::FromStr;

/// An email address that mail could be sent to: `local@domain`, ASCII, without quoting
/// (RFC 5321 4.1.2 `Dot-string` and `Domain`). Only sending tells whether it exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email(String);

/// The longest address, in characters: RFC 5321 4.5.3.1.3 without the angle brackets.
const MAX_EMAIL: usize = 254;

/// The longest local part, in characters: RFC 5321 4.5.3.1.1.
const MAX_LOCAL_PART: usize = 64;

/// The longest label of a domain, in characters: RFC 1035 2.3.4.
const MAX_LABEL: usize = 63;

/// Why a text cannot be an email address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "email address {0:?} is not valid: expected name@domain in ASCII, {MAX_EMAIL} characters at most"
)]
pub struct InvalidEmail(String);

impl FromStr for Email {
    type Err = InvalidEmail;
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let valid = text.len() <= MAX_EMAIL
            && text
                .split_once('@')
                .is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidEmail(text.chars().take(MAX_EMAIL + 1).collect()))
        }
    }
}

/// RFC 5321 4.1.2 `Dot-string`: atoms (RFC 5322 3.2.3 `atext`) joined by dots.
fn is_local_part(text: &str) -> bool {
    let atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    text.len() <= MAX_LOCAL_PART
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(atext))
}

/// RFC 5321 4.1.2 `Domain`. One label alone is one: `root@localhost`.
fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let long_label = format!("a@{}.org", "x".repeat(63));
        for good in [
            "a@b",
            "root@localhost",
            "a.b+c'd@mail.example.org",
            &long_label,
        ] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a b@c",
            "a@b\r\nBcc: x@y",
            "a@b_c",
            "é@b",
            &format!("{}@b", "x".repeat(65)),
            &format!("a@{}", "x".repeat(64)),
            &format!("a@{}c", "b.".repeat(130)),
        ] {
            let error = bad.parse::<Email>().unwrap_err();
            assert!(error.to_string().contains("name@domain"), "{error}");
        }
    }
}
