//! Who may be in the room of a stream: whoever may watch it.

use storage::rows::streams::StreamRow;

use crate::caller::Caller;
use crate::{ServiceError, Services};

/// The stream of that name, if whoever asks may watch it. The one place where chat asks that.
pub(crate) async fn may_watch(
    services: &Services,
    caller: &Caller,
    name: &str,
) -> Result<StreamRow, ServiceError> {
    Ok(services.find_stream(caller, name).await?.stream)
}
