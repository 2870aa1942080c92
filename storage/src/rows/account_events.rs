//! What other nodes must know of an account at once.
//!
//! Each is written to the outbox in the transaction that it tells of, under the subject
//! `account.{user}.{what}` and the user's id as its key, so that one user's events keep
//! their order. The payload is JSON with `user` and `at`, in microseconds since 1970, and
//! what the event has beside.
//!
//! The outbox's relay may be in another process, which looks for new rows now and then.
//! Who must be fast publishes the events of [`Told`] itself, after the commit: they come
//! twice then, with the same id, and say the same.

use media::{ApiTokenId, LoginSessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::outbox::{self, NewEvent};
use super::users::Role;
use super::{Database, RowError, Transaction};
use crate::events::{Event, Subject};

/// What subscribers of all of them ask for.
pub const PATTERN: &str = "account.>";

/// Something that all nodes obey at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountEvent {
    /// `account.{user}.sessions-ended`: access tokens of these logins open nothing more.
    SessionsEnded {
        /// Whose they were.
        user: UserId,
        /// The logins.
        sessions: Vec<LoginSessionId>,
    },
    /// `account.{user}.suspended`: nothing of this user opens anything.
    Suspended {
        /// Who.
        user: UserId,
    },
    /// `account.{user}.unsuspended`: it does again.
    Unsuspended {
        /// Who.
        user: UserId,
    },
    /// `account.{user}.role-changed`: what was kept in memory of the old role is wrong.
    RoleChanged {
        /// Whose.
        user: UserId,
        /// The new role.
        role: Role,
    },
    /// `account.{user}.tokens-revoked`: these API tokens open nothing more.
    TokensRevoked {
        /// Whose they were.
        user: UserId,
        /// The tokens.
        tokens: Vec<ApiTokenId>,
    },
    /// `account.{user}.deleted`: nobody sees this user any more.
    Deleted {
        /// Who.
        user: UserId,
    },
}

/// The payload.
#[derive(Serialize, Deserialize, Default)]
struct Payload {
    user: String,
    at: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

/// The bytes on the bus are not such an event.
#[derive(Debug, thiserror::Error)]
#[error("not an event of an account: {0}")]
pub struct NotAnAccountEvent(String);

impl AccountEvent {
    /// Whom it is about.
    pub fn user(&self) -> UserId {
        match self {
            Self::SessionsEnded { user, .. }
            | Self::Suspended { user }
            | Self::Unsuspended { user }
            | Self::RoleChanged { user, .. }
            | Self::TokensRevoked { user, .. }
            | Self::Deleted { user } => *user,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::SessionsEnded { .. } => "sessions-ended",
            Self::Suspended { .. } => "suspended",
            Self::Unsuspended { .. } => "unsuspended",
            Self::RoleChanged { .. } => "role-changed",
            Self::TokensRevoked { .. } => "tokens-revoked",
            Self::Deleted { .. } => "deleted",
        }
    }

    fn payload(&self, at: Timestamp) -> Payload {
        let mut payload = Payload {
            user: self.user().to_string(),
            at: at.as_micros(),
            ..Payload::default()
        };
        match self {
            Self::SessionsEnded { sessions, .. } => {
                payload.sessions = sessions.iter().map(ToString::to_string).collect();
            }
            Self::TokensRevoked { tokens, .. } => {
                payload.tokens = tokens.iter().map(ToString::to_string).collect();
            }
            Self::RoleChanged { role, .. } => payload.role = Some(role.to_string()),
            Self::Suspended { .. } | Self::Unsuspended { .. } | Self::Deleted { .. } => {}
        }
        payload
    }

