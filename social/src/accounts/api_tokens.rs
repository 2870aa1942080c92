//! Personal API tokens: what a user lets a program do in their name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use media::{ApiTokenId, Micros, Timestamp};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use storage::rows::api_tokens::{self, ApiTokenRow, NewApiToken, USE_NOTED_EVERY};

use crate::caller::{Caller, Identity, Scope};
use crate::error::Fields;
use crate::idempotency::Repeatable;
use crate::model::{ApiToken, CreateApiTokenInput, CreatedApiToken, Moment};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::secrets::{self, Secret};
use crate::{ServiceError, Services};

/// What every token begins with, so that it is known for one wherever it is found.
pub(crate) const PREFIX: &str = "nova_pat_";

/// The longest name of a token, in characters.
const MAX_NAME: usize = 100;

/// The longest time that a token can be made for.
const MAX_DAYS: u32 = 3_650;

/// How long it is remembered whose a token is, where no event says otherwise.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Tokens that are remembered.
const MOST: u64 = 10_000;

/// Whose tokens are, as they were looked up a moment ago.
#[derive(Debug)]
pub(crate) struct KnownTokens {
    cache: Cache<[u8; 32], (Identity, Option<Timestamp>)>,
    /// Grows with every event that may make the memory wrong.
    generation: AtomicU64,
}

impl Default for KnownTokens {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(REMEMBERED)
            .build();
        Self {
            cache,
            generation: AtomicU64::new(0),
        }
    }
}

impl KnownTokens {
    /// Something has changed about some token.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.cache.invalidate_all();
    }
}

/// What is kept of a token's making, for who asks again.
#[derive(Serialize, Deserialize)]
struct Made {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl Services {
    /// Whom the token names, if it is good.
    pub(crate) async fn find_token(&self, token: &str) -> Result<Identity, ServiceError> {
        let hash = secrets::hash(token);
        let now = self.now();
        if let Some((identity, expires_at)) = self.known_tokens.cache.get(&hash)
            && expires_at.is_none_or(|at| at > now)
        {
            return Ok(identity);
        }
        let generation = self.known_tokens.generation.load(Ordering::Acquire);
        let bearer = api_tokens::find(&self.db, &hash, now)
            .await?
            .ok_or(ServiceError::Unauthenticated)?;
        let used = bearer.token.last_used_at;
        if used.is_none_or(|at| now - at >= USE_NOTED_EVERY) {
            let mut transaction = self.db.write().await?;
            api_tokens::note_use(&mut transaction, bearer.token.id, now).await?;
            transaction.commit().await?;
        }
        let identity = Identity::Token {
            user: bearer.user.id,
            token: bearer.token.id,
            role: bearer.user.role.into(),
            scopes: scopes(&bearer.token),
        };
        // What was read before an event must not be remembered after it.
        if generation == self.known_tokens.generation.load(Ordering::Acquire) {
            let known = (identity.clone(), bearer.token.expires_at);
            self.known_tokens.cache.insert(hash, known);
        }
        Ok(identity)
    }

    /// The caller's tokens, the newest first.
    pub async fn list_api_tokens(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<ApiToken>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListApiTokens)?;
        let rows = api_tokens::of_user(&self.db, actor.user, page.after(), page.limit()).await?;
        Ok(page.page(rows, |row| row.id.as_uuid(), |row| shown(&row)))
    }

    /// Makes a token, and shows it this once.
    pub async fn create_api_token(
        &self,
        caller: &Caller,
        input: CreateApiTokenInput,
        idempotency_key: Option<&str>,
    ) -> Result<CreatedApiToken, ServiceError> {
        let actor = self.begin_known(caller, Operation::CreateApiToken)?;
        let operation = Operation::CreateApiToken;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier::<Made>(request).await? {
            return Ok(made.shown(None));
        }
        let (name, scopes) = check(&input)?;
        let now = self.now();
        let days = input.expires_in_days.map(i64::from);
        let expires_at = days.map(|days| now + Micros::from_secs(days * 24 * 3_600));
        let secret = Secret::generate(PREFIX)?;
        let new = NewApiToken {
            user: actor.user,
            name,
            token_hash: &secret.hash(),
            scopes: &scopes,
            expires_at,
        };
        let mut transaction = self.db.write().await?;
        let made = Made::of(&api_tokens::create(&mut transaction, new, now).await?);
        let shown = match self.commit_once(transaction, request, &made).await? {
            None => made.shown(Some(secret.reveal())),
            Some(earlier) => earlier.shown(None),
        };
        Ok(shown)
    }

    /// Revokes one of the caller's tokens.
    pub async fn revoke_api_token(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RevokeApiToken)?;
        let missing = || ServiceError::NotFound("API token".into());
        let id: ApiTokenId = id.parse().map_err(|_| missing())?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let told = api_tokens::revoke(db, &mut transaction, actor.user, id, now).await?;
        transaction.commit().await?;
        if told.is_empty() {
            return Err(missing());
        }
        self.obey(&told).await;
        Ok(())
    }
}

/// The name and the scopes as a row has them.
fn check(input: &CreateApiTokenInput) -> Result<(&str, String), ServiceError> {
    let mut fields = Fields::default();
    let name = input.name.trim();
    let length = name.chars().count();
    let is_name = (1..=MAX_NAME).contains(&length) && !name.chars().any(char::is_control);
    let named = is_name
        .then_some(name)
        .ok_or("expected 1 to 100 characters");
    let named = fields.read("name", named);
    let mut scopes = input.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    let some = (!scopes.is_empty()).then_some(scopes);
    let some = fields.read("scopes", some.ok_or("expected one scope at least"));
    let is_span = input
        .expires_in_days
        .is_none_or(|days| (1..=MAX_DAYS).contains(&days));
    let span = is_span.then_some(()).ok_or("expected 1 to 3650 days");
    let span = fields.read("expires_in_days", span);
    match (named, some, span) {
        (Some(name), Some(scopes), Some(())) => {
            let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
            Ok((name, scopes.join(" ")))
        }
        _ => Err(fields.into_error()),
    }
}

/// What the row opens. A scope that this version does not know opens nothing.
fn scopes(row: &ApiTokenRow) -> Arc<[Scope]> {
    row.scopes
        .split(' ')
        .filter_map(|scope| scope.parse().ok())
        .collect()
}

pub(super) fn shown(row: &ApiTokenRow) -> ApiToken {
    ApiToken {
        id: row.id.to_string().into(),
        name: row.name.clone(),
        scopes: scopes(row).to_vec(),
        created_at: row.created_at.into(),
        expires_at: row.expires_at.map(Moment::from),
        last_used_at: row.last_used_at.map(Moment::from),
    }
}

impl Made {
    fn of(row: &ApiTokenRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            scopes: scopes(row).to_vec(),
            created_at: row.created_at.as_micros(),
            expires_at: row.expires_at.map(Timestamp::as_micros),
        }
    }

    fn shown(self, token: Option<&str>) -> CreatedApiToken {
        let moment = |micros| Moment::from(Timestamp::from_micros(micros));
        CreatedApiToken {
            token: token.map(str::to_owned),
            api_token: ApiToken {
                id: self.id.into(),
                name: self.name,
                scopes: self.scopes,
                created_at: moment(self.created_at),
                expires_at: self.expires_at.map(moment),
                last_used_at: None,
            },
        }
    }
}
