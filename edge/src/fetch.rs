//! The task that fills: asks the origin once, and pours its answer into a [`Fill`].

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, response};
use http_body::Body;
use media::Timestamp;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::BoxError;
use tower_service::Service;

use crate::coalesce::Lead;
use crate::era::Era;
use crate::freshness::NoStoreReason;
use crate::head::{Circumstances, Head, Source};
use crate::invalidation;
use crate::keep::Storage;
use crate::large::LargeObject;
use crate::pour::{Pouring, pour};
use crate::promote::{self, Look};
use crate::push::{self, Awaited, Wait};
use crate::question::{Known, Meaning, Question};
use crate::range::ContentRange;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::store::{Renewal, Stored};
use crate::tee::SliceTee;
use crate::upstream::{FillError, Upstream, UpstreamError, ask};
use crate::validation::is_of_another;

/// Runs a fill to its end, whoever reads it.
pub(crate) async fn run<U: Upstream>(
    lead: Lead,
    upstream: U,
    question: Question,
    before: Before,
    body: RequestBody,
    shared: Arc<Shared>,
) {
    let pushes = (shared.feeds.is_some() && before.is_watched).then(|| upstream.clone());
    let end = tokio::select! {
        end = answer(&lead, upstream, question, before, body, &shared) => end,
        () = shared.abort.cancelled() => Err(FillError::ShuttingDown),
    };
    let (outcome, reason) = match &end {
        Ok(Filled::Disk) => ("disk", ""),
        Ok(Filled::Feed) => ("pushed", ""),
        Ok(Filled::Origin(Ok(()))) => {
            shared.end_alarms();
            ("stored", "")
        }
        Ok(Filled::Origin(Err(reason))) => ("not-stored", reason.as_str()),
        Err(error) => {
            let key = &lead.key.key;
            if *error == FillError::Deserted {
                tracing::debug!(%key, "a fill ended because nobody reads it");
            } else {
                tracing::warn!(%key, %error, "a fill failed");
            }
            ("failed", error.reason())
        }
    };
    metrics::counter!("nova_edge_fills_total", "outcome" => outcome, "reason" => reason)
        .increment(1);
    let is_there = matches!(end, Ok(Filled::Origin(Ok(())))) && is_there(&lead);
    if let Ok(Filled::Origin(storage)) = &end {
        lead.fill.lock().storage = Some(*storage);
    }
    let key = lead.key.key.clone();
    lead.end(end.map(|_| ()));
    if let Some(upstream) = pushes.filter(|_| is_there) {
        push::follow_viewers(&key, upstream, &shared);
    }
}

/// Is there what was asked for?
fn is_there(lead: &Lead) -> bool {
    let head = lead.fill.head();
    head.is_some_and(|head| head.status == StatusCode::OK)
}

/// What is tried before the upstream is asked.
pub(crate) struct Before {
    pub(crate) look: Option<Look>,
    /// It will be pushed.
    pub(crate) awaited: Option<Awaited>,
    /// A viewer asks, who will want more like it.
    pub(crate) is_watched: bool,
}

/// Where a fill's answer came from.
enum Filled {
    Disk,
    Feed,
    Origin(Storage),
}

/// Looks on disk first, if there may be something, and waits for what is pushed.
async fn answer<U: Upstream>(
    lead: &Lead,
    upstream: U,
    mut question: Question,
    before: Before,
    body: RequestBody,
    shared: &Arc<Shared>,
) -> Result<Filled, FillError> {
    if let Some(look) = before.look
        && promote::answer(lead, &look, &mut question, shared).await?
    {
        return Ok(Filled::Disk);
    }
    let mut late = None;
    if let Some(awaited) = before.awaited {
        match awaited.wait(&lead.key.key, shared).await {
            Wait::Pushed(stored) => {
                promote::give(lead, &stored, Source::Feed);
                return Ok(Filled::Feed);
            }
            Wait::Over => {}
            Wait::Late => late = Some(awaited),
        }
    }
    let storage = fill(lead, upstream, question, body, shared).await?;
    // A 404 is stored, too, and says nothing of the feed.
    if let (Some(awaited), Ok(()), true) = (late, storage, is_there(lead)) {
        awaited.was_late();
    }
    Ok(Filled::Origin(storage))
}

