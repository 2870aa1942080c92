//! Who asks.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use media::{ApiTokenId, UserId};

use crate::limits::Standings;

/// What a user may do beyond their own account. Ordered: the later may all that the earlier may.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    async_graphql::Enum,
    utoipa::ToSchema,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing.
    User,
    /// Reports, suspensions, the audit log.
    Moderator,
    /// Everything.
    Admin,
}

impl Role {
    /// The role as rows and tokens have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
        }
    }
}

impl From<storage::rows::users::Role> for Role {
    fn from(role: storage::rows::users::Role) -> Self {
        use storage::rows::users::Role as Stored;
        match role {
            Stored::User => Self::User,
            Stored::Moderator => Self::Moderator,
            Stored::Admin => Self::Admin,
        }
    }
}

impl From<Role> for storage::rows::users::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Moderator => Self::Moderator,
            Role::Admin => Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a personal API token may do.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Debug,
    async_graphql::Enum,
    utoipa::ToSchema,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum Scope {
    /// Read one's own account.
    #[serde(rename = "account:read")]
    AccountRead,
    /// Change one's own profile and preferences.
    #[serde(rename = "account:write")]
    AccountWrite,
    /// Read what the owner of the token may read of others.
    #[serde(rename = "people:read")]
    PeopleRead,
    /// Follow, block, mute, report.
    #[serde(rename = "people:write")]
    PeopleWrite,
    /// Read what people write, as the owner of the token may read it.
    #[serde(rename = "posts:read")]
    PostsRead,
    /// Write, edit, delete, like and share.
    #[serde(rename = "posts:write")]
    PostsWrite,
    /// Read one's own streams with their keys, and others' as the owner of the token may see them.
    #[serde(rename = "streams:read")]
    StreamsRead,
    /// Make, change, stop and delete one's own streams and their keys.
    #[serde(rename = "streams:write")]
    StreamsWrite,
    /// What a moderator may, if the owner of the token is one.
    #[serde(rename = "moderation")]
    Moderation,
    /// What an administrator may, if the owner of the token is one.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: &[Self] = &[
        Self::AccountRead,
        Self::AccountWrite,
        Self::PeopleRead,
        Self::PeopleWrite,
        Self::PostsRead,
        Self::PostsWrite,
        Self::StreamsRead,
        Self::StreamsWrite,
        Self::Moderation,
        Self::Admin,
    ];

    /// The scope as rows and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountRead => "account:read",
            Self::AccountWrite => "account:write",
            Self::PeopleRead => "people:read",
            Self::PeopleWrite => "people:write",
            Self::PostsRead => "posts:read",
            Self::PostsWrite => "posts:write",
            Self::StreamsRead => "streams:read",
            Self::StreamsWrite => "streams:write",
            Self::Moderation => "moderation",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a scope: expected account:read, account:write, people:read, people:write, posts:read, posts:write, streams:read, streams:write, moderation or admin"
)]
pub struct InvalidScope;

impl FromStr for Scope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let found = Self::ALL.iter().find(|scope| scope.as_str() == text);
        found.copied().ok_or(InvalidScope)
    }
}

/// Whom a request comes from, as far as it has shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Somebody.
    Anonymous,
    /// Whoever has logged in: may all that the role may.
    Session {
        /// The user.
        user: UserId,
        /// The login session that the access token names.
        session: LoginSessionId,
        /// Role at the time of the last refresh.
        role: Role,
    },
    /// Whoever has a personal API token.
    Token {
        /// The user who made it.
        user: UserId,
        /// The token.
        token: ApiTokenId,
        /// The user's role.
        role: Role,
        /// What it may.
        scopes: Arc<[Scope]>,
    },
}

pub use media::LoginSessionId;

/// Who asks, and from where. One for each request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whom the request comes from.
    pub identity: Identity,
    /// Where whoever asks is: the other end of the connection, or who is behind a trusted proxy.
    pub address: IpAddr,
    /// `User-Agent` as it was sent, cut to [`MAX_USER_AGENT`].
    pub user_agent: String,
    /// How the limits stand that the request was counted by.
    pub standings: Arc<Standings>,
}

/// The longest user agent that is kept, in bytes.
pub const MAX_USER_AGENT: usize = 200;

impl Caller {
    /// Somebody at that address.
    pub fn anonymous(address: IpAddr, user_agent: &str) -> Self {
        let end = user_agent.floor_char_boundary(MAX_USER_AGENT);
        Self {
            identity: Identity::Anonymous,
            address,
            user_agent: user_agent[..end].to_owned(),
            standings: Arc::default(),
        }
    }

    /// The same, known.
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// The user, if one has shown who they are.
    pub fn user(&self) -> Option<UserId> {
        match self.identity {
            Identity::Anonymous => None,
            Identity::Session { user, .. } | Identity::Token { user, .. } => Some(user),
        }
    }

    /// The login session, if there is one.
    pub fn session(&self) -> Option<LoginSessionId> {
        match self.identity {
            Identity::Session { session, .. } => Some(session),
            _ => None,
        }
    }

    /// What addresses are counted by: an IPv4 address, or the /64 that a network of IPv6 has.
    pub(crate) fn network(&self) -> IpAddr {
        match self.address.to_canonical() {
            IpAddr::V6(address) => {
                let prefix = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(prefix))
            }
            address => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_a_network_are_one() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let caller = Caller::anonymous(address.parse().unwrap(), "");
            assert_eq!(caller.network().to_string(), network);
        }
    }

    #[test]
    fn a_scope_is_spelled_the_same_everywhere() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        let schema = serde_json::json!(<Scope as utoipa::PartialSchema>::schema());
        let words: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(schema["enum"], serde_json::json!(words));
    }

    #[test]
    fn a_long_user_agent_is_cut_between_characters() {
        let caller = Caller::anonymous("::1".parse().unwrap(), &"é".repeat(150));
        assert_eq!(caller.user_agent, "é".repeat(100));
        let odd = Caller::anonymous("::1".parse().unwrap(), &format!("x{}", "é".repeat(150)));
        assert_eq!(odd.user_agent.len(), 199);
    }
}
