//! The pages and the API, as this process serves them.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use social::mail::{LogPost, Post, SmtpPost};
use social::streams::PlaybackBase;
use social::{Parts, Services, Upkeep};
use storage::ObjectStore;
use storage::events::Bus;
use tokio_util::sync::CancellationToken;

use crate::cdn::{Cdn, SigningKeys};
use crate::config::Config;
use crate::hooks::{self, HookParts};
use crate::playback::Plane;
use crate::serve::Foundation;
use crate::web;

/// The API, ready to answer.
#[derive(Debug)]
pub struct Api {
    services: Services,
    upkeep: Upkeep,
    pages: Router,
}

impl Api {
    /// Reads what has to be known before anybody is answered. `objects` is the object store,
    /// where this process has it open already.
    pub async fn start(
        config: &Config,
        foundation: &Foundation,
        bus: &Arc<dyn Bus>,
        objects: Option<Arc<dyn ObjectStore>>,
        keys: SigningKeys,
        cdn: Cdn,
    ) -> Result<Self, Box<dyn Error>> {
        let playback = &config.http.playback_url;
        let playback_base = match playback.as_str() {
            "" => PlaybackBase::same_origin(),
            base => base.parse()?,
        };
        let post: Arc<dyn Post> = match config.mail.smtp_url.as_str() {
            "" => Arc::new(LogPost),
            url => Arc::new(SmtpPost::new(url, &config.mail.from)?),
        };
        let objects = match objects {
            Some(objects) => objects,
            None => storage::objects::open(&config.objects()).await?,
        };
        let parts = Parts {
            database: foundation.database.clone(),
            clock: foundation.clock.clone(),
            bus: bus.clone(),
            objects,
            post,
            settings: config.api_settings(),
            playback_base,
            media: Arc::new(Plane::new(keys, config.access_policy()?)),
            caches: Some(Arc::new(cdn)),
        };
        let (services, upkeep) = Services::start(parts).await?;
        let mut pages =
            web::router(playback, &config.told_rtmp_url()).merge(social::router(services.clone()));
        if config.hooks.is_on() {
            pages = pages.merge(hooks::router(HookParts {
                database: foundation.database.clone(),
                clock: foundation.clock.clone(),
                secret: hooks::Secret::new(&config.hooks.secret),
                addresses: config.hook_addresses(),
                proxies: config.api_settings().trusted_proxies,
            }));
        }
        Ok(Self {
            pages,
            services,
            upkeep,
        })
    }

    /// The operations.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// What answers, and what goes on beside it until `shutdown`.
    pub fn split(self, shutdown: CancellationToken) -> (Router, impl Future<Output = ()> + Send) {
        let Self {
            services,
            upkeep,
            pages,
        } = self;
        let beside = async move {
            tokio::join!(
                upkeep.run(shutdown.clone()),
                services.clone().send_mails(shutdown.clone()),
                services.clone().drop_avatars(shutdown.clone()),
                services.clone().remove_posts(shutdown.clone()),
                services.clone().sweep_images(shutdown.clone()),
                services.clone().remove_streams(shutdown.clone()),
                services.announce_broadcasts(shutdown),
            );
        };
        (pages, beside)
    }
}
