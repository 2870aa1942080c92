//! A body on its way into a [`Fill`](crate::fill::Fill).

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower::BoxError;

use crate::coalesce::Lead;
use crate::fill::{Push, weight_of};
use crate::freshness::NoStoreReason;
use crate::keep::Storage;
use crate::shared::Shared;
use crate::tee::SliceTee;
use crate::upstream::FillError;

/// How a body goes into a fill.
pub(crate) struct Pouring {
    storage: Storage,
    /// Its length, where that is known.
    expected: Option<u64>,
    /// It is a large object's, and passes. Once nobody reads, it ends.
    tee: Option<SliceTee>,
    /// What it takes of the memory of fills is given back when the last reader is through,
    /// since it is not in the memory of stored answers.
    holds: bool,
}

impl Pouring {
    pub(crate) fn new(storage: Storage, expected: Option<u64>) -> Self {
        Self {
            storage,
            expected,
            tee: None,
            holds: false,
        }
    }

    /// What passes goes to `tee` too.
    pub(crate) fn through(self, tee: Option<SliceTee>) -> Self {
        Self { tee, ..self }
    }

    /// Its memory is given back when the last reader is through.
    pub(crate) fn held(self) -> Self {
        Self {
            holds: true,
            ..self
        }
    }
}

/// Moves the body into the fill. Ok only for a body that is whole: as long as it should be,
/// where that is known.
pub(crate) async fn pour<B>(
    lead: &Lead,
    pouring: Pouring,
    mut body: Pin<&mut B>,
    shared: &Arc<Shared>,
) -> Result<Storage, FillError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Pouring {
        mut storage,
        expected,
        mut tee,
        holds,
    } = pouring;
    let config = &shared.config;
    let mut room = shared.fill_memory.reserve_nothing();
    let (mut received, mut weight) = (0, 0);
    let passes = tee.is_some();
    let mut windowed = passes || expected.is_some_and(|length| length > config.max_object_bytes);
    if windowed {
        lead.fill.keep_window(config.pass_window_bytes);
    }
    loop {
        let frame = tokio::select! {
            frame = timeout(config.body_timeout, body.frame()) => {
                frame.map_err(|_| FillError::BodyStalled)?
            }
            () = lead.fill.deserted(), if storage.is_err() || passes => return Err(FillError::Deserted),
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
        if expected.is_some_and(|length| received > length) {
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
        if let Some(tee) = &mut tee {
            tee.pass(&chunk, shared);
        }
        push(lead, &chunk, shared).await?;
    }
    if holds {
        lead.fill.hold(room);
    }
    match expected {
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