async fn fill<U: Upstream>(
    lead: &Lead,
    upstream: U,
    mut question: Question,
    body: RequestBody,
    shared: &Arc<Shared>,
) -> Result<Storage, FillError> {
    let mut answer = exchange(
        lead,
        upstream.clone(),
        &question,
        body,
        shared,
        &shared.closing,
    )
    .await?;
    match question.meaning(answer.parts.status, &answer.parts.headers) {
        Meaning::Answer => {}
        Meaning::NotModified(stored) => {
            return Ok(confirm(lead, &question, answer, &stored, shared));
        }
        Meaning::Rest(stored) => return complete(lead, &question, answer, &stored, shared).await,
        Meaning::Useless => {
            // Only what has no body is asked about what is stored, so that it can be sent anew.
            question.known = Known::Nothing;
            answer = exchange(
                lead,
                upstream,
                &question,
                RequestBody::empty(),
                shared,
                &shared.closing,
            )
            .await?;
        }
    }
    let Answer {
        requested,
        received,
        parts,
        body,
    } = answer;
    let target = &lead.key.key;
    let invalid = invalidation::keys(
        &question.method,
        parts.status,
        &parts.headers,
        target,
        question.authority.as_ref(),
    );
    let mut began = lead.began;
    if !invalid.is_empty() {
        shared.invalidate(&invalid).await;
        // The answer itself is newer than what it makes invalid; not than what was purged.
        began = shared.fences.now();
    }
    let circumstances = circumstances(&question, shared, requested, received);
    let whole = match question.method {
        Method::GET => shared.whole_of_large(target, &parts, received),
        _ => None,
    };
    let first = ContentRange::of(&parts.headers).map_or(0, |range| range.bytes.start);
    let circumstances = Circumstances {
        // No piece of memory need hold it whole.
        max_object_bytes: match whole {
            Some(_) => u64::MAX,
            None => circumstances.max_object_bytes,
        },
        is_its_own_location: invalidation::is_its_own_location(
            &parts.headers,
            target,
            question.authority.as_ref(),
        ),
        body_length: body.size_hint().exact(),
        ..circumstances
    };
    if question.method == Method::HEAD
        && parts.status == StatusCode::OK
        && question.speaks_for_others()
    {
        hear(lead, &parts, &circumstances, shared).await;
    }
    let mut head = Head::new(parts, &circumstances)?;
    let tee = match whole {
        Some(whole) if head.storage.is_ok() => {
            keep_large(lead, &mut head, whole, began, &question.asked, shared)
                .map(|object| SliceTee::new(object, first, began, shared))
        }
        _ => None,
    };
    let head = Arc::new(head);
    if head.storage.is_err() || tee.is_some() {
        // Before the head is out: who asks after it must not be given this answer.
        lead.close();
    }
    lead.fill.publish_head(Arc::clone(&head));
    let expected = match question.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED
    {
        true => Some(0),
        false => head.length,
    };
    let is_large = tee.is_some();
    let pouring = Pouring::new(head.storage.map(|_| ()), expected).through(tee);
    let storage = pour(lead, pouring, pin!(body), shared).await?;
    if storage.is_err() || is_large {
        return Ok(storage);
    }
    let stored = match head.status {
        StatusCode::PARTIAL_CONTENT => Stored::part(&head, lead.fill.chunks()),
        _ => Some(Stored::whole(&head, lead.fill.chunks())),
    };
    Ok(match stored {
        Some(stored) => shared.keep(&lead.key.key, stored, lead.began, began),
        None => Err(NoStoreReason::Status),
    })
}

/// Stores a large object, whose bytes come in slices, and lets `head` say so. None, and the
/// reason in `head`, when it was invalidated.
fn keep_large(
    lead: &Lead,
    head: &mut Head,
    whole: u64,
    began: Era,
    request: &HeaderMap,
    shared: &Shared,
) -> Option<Arc<LargeObject>> {
    let tier = shared.disk.as_ref()?;
    let key = &lead.key.key;
    // Slices of before a purge are another object's.
    let current = shared.store.current(key, shared.fences.purges());
    let known = current.and_then(|resource| {
        let known = resource.select(request)?.head.large.clone()?;
        known.is(&head.headers, whole).then_some(known)
    });
    let new = || LargeObject::new(key, tier.disk.new_id(), whole, &head.headers);
    let object = known.or_else(new)?;
    let mut of_object = match head.status {
        StatusCode::PARTIAL_CONTENT => head.of_whole(),
        _ => head.clone(),
    };
    of_object.large = Some(Arc::clone(&object));
    if let Err(reason) = shared.keep(
        &lead.key.key,
        Stored::large(&of_object, whole),
        lead.began,
        began,
    ) {
        head.storage = Err(reason);
        return None;
    }
    if head.status == StatusCode::OK {
        head.large = Some(Arc::clone(&object));
    }
    Some(object)
}

/// An origin's answer.
pub(crate) struct Answer<B> {
    requested: Timestamp,
    received: Timestamp,
    pub(crate) parts: response::Parts,
    pub(crate) body: B,
}

