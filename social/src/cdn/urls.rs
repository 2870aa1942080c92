//! URLs of what caches have.

use media::Micros;
use serde_json::json;
use storage::rows::audit_log::{self, NewAuditEntry};
use storage::rows::playback_bars::TOKEN_AT_MOST;
use uuid::Uuid;

use super::WantedUrl;
use super::reach::{Folder, Right};
use crate::caller::Caller;
use crate::model::{GenerateUrlInput, GeneratedUrl, Moment};
use crate::operation::Operation;
use crate::streams::Viewing;
use crate::{ServiceError, Services};

/// The longest that a signature holds which an administrator asks for.
const AT_MOST: Micros = Micros::from_secs(31 * 86_400);

impl Services {
    /// Makes a URL, for whoever is to have it: with a signature where one is needed.
    pub async fn generate_url(
        &self,
        caller: &Caller,
        input: GenerateUrlInput,
    ) -> Result<GeneratedUrl, ServiceError> {
        let actor = self.begin_known(caller, Operation::GenerateUrl)?;
        // Before rows are read: what changes meanwhile takes the signature back.
        let asked_at = self.now();
        let path = input.path.split('?').next().unwrap_or_default();
        let right = self.right_to_paths(caller, actor, "path", [path]).await?;
        let most = match right {
            // A bar is forgotten after that.
            Right::Owner => TOKEN_AT_MOST,
            Right::Administrator => AT_MOST,
        };
        let ttl = Micros::from_secs(input.ttl_seconds.into());
        if ttl <= Micros::ZERO || ttl > most {
            let most = most.as_micros() / 1_000_000;
            let expected = format!("expected a number from 1 to {most}");
            return Err(ServiceError::invalid("ttl_seconds", expected));
        }
        let is_signed = match Folder::of(path) {
            Some(folder) => self.is_signed(&folder).await?,
            None => false,
        };
        let wanted = WantedUrl {
            path: &input.path,
            ttl,
            is_signed,
            viewing: (right == Right::Owner).then_some(Viewing {
                owner: actor.user,
                viewer: None,
                shown: None,
                at: asked_at,
            }),
        };
        let made = self.caches()?.url(wanted).await?;
        if right == Right::Administrator && made.expires.is_some() {
            // It is in no row.
            let entry = NewAuditEntry {
                actor: Some(actor.user),
                action: "generate-url",
                subject_kind: "path",
                subject: Uuid::nil(),
                detail: &json!({ "path": path, "ttl_seconds": input.ttl_seconds }),
            };
            let mut transaction = self.db.write().await?;
            audit_log::append(&mut transaction, entry, self.now()).await?;
            transaction.commit().await?;
        }
        Ok(GeneratedUrl {
            url: made.url,
            expires_at: made.expires.map(Moment::from),
        })
    }
}
