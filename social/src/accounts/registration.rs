//! From asking for an account to having it.
//!
//! Whether a mail address has an account already is told to nobody but to who reads its mails:
//! text, status, time and the name that is taken from then on are the same.

use media::Micros;
use storage::rows::registrations::{self, NewRegistration};

use super::{Email, Password, UserName};
use crate::caller::Caller;
use crate::error::Fields;
use crate::limits::Key;
use crate::mail::{self, MailJob};
use crate::model::{Me, Message, RegisterInput};
use crate::operation::Operation;
use crate::secrets::{self, Secret};
use crate::{ServiceError, Services};

/// How long the link is good, and the name reserved.
const LINK_LIFE: Micros = Micros::from_secs(24 * 3_600);

impl Services {
    /// Asks for an account. It is there when the link of the mail was used.
    pub async fn register(
        &self,
        caller: &Caller,
        input: RegisterInput,
    ) -> Result<Message, ServiceError> {
        self.begin(caller, Operation::Register)?;
        let mut fields = Fields::default();
        let name = fields.read("name", input.name.parse::<UserName>());
        let email = fields.read("email", input.email.parse::<Email>());
        let password = fields.read("password", input.password.parse::<Password>());
        let (Some(name), Some(email), Some(password)) = (name, email, password) else {
            return Err(fields.into_error());
        };
        let standings = &caller.standings;
        let network = Key::Address(caller.network());
        self.limiter.registrations.take(network, standings)?;
        let mails = &self.limiter.mails;
        mails.take(Key::text(email.as_str()), standings)?;
        let place = self.passwords.place()?;
        let password_hash = place.hash(password).await?;
        // Nobody gets this one: the mail's is made with the mail, and takes its place.
        let placeholder = Secret::generate("")?.hash();
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let new = NewRegistration {
            name: name.as_str(),
            email: email.as_str(),
            password_hash: &password_hash,
            token_hash: &placeholder,
            expires_at: now + LINK_LIFE,
        };
        let registered = registrations::create(&mut transaction, new, now).await?;
        let job = MailJob::Registration {
            registration: registered.id.to_string(),
        };
        mail::enqueue(&self.db, &mut transaction, &job, now).await?;
        transaction.commit().await?;
        Ok(Message {
            message: format!(
                "A mail was sent to {}. Its link makes the account.",
                email.as_str()
            ),
        })
    }

    /// Makes the account whose link was followed.
    pub async fn verify_email(&self, caller: &Caller, token: &str) -> Result<Me, ServiceError> {
        self.begin(caller, Operation::VerifyEmail)?;
        let mut transaction = self.db.write().await?;
        let hash = secrets::hash(token);
        let user = registrations::verify(&self.db, &mut transaction, &hash, self.now())
            .await?
            .ok_or(ServiceError::LinkNotValid)?;
        transaction.commit().await?;
        self.describe_me(&user).await
    }
}
