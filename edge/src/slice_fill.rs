//! Filling a slice: one request to the origin for those who read it, and to disk.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode, response};

use crate::coalesce::{FillKey, Lead};
use crate::disk_tier::DiskTier;
use crate::fetch;
use crate::large::LargeObject;
use crate::pour::{Pouring, pour};
use crate::question::{Known, Question};
use crate::range::ContentRange;
use crate::reader::Reader;
use crate::request::Asked;
use crate::request_body::RequestBody;
use crate::shared::Shared;
use crate::upstream::FillError;

/// Joins the fill of a slice, or begins it with the fields of `asked`.
pub(crate) fn open(
    shared: &Arc<Shared>,
    object: &Arc<LargeObject>,
    number: u64,
    asked: &Arc<Asked>,
) -> Reader {
    let (reader, lead) = shared
        .fills
        .join_slice(&key(object, number, &asked.headers));
    if let Some(lead) = lead {
        let (shared, object, asked) = (Arc::clone(shared), Arc::clone(object), Arc::clone(asked));
        let tasks = shared.tasks.clone();
        // Before its last byte is read: who wants the object waits for its write, too.
        let writing = shared.wanted.will_write(&object.key);
        tasks.spawn(async move {
            run(lead, &object, number, &asked, &shared).await;
            drop(writing);
        });
    }
    reader
}

/// Whoever reads the same slice reads the same fill. The origin sees the credentials of one
/// client only, so that only who has the same is given its answer.
fn key(object: &LargeObject, number: u64, headers: &HeaderMap) -> FillKey {
    let mut variant = format!("slice {:x} {number}", object.id);
    for credentials in headers.get_all(AUTHORIZATION) {
        variant.push_str(&format!(" {:?}", credentials.as_bytes()));
    }
    FillKey {
        key: object.key.clone(),
        variant,
    }
}

async fn run(
    lead: Lead,
    object: &Arc<LargeObject>,
    number: u64,
    asked: &Asked,
    shared: &Arc<Shared>,
) {
    let end = tokio::select! {
        end = fill(&lead, object, number, asked, shared) => end,
        () = shared.abort.cancelled() => Err(FillError::ShuttingDown),
    };
    let (outcome, reason) = match &end {
        Ok(()) => ("slice", ""),
        Err(error) => {
            tracing::warn!(key = %object.key, slice = number, %error, "a fill of a slice failed");
            ("failed", error.reason())
        }
    };
    metrics::counter!("nova_edge_fills_total", "outcome" => outcome, "reason" => reason)
        .increment(1);
    lead.end(end);
}

async fn fill(
    lead: &Lead,
    object: &Arc<LargeObject>,
    number: u64,
    asked: &Asked,
    shared: &Arc<Shared>,
) -> Result<(), FillError> {
    let Some(tier) = &shared.disk else {
        return Err(FillError::Lost);
    };
    // It does not wait in vain: nobody closes the semaphore.
    let _permit = tokio::select! {
        permit = tier.slice_fills.acquire() => permit,
        // The head is out, and the body has the time that all bodies have.
        () = shared.abort.cancelled() => return Err(FillError::ShuttingDown),
    };
    let bytes = object.bytes_of(number);
    let length = bytes.end - bytes.start;
    let slice = object.slice(number);
    if tier.disk.has_slices(object.id, number..number + 1) {
        // Stored since it was looked for.
        let read = tier.disk.read_slice(slice, 0..length, shared.clock.now());
        if let Some(read) = read.await {
            lead.fill.push(&read);
            return Ok(());
        }
    }
    let known = Known::Slice {
        bytes: bytes.clone(),
        object: Arc::clone(object),
    };
    let question = Question::new(asked, known, false, &shared.config.node);
    let upstream = tier.upstream.clone();
    let body = RequestBody::empty();
    let ends = &shared.abort;
    let answer = fetch::exchange(lead, upstream, &question, body, shared, ends).await?;
    if let Err(unfit) = check(&answer.parts, object, &bytes) {
        return Err(unfit_error(unfit, object, tier, shared).await);
    }
    let pouring = Pouring::new(Ok(()), Some(length)).held();
    let body = pin!(answer.body);
    if pour(lead, pouring, body, shared).await?.is_err() {
        return Ok(());
    }
    // Until it is stored it can be joined, so that nobody asks for it again.
    let pieces = lead.fill.chunks().to_vec();
    if let Some(written) = shared.write_slice(object, number, pieces, lead.began)
        && let Err(error) = written.await
    {
        tracing::error!(%error, "a disk write was lost");
    }
    Ok(())
}

