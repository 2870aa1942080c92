//! Who may be in the room of a stream: whoever may watch it.

use media::StreamName;
use storage::rows::streams::{self, StreamRow};

use crate::caller::Caller;
use crate::{ServiceError, Services};

/// The stream of that name, if whoever asks may watch it: not one whose owner is suspended or
/// deleted, or blocks whoever asks or is blocked by them. The one place where chat asks that.
pub(crate) async fn may_watch(
    services: &Services,
    caller: &Caller,
    name: &str,
) -> Result<StreamRow, ServiceError> {
    let missing = || ServiceError::NotFound("stream".into());
    // What no stream can be called is not asked for.
    let name: StreamName = name.parse().map_err(|_| missing())?;
    let stream = streams::by_name(&services.db, &name).await?;
    let stream = stream.ok_or_else(missing)?;
    let shown = streams::shown(&services.db, &[stream.id], caller.user()).await?;
    match shown.is_empty() {
        true => Err(missing()),
        false => Ok(stream),
    }
}
