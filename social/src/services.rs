//! What every operation stands on.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use media::{Clock, Timestamp};
use storage::ObjectStore;
use storage::events::{Bus, RecvError, SubjectPattern, Subscription};
use storage::rows::account_events::{AccountEvent, PATTERN, Told};
use storage::rows::{Database, login_sessions, users};
use tokio_util::sync::CancellationToken;

use crate::ServiceError;
use crate::accounts::Passwords;
use crate::accounts::api_tokens::{KnownTokens, PREFIX};
use crate::caller::{Caller, Identity};
use crate::cdn::CachePlane;
use crate::chat::hub::Hub;
use crate::limits::{Key, Limiter};
use crate::mail::Post;
use crate::notifications::Listeners;
use crate::people::KnownFollowerCounts;
use crate::pictures::Pictures;
use crate::revocations::{REMEMBERED, Revocations};
use crate::settings::Settings;
use crate::streams::{KnownRecordings, MediaPlane, PlaybackBase, UnwrittenViewers, ViewerWrites};
use crate::tokens::AccessTokens;

/// Rows of one page of what is read at the start.
const PAGE: u32 = 500;

/// How often the signing key is looked at.
const ROTATION_CHECKED: Duration = Duration::from_secs(3_600);

/// The pause after the rows or the bus have failed.
const RETRY: Duration = Duration::from_secs(1);

/// What the services are made of.
#[derive(Debug)]
pub struct Parts {
    /// The rows.
    pub database: Database,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Events between nodes.
    pub bus: Arc<dyn Bus>,
    /// Where pictures of people and of posts are.
    pub objects: Arc<dyn ObjectStore>,
    /// Where mails go.
    pub post: Arc<dyn Post>,
    /// What the operator sets.
    pub settings: Settings,
    /// What playback URLs begin with.
    pub playback_base: PlaybackBase,
    /// What knows of encoding and of tokens for playback.
    pub media: Arc<dyn MediaPlane>,
    /// What runs the caches; `None`: nobody does.
    pub caches: Option<Arc<dyn CachePlane>>,
}

/// Every operation of the API, for every face. Clones are the same services.
#[derive(Clone)]
pub struct Services(Arc<Context>);

/// What operations use. They are methods of [`Services`], each in the file of its subject.
pub struct Context {
    pub(crate) db: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) post: Arc<dyn Post>,
    pub(crate) settings: Settings,
    pub(crate) playback_base: PlaybackBase,
    pub(crate) media: Arc<dyn MediaPlane>,
    pub(crate) caches: Option<Arc<dyn CachePlane>>,
    pub(crate) limiter: Limiter,
    pub(crate) passwords: Passwords,
    pub(crate) pictures: Pictures,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) revocations: Revocations,
    pub(crate) known_tokens: KnownTokens,
    pub(crate) known_recordings: KnownRecordings,
    pub(crate) known_follower_counts: KnownFollowerCounts,
    pub(crate) viewer_writes: ViewerWrites,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) chat: Hub,
}

impl Deref for Services {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

/// What goes on beside requests: news of other nodes, chats, what viewers say, and the change of
/// keys. Mails are sent by [`Services::send_mails`], posts and streams taken away by
/// [`Services::remove_posts`] and [`Services::remove_streams`], and broadcasts announced by
/// [`Services::announce_broadcasts`], on any node; pictures go by [`Services::drop_avatars`] and
/// [`Services::sweep_images`], on any that has their store.
pub struct Upkeep {
    services: Services,
    events: Subscription,
    unwritten: UnwrittenViewers,
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep")
    }
}

impl Services {
    /// Reads what has to be known before anybody is answered. [`Upkeep::run`] has to run as
    /// long as requests are answered.
    pub async fn start(parts: Parts) -> Result<(Self, Upkeep), ServiceError> {
        let Parts {
            database: db,
            clock,
            bus,
            objects,
            post,
            settings,
            playback_base,
            media,
            caches,
        } = parts;
        // Before the rows are read: what happens meanwhile comes twice, not never.
        let events = subscribe(&*bus).await?;
        let access_tokens = AccessTokens::open(db.clone(), clock.clone()).await?;
        let passwords = Passwords::new(settings.password_memory_mib, settings.password_wait);
        let (viewer_writes, unwritten) = ViewerWrites::new();
        let services = Self(Arc::new(Context {
            limiter: Limiter::new(&settings.limits, clock.clone()),
            passwords,
            pictures: Pictures::default(),
            access_tokens,
            revocations: Revocations::default(),
            known_tokens: KnownTokens::default(),
            known_recordings: KnownRecordings::default(),
            known_follower_counts: KnownFollowerCounts::default(),
            viewer_writes,
            listeners: Arc::default(),
            chat: Hub::new(db.clone(), clock.clone(), bus.clone(), &settings),
            db,
            clock,
            bus,
            objects,
            post,
            settings,
            playback_base,
            media,
            caches,
        }));
        services.read_revocations().await?;
        let upkeep = Upkeep {
            services: services.clone(),
            events,
            unwritten,
        };
        Ok((services, upkeep))
    }

    /// What password computations there are, for whoever measures.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a caller known by what stands in `Authorization`. What names nobody is counted as
    /// a request of the network that it comes from: no operation is called that would be.
    pub async fn authenticate(
        &self,
        caller: Caller,
        authorization: &str,
    ) -> Result<Caller, ServiceError> {
        match self.identify(authorization).await {
            Ok(identity) => Ok(caller.with_identity(identity)),
            Err(ServiceError::Unauthenticated) => {
                let network = Key::Address(caller.network());
                self.limiter.requests.take(network, &caller.standings)?;
                Err(ServiceError::Unauthenticated)
            }
            Err(error) => Err(error),
        }
    }

