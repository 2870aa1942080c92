//! `[hooks]`: another RTMP server that asks who may publish.

use std::fmt;

use media::AddressRange;
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, HIDDEN};

/// How long the secret is: nobody guesses a short one, and it fits into a URL.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 16..=200;

/// `[hooks]`
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// What another RTMP server proves itself with when it asks who may publish: 16 to 200 of
    /// `A-Z a-z 0-9 - _ . ~`; empty: nobody is answered.
    pub secret: String,
    /// Where it asks from, as addresses or ranges (`10.0.0.0/8`); with a secret one at least.
    pub addresses: Vec<String>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Hooks {
    /// Whether anybody is answered.
    pub fn is_on(&self) -> bool {
        !self.secret.is_empty()
    }

    pub(super) fn hide_secret(&mut self) {
        if self.is_on() {
            self.secret = HIDDEN.to_owned();
        }
    }

    fn ranges(&self) -> Option<Vec<AddressRange>> {
        let ranges = self.addresses.iter().map(|text| text.parse());
        ranges.collect::<Result<_, _>>().ok()
    }

    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refused = |key: &str, given: String, expected: &str| ConfigError::Value {
            key: format!("hooks.{key}"),
            given,
            expected: expected.to_owned(),
        };
        let in_urls = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let is_secret =
            SECRET_LENGTH.contains(&self.secret.len()) && self.secret.bytes().all(in_urls);
        if self.is_on() && !is_secret {
            let expected = "16 to 200 of A-Z a-z 0-9 - _ . ~";
            return Err(refused("secret", HIDDEN.to_owned(), expected));
        }
        let given = format!("{:?}", self.addresses);
        if self.ranges().is_none() {
            let expected = "addresses like 192.0.2.7, 10.0.0.0/8, ::1 or 2001:db8::/48";
            return Err(refused("addresses", given, expected));
        }
        if self.is_on() && self.addresses.is_empty() {
            let expected = "where the other RTMP server asks from: hooks.secret is set";
            return Err(refused("addresses", given, expected));
        }
        Ok(())
    }
}

impl Config {
    /// From where hooks are asked. Checked when the configuration was read.
    pub fn hook_addresses(&self) -> Vec<AddressRange> {
        self.hooks.ranges().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(secret: &str, addresses: &[&str]) -> Result<(), String> {
        let hooks = Hooks {
            secret: secret.to_owned(),
            addresses: addresses.iter().map(|&text| text.to_owned()).collect(),
        };
        assert!(!format!("{hooks:?}").contains("0123456789"), "{hooks:?}");
        hooks.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_long_and_asked_from_somewhere() {
        checked("", &[]).unwrap();
        checked("0123456789abcdef", &["127.0.0.1", "10.0.0.0/8"]).unwrap();
        for (secret, addresses, key) in [
            ("0123456789abcde", &["127.0.0.1"][..], "hooks.secret"),
            ("0123456789abcdef&x=1", &["127.0.0.1"], "hooks.secret"),
            ("0123456789abcdef", &[], "hooks.addresses"),
            ("0123456789abcdef", &["localhost"], "hooks.addresses"),
        ] {
            let error = checked(secret, addresses).unwrap_err();
            assert!(error.contains(key), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }
}