/// Why an answer is not the slice that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfit {
    /// It is of another representation, or there is none any more.
    Changed,
    /// The origin does not give ranges.
    Whole,
    /// It failed.
    Status(StatusCode),
}

/// RFC 9110 13.1.5 and 15.3.7: is the answer these `bytes` of the object, and of no other?
fn check(parts: &response::Parts, object: &LargeObject, bytes: &Range<u64>) -> Result<(), Unfit> {
    let headers = &parts.headers;
    // `If-Range` holds for an origin that leaves the tag out of its 206.
    let is_same = !headers.contains_key(http::header::ETAG) || object.is(headers, object.whole);
    match parts.status {
        StatusCode::PARTIAL_CONTENT => match ContentRange::of(headers) {
            Some(range) if range.bytes == *bytes && range.whole == Some(object.whole) => {
                is_same.then_some(()).ok_or(Unfit::Changed)
            }
            _ => Err(Unfit::Changed),
        },
        StatusCode::OK => {
            let length = headers.get(CONTENT_LENGTH).map(http::HeaderValue::as_bytes);
            let is_whole = length == Some(object.whole.to_string().as_bytes());
            Err(match is_whole && object.is(headers, object.whole) {
                true => Unfit::Whole,
                false => Unfit::Changed,
            })
        }
        StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::RANGE_NOT_SATISFIABLE => Err(Unfit::Changed),
        status => Err(Unfit::Status(status)),
    }
}

/// The error for the readers; what is stored of an object that is no longer so goes.
async fn unfit_error(
    unfit: Unfit,
    object: &LargeObject,
    tier: &DiskTier,
    shared: &Shared,
) -> FillError {
    match unfit {
        Unfit::Status(status) => return FillError::UnexpectedStatus(status),
        Unfit::Whole => tier.gives_no_ranges(&object.key),
        Unfit::Changed => {}
    }
    shared.forget_large(object).await;
    FillError::ObjectChanged
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Response};

    use super::*;
    use crate::key::CacheKey;

    fn parts(status: u16, fields: &[(&'static str, &str)]) -> response::Parts {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = status.try_into().unwrap();
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).unwrap();
            parts.headers.insert(HeaderName::from_static(name), value);
        }
        parts
    }

    #[test]
    fn e10_only_the_slice_that_was_asked_for_fits() {
        let key = CacheKey::of_general("/a").unwrap();
        let tagged = parts(200, &[("etag", "\"a\"")]).headers;
        let object = LargeObject::new(&key, 1, 100, &tagged).unwrap();
        let fits = |status, fields: &[(&'static str, &str)]| {
            check(&parts(status, fields), &object, &(10..20))
        };
        let range = ("content-range", "bytes 10-19/100");
        assert_eq!(fits(206, &[range, ("etag", "\"a\"")]), Ok(()));
        assert_eq!(fits(206, &[range]), Ok(()));
        for changed in [
            fits(206, &[range, ("etag", "\"b\"")]),
            fits(206, &[range, ("etag", "W/\"a\"")]),
            fits(206, &[("content-range", "bytes 10-18/100")]),
            fits(206, &[("content-range", "bytes 10-19/101")]),
            fits(206, &[("content-range", "bytes 10-19/*")]),
            fits(206, &[]),
            fits(200, &[("etag", "\"b\""), ("content-length", "100")]),
            fits(404, &[]),
            fits(412, &[]),
            fits(416, &[]),
        ] {
            assert_eq!(changed, Err(Unfit::Changed));
        }
        let whole = [("etag", "\"a\""), ("content-length", "100")];
        assert_eq!(fits(200, &whole), Err(Unfit::Whole));
        let failed = StatusCode::BAD_GATEWAY;
        assert_eq!(fits(502, &[]), Err(Unfit::Status(failed)));
    }
}
