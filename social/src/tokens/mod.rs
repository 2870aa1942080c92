//! Access tokens: JSON Web Tokens (RFC 7519) that every node verifies by itself.

mod ring_provider;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use media::{Clock, LoginSessionId, Micros, Timestamp, UserId};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::{Deserialize, Serialize};
use storage::Database;
use storage::rows::signing_keys::{self, NewSigningKey, SigningKeyRow};
use uuid::Uuid;

use crate::ServiceError;
use crate::caller::{Identity, Role};

/// How long an access token is good.
pub(crate) const LIFE: Micros = Micros::from_secs(10 * 60);

/// How long a key signs before another takes its place.
const ROTATION: Micros = Micros::from_secs(30 * 24 * 3_600);

/// How long a key is kept that signs no more: until no token of it can be good, on no node.
const KEPT: Micros = Micros::from_secs(24 * 3_600);

/// How often the rows are asked for a key that is not known: anybody can name one.
const ASKED_EVERY: Micros = Micros::from_secs(1);

const ISSUER: &str = "nova";
const AUDIENCE: &str = "api";

/// The longest token that is looked at, in bytes: ours have about 400.
const MAX_BYTES: usize = 2_048;

/// What a token says (RFC 7519 4.1). Times in seconds.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// The login session (OpenID Connect Front-Channel Logout 1.0, 3).
    sid: String,
    role: Role,
    iat: i64,
    exp: i64,
}

struct Keys {
    verifying: HashMap<String, DecodingKey>,
    /// The newest that is not retired.
    signing: Option<(Header, EncodingKey, Timestamp)>,
    asked_at: Timestamp,
}

/// Makes access tokens and verifies them, with keys that all nodes share.
pub(crate) struct AccessTokens {
    db: Database,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Keys>>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessTokens")
    }
}

impl AccessTokens {
    /// Reads the keys, and makes the first one.
    pub(crate) async fn open(db: Database, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        ring_provider::install();
        let keys = read(&db, clock.now()).await?;
        let this = Self {
            db,
            clock,
            keys: RwLock::new(Arc::new(keys)),
        };
        this.rotate().await?;
        Ok(this)
    }

    /// Has a new key sign when the one that does is old or missing, on all nodes, and forgets
    /// keys of which no token can be good.
    pub(crate) async fn rotate(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let made_after = now - ROTATION;
        let keys = self.keys();
        let signing = keys.signing.as_ref();
        if signing.is_some_and(|(_, _, made_at)| *made_at > made_after) {
            return Ok(());
        }
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|error| ServiceError::internal("signing key", error))?;
        let new = NewSigningKey {
            kid: &Uuid::now_v7().to_string(),
            private_key: document.as_ref(),
        };
        let rows = signing_keys::renew(&self.db, new, made_after, now).await?;
        self.set(Keys::of(&rows, now)?);
        signing_keys::delete_retired(&self.db, now - KEPT).await?;
        Ok(())
    }

    /// A token that says who is in the session, and when it ends.
    pub(crate) fn issue(
        &self,
        user: UserId,
        session: LoginSessionId,
        role: Role,
    ) -> Result<String, ServiceError> {
        let keys = self.keys();
        let fault = |error: &dyn fmt::Display| ServiceError::internal("access token", error);
        let (header, key, _) = keys
            .signing
            .as_ref()
            .ok_or_else(|| fault(&"no signing key"))?;
        let now = self.clock.now();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_string(),
            sid: session.to_string(),
            role,
            iat: seconds(now),
            exp: seconds(now + LIFE),
        };
        jsonwebtoken::encode(header, &claims, key).map_err(|error| fault(&error))
    }

    /// Whom the token names, if it is one of ours and good.
    pub(crate) async fn verify(&self, token: &str) -> Result<Identity, ServiceError> {
        if token.len() > MAX_BYTES {
            return Err(ServiceError::Unauthenticated);
        }
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| ServiceError::Unauthenticated)?;
        let kid = header.kid.ok_or(ServiceError::Unauthenticated)?;
        let keys = match self.keys() {
            keys if keys.verifying.contains_key(&kid) => keys,
            keys => self.ask(&keys).await?,
        };
        let key = keys
            .verifying
            .get(&kid)
            .ok_or(ServiceError::Unauthenticated)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // By the service's own clock, below.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|_| ServiceError::Unauthenticated)?
            .claims;
        if claims.exp <= seconds(self.clock.now()) {
            return Err(ServiceError::Unauthenticated);
        }
        let ids = claims.sub.parse().ok().zip(claims.sid.parse().ok());
        let (user, session) = ids.ok_or(ServiceError::Unauthenticated)?;
        Ok(Identity::Session {
            user,
            session,
            role: claims.role,
        })
    }

    /// The keys as the rows have them now, unless they were asked a moment ago.
    async fn ask(&self, known: &Arc<Keys>) -> Result<Arc<Keys>, ServiceError> {
        let now = self.clock.now();
        if now - known.asked_at < ASKED_EVERY {
            return Ok(known.clone());
        }
        Ok(self.set(read(&self.db, now).await?))
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, keys: Keys) -> Arc<Keys> {
        let keys = Arc::new(keys);
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = keys.clone();
        keys
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

async fn read(db: &Database, now: Timestamp) -> Result<Keys, ServiceError> {
    Keys::of(&signing_keys::all(db).await?, now)
}

impl Keys {
    /// Of the rows, the newest first.
    fn of(rows: &[SigningKeyRow], now: Timestamp) -> Result<Self, ServiceError> {
        let signing = rows.first().filter(|row| row.retired_at.is_none());
        let signing = signing.map(|row| {
            let header = Header {
                kid: Some(row.kid.clone()),
                ..Header::new(Algorithm::EdDSA)
            };
            let key = EncodingKey::from_ed_der(&row.private_key);
            (header, key, row.created_at)
        });
        Ok(Self {
            verifying: rows.iter().map(verifying).collect::<Result<_, _>>()?,
            signing,
            asked_at: now,
        })
    }
}

fn verifying(row: &SigningKeyRow) -> Result<(String, DecodingKey), ServiceError> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&row.private_key)
        .map_err(|error| ServiceError::internal("stored signing key", error))?;
    let public = DecodingKey::from_ed_der(pair.public_key().as_ref());
    Ok((row.kid.clone(), public))
}
