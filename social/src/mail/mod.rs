//! Mails: what they say, and how they leave.
//!
//! A mail is a job, written in the transaction of what it tells of, so that none is lost with
//! a process, and sent by a worker, so that no answer waits for it or tells by its time whether
//! there was one. The secret in a link is made when the mail is, and is in no row.

mod log;
mod smtp;
mod templates;
mod worker;

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use media::Timestamp;
use serde::{Deserialize, Serialize};
use storage::rows::jobs::{self, NewJob};
use storage::rows::users::UserRow;
use storage::rows::{Database, Transaction};

use crate::ServiceError;

pub use log::LogPost;
pub use smtp::{InvalidSmtp, SmtpPost};

/// The queue of jobs.
pub(crate) const QUEUE: &str = "mail";

/// A mail that could not be handed over so often is given up: about a day, by the backoff of
/// jobs.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(12).unwrap();

/// A mail as it leaves. Its `Debug` form has no text: there may be a secret in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whom it goes to.
    pub to: String,
    /// `Subject`.
    pub subject: String,
    /// Its text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("to", &self.to)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Why a mail did not leave. It has no secrets: it is logged.
#[derive(Debug, thiserror::Error)]
#[error("mail: {0}")]
pub struct PostError(pub String);

/// Takes mails to whoever they are for.
pub trait Post: Send + Sync + fmt::Debug {
    /// Hands one over.
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), PostError>>;
}

/// A mail to be, as a job has it: without a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum MailJob {
    /// Whoever registered is asked to follow a link; or, where there is an account with the
    /// address, told so.
    Registration {
        /// The registration.
        registration: String,
    },
    /// Whoever has the address can set another password, if they have an account.
    Reset {
        /// The address, as it was typed.
        email: String,
    },
    /// Who has the new address of an account is asked to follow a link; or told that another
    /// account has it.
    ConfirmEmail {
        /// The account.
        user: String,
        /// The new address.
        email: String,
    },
    /// Something happened to an account that its owner should know.
    Notice {
        /// The address it had when it happened.
        to: String,
        /// The account's name.
        name: String,
        /// What happened.
        notice: Notice,
    },
}

/// What the owner of an account is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// It has another password.
    PasswordChanged,
    /// Somebody who knows the password asked for another address.
    EmailChangeAsked,
    /// It was deleted.
    AccountDeleted,
}

impl MailJob {
    /// Tells the owner of the account.
    pub(crate) fn notice(user: &UserRow, notice: Notice) -> Self {
        Self::Notice {
            to: user.email.clone(),
            name: user.name.clone(),
            notice,
        }
    }
}

/// Has the mail sent after the transaction is committed.
pub(crate) async fn enqueue(
    db: &Database,
    transaction: &mut Transaction,
    mail: &MailJob,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let payload =
        serde_json::to_vec(mail).map_err(|error| ServiceError::internal("mail", error))?;
    let job = NewJob {
        queue: QUEUE,
        unique_key: None,
        payload: Bytes::from(payload),
        run_at: now,
        max_attempts: ATTEMPTS,
    };
    jobs::enqueue(db, transaction, &job, now).await?;
    Ok(())
}
