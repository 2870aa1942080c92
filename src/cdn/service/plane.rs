//! The operations as the API asks for them.

use std::time::Duration;

use media::{AssetId, NodeId, PrewarmId, PurgeId};
use social::ServiceError;
use social::cdn::{
    AssetChange, CachePlane, Deployment, Figures, MadeUrl, NewAsset, NewPrewarm, Planned,
    PrewarmStatus, Purge, PurgeStatus, WantedUrl,
};
use storage::rows::audit_log::Audited;
use storage::rows::edge_assets::AssetRow;
use storage::rows::edge_nodes::NodeRow;
use storage::rows::idempotency_keys::Once;

use super::{Cdn, CdnError};

impl From<CdnError> for ServiceError {
    fn from(error: CdnError) -> Self {
        let elsewhere = |code| Self::NotHere {
            code,
            detail: error.to_string(),
        };
        match error {
            CdnError::Invalid(why) => Self::refused(why),
            CdnError::NoDatabase => elsewhere("no-database"),
            CdnError::NoEdge => elsewhere("no-edge"),
            CdnError::NoSigner => elsewhere("no-signer"),
            CdnError::NotNoted(_) => elsewhere("not-noted"),
            CdnError::TooManyPrewarms(most) => Self::TooManyPrewarms(most),
            CdnError::Service(error) => error,
        }
    }
}

/// The inherent method of the same name.
macro_rules! planned {
    ($cdn:ident.$method:ident($($argument:expr),*)) => {
        Box::pin(async move { Ok(Cdn::$method($cdn, $($argument),*).await?) })
    };
}

impl CachePlane for Cdn {
    fn url<'a>(&'a self, wanted: WantedUrl<'a>) -> Planned<'a, MadeUrl> {
        planned!(self.url(wanted))
    }

    fn purge<'a>(&'a self, purge: Purge<'a>) -> Planned<'a, PurgeStatus> {
        planned!(self.purge(purge))
    }

    fn await_purge(&self, id: PurgeId, wait: Duration) -> Planned<'_, PurgeStatus> {
        planned!(self.await_purge(id, wait))
    }

    fn purge_status(&self, id: PurgeId) -> Planned<'_, PurgeStatus> {
        planned!(self.purge_status(id))
    }

    fn prewarm<'a>(&'a self, new: NewPrewarm<'a>) -> Planned<'a, PrewarmStatus> {
        planned!(self.prewarm(new))
    }

    fn prewarm_status(&self, id: PrewarmId) -> Planned<'_, PrewarmStatus> {
        planned!(self.prewarm_status(id))
    }

    fn cancel_prewarm(
        &self,
        id: PrewarmId,
        audited: Option<Audited>,
    ) -> Planned<'_, PrewarmStatus> {
        planned!(self.cancel_prewarm(id, audited))
    }

    fn register_asset<'a>(
        &'a self,
        new: NewAsset,
        audited: Audited,
        once: Option<Once<'a>>,
    ) -> Planned<'a, AssetRow> {
        planned!(self.register_asset(new, Some(audited), once))
    }

    fn change_asset(
        &self,
        id: AssetId,
        change: AssetChange,
        audited: Audited,
    ) -> Planned<'_, AssetRow> {
        planned!(self.change_asset(id, change, Some(audited)))
    }

    fn asset(&self, id: AssetId) -> Planned<'_, AssetRow> {
        planned!(self.asset(id))
    }

    fn remove_asset(&self, id: AssetId, audited: Audited) -> Planned<'_, ()> {
        planned!(self.remove_asset(id, Some(audited)))
    }

    fn assets(&self, after: Option<AssetId>, limit: u32) -> Planned<'_, Vec<AssetRow>> {
        planned!(self.assets(after, limit))
    }

    fn nodes(&self, after: Option<NodeId>, limit: u32) -> Planned<'_, Vec<NodeRow>> {
        planned!(self.nodes(after, limit))
    }

    fn deployment(&self) -> Planned<'_, Deployment> {
        planned!(self.deployment())
    }

    fn figures(&self) -> Planned<'_, Figures> {
        planned!(self.figures())
    }
}
