//! Login sessions, from login to logout.

use media::LoginSessionId;
use storage::rows::login_sessions::{self, LoginSessionRow, NewLogin, Refreshed, Successor};
use storage::rows::users::{self, UserRow};

use super::hashing::Typed;
use super::refresh;
use crate::caller::Caller;
use crate::limits::Key;
use crate::model::{LoginInput, LoginSession, Me, Moment, SessionTokens};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::secrets::{self, Secret};
use crate::tokens;
use crate::{ServiceError, Services};

/// A session that was begun or gone on with, and what the client needs for it.
pub struct Renewed {
    user: Me,
    access_token: String,
    /// `None`: the client goes on with the one it has.
    refresh_token: Option<Secret>,
}

impl std::fmt::Debug for Renewed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewed")
            .field("user", &self.user.id)
            .finish_non_exhaustive()
    }
}

impl Renewed {
    /// The refresh token, if there is another one.
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_ref().map(Secret::reveal)
    }

    /// What the client is told. `has_refresh_token`: the refresh token too.
    pub fn tokens(&self, has_refresh_token: bool) -> SessionTokens {
        let shown = self.refresh_token().filter(|_| has_refresh_token);
        SessionTokens {
            access_token: self.access_token.clone(),
            token_type: "Bearer",
            expires_in: tokens::LIFE.as_micros() / 1_000_000,
            refresh_token: shown.map(str::to_owned),
            user: self.user.clone(),
        }
    }
}

impl Services {
    /// Begins a session of whoever has this name or address, and this password.
    pub async fn login(&self, caller: &Caller, input: LoginInput) -> Result<Renewed, ServiceError> {
        self.begin(caller, Operation::Login)?;
        let standings = &caller.standings;
        let network = Key::Address(caller.network());
        self.limiter.logins_of_address.take(network, standings)?;
        let login: String = input.login.chars().take(256).collect();
        let account = Key::text_from(&login, caller.network());
        self.limiter.logins_of_account.take(account, standings)?;
        let everywhere = Key::text(&login);
        self.limiter.logins_everywhere.take(everywhere, standings)?;
        let place = self.passwords.place()?;
        // What no account can be called is not asked for: a database may not even take it.
        let is_login = login.is_ascii() && !login.contains(|c: char| c.is_ascii_control());
        let asked = if is_login { login.as_str() } else { "" };
        let found = users::credentials(&self.db, asked).await?;
        let hash = found.as_ref().map(|found| found.password_hash.clone());
        let typed = Typed::new(&input.password);
        let is_right = place.is_right(typed, hash).await?;
        let found = found
            .filter(|_| is_right)
            .ok_or(ServiceError::LoginFailed)?;
        if found.user.suspended_at.is_some() {
            return Err(ServiceError::Suspended);
        }
        let now = self.now();
        let refresh_token = Secret::generate("")?;
        let mut transaction = self.db.write().await?;
        let new = NewLogin {
            user: found.user.id,
            password_hash: &found.password_hash,
            token_hash: &refresh_token.hash(),
            user_agent: &caller.user_agent,
            address: &caller.address.to_canonical().to_string(),
            expires_at: now + refresh::LOGIN_LASTS,
        };
        let opened = login_sessions::open(&self.db, &mut transaction, new, now)
            .await?
            .ok_or(ServiceError::LoginFailed)?;
        transaction.commit().await?;
        self.obey(&opened.told).await;
        // The user as the login was opened for them: the password took a while, and they may have
        // another role since.
        self.renewed(opened.user, opened.id, Some(refresh_token))
            .await
    }

    /// Goes on with the session that the refresh token is of.
    pub async fn refresh(
        &self,
        caller: &Caller,
        refresh_token: &str,
    ) -> Result<Renewed, ServiceError> {
        self.begin(caller, Operation::Refresh)?;
        let now = self.now();
        let next = Secret::generate("")?;
        let successor = Successor {
            token_hash: &next.hash(),
            user_agent: &caller.user_agent,
            address: &caller.address.to_canonical().to_string(),
            expires_at: now + refresh::LOGIN_LASTS,
        };
        let shown = secrets::hash(refresh_token);
        let decide = |family: &login_sessions::Family| refresh::decide(family, now);
        let refreshed = login_sessions::refresh(&self.db, &shown, successor, now, decide).await?;
        let (session, user, next) = match refreshed {
            Refreshed::Rotated { session, user } => (session, user, Some(next)),
            Refreshed::Kept { session, user } => (session, user, None),
            Refreshed::Ended {
                session,
                user,
                told,
            } => {
                tracing::warn!(%user, %session, "a refresh token was used twice: its session has ended");
                metrics::counter!("nova_api_refresh_reuse_total").increment(1);
                self.obey(&told).await;
                return Err(ServiceError::RefreshFailed);
            }
            Refreshed::Refused => return Err(ServiceError::RefreshFailed),
        };
        let user = users::by_id(&self.db, user)
            .await?
            .filter(UserRow::is_active)
            .ok_or(ServiceError::RefreshFailed)?;
        self.renewed(user, session, next).await
    }

