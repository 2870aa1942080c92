//! Accounts: who may own streams.

pub mod refresh;

use std::fmt;
use std::str::FromStr;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use media::Clock;
use storage::Database;
use storage::rows::users::{self, UserRow};
use tokio::sync::Semaphore;

use crate::ServiceError;

/// Passwords hashed at once. Each takes 19 MiB and a core for some tens of milliseconds;
/// the others wait.
const HASHES_AT_ONCE: usize = 2;

static HASHING: Semaphore = Semaphore::const_new(HASHES_AT_ONCE);

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

/// A password as its owner typed it. Its `Debug` form tells nothing.
#[derive(Clone)]
pub struct Password(String);

/// The shortest password, in characters: NIST SP 800-63B 5.1.1.2.
const MIN_PASSWORD: usize = 8;

/// The longest password, in bytes.
const MAX_PASSWORD: usize = 1_024;

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

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name.
    pub name: UserName,
    /// Address.
    pub email: Email,
    /// Password.
    pub password: Password,
    /// Whether the user administers this installation.
    pub is_admin: bool,
}

/// Makes a user.
pub async fn create_user(
    db: &Database,
    clock: &dyn Clock,
    user: NewUser,
) -> Result<UserRow, ServiceError> {
    let password_hash = hash(user.password).await?;
    let row = users::NewUser {
        name: user.name.as_str(),
        email: user.email.as_str(),
        password_hash: &password_hash,
        is_admin: user.is_admin,
    };
    Ok(users::create(db, row, clock.now()).await?)
}

/// The password's Argon2id hash as a PHC string, with a random salt.
async fn hash(password: Password) -> Result<String, ServiceError> {
    let failed = |error: &dyn fmt::Display| ServiceError::internal("password hash", error);
    let _turn = HASHING.acquire().await.map_err(|error| failed(&error))?;
    tokio::task::spawn_blocking(move || {
        Argon2::default()
            .hash_password(password.0.as_bytes())
            .map(|hash| hash.to_string())
    })
    .await
    .map_err(|error| failed(&error))?
    .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

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

    #[test]
    fn passwords() {
        let typed: Password = "demo-password".parse().unwrap();
        assert!(!format!("{typed:?}").contains("demo"));
        assert!("ééééééé".parse::<Password>().is_err());
        assert!("éééééééé".parse::<Password>().is_ok());
        assert!("x".repeat(MAX_PASSWORD + 1).parse::<Password>().is_err());
    }

    #[tokio::test]
    async fn hashes_are_salted_argon2id() {
        let typed: Password = "demo-password".parse().unwrap();
        let one = hash(typed.clone()).await.unwrap();
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, hash(typed).await.unwrap());
        let parsed = PasswordHash::new(&one).unwrap();
        let verify = |password: &[u8]| Argon2::default().verify_password(password, &parsed);
        assert!(verify(b"demo-password").is_ok());
        assert!(verify(b"demo-passwore").is_err());
    }
}