    async fn identify(&self, authorization: &str) -> Result<Identity, ServiceError> {
        let token = bearer(authorization).ok_or(ServiceError::Unauthenticated)?;
        let identity = match token.starts_with(PREFIX) {
            true => self.find_token(token).await?,
            false => self.access_tokens.verify(token).await?,
        };
        self.check_revoked(&identity)?;
        Ok(identity)
    }

    /// Counts a request, whatever it calls.
    pub(crate) fn count(&self, caller: &Caller) -> Result<(), ServiceError> {
        let requests = &self.limiter.requests;
        requests.take(Key::of(caller), &caller.standings)
    }

    /// Refuses whom a revocation has reached.
    pub(crate) fn check_revoked(&self, identity: &Identity) -> Result<(), ServiceError> {
        match self.revocations.is_revoked(identity) {
            true => Err(ServiceError::Unauthenticated),
            false => Ok(()),
        }
    }

    /// Returns when a revocation has reached whoever it is.
    pub(crate) async fn until_revoked(&self, identity: &Identity) {
        let mut news = self.revocations.news();
        while self.check_revoked(identity).is_ok() {
            // Lagging, too, is news; the sender lives as long as the services.
            drop(news.recv().await);
        }
    }

    /// Obeys what a transaction has written that is committed, and tells the other nodes
    /// without waiting for the outbox, which tells them again.
    pub(crate) async fn obey(&self, told: &Told) {
        let now = self.now();
        for event in told.account_events() {
            self.learn(event, now);
        }
        for event in told.events() {
            if let Err(error) = self.bus.publish(event.clone()).await {
                tracing::debug!(%error, "other nodes hear of it by the outbox");
            }
        }
    }

    /// Obeys what has happened at `at`.
    pub(crate) fn learn(&self, event: &AccountEvent, at: Timestamp) {
        // Before: whoever is told looks anew.
        self.known_tokens.forget();
        self.revocations.learn(event, at, self.now());
        if let AccountEvent::Suspended { user } | AccountEvent::Deleted { user } = event {
            self.chat.forget(*user);
        }
    }

    /// Reads what was revoked lately, for a node that starts or has missed something.
    async fn read_revocations(&self) -> Result<(), ServiceError> {
        // Tokens are looked up anew: what was revoked of them need not be read.
        self.known_tokens.forget();
        let read_at = self.now();
        let since = read_at - REMEMBERED;
        let mut after = None;
        loop {
            let page = login_sessions::ended_since(&self.db, since, after, PAGE).await?;
            self.revocations.learn_ended(&page, self.now());
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = Some(*last),
                _ => break,
            }
        }
        let mut suspended = Vec::new();
        loop {
            let after = suspended.last().copied();
            let page = users::suspended_since(&self.db, since, after, PAGE).await?;
            suspended.extend_from_slice(&page);
            if page.len() < PAGE as usize {
                break;
            }
        }
        self.revocations
            .replace_suspended(&suspended, read_at, self.now());
        for (_, user) in &suspended {
            self.chat.forget(*user);
        }
        Ok(())
    }
}

/// The token that stands in `Authorization`. The scheme is compared without case (RFC 9110
/// 11.1).
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn subscribe(bus: &dyn Bus) -> Result<Subscription, ServiceError> {
    let pattern = SubjectPattern::new(PATTERN)
        .map_err(|error| ServiceError::internal("account events", error))?;
    bus.subscribe(&pattern)
        .await
        .map_err(|error| ServiceError::internal("account events", error))
}

impl Upkeep {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            services,
            mut events,
            mut unwritten,
        } = self;
        let all = async {
            tokio::join!(
                hear(&services, &mut events),
                services.hear_of_notifications(),
                services.write_what_viewers_say(&mut unwritten),
                keep_keys(&services),
            );
        };
        let chat = services.chat.run(&services.revocations, shutdown.clone());
        tokio::join!(chat, shutdown.run_until_cancelled(all));
    }
}

async fn hear(services: &Services, events: &mut Subscription) {
    loop {
        match events.recv().await {
            Ok(message) => match AccountEvent::read(&message.event) {
                Ok((event, at)) => services.learn(&event, at),
                Err(error) => {
                    tracing::warn!(%error, "the rows are read instead");
                    read_anew(services).await;
                }
            },
            Err(RecvError::Closed) => {
                tokio::time::sleep(RETRY).await;
                match subscribe(&*services.bus).await {
                    Ok(again) => *events = again,
                    Err(error) => tracing::warn!(%error, "no account events"),
                }
                read_anew(services).await;
            }
            // Something was missed.
            Err(_) => read_anew(services).await,
        }
    }
}

async fn read_anew(services: &Services) {
    while let Err(error) = services.read_revocations().await {
        tracing::warn!(%error, "what was revoked is not known");
        tokio::time::sleep(RETRY).await;
    }
}

async fn keep_keys(services: &Services) {
    loop {
        tokio::time::sleep(ROTATION_CHECKED).await;
        if let Err(error) = services.access_tokens.rotate().await {
            tracing::warn!(%error, "the signing key was not changed");
        }
    }
}
