//! GraphQL over HTTP: documents in the body of a POST, one or a batch, or one with a file.

use std::sync::Arc;

use async_graphql::{BatchRequest, BatchResponse, Response};
use axum::Json;
use axum::extract::{FromRequest, Request, State};

use super::limits::{MAX_BATCH, refused};
use super::loaders::Loaders;
use super::{Schema, limits, upload};
use crate::caller::Caller;
use crate::pictures::Place;
use crate::problem::Problem;
use crate::rest::{AnyBody, Asking};
use crate::{ServiceError, Services};

/// Answers the documents. What is wrong with one is in its answer; what is wrong with the
/// request as HTTP has it is a problem.
pub(super) async fn answer(
    schema: &Schema,
    State(services): State<Services>,
    Asking(caller): Asking,
    request: Request,
) -> Result<Json<BatchResponse>, Problem> {
    let batch = match upload::is_upload(request.headers()) {
        true => {
            let place = may_send(&services, &caller)?;
            upload::receive(request, place).await?.into()
        }
        false => {
            let AnyBody(batch) = AnyBody::from_request(request, &services).await?;
            batch
        }
    };
    if let BatchRequest::Batch(documents) = &batch
        && documents.len() > MAX_BATCH
    {
        let message = format!("At most {MAX_BATCH} documents are taken in a batch.");
        let error: Response = Response::from_errors(vec![refused(message, limits::TOO_LARGE)]);
        return Ok(Json(BatchResponse::Single(error)));
    }
    if let BatchRequest::Batch(documents) = &batch {
        for _ in documents.iter().skip(1) {
            services.count(&caller)?;
        }
    }
    let loaders = Loaders::new(&services, &caller);
    let standings = caller.standings.clone();
    let data = batch.data(Arc::new(loaders)).data(caller.clone());
    let answer = schema.execute_batch(data).await;
    // Operations count themselves. What has called none has been read all the same.
    if standings.all().is_empty() {
        services.count(&caller)?;
    }
    Ok(Json(answer))
}

/// Whether somebody may send a file: whoever is known. What is behind the document comes with it,
/// wanted or not; so it has a place from the beginning, and counts as the picture that it may be.
fn may_send(services: &Services, caller: &Caller) -> Result<Place, ServiceError> {
    // A request that may be refused before an operation counts it.
    services.count(caller)?;
    services.place_picture(caller)
}
