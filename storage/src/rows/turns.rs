//! Turns that transactions take with what is one user's, or one stream's.

use media::{StreamId, UserId};

use super::sql::query;
use super::{Database, RowError, Transaction};

/// What one transaction at a time does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    /// Sweeps or fills the user's feed.
    Feed(UserId),
    /// Adds to the user's notifications.
    Notifications(UserId),
    /// Tells the followers of the stream's owner of a broadcast.
    Live(StreamId),
}

impl Turn {
    /// Among all turns of the database: four letters of ASCII, and the last bytes of the id.
    fn number(self) -> i64 {
        let (letters, id) = match self {
            Self::Feed(user) => (b"feed", user.as_uuid()),
            Self::Notifications(user) => (b"noti", user.as_uuid()),
            Self::Live(stream) => (b"live", stream.as_uuid()),
        };
        let mut number = [0; 8];
        number[..4].copy_from_slice(letters);
        number[4..].copy_from_slice(&id.as_bytes()[12..]);
        i64::from_be_bytes(number)
    }
}

/// Waits for the turn, and keeps others waiting until the transaction ends. Two users, or two
/// streams, who share one wait for each other, and that is all.
pub(super) async fn take(
    db: &Database,
    transaction: &mut Transaction,
    turn: Turn,
) -> Result<(), RowError> {
    query(db.engine().take_turn())
        .bind(turn.number())
        .execute(transaction)
        .await?;
    Ok(())
}
