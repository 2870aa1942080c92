//! Turns that transactions take with what is one user's.

use media::UserId;

use super::sql::query;
use super::{Database, RowError, Transaction};

/// What is changed by one transaction at a time, for each user.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// Who sweeps or fills the user's feed.
    Feed,
    /// Who adds to the user's notifications.
    Notifications,
}

impl Turn {
    /// Among all turns of the database: four letters of ASCII, before the last bytes of an id.
    fn letters(self) -> i64 {
        i64::from(u32::from_be_bytes(match self {
            Self::Feed => *b"feed",
            Self::Notifications => *b"noti",
        }))
    }
}

/// Waits for the turn, and keeps others waiting until the transaction ends. Two users who share
/// one wait for each other, and that is all.
pub(super) async fn take(
    db: &Database,
    transaction: &mut Transaction,
    turn: Turn,
    user: UserId,
) -> Result<(), RowError> {
    let bytes = user.as_uuid().into_bytes();
    let last = u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
    query(db.engine().take_turn())
        .bind(turn.letters() << 32 | i64::from(last))
        .execute(transaction)
        .await?;
    Ok(())
}
