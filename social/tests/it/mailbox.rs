//! Where the mails of a test go.

use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, ready};
use social::mail::{Mail, Post, PostError};
use tokio::sync::watch;

/// Keeps every mail, and can refuse some first.
#[derive(Debug)]
pub(crate) struct Mailbox {
    mails: watch::Sender<Vec<Mail>>,
    refuses: Mutex<usize>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            mails: watch::Sender::new(Vec::new()),
            refuses: Mutex::default(),
        }
    }
}

impl Mailbox {
    /// The next so many are not taken.
    pub(crate) fn refuse(&self, count: usize) {
        *self.refuses.lock().unwrap_or_else(PoisonError::into_inner) = count;
    }

    /// All mails to that address, as soon as there are so many.
    pub(crate) async fn to(&self, address: &str, count: usize) -> Vec<Mail> {
        let mut mails = self.mails.subscribe();
        let to = |mails: &[Mail]| {
            let to = mails.iter().filter(|mail| mail.to == address);
            to.cloned().collect::<Vec<_>>()
        };
        let there = mails.wait_for(|mails| to(mails).len() >= count).await;
        to(&there.unwrap())
    }

    pub(crate) fn count(&self) -> usize {
        self.mails.borrow().len()
    }
}

impl Post for Mailbox {
    fn send<'a>(&'a self, mail: &'a Mail) -> BoxFuture<'a, Result<(), PostError>> {
        let mut refuses = self.refuses.lock().unwrap_or_else(PoisonError::into_inner);
        if *refuses > 0 {
            *refuses -= 1;
            return Box::pin(ready(Err(PostError("the mail server is away".to_owned()))));
        }
        self.mails.send_modify(|mails| mails.push(mail.clone()));
        Box::pin(ready(Ok(())))
    }
}

/// The token of the link in a mail.
pub(crate) fn token_of(mail: &Mail) -> &str {
    let (_, after) = mail
        .text
        .split_once("#token=")
        .expect("a link with a token");
    after.split_whitespace().next().unwrap()
}