    /// Reads what came over the bus, and when it happened. An event of a kind that this
    /// version does not know is an error: who gets it reads the rows.
    pub fn read(event: &Event) -> Result<(Self, Timestamp), NotAnAccountEvent> {
        let subject = event.subject.as_str();
        let wrong = |what: &str| NotAnAccountEvent(format!("{what} of {subject}"));
        let payload: Payload =
            serde_json::from_slice(&event.payload).map_err(|error| wrong(&error.to_string()))?;
        let user = payload.user.parse().map_err(|_| wrong("the user"))?;
        let this = match subject.rsplit('.').next().unwrap_or_default() {
            "sessions-ended" => Self::SessionsEnded {
                user,
                sessions: parse(&payload.sessions).ok_or_else(|| wrong("the sessions"))?,
            },
            "suspended" => Self::Suspended { user },
            "unsuspended" => Self::Unsuspended { user },
            "role-changed" => Self::RoleChanged {
                user,
                role: payload
                    .role
                    .and_then(|role| role.parse().ok())
                    .ok_or_else(|| wrong("the role"))?,
            },
            "tokens-revoked" => Self::TokensRevoked {
                user,
                tokens: parse(&payload.tokens).ok_or_else(|| wrong("the tokens"))?,
            },
            "deleted" => Self::Deleted { user },
            _ => return Err(wrong("the subject")),
        };
        Ok((this, Timestamp::from_micros(payload.at)))
    }
}

fn parse<T: std::str::FromStr>(texts: &[String]) -> Option<Vec<T>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

/// What the outbox was told. Published after the commit, it reaches other nodes without
/// waiting for the outbox's relay.
#[derive(Debug, Default)]
#[must_use = "published after the commit, it reaches other nodes at once"]
pub struct Told {
    told: Vec<(AccountEvent, Event)>,
}

impl Told {
    /// As this node obeys them.
    pub fn account_events(&self) -> impl Iterator<Item = &AccountEvent> {
        self.told.iter().map(|(event, _)| event)
    }

    /// As they are published.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.told.iter().map(|(_, event)| event)
    }

    /// Whether there was nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Adds what another call of the same transaction told.
    pub fn extend(&mut self, other: Self) {
        self.told.extend(other.told);
    }

    /// Tells the outbox. The writer has locked the user's row.
    pub(super) async fn tell(
        &mut self,
        db: &Database,
        transaction: &mut Transaction,
        event: &AccountEvent,
        now: Timestamp,
    ) -> Result<(), RowError> {
        let user = event.user().to_string();
        let subject = Subject::new(&format!("account.{user}.{}", event.name()))?;
        let payload = serde_json::json!(event.payload(now)).to_string();
        let new = NewEvent {
            subject: &subject,
            key: &user,
            payload: payload.clone().into(),
        };
        let id = outbox::append(db, transaction, &new, now).await?;
        let published = Event::new(subject, payload).with_id(id.as_uuid());
        self.told.push((event.clone(), published));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_again() {
        let user = UserId::new();
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        for event in [
            AccountEvent::SessionsEnded {
                user,
                sessions: vec![LoginSessionId::new(), LoginSessionId::new()],
            },
            AccountEvent::Suspended { user },
            AccountEvent::Unsuspended { user },
            AccountEvent::RoleChanged {
                user,
                role: Role::Moderator,
            },
            AccountEvent::TokensRevoked {
                user,
                tokens: vec![ApiTokenId::new()],
            },
            AccountEvent::Deleted { user },
        ] {
            let subject = format!("account.{user}.{}", event.name());
            let payload = serde_json::to_vec(&event.payload(at)).unwrap();
            let published = Event::new(subject.parse().unwrap(), payload);
            assert_eq!(AccountEvent::read(&published).unwrap(), (event, at));
        }
    }

    #[test]
    fn what_is_no_such_event_is_told() {
        let user = UserId::new();
        let good = format!(r#"{{"user":"{user}","at":1}}"#);
        for (subject, payload) in [
            ("account.x.suspended", "{}"),
            ("account.x.suspended", r#"{"user":"nobody","at":1}"#),
            ("account.x.role-changed", &good),
            ("account.x.promoted", &good),
            (
                "account.x.sessions-ended",
                &good.replace("}", r#","sessions":["x"]}"#),
            ),
        ] {
            let event = Event::new(subject.parse().unwrap(), payload.as_bytes().to_vec());
            let error = AccountEvent::read(&event).unwrap_err();
            assert!(error.to_string().contains("not an event"), "{error}");
        }
    }
}
