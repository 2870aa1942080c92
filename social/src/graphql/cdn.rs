//! What is asked of the caches.

use async_graphql::{Context, ID, Object, Result};

use super::connection::{Connection, connection, of_page};
use super::query::{asked, of};
use crate::model::{
    EdgeAsset, EdgeDeployment, EdgeMetrics, EdgeNode, GenerateUrlInput, GeneratedUrl,
    PatternPurgeInput, Prewarm, PrewarmInput, Purge, PurgeInput, RegisterAssetInput,
    UpdateAssetInput, Usage, UsageInput,
};

/// What can be asked of caches.
#[derive(Default)]
pub(crate) struct CdnQuery;

#[Object]
impl CdnQuery {
    /// How far a purge of one's own is; any, for administrators.
    async fn purge(&self, context: &Context<'_>, id: ID) -> Result<Purge> {
        let (services, caller) = of(context)?;
        Ok(services.get_purge(caller, &id).await?)
    }

    /// How far a prewarm of one's own is; any, for administrators.
    async fn prewarm(&self, context: &Context<'_>, id: ID) -> Result<Prewarm> {
        let (services, caller) = of(context)?;
        Ok(services.get_prewarm(caller, &id).await?)
    }

    /// What was served of one's own streams and videos; of everything, for administrators.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn usage(
        &self,
        context: &Context<'_>,
        #[graphql(default)] input: UsageInput,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<Usage>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_usage(caller, input, page).await?))
    }

    /// The caches: where they are, and how they are; for administrators.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn edge_nodes(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<EdgeNode>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_edge_nodes(caller, page).await?))
    }

    /// Which configuration caches should have, and whether they do; for administrators.
    async fn edge_deployment(&self, context: &Context<'_>) -> Result<EdgeDeployment> {
        let (services, caller) = of(context)?;
        Ok(services.get_edge_deployment(caller).await?)
    }

    /// What the caches that are live do together; for administrators.
    async fn edge_metrics(&self, context: &Context<'_>) -> Result<EdgeMetrics> {
        let (services, caller) = of(context)?;
        Ok(services.get_edge_metrics(caller).await?)
    }

    /// What is registered to be cached, in the order of its registration; for administrators.
    #[graphql(complexity = "of_page(first, child_complexity)")]
    async fn edge_assets(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<EdgeAsset>> {
        let (services, caller, page) = asked(context, first, after)?;
        Ok(connection(services.list_edge_assets(caller, page).await?))
    }

    /// One of it; for administrators.
    async fn edge_asset(&self, context: &Context<'_>, id: ID) -> Result<EdgeAsset> {
        let (services, caller) = of(context)?;
        Ok(services.get_edge_asset(caller, &id).await?)
    }
}

/// What can be done about caches.
#[derive(Default)]
pub(crate) struct CdnMutation;

#[Object]
impl CdnMutation {
    /// Make a URL of a path of one's own, for whoever is to have it: signed where it has to be. Any
    /// path, for administrators.
    async fn generate_url(
        &self,
        context: &Context<'_>,
        input: GenerateUrlInput,
    ) -> Result<GeneratedUrl> {
        let (services, caller) = of(context)?;
        Ok(services.generate_url(caller, input).await?)
    }

    /// Have something of one's own leave all caches; anything, for administrators.
    async fn purge(
        &self,
        context: &Context<'_>,
        input: PurgeInput,
        idempotency_key: Option<String>,
    ) -> Result<Purge> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.purge(caller, input, key).await?)
    }

    /// Have all paths of one's own that match leave all caches; any, for administrators.
    async fn purge_by_pattern(
        &self,
        context: &Context<'_>,
        input: PatternPurgeInput,
        idempotency_key: Option<String>,
    ) -> Result<Purge> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.purge_by_pattern(caller, input, key).await?)
    }

    /// Have caches store something of one's own before anybody asks for it; anything, for
    /// administrators.
    async fn prewarm(
        &self,
        context: &Context<'_>,
        input: PrewarmInput,
        idempotency_key: Option<String>,
    ) -> Result<Prewarm> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.prewarm(caller, input, key).await?)
    }

    /// End a prewarm of one's own; any, for administrators. What is stored stays.
    async fn cancel_prewarm(&self, context: &Context<'_>, id: ID) -> Result<Prewarm> {
        let (services, caller) = of(context)?;
        Ok(services.cancel_prewarm(caller, &id).await?)
    }

    /// Register what is to be cached; for administrators.
    async fn register_edge_asset(
        &self,
        context: &Context<'_>,
        input: RegisterAssetInput,
        idempotency_key: Option<String>,
    ) -> Result<EdgeAsset> {
        let (services, caller) = of(context)?;
        let key = idempotency_key.as_deref();
        Ok(services.register_edge_asset(caller, input, key).await?)
    }

    /// Change what is registered; for administrators.
    async fn update_edge_asset(
        &self,
        context: &Context<'_>,
        id: ID,
        input: UpdateAssetInput,
    ) -> Result<EdgeAsset> {
        let (services, caller) = of(context)?;
        Ok(services.update_edge_asset(caller, &id, input).await?)
    }

    /// Remove it; for administrators. What is cached of it stays.
    async fn remove_edge_asset(&self, context: &Context<'_>, id: ID) -> Result<bool> {
        let (services, caller) = of(context)?;
        services.remove_edge_asset(caller, &id).await?;
        Ok(true)
    }
}
