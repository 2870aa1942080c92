//! Why a service did not do what it was asked.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use storage::RowError;
use storage::rows::Unique;

use crate::caller::{Role, Scope};

/// Why a service did not do what it was asked. Every face maps it, and only by
/// [`ServiceError::code`].
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Something that was given cannot be.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// Nobody is logged in, or what was shown proves nothing.
    #[error("this needs a login: send a valid access token or API token")]
    Unauthenticated,
    /// Whoever is logged in may not.
    #[error("this needs {0}")]
    Forbidden(Missing),
    /// Somebody else has what must be one of a kind.
    #[error("{0} is taken")]
    Taken(Unique),
    /// There is no such thing, or not for whoever asks.
    #[error("no such {0}")]
    NotFound(Cow<'static, str>),
    /// What is there stands against it; the sentence says what.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// A post has been edited since whoever edits it saw it.
    #[error("the post was edited meanwhile: look at it again")]
    EditedMeanwhile,
    /// Another request was made under this idempotency key.
    #[error("another request was made under this Idempotency-Key")]
    IdempotencyKeyReused,
    /// A link in a mail that is used up, replaced, expired, or was never sent.
    #[error("the link is not valid any more: ask for another one")]
    LinkNotValid,
    /// The password that has to be repeated is another one.
    #[error("the password is not right")]
    WrongPassword,
    /// No account has this name or address and this password. Which of them, nobody says.
    #[error("the name or the password is not right")]
    LoginFailed,
    /// The login session goes on with no such refresh token.
    #[error("the session has ended: log in again")]
    RefreshFailed,
    /// The account is suspended: told to whoever knows its password.
    #[error("the account is suspended")]
    Suspended,
    /// Whoever wants to talk in a chat is banned from it.
    #[error("you are banned from this chat")]
    ChatBanned,
    /// Whoever wants to talk in a chat has a timeout there.
    #[error("you have a timeout in this chat: it ends in {} s", .after.as_secs())]
    ChatTimedOut {
        /// After which time they may talk again.
        after: Duration,
    },
    /// Only those who follow the stream's owner talk in its chat.
    #[error("only those who follow the owner of the stream talk in this chat")]
    FollowersOnly,
    /// Whoever wants to talk in a chat has just done so, and it is slow.
    #[error("this chat is slow: say something again in {} s", .after.as_secs())]
    SlowMode {
        /// After which time they may talk again.
        after: Duration,
    },
    /// It was asked too often.
    #[error("too many requests: the limit {limit:?} is used up, try again in {} s", .after.as_secs())]
    RateLimited {
        /// Which limit, as `RateLimit` names it.
        limit: &'static str,
        /// After which time it may be asked again.
        after: Duration,
    },
    /// More passwords wait to be computed than can be.
    #[error("too many logins at once: try again in {} s", .after.as_secs())]
    TooManyLogins {
        /// After which time it is worth another try.
        after: Duration,
    },
    /// As many prewarms as may be have not ended.
    #[error("too many prewarms: {0} have not ended; wait for one, or cancel one")]
    TooManyPrewarms(u64),
    /// This server cannot do it, and another, or one that is set up otherwise, may.
    #[error("{detail}")]
    NotHere {
        /// What a program tells by.
        code: &'static str,
        /// What is lacking.
        detail: String,
    },
    /// Too much is going on; worth a retry.
    #[error("the server is busy")]
    Busy,
    /// A fault of ours, told to the log and not to the client.
    #[error("{what}: {detail}")]
    Internal {
        /// What was being done.
        what: &'static str,
        /// What went wrong.
        detail: String,
    },
}

/// What is wrong with one thing that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Its name, as REST spells it; empty: the whole of it.
    pub field: String,
    /// What is wrong with it, and what was expected.
    pub message: String,
}

