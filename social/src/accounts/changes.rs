//! Another password, another address, no account any more.

use media::{Micros, UserId};
use storage::rows::email_tokens::{self, NewEmailToken, Purpose};
use storage::rows::users::{self, Credentials, Role, UserRow};

use super::hashing::{Place, Typed};
use super::{Email, Password};
use crate::caller::Caller;
use crate::error::Fields;
use crate::limits::Key;
use crate::mail::{self, MailJob, Notice};
use crate::model::{
    ChangeEmailInput, ChangePasswordInput, DeleteAccountInput, Message, ResetInput,
    ResetPasswordInput,
};
use crate::operation::{Actor, Operation};
use crate::secrets::{self, Secret};
use crate::{ServiceError, Services};

/// How long the link to another password is good.
pub(crate) const RESET_LIFE: Micros = Micros::from_secs(3_600);

/// How long the link to another address is good.
pub(crate) const CHANGE_LIFE: Micros = Micros::from_secs(24 * 3_600);

impl Services {
    /// Has a link to another password mailed to the address, if an account has it.
    pub async fn request_password_reset(
        &self,
        caller: &Caller,
        input: ResetInput,
    ) -> Result<Message, ServiceError> {
        self.begin(caller, Operation::RequestPasswordReset)?;
        let mut fields = Fields::default();
        let Some(email) = fields.read("email", input.email.parse::<Email>()) else {
            return Err(fields.into_error());
        };
        let standings = &caller.standings;
        let network = Key::Address(caller.network());
        self.limiter.resets.take(network, standings)?;
        let mails = &self.limiter.mails;
        mails.take(Key::text(email.as_str()), standings)?;
        // For nothing, but whoever asks pays what a login and a registration cost, and what is
        // left of the time drowns in it.
        let typed = Typed::new(email.as_str());
        let place = self.passwords.place()?;
        place.is_right(typed, None).await?;
        // Whether anybody has the address is seen when the mail is made: nothing here tells.
        let email = email.as_str().to_owned();
        let message = format!("If an account has the address {email}, a mail is on its way.");
        let now = self.now();
        let mut transaction = self.db.write().await?;
        mail::enqueue(&self.db, &mut transaction, &MailJob::Reset { email }, now).await?;
        transaction.commit().await?;
        Ok(Message { message })
    }

