//! The task that fills: asks the origin once, and pours its answer into a [`Fill`].

use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower_service::Service;

use crate::coalesce::Lead;
use crate::fill::{Push, weight_of};
use crate::freshness::NoStoreReason;
use crate::head::{Circumstances, Head};
use crate::request::to_origin;
use crate::service::Shared;
use crate::store::Stored;
use crate::upstream::{FillError, UpstreamError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Runs a fill to its end, whoever reads it.
pub(crate) async fn run<U, B>(
    lead: Lead,
    upstream: U,
    authorization: Vec<HeaderValue>,
    shared: Arc<Shared>,
) where
    U: Service<Request<()>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let end = tokio::select! {
        end = fill(&lead, upstream, authorization, &shared) => end,
        () = shared.abort.cancelled() => Err(FillError::ShuttingDown),
    };
    let (outcome, reason) = match &end {
        Ok(Ok(())) => ("stored", ""),
        Ok(Err(reason)) => ("not-stored", reason.as_str()),
        Err(error) => {
            if *error == FillError::Deserted {
                tracing::debug!(key = %lead.key, "a fill ended because nobody reads it");
            } else {
                tracing::warn!(key = %lead.key, %error, "a fill failed");
            }
            ("failed", error.reason())
        }
    };
    metrics::counter!("nova_edge_fills_total", "outcome" => outcome, "reason" => reason)
        .increment(1);
    lead.end(end.map(|_| ()));
}

/// Whether a whole answer was stored, or why not.
type Storage = Result<(), NoStoreReason>;

async fn fill<U, B>(
    lead: &Lead,
    upstream: U,
    authorization: Vec<HeaderValue>,
    shared: &Shared,
) -> Result<Storage, FillError>
where
    U: Service<Request<()>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let authorised = !authorization.is_empty();
    let request = to_origin(&lead.key, authorization)
        .map_err(|error| UpstreamError::Protocol(error.to_string()))?;
    let requested = shared.clock.now();
    let response = tokio::select! {
        answer = timeout(shared.config.head_timeout, ask(upstream, request)) => {
            answer.unwrap_or(Err(FillError::HeadTimeout))?
        }
        () = shared.closing.cancelled() => return Err(FillError::ShuttingDown),
    };
    let (parts, body) = response.into_parts();
    let head = Arc::new(Head::new(
        parts,
        &Circumstances {
            requested,
            received: shared.clock.now(),
            authorised,
            body_length: body.size_hint().exact(),
            max_object_bytes: shared.config.max_object_bytes,
            stale_limit: shared.config.stale_if_error,
        },
    )?);
    if head.storage.is_err() {
        // Before the head is out: who asks after it must not be given this answer.
        lead.close();
    }
    lead.fill.publish_head(Arc::clone(&head));
    let storage = pour(lead, &head, pin!(body), shared).await?;
    if storage.is_ok() {
        let stored = Stored::new(head, lead.fill.chunks());
        shared.store.insert(lead.key.clone(), stored);
    }
    Ok(storage)
}

async fn ask<U, B>(mut upstream: U, request: Request<()>) -> Result<Response<B>, FillError>
where
    U: Service<Request<()>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
{
    let failed = |error: U::Error| FillError::Upstream(error.into());
    std::future::poll_fn(|context| upstream.poll_ready(context))
        .await
        .map_err(failed)?;
    upstream.call(request).await.map_err(failed)
}

/// Moves the body into the fill. Ok only for a body that is whole.
async fn pour<B>(
    lead: &Lead,
    head: &Head,
    mut body: Pin<&mut B>,
    shared: &Shared,
) -> Result<Storage, FillError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let config = &shared.config;
    let mut storage = head.storage.map(|_| ());
    let mut room = shared.fill_memory.reserve_nothing();
    let (mut received, mut weight) = (0, 0);
    let mut windowed = head
        .length
        .is_some_and(|length| length > config.max_object_bytes);
    if windowed {
        lead.fill.keep_window(config.pass_window_bytes);
    }
    loop {
        let frame = tokio::select! {
            frame = timeout(config.body_timeout, body.frame()) => {
                frame.map_err(|_| FillError::BodyStalled)?
            }
            () = lead.fill.deserted(), if storage.is_err() => return Err(FillError::Deserted),
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            FillError::BodyBroken(error.to_string().into())
        })?;
        let chunk = match frame.into_data() {
            Ok(chunk) if !chunk.is_empty() => chunk,
            // Trailers say nothing that a stored answer could keep.
            _ => continue,
        };
        received += chunk.len() as u64;
        if head.length.is_some_and(|length| received > length) {
            return Err(FillError::BodyOverlong);
        }
        if !windowed {
            weight += weight_of(&chunk);
            let no_room = if weight > config.max_object_bytes {
                Some(NoStoreReason::TooLarge)
            } else if !room.grow(weight_of(&chunk)) {
                Some(NoStoreReason::FillMemory)
            } else {
                None
            };
            if let Some(reason) = no_room {
                windowed = true;
                storage = storage.and(Err(reason));
                lead.close();
                lead.fill.keep_window(config.pass_window_bytes);
            }
        }
        push(lead, &chunk, shared).await?;
    }
    match head.length {
        Some(expected) if expected != received => {
            Err(FillError::BodyTruncated { expected, received })
        }
        _ => Ok(storage),
    }
}

/// Hands one chunk to the readers; waits for them only where a window makes it.
async fn push(lead: &Lead, chunk: &Bytes, shared: &Shared) -> Result<(), FillError> {
    loop {
        match lead.fill.push(chunk) {
            Push::Taken => return Ok(()),
            Push::Deserted => return Err(FillError::Deserted),
            Push::Full => timeout(shared.config.reader_timeout, lead.fill.progress())
                .await
                .map_err(|_| FillError::ReadersStalled)?,
        }
    }
}