/// What whoever is logged in has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A scope of the API token.
    #[error("the scope {0}")]
    Scope(Scope),
    /// A role.
    #[error("the role {0}")]
    Role(Role),
    /// A login: no API token does this.
    #[error("a login; an API token does not do it")]
    Login,
    /// More rights than the other user has.
    #[error("a role above that of the user it is done to")]
    Rank,
    /// A follow that was accepted.
    #[error("to follow this account, which is private")]
    Follow,
    /// What only the author of a post may.
    #[error("the login of whoever wrote it")]
    Authorship,
    /// What only the owner of a stream may.
    #[error("the login of whoever owns it")]
    Ownership,
    /// A word with the origin of the page.
    #[error("a request from a page of this server")]
    SameOrigin,
}

fn summary(errors: &[FieldError]) -> String {
    let each = errors.iter().map(|error| match error.field.as_str() {
        "" => error.message.clone(),
        field => format!("{field}: {}", error.message),
    });
    each.collect::<Vec<_>>().join("; ")
}

impl ServiceError {
    pub(crate) fn internal(what: &'static str, error: impl std::fmt::Display) -> Self {
        let detail = error.to_string();
        Self::Internal { what, detail }
    }

    /// One thing that was given cannot be.
    pub(crate) fn invalid(field: &str, message: impl std::fmt::Display) -> Self {
        Self::Invalid(vec![FieldError {
            field: field.to_owned(),
            message: message.to_string(),
        }])
    }

    /// What was given cannot be: `why`, a sentence that says what was expected.
    pub fn refused(why: String) -> Self {
        Self::invalid("", why)
    }

    /// What a program tells errors apart by: the same word on every face.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "validation",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Taken(Unique::UserName) => "name-taken",
            Self::Taken(Unique::Email) => "email-taken",
            Self::Taken(_) => "taken",
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::EditedMeanwhile => "edited-meanwhile",
            Self::IdempotencyKeyReused => "idempotency-key-reused",
            Self::LinkNotValid => "link-not-valid",
            Self::WrongPassword => "wrong-password",
            Self::LoginFailed => "login-failed",
            Self::RefreshFailed => "refresh-failed",
            Self::Suspended => "suspended",
            Self::ChatBanned => "chat-banned",
            Self::ChatTimedOut { .. } => "chat-timed-out",
            Self::FollowersOnly => "followers-only",
            Self::SlowMode { .. } => "slow-mode",
            Self::RateLimited { .. } => "rate-limited",
            Self::TooManyLogins { .. } => "too-many-logins",
            Self::TooManyPrewarms(_) => "too-many-prewarms",
            Self::NotHere { code, .. } => code,
            Self::Busy => "busy",
            Self::Internal { .. } => "internal",
        }
    }

    /// After which time it is worth asking again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. }
            | Self::TooManyLogins { after }
            | Self::SlowMode { after }
            | Self::ChatTimedOut { after } => Some(*after),
            _ => None,
        }
    }

    /// What the client is told, in a sentence. A fault of ours goes to the log instead.
    pub fn told(&self) -> String {
        match self {
            Self::Internal { .. } => {
                tracing::error!(error = %self, "request failed");
                "The server failed; its log says why.".to_owned()
            }
            error => crate::problem::sentence(&error.to_string()),
        }
    }
}

/// Collects what is wrong with the fields of one request, so that all of it is told at once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// The value of the field, or a note of what is wrong with it.
    pub(crate) fn read<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        value: Result<T, E>,
    ) -> Option<T> {
        value
            .map_err(|error| {
                self.0.push(FieldError {
                    field: field.to_owned(),
                    message: error.to_string(),
                });
            })
            .ok()
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong, all of it.
    pub(crate) fn into_error(self) -> ServiceError {
        ServiceError::Invalid(self.0)
    }
}

impl From<RowError> for ServiceError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Taken(what) => Self::Taken(what),
            RowError::NotFound(what) => Self::NotFound(what.to_string().into()),
            RowError::TooMany { .. } => Self::Conflict(error.to_string().into()),
            RowError::TooManyPrewarms(open) => Self::TooManyPrewarms(open),
            RowError::Busy => Self::Busy,
            error => Self::internal("database", error),
        }
    }
}