    async fn renewed(
        &self,
        user: UserRow,
        session: LoginSessionId,
        refresh_token: Option<Secret>,
    ) -> Result<Renewed, ServiceError> {
        let access_token = self
            .access_tokens
            .issue(user.id, session, user.role.into())?;
        Ok(Renewed {
            user: self.describe_me(&user).await?,
            access_token,
            refresh_token,
        })
    }

    /// Ends the session that the refresh token is of; without one, that of the caller. Where
    /// there is none, nothing is left to be done.
    pub async fn logout(
        &self,
        caller: &Caller,
        refresh_token: Option<&str>,
    ) -> Result<(), ServiceError> {
        self.begin(caller, Operation::Logout)?;
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let told = match (refresh_token, caller.user(), caller.session()) {
            (Some(token), _, _) => {
                let hash = secrets::hash(token);
                login_sessions::end_by_token(&self.db, &mut transaction, &hash, now).await?
            }
            (None, Some(user), Some(session)) => {
                login_sessions::end(&self.db, &mut transaction, user, session, now).await?
            }
            _ => return Err(ServiceError::Unauthenticated),
        };
        transaction.commit().await?;
        self.obey(&told).await;
        Ok(())
    }

    /// Ends every session of the caller, this one too.
    pub async fn logout_everywhere(&self, caller: &Caller) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::LogoutEverywhere)?;
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let told =
            login_sessions::end_all(&self.db, &mut transaction, actor.user, None, now).await?;
        transaction.commit().await?;
        self.obey(&told).await;
        Ok(())
    }

    /// The caller's open sessions, the newest first.
    pub async fn list_sessions(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<LoginSession>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListSessions)?;
        let (after, limit) = (page.after(), page.limit());
        let rows = login_sessions::of_user(&self.db, actor.user, after, limit, self.now()).await?;
        let current = caller.session();
        Ok(page.page(
            rows,
            |row| row.id.as_uuid(),
            |row| LoginSession::of(row, current),
        ))
    }

    /// Ends one of the caller's sessions.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::EndSession)?;
        let missing = ServiceError::NotFound("session".into());
        let Ok(id) = id.parse() else {
            return Err(missing);
        };
        let now = self.now();
        let mut transaction = self.db.write().await?;
        let told = login_sessions::end(&self.db, &mut transaction, actor.user, id, now).await?;
        transaction.commit().await?;
        if told.is_empty() {
            return Err(missing);
        }
        self.obey(&told).await;
        Ok(())
    }

    /// Returns the id of the caller's session when it ends.
    pub fn session_ended(
        &self,
        caller: &Caller,
    ) -> Result<impl Future<Output = LoginSessionId> + Send + use<>, ServiceError> {
        self.begin_known(caller, Operation::SessionEnded)?;
        let session = caller.session().ok_or(ServiceError::Unauthenticated)?;
        let (services, identity) = (self.clone(), caller.identity.clone());
        Ok(async move {
            services.until_revoked(&identity).await;
            session
        })
    }

    /// The caller's own account.
    pub async fn get_me(&self, caller: &Caller) -> Result<Me, ServiceError> {
        let actor = self.begin_known(caller, Operation::GetMe)?;
        let user = users::by_id(&self.db, actor.user)
            .await?
            .filter(UserRow::is_active)
            .ok_or(ServiceError::Unauthenticated)?;
        self.describe_me(&user).await
    }
}

impl LoginSession {
    /// Of a row, as whoever is in `current` sees it.
    pub(crate) fn of(row: LoginSessionRow, current: Option<LoginSessionId>) -> Self {
        Self {
            id: row.id.to_string().into(),
            user_agent: row.user_agent,
            address: row.address,
            created_at: row.created_at.into(),
            refreshed_at: row.refreshed_at.into(),
            expires_at: row.expires_at.into(),
            ended_at: row.ended_at.map(Moment::from),
            is_current: current == Some(row.id),
        }
    }
}
