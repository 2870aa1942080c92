//! The closed sets of words that a stream's row has.

use std::fmt;
use std::str::FromStr;

/// What happens when somebody publishes with a valid key to a stream that has a
/// publisher.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TakeoverPolicy {
    /// The new publisher takes over: the usual reason is that the old one's connection
    /// is dead and nobody knows yet.
    #[default]
    Takeover,
    /// The new publisher is rejected.
    Reject,
}

impl TakeoverPolicy {
    /// As it stands in its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Takeover => "takeover",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for TakeoverPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no [`TakeoverPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("takeover policy {0:?} is not valid: expected takeover or reject")]
pub struct InvalidTakeoverPolicy(String);

impl FromStr for TakeoverPolicy {
    type Err = InvalidTakeoverPolicy;
    fn from_str(text: &str) -> Result<Self, InvalidTakeoverPolicy> {
        match text {
            "takeover" => Ok(Self::Takeover),
            "reject" => Ok(Self::Reject),
            _ => Err(InvalidTakeoverPolicy(text.to_owned())),
        }
    }
}

/// Whom a stream is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Its owner, and whoever follows them.
    Followers,
    /// Its owner.
    Private,
}

impl Visibility {
    /// As it stands in its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Followers => "followers",
            Self::Private => "private",
        }
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no [`Visibility`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("visibility {0:?} is not valid: expected public, followers or private")]
pub struct InvalidVisibility(String);

impl FromStr for Visibility {
    type Err = InvalidVisibility;
    fn from_str(text: &str) -> Result<Self, InvalidVisibility> {
        match text {
            "public" => Ok(Self::Public),
            "followers" => Ok(Self::Followers),
            "private" => Ok(Self::Private),
            _ => Err(InvalidVisibility(text.to_owned())),
        }
    }
}