/// Asks the origin; `ends` ends that.
pub(crate) async fn exchange<U, B>(
    lead: &Lead,
    upstream: U,
    question: &Question,
    body: RequestBody,
    shared: &Shared,
    ends: &CancellationToken,
) -> Result<Answer<B>, FillError>
where
    // Less than an `Upstream`: of one whose type is erased, rustc does not see in a task that it
    // is one.
    U: Service<Request<RequestBody>, Response = Response<B>>,
    U::Error: Into<UpstreamError>,
{
    let request = question
        .request(&lead.key.key, body)
        .map_err(|error| UpstreamError::Protocol(error.to_string()))?;
    let requested = shared.clock.now();
    let response = tokio::select! {
        answer = timeout(shared.config.head_timeout, ask(upstream, request)) => {
            answer.map_err(|_| FillError::HeadTimeout)??
        }
        () = ends.cancelled() => return Err(FillError::ShuttingDown),
    };
    let (parts, body) = response.into_parts();
    Ok(Answer {
        requested,
        received: shared.clock.now(),
        parts,
        body,
    })
}

fn circumstances<'a>(
    question: &'a Question,
    shared: &Shared,
    requested: Timestamp,
    received: Timestamp,
) -> Circumstances<'a> {
    Circumstances {
        rules: shared.rules(),
        method: &question.method,
        request: &question.asked,
        requested,
        received,
        ranged: question.ranged,
        conditional: question.conditional,
        is_its_own_location: false,
        body_length: None,
        max_object_bytes: shared.config.max_object_bytes,
    }
}

/// Answers with `stored`, of which the origin has said that it is still good.
fn confirm<B>(
    lead: &Lead,
    question: &Question,
    answer: Answer<B>,
    stored: &Stored,
    shared: &Shared,
) -> Storage {
    let circumstances = circumstances(question, shared, answer.requested, answer.received);
    let mut head = stored.head.freshened(answer.parts, &circumstances);
    head.length = stored.whole;
    let storage = head.storage.map(|_| ());
    if storage.is_err() {
        lead.close();
    }
    let head = Arc::new(head);
    lead.fill.publish_head(Arc::clone(&head));
    for chunk in stored.chunks.iter() {
        // It was stored, so it is small enough to be kept without a window.
        lead.fill.push(chunk);
    }
    storage?;
    // A 304 may bring other tags than those that were purged meanwhile.
    shared.not_purged(&lead.key.key, &stored.head.headers, lead.began)?;
    shared.keep(&lead.key.key, stored.under(&head), lead.began, lead.began)
}

/// Answers with the beginning that is stored and the rest that the origin sends.
async fn complete<B>(
    lead: &Lead,
    question: &Question,
    answer: Answer<B>,
    beginning: &Stored,
    shared: &Arc<Shared>,
) -> Result<Storage, FillError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let circumstances = circumstances(question, shared, answer.requested, answer.received);
    let mut head = beginning.head.freshened(answer.parts, &circumstances);
    head.length = beginning.whole;
    if beginning
        .whole
        .is_some_and(|whole| whole > shared.config.max_object_bytes)
    {
        head.storage = Err(NoStoreReason::TooLarge);
    }
    if head.storage.is_err() {
        lead.close();
    }
    let head = Arc::new(head);
    lead.fill.publish_head(Arc::clone(&head));
    for chunk in beginning.chunks.iter() {
        lead.fill.push(chunk);
    }
    let rest = beginning
        .whole
        .map(|whole| whole.saturating_sub(beginning.bytes.end));
    let body = pin!(answer.body);
    let pouring = Pouring::new(head.storage.map(|_| ()), rest);
    let storage = pour(lead, pouring, body, shared).await?;
    Ok(storage
        .and_then(|()| shared.not_purged(&lead.key.key, &beginning.head.headers, lead.began))
        .and_then(|()| {
            let stored = Stored::whole(&head, lead.fill.chunks());
            shared.keep(&lead.key.key, stored, lead.began, lead.began)
        }))
}

/// RFC 9111 4.3.5: what a HEAD says of the stored answer to a GET. It is made new, or
/// removed because it is of another representation. What is private says nothing of what
/// others are answered.
async fn hear(lead: &Lead, parts: &response::Parts, heard: &Circumstances<'_>, shared: &Shared) {
    let key = &lead.key.key;
    let mut renewed = None;
    if shared.fences.separates(key, lead.began) {
        return;
    }
    shared.store.renew(key, heard.request, |stored| {
        let of_get = Circumstances {
            method: &Method::GET,
            ..*heard
        };
        let head = stored.head.freshened(parts.clone(), &of_get);
        match head.storage {
            Err(NoStoreReason::Private) => Renewal::Keeps,
            Ok(_) if !is_of_another(stored, &parts.headers) => {
                renewed = Some(Some(stored.under(&head)));
                Renewal::Under(Box::new(head))
            }
            _ => {
                renewed = Some(None);
                Renewal::Removes
            }
        }
    });
    match renewed {
        // What `Vary` tells from it goes as well, and what is on its way: a miss too many, but
        // no wrong answer.
        Some(None) => shared.invalidate(std::slice::from_ref(key)).await,
        // As in `keep`: what came between must not be renewed.
        _ if shared.fences.separates(key, lead.began) => shared.store.remove(key),
        Some(Some(stored)) => shared.write_to_disk(key, &stored, lead.began),
        None => {}
    }
}
