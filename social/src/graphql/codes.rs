//! Every error has a code: those of the library's own, about documents that are no GraphQL, do
//! not fit the schema or have values of other types, are `validation` as they are in REST.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextRequest, NextSubscribe,
};
use async_graphql::{ErrorExtensionValues, Response, async_trait};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

const CODE: &str = "code";
const VALIDATION: &str = "validation";

/// Gives a code to the errors that have none.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorCodes;

impl ExtensionFactory for ErrorCodes {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for ErrorCodes {
    async fn request(&self, context: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        complete(next.run(context).await)
    }

    fn subscribe<'s>(
        &self,
        context: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(context, stream).map(complete).boxed()
    }
}

fn complete(mut response: Response) -> Response {
    for error in &mut response.errors {
        let extensions = error
            .extensions
            .get_or_insert_with(ErrorExtensionValues::default);
        if extensions.get(CODE).is_none() {
            extensions.set(CODE, VALIDATION);
        }
    }
    response
}
