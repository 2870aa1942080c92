//! What is registered to be cached.

use storage::rows::audit_log::Audited;
use storage::rows::edge_assets::{self, AssetRow};

use super::{AssetChange, NewAsset, read_id};
use crate::caller::Caller;
use crate::idempotency::{Made, Repeatable};
use crate::model::{EdgeAsset, RegisterAssetInput, UpdateAssetInput};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// Assets, in the order of their registration.
    pub async fn list_edge_assets(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<EdgeAsset>, ServiceError> {
        self.begin_known(caller, Operation::ListEdgeAssets)?;
        let assets = self.caches()?.assets(page.after(), page.limit()).await?;
        Ok(page.page(assets, |asset| asset.id.as_uuid(), shown))
    }

    /// An asset.
    pub async fn get_edge_asset(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<EdgeAsset, ServiceError> {
        self.begin_known(caller, Operation::GetEdgeAsset)?;
        let id = read_id(id, "asset")?;
        Ok(shown(self.caches()?.asset(id).await?))
    }

    /// Registers an asset.
    pub async fn register_edge_asset(
        &self,
        caller: &Caller,
        input: RegisterAssetInput,
        idempotency_key: Option<&str>,
    ) -> Result<EdgeAsset, ServiceError> {
        let operation = Operation::RegisterEdgeAsset;
        let actor = self.begin_known(caller, operation)?;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        let caches = self.caches()?;
        if let Some(Made { id }) = self.earlier(request).await? {
            return Ok(shown(caches.asset(read_id(&id, "asset")?).await?));
        }
        let new = NewAsset {
            name: input.name,
            path_prefix: input.path_prefix,
            kind: edge_assets::AssetKind::from(input.kind).to_string(),
            origin: input.origin,
            access: edge_assets::AssetAccess::from(input.access).to_string(),
            tags: input.tags,
        };
        let audited = Audited {
            actor: actor.user,
            action: "register-asset",
        };
        let once = self.once(request);
        let registered = caches.register_asset(new, audited, once).await;
        Ok(shown(match registered {
            Ok(asset) => asset,
            Err(refused) => {
                let Made { id } = self.faster(request, refused).await?;
                caches.asset(read_id(&id, "asset")?).await?
            }
        }))
    }

    /// Changes an asset.
    pub async fn update_edge_asset(
        &self,
        caller: &Caller,
        id: &str,
        input: UpdateAssetInput,
    ) -> Result<EdgeAsset, ServiceError> {
        let actor = self.begin_known(caller, Operation::UpdateEdgeAsset)?;
        let id = read_id(id, "asset")?;
        let kind = input.kind.map(edge_assets::AssetKind::from);
        let access = input.access.map(edge_assets::AssetAccess::from);
        let change = AssetChange {
            name: input.name,
            path_prefix: input.path_prefix,
            kind: kind.map(|kind| kind.to_string()),
            origin: input.origin,
            access: access.map(|access| access.to_string()),
            tags: input.tags,
        };
        let audited = Audited {
            actor: actor.user,
            action: "update-asset",
        };
        Ok(shown(
            self.caches()?.change_asset(id, change, audited).await?,
        ))
    }

    /// Removes an asset. What is cached of it stays.
    pub async fn remove_edge_asset(&self, caller: &Caller, id: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RemoveEdgeAsset)?;
        let id = read_id(id, "asset")?;
        let audited = Audited {
            actor: actor.user,
            action: "remove-asset",
        };
        self.caches()?.remove_asset(id, audited).await
    }
}

fn shown(asset: AssetRow) -> EdgeAsset {
    let rules = asset.rules;
    EdgeAsset {
        id: asset.id.to_string().into(),
        name: rules.name,
        path_prefix: rules.path_prefix,
        kind: rules.kind.into(),
        origin: rules.origin,
        access: rules.access.into(),
        tags: rules.tags,
        created_at: asset.created_at.into(),
        updated_at: asset.updated_at.into(),
    }
}
