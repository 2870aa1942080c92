//! Mails in the log, where there is no mail server: for development.

use futures_util::future::{BoxFuture, ready};

use super::{Mail, Post, PostError};

/// Writes mails to the log, links and all: whoever reads the log can use them.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogPost;

impl Post for LogPost {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), PostError>> {
        tracing::info!(to = mail.to, subject = mail.subject, "mail:\n{}", mail.text);
        Box::pin(ready(Ok(())))
    }
}
