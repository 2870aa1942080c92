//! The worker that makes mails and hands them over.

use std::num::NonZeroUsize;

use media::{Micros, RegistrationId};
use storage::rows::email_tokens::{self, NewEmailToken, Purpose};
use storage::rows::jobs::{self, Attempt, HandlerError, Options};
use storage::rows::registrations;
use storage::rows::users::{self, UserRow};
use storage::rows::{Transaction, leases};
use tokio_util::sync::CancellationToken;

use super::templates::{Facts, Template, write};
use super::{Mail, MailJob, Notice, QUEUE};
use crate::accounts::changes::RESET_LIFE;
use crate::secrets::Secret;
use crate::{ServiceError, Services};

/// Mails that are handed over at once.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// How long a worker may be silent before another sends its mail: longer than a mail server may
/// take over all its steps.
const SILENCE: Micros = Micros::from_secs(180);

impl Services {
    /// Sends mails until `shutdown`.
    pub async fn send_mails(self, shutdown: CancellationToken) {
        let options = Options {
            queue: QUEUE,
            worker: leases::this_process(),
            concurrency: AT_ONCE,
            ttl: SILENCE,
        };
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let handler = move |attempt: Attempt| {
            let services = self.clone();
            async move { services.send(attempt).await }
        };
        jobs::run(db, clock, options, handler, shutdown).await;
    }

    async fn send(&self, attempt: Attempt) -> Result<Transaction, HandlerError> {
        let job: MailJob = serde_json::from_slice(&attempt.job.payload)?;
        if let Some(mail) = self.compose(job).await? {
            self.post.send(&mail).await?;
            metrics::counter!("nova_api_mails_total").increment(1);
        }
        Ok(self.db.write().await?)
    }

    /// The mail, if there is anything to be said. Its secret replaces that of an earlier
    /// attempt.
    async fn compose(&self, job: MailJob) -> Result<Option<Mail>, HandlerError> {
        match job {
            MailJob::Registration { registration } => self.registration(&registration).await,
            MailJob::Reset { email } => self.reset(&email).await,
            MailJob::ConfirmEmail { user, email } => self.confirm_address(&user, &email).await,
            MailJob::Notice { to, name, notice } => {
                let (template, link) = match notice {
                    Notice::PasswordChanged => {
                        (Template::PasswordChanged, self.page("reset", None))
                    }
                    Notice::EmailChangeAsked => {
                        (Template::EmailChangeAsked, self.page("reset", None))
                    }
                    Notice::AccountDeleted => (Template::AccountDeleted, String::new()),
                };
                Ok(Some(self.write(template, &to, &name, &link)?))
            }
        }
    }

    async fn registration(&self, registration: &str) -> Result<Option<Mail>, HandlerError> {
        let registration: RegistrationId = registration.parse()?;
        let token = Secret::generate("")?;
        let mut transaction = self.db.write().await?;
        let found =
            registrations::set_token(&mut transaction, registration, &token.hash(), self.now())
                .await?;
        transaction.commit().await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let (template, link) = match found.email_is_known {
            true => (Template::KnownAddress, self.page("reset", None)),
            false => (Template::Verify, self.page("verify", Some(&token))),
        };
        Ok(Some(self.write(
            template,
            &found.email,
            &found.name,
            &link,
        )?))
    }

    async fn reset(&self, email: &str) -> Result<Option<Mail>, HandlerError> {
        let Some(user) = users::find_by_email(&self.db, email).await? else {
            return Ok(None);
        };
        // To the address as the account has it: what was typed may differ in case.
        let token = Secret::generate("")?;
        let now = self.now();
        let new = NewEmailToken {
            user: user.id,
            purpose: Purpose::Reset,
            email: &user.email,
            token_hash: &token.hash(),
            expires_at: now + RESET_LIFE,
        };
        let mut transaction = self.db.write().await?;
        email_tokens::put(&mut transaction, new, now).await?;
        transaction.commit().await?;
        let link = self.page("reset", Some(&token));
        let mail = self.write(Template::Reset, &user.email, &user.name, &link)?;
        Ok(Some(mail))
    }

    async fn confirm_address(&self, user: &str, email: &str) -> Result<Option<Mail>, HandlerError> {
        let user = users::by_id(&self.db, user.parse()?).await?;
        let Some(user) = user.filter(UserRow::is_active) else {
            return Ok(None);
        };
        // Another password takes back what was asked for: then there is nothing to be confirmed.
        let token = Secret::generate("")?;
        let (hash, now) = (token.hash(), self.now());
        let mut transaction = self.db.write().await?;
        let purpose = Purpose::Change;
        let is_asked =
            email_tokens::renew(&mut transaction, user.id, purpose, email, &hash, now).await?;
        transaction.commit().await?;
        if !is_asked {
            return Ok(None);
        }
        let holder = users::find_by_email(&self.db, email).await?;
        if let Some(holder) = holder.filter(|holder| holder.id != user.id) {
            let link = self.page("reset", None);
            let mail = self.write(Template::KnownAddress, email, &holder.name, &link)?;
            return Ok(Some(mail));
        }
        let link = self.page("confirm-email", Some(&token));
        let mail = self.write(Template::ConfirmEmail, email, &user.name, &link)?;
        Ok(Some(mail))
    }

    /// The address of a page; the token stands in the fragment, which no log and no `Referer`
    /// has.
    fn page(&self, page: &str, token: Option<&Secret>) -> String {
        let base = &self.settings.public_url;
        match token {
            Some(token) => format!("{base}/{page}#token={}", token.reveal()),
            None => format!("{base}/{page}"),
        }
    }

    fn write(
        &self,
        template: Template,
        to: &str,
        name: &str,
        link: &str,
    ) -> Result<Mail, ServiceError> {
        let site = &self.settings.public_url;
        let facts = Facts { site, name, link };
        write(template, to, &facts).map_err(|error| ServiceError::internal("mail", error))
    }
}
