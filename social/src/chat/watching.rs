//! Who may be in the room of a stream: whoever may watch it. The moderators of all look after every
//! room.

use media::StreamName;
use storage::rows::streams::{self, StreamRow};

use crate::caller::Caller;
use crate::people::is_moderator;
use crate::{ServiceError, Services};

/// The stream of that name, if whoever asks may watch it. The one place where chat asks that.
pub(crate) async fn may_watch(
    services: &Services,
    caller: &Caller,
    name: &str,
) -> Result<StreamRow, ServiceError> {
    Ok(services.find_stream(caller, name).await?.stream)
}

/// The stream of that name, for what is done about its room. The moderators of all find it whoever it
/// is for, and whoever blocks them; what they do is looked at again where it is done.
pub(super) async fn may_find(
    services: &Services,
    caller: &Caller,
    name: &str,
) -> Result<StreamRow, ServiceError> {
    if !is_moderator(caller) {
        return may_watch(services, caller, name).await;
    }
    let missing = || ServiceError::NotFound("stream".into());
    let name: StreamName = name.parse().map_err(|_| missing())?;
    let found = streams::by_name(&services.db, &name).await?;
    found.ok_or_else(missing)
}
