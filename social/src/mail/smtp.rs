//! Mails through a mail server (RFC 5321).

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Mail, Post, PostError};

/// How long the server may take over each step.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Hands mails to a mail server. Each has a connection of its own.
pub struct SmtpPost {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why no mail can be sent as was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtp {
    /// The URL names no mail server. It is not shown: it may have a password.
    #[error(
        "expected smtps://USER:PASSWORD@HOST:PORT, smtp://HOST:PORT?tls=required, or smtp://HOST:PORT"
    )]
    Url,
    /// The sender is none.
    #[error("expected an address, as in Nova <nova@example.org>")]
    From,
}

impl SmtpPost {
    /// Through the server that `url` names, from `from`.
    pub fn new(url: &str, from: &str) -> Result<Self, InvalidSmtp> {
        let from = from.parse().map_err(|_| InvalidSmtp::From)?;
        let builder =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| InvalidSmtp::Url)?;
        Ok(Self {
            transport: builder.timeout(Some(TIMEOUT)).build(),
            from,
        })
    }
}

impl fmt::Debug for SmtpPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The transport has a password.
        f.debug_struct("SmtpPost")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Post for SmtpPost {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), PostError>> {
        Box::pin(async move {
            let fault = |error: &dyn fmt::Display| PostError(error.to_string());
            let to = mail.to.parse().map_err(|error| fault(&error))?;
            let message = Message::builder()
                .from(self.from.clone())
                .to(Mailbox::new(None, to))
                .subject(&mail.subject)
                .header(ContentType::TEXT_PLAIN)
                .body(mail.text.clone())
                .map_err(|error| fault(&error))?;
            self.transport
                .send(message)
                .await
                .map_err(|error| fault(&error))?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        for good in [
            "smtp://localhost",
            "smtp://127.0.0.1:2525",
            "smtps://me:secret@mail.example.org",
            "smtp://me:secret@mail.example.org:587?tls=required",
        ] {
            let post = SmtpPost::new(good, "Nova <nova@example.org>").unwrap();
            assert!(!format!("{post:?}").contains("secret"));
        }
        for bad in ["", "localhost", "http://localhost", "smtp://"] {
            assert_eq!(
                SmtpPost::new(bad, "a@b").unwrap_err(),
                InvalidSmtp::Url,
                "{bad}"
            );
        }
        for bad in ["", "nobody", "<>"] {
            let refused = SmtpPost::new("smtp://localhost", bad).unwrap_err();
            assert_eq!(refused, InvalidSmtp::From);
        }
    }
}
