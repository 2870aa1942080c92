//! The REST face, under `/api/v1`: it parses, calls the services, and maps their errors.

mod account_changes;
mod accounts;
mod avatars;
mod cdn;
mod chat;
mod cookies;
mod feeds;
mod images;
mod measured;
mod moderation;
mod notifications;
mod openapi;
mod people;
mod pictures;
mod posts;
mod reference;
mod request;
mod search;
mod streams;
mod videos;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{any, get};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::{Services, graphql, socket};

pub use openapi::document as openapi_document;
pub(crate) use request::{AnyBody, Asking, media_type, with_caller};
pub use request::{Client, client_behind, holds};

/// The largest request body, in bytes, where it is no picture.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Every operation that REST has.
fn operations() -> OpenApiRouter<Services> {
    OpenApiRouter::new()
        .merge(streams::router())
        .merge(measured::router())
        .merge(videos::router())
        .merge(accounts::router())
        .merge(account_changes::router())
        .merge(people::router())
        .merge(avatars::router())
        .merge(images::router())
        .merge(posts::router())
        .merge(feeds::router())
        .merge(search::router())
        .merge(notifications::router())
        .merge(chat::router())
        .merge(cdn::router())
        .merge(moderation::router())
}

/// What REST has that is no operation.
fn resources() -> OpenApiRouter<Services> {
    avatars::pictures().merge(images::pictures())
}

/// Answers every path of the API; a path that is none of its own gets a 404.
pub fn router(services: Services) -> Router {
    let (operations, _) = operations().split_for_parts();
    let (resources, _) = resources().split_for_parts();
    operations
        .layer(middleware::from_fn(request::no_store))
        .merge(resources)
        .merge(graphql::router(&services))
        .route("/openapi.json", get(openapi::answer))
        .route("/docs", get(reference::answer))
        .route("/problems/{code}", get(reference::problem))
        .route("/ws", any(socket::answer))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(
            services.clone(),
            with_caller,
        ))
        .layer(middleware::from_fn(request::refuse_large_body))
        // For a body that does not say how large it is.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(services)
}
