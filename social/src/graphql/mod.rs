//! The GraphQL face, at `/graphql` and, for subscriptions, `/graphql/ws`: it parses, calls the
//! services, and maps their errors.

mod cdn;
mod chat;
mod codes;
mod connection;
mod error;
mod expansion;
mod feeds;
mod http;
mod limits;
mod loaders;
mod measured;
mod mutation;
mod notifications;
mod people;
mod post;
mod posts;
mod query;
mod socket;
mod streams;
mod subscription;
mod upload;
mod user;

use async_graphql::{ObjectType, SchemaBuilder, SubscriptionType};
use axum::Router;
use axum::routing::{any, post};

use crate::Services;
use crate::settings::Introspection;

pub use limits::{
    MAX_ALIASES, MAX_BATCH, MAX_COMPLEXITY, MAX_DEPTH, MAX_DIRECTIVES, MAX_DIRECTIVES_OF_FIELD,
    MAX_NESTING, MAX_SELECTIONS,
};
use mutation::Mutation;
use query::Query;
use subscription::Subscription;
pub(crate) use upload::{MAX_UPLOAD_BYTES, is_upload};

/// What is executed.
pub(crate) type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema in GraphQL's own language, as `nova schema graphql` prints it.
pub fn sdl() -> String {
    // Types and their documentation; limits are not part of it.
    let schema = Schema::build(
        Query::default(),
        Mutation::default(),
        Subscription::default(),
    )
    .finish();
    let mut text = schema.sdl().trim_end().to_owned();
    text.push('\n');
    text
}

fn schema(services: &Services) -> Schema {
    let builder = Schema::build(
        Query::default(),
        Mutation::default(),
        Subscription::default(),
    )
    .data(services.clone());
    limited(builder, services.settings.introspection).finish()
}

fn limited<Q, M, S>(
    builder: SchemaBuilder<Q, M, S>,
    introspection: Introspection,
) -> SchemaBuilder<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    builder
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_directives(MAX_DIRECTIVES_OF_FIELD)
        .extension(limits::DocumentLimits(introspection))
        .extension(codes::ErrorCodes)
}

/// The paths of the face.
pub(crate) fn router(services: &Services) -> Router<Services> {
    let schema = schema(services);
    let of_socket = schema.clone();
    Router::new()
        .route(
            "/graphql",
            post(async move |services, asking, request| {
                http::answer(&schema, services, asking, request).await
            }),
        )
        .route(
            "/graphql/ws",
            any(async move |services, caller, upgrade| {
                socket::answer(of_socket.clone(), services, caller, upgrade).await
            }),
        )
}