    /// Sets another password by a link. Every session ends. The computation comes first: it
    /// does not tell whether the link is good.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        input: ResetPasswordInput,
    ) -> Result<(), ServiceError> {
        self.begin(caller, Operation::ResetPassword)?;
        let mut fields = Fields::default();
        let Some(password) = fields.read("password", input.password.parse::<Password>()) else {
            return Err(fields.into_error());
        };
        // Each costs what a login costs, and is counted with them.
        let network = Key::Address(caller.network());
        let logins = &self.limiter.logins_of_address;
        logins.take(network, &caller.standings)?;
        let place = self.passwords.place()?;
        let password_hash = place.hash(password).await?;
        let now = self.now();
        let hash = secrets::hash(&input.token);
        let mut transaction = self.db.write().await?;
        let link = email_tokens::take(&mut transaction, &hash, Purpose::Reset, now)
            .await?
            .ok_or(ServiceError::LinkNotValid)?;
        let user = users::by_id(&mut transaction, link.user)
            .await?
            .filter(|user| user.deleted_at.is_none())
            .ok_or(ServiceError::LinkNotValid)?;
        let (db, id) = (&self.db, user.id);
        let told = users::set_password(db, &mut transaction, id, &password_hash, None, now).await?;
        let job = MailJob::notice(&user, Notice::PasswordChanged);
        mail::enqueue(db, &mut transaction, &job, now).await?;
        transaction.commit().await?;
        self.obey(&told).await;
        Ok(())
    }

    /// Sets another password. Every other session ends.
    pub async fn change_password(
        &self,
        caller: &Caller,
        input: ChangePasswordInput,
    ) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::ChangePassword)?;
        let mut fields = Fields::default();
        let new = fields.read("new_password", input.new_password.parse::<Password>());
        let Some(new) = new else {
            return Err(fields.into_error());
        };
        let (place, known) = self.confirm(caller, actor, &input.current_password).await?;
        let password_hash = place.hash(new).await?;
        let (db, now, keep) = (&self.db, self.now(), caller.session());
        let mut transaction = db.write().await?;
        self.still(&mut transaction, &known).await?;
        let id = actor.user;
        let told = users::set_password(db, &mut transaction, id, &password_hash, keep, now).await?;
        let job = MailJob::notice(&known.user, Notice::PasswordChanged);
        mail::enqueue(db, &mut transaction, &job, now).await?;
        transaction.commit().await?;
        self.obey(&told).await;
        Ok(())
    }

    /// Has a link mailed to another address, which the account has when it is followed. The
    /// address it has now is told.
    pub async fn change_email(
        &self,
        caller: &Caller,
        input: ChangeEmailInput,
    ) -> Result<Message, ServiceError> {
        let actor = self.begin_known(caller, Operation::ChangeEmail)?;
        let mut fields = Fields::default();
        let Some(email) = fields.read("email", input.email.parse::<Email>()) else {
            return Err(fields.into_error());
        };
        let (_place, known) = self.confirm(caller, actor, &input.password).await?;
        let limiter = &self.limiter;
        let user = Key::User(actor.user);
        limiter.email_changes.take(user, &caller.standings)?;
        let recipient = Key::text(email.as_str());
        limiter.mails.take(recipient, &caller.standings)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        self.still(&mut transaction, &known).await?;
        // What is asked for is a row from now on, which another password deletes. The mail
        // has another token: nobody ever knows this one.
        let change = NewEmailToken {
            user: actor.user,
            purpose: Purpose::Change,
            email: email.as_str(),
            token_hash: &Secret::generate("")?.hash(),
            expires_at: now + CHANGE_LIFE,
        };
        email_tokens::put(&mut transaction, change, now).await?;
        let asked = MailJob::ConfirmEmail {
            user: actor.user.to_string(),
            email: email.as_str().to_owned(),
        };
        mail::enqueue(db, &mut transaction, &asked, now).await?;
        let job = MailJob::notice(&known.user, Notice::EmailChangeAsked);
        mail::enqueue(db, &mut transaction, &job, now).await?;
        transaction.commit().await?;
        let email = email.as_str();
        Ok(Message {
            message: format!("A mail was sent to {email}. Its link changes the address."),
        })
    }

    /// Has the account the address whose link was followed.
    pub async fn confirm_email(&self, caller: &Caller, token: &str) -> Result<(), ServiceError> {
        self.begin(caller, Operation::ConfirmEmail)?;
        let now = self.now();
        let hash = secrets::hash(token);
        let mut transaction = self.db.write().await?;
        let link = email_tokens::take(&mut transaction, &hash, Purpose::Change, now)
            .await?
            .ok_or(ServiceError::LinkNotValid)?;
        users::set_email(&mut transaction, link.user, &link.email, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes the account. Nobody sees it from now on; what is left of it is erased.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        input: DeleteAccountInput,
    ) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::DeleteAccount)?;
        let (_place, known) = self.confirm(caller, actor, &input.password).await?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        // Whoever is no administrator may be made one until the turn is theirs.
        users::take_administrators_turn(db, &mut transaction).await?;
        let user = self.still(&mut transaction, &known).await?;
        if user.role == Role::Admin
            && !users::has_another_administrator(&mut transaction, actor.user).await?
        {
            let why = "the last administrator cannot go: give somebody else the role first";
            return Err(ServiceError::Conflict(why.into()));
        }
        let told = users::delete(db, &mut transaction, actor.user, now).await?;
        let job = MailJob::notice(&known.user, Notice::AccountDeleted);
        mail::enqueue(db, &mut transaction, &job, now).await?;
        transaction.commit().await?;
        self.obey(&told).await;
        Ok(())
    }

    /// Has the password repeated. Guesses are counted as logins are.
    async fn confirm(
        &self,
        caller: &Caller,
        actor: Actor,
        typed: &str,
    ) -> Result<(Place<'_>, Credentials), ServiceError> {
        let guesses = &self.limiter.logins_of_account;
        guesses.take(Key::User(actor.user), &caller.standings)?;
        let place = self.passwords.place()?;
        let known = credentials(self, actor.user).await?;
        let hash = Some(known.password_hash.clone());
        match place.is_right(Typed::new(typed), hash).await? {
            true => Ok((place, known)),
            false => Err(ServiceError::WrongPassword),
        }
    }

    /// Whether the password that was repeated is still the account's, from here on until the
    /// transaction ends; the user as they are then.
    async fn still(
        &self,
        transaction: &mut storage::rows::Transaction,
        known: &Credentials,
    ) -> Result<UserRow, ServiceError> {
        let now = users::lock(transaction, known.user.id).await?;
        match now.password_hash == known.password_hash && now.user.is_active() {
            true => Ok(now.user),
            false => Err(ServiceError::WrongPassword),
        }
    }
}

async fn credentials(services: &Services, user: UserId) -> Result<Credentials, ServiceError> {
    users::credentials_of(&services.db, user)
        .await?
        .ok_or(ServiceError::Unauthenticated)
}
