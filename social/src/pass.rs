//! What let somebody in who stays: looked at again for as long as they do.

use media::{ApiTokenId, LoginSessionId, UserId};
use storage::rows::account_events::AccountEvent;
use storage::rows::users::UserRow;
use storage::rows::{api_tokens, login_sessions, users};

use crate::caller::{Caller, Identity, Role};
use crate::{ServiceError, Services, secrets, services};

/// Whom a socket belongs to, and what they have shown.
#[derive(Clone)]
pub(crate) struct Pass {
    /// As it was at the beginning, and as operations see it.
    pub(crate) caller: Caller,
    /// What stood in `Authorization`.
    pub(crate) shown: Option<String>,
}

impl Pass {
    /// Refuses who would not be let in again as the same, with the same rights: by the clock,
    /// by what this node has heard, and by the rows, for a node may hear nothing.
    pub(crate) async fn check(&self, services: &Services) -> Result<(), ServiceError> {
        let Some(shown) = &self.shown else {
            return Ok(());
        };
        let caller = services.authenticate(self.caller.clone(), shown).await?;
        let is_same = caller.identity == self.caller.identity
            && match caller.identity {
                Identity::Anonymous => true,
                Identity::Session {
                    user,
                    session,
                    role,
                } => is_open(services, user, session, role).await?,
                Identity::Token { token, role, .. } => opens(services, token, role, shown).await?,
            };
        match is_same {
            true => Ok(()),
            false => Err(ServiceError::Unauthenticated),
        }
    }
}

/// Whether the rows have the session, its user and their role as they were.
async fn is_open(
    services: &Services,
    user: UserId,
    session: LoginSessionId,
    role: Role,
) -> Result<bool, ServiceError> {
    let Some(row) = login_sessions::by_id(&services.db, session).await? else {
        return Ok(false);
    };
    if let Some(at) = row.ended_at {
        // Whatever kept the event from this node: the others who ask here need not find out.
        let sessions = vec![session];
        let event = AccountEvent::SessionsEnded { user, sessions };
        services.learn(&event, at);
        return Ok(false);
    }
    let owner = users::by_id(&services.db, user).await?;
    let is_same = owner.is_some_and(|owner| may(&owner, role));
    Ok(is_same && row.user == user && row.expires_at > services.now())
}

/// Whether the rows have the token and its owner as they were.
async fn opens(
    services: &Services,
    token: ApiTokenId,
    role: Role,
    shown: &str,
) -> Result<bool, ServiceError> {
    let Some(text) = services::bearer(shown) else {
        return Ok(false);
    };
    let found = api_tokens::find(&services.db, &secrets::hash(text), services.now()).await?;
    Ok(found.is_some_and(|found| found.token.id == token && may(&found.user, role)))
}

fn may(user: &UserRow, role: Role) -> bool {
    user.is_active() && Role::from(user.role) == role
}
