//! What changes how an account is found.
//!
//! Written to the outbox in the transaction that it tells of, as `profile.{user}.changed`, under
//! the user's id as its key: when an account is made, and when its profile is changed. The payload
//! is JSON with `user` and `at`, in microseconds since 1970; what the profile says is in its row.
//! The end of an account is told by [`account_events`](super::account_events).

use media::{Timestamp, UserId};

use super::outbox::{self, NewEvent};
use super::{Database, RowError, Transaction};
use crate::events::Subject;

/// Tells the outbox. The writer has made the user's row, or changed it.
pub(super) async fn changed(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    let user = user.to_string();
    let payload = serde_json::json!({ "user": user, "at": now.as_micros() });
    let event = NewEvent {
        subject: &Subject::new(&format!("profile.{user}.changed"))?,
        key: &user,
        payload: payload.to_string().into(),
    };
    outbox::append(db, transaction, &event, now).await?;
    Ok(())
}
