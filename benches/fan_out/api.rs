//! The API, without a socket: its own router is asked.

use std::error::Error;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, header};
use media::{PostId, SystemClock, Timestamp, UserId};
use serde_json::{Value, json};
use social::accounts::{NewUser, create_user};
use social::mail::{Mail, Post, PostError};
use social::rest::Client;
use social::settings::Settings;
use social::streams::{InvalidLadder, MediaPlane, PlaybackBase, Viewing};
use social::{Parts, ServiceError, Services};
use storage::Database;
use storage::events::LocalBus;
use storage::objects::MemoryStore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

const PASSWORD: &str = "correct horse";

/// Answers are shorter.
const ANSWER_AT_MOST: usize = 1 << 20;

/// Limits that are in nobody's way.
const UNLIMITED: u32 = 1_000_000;

/// Somebody who has logged in.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) followers: u64,
    /// From the first to the last.
    pub(crate) some_followers: Vec<UserId>,
    token: String,
}

pub(crate) struct Api {
    db: Database,
    router: Router,
    _running: DropGuard,
}

/// Nobody is sent anything.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn send<'a>(
        &'a self,
        _: &'a Mail,
    ) -> Pin<Box<dyn Future<Output = Result<(), PostError>> + Send + 'a>> {
        Box::pin(ready(Ok(())))
    }
}

/// Nothing is encoded or played.
#[derive(Debug)]
struct NoMedia;

impl MediaPlane for NoMedia {
    fn ladder(&self, _: &str) -> Result<String, InvalidLadder> {
        Err(InvalidLadder("nothing is encoded here".to_owned()))
    }

    fn playback_path(
        &self,
        path: &str,
        _: &Viewing,
        _: bool,
        _: Timestamp,
    ) -> Result<String, ServiceError> {
        Ok(path.to_owned())
    }
}

impl Api {
    pub(crate) async fn start(db: &Database) -> Result<Self, Box<dyn Error>> {
        let mut settings = Settings::default();
        settings.limits.requests_per_minute = UNLIMITED;
        settings.limits.writes_per_minute = UNLIMITED;
        settings.limits.posts_per_hour = UNLIMITED;
        let parts = Parts {
            database: db.clone(),
            clock: Arc::new(SystemClock),
            bus: Arc::new(LocalBus::new()),
            objects: Arc::new(MemoryStore::default()),
            post: Arc::new(NoPost),
            settings,
            playback_base: PlaybackBase::same_origin(),
            media: Arc::new(NoMedia),
            caches: None,
        };
        let (services, upkeep) = Services::start(parts).await?;
        let shutdown = CancellationToken::new();
        tokio::spawn(upkeep.run(shutdown.clone()));
        Ok(Self {
            db: db.clone(),
            router: social::router(services),
            _running: shutdown.drop_guard(),
        })
    }

    /// Makes an account that will have so many followers, and logs in.
    pub(crate) async fn account(&self, followers: u64) -> Result<Account, Box<dyn Error>> {
        let name = format!("followed-by-{followers}");
        let user = NewUser {
            name: name.parse()?,
            email: format!("{name}@example.org").parse()?,
            password: PASSWORD.parse()?,
            is_admin: false,
        };
        let row = create_user(&self.db, &SystemClock, user).await?;
        let body = json!({ "login": name, "password": PASSWORD });
        let answer = self.ask("/api/v1/session", "", &body).await?;
        let token = answer["access_token"].as_str();
        let token = token.ok_or_else(|| format!("no token: {answer}"))?;
        Ok(Account {
            id: row.id,
            followers,
            some_followers: Vec::new(),
            token: token.to_owned(),
        })
    }

    /// Posts something.
    pub(crate) async fn post(&self, account: &Account) -> Result<PostId, Box<dyn Error>> {
        let body = json!({ "text": "Hello everybody, what do you think of #this?" });
        let answer = self.ask("/api/v1/posts", &account.token, &body).await?;
        let id = answer["id"].as_str();
        let id = id.ok_or_else(|| format!("no post: {answer}"))?;
        Ok(id.parse()?)
    }

    async fn ask(&self, path: &str, token: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let mut request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .extension(Client::default());
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_string()))?;
        let answer = self.router.clone().oneshot(request).await?;
        let status = answer.status();
        let body = to_bytes(answer.into_body(), ANSWER_AT_MOST).await?;
        match status.is_success() {
            true => Ok(serde_json::from_slice(&body)?),
            false => Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&body)).into()),
        }
    }
}
