//! The segment numbers of one publication: reserved in the stream's row before they are
//! used, and some ahead.
//!
//! No number is used twice, not over a crash and not by two hosts. The row is told of each
//! number when it begins, and reserves [`ahead`] more. While the database is away, the
//! publication goes on with those; then it waits, for the subscription holds the frames
//! meanwhile; then it ends. Numbers that were reserved and not used are given back at its
//! end. After a crash nobody knows which were used, and the next publication begins behind
//! them all: the rest are gaps. There are fewer of them than a playlist has segments, so
//! that a player finds its place again.

use std::time::Duration;

use media::{SegmentNumber, StreamId};
use storage::rows::numbering::{begin_reserved_segment, give_back_segments, reserve_segments};
use storage::rows::{Database, RowError};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The most numbers that are reserved ahead.
const MOST_AHEAD: u32 = 16;
/// Segments of a playlist that are more than the gaps which a crash can leave.
const LISTED_MORE: usize = 2;
/// How long frames wait for the row to be told of a number that is reserved.
const TELL: Duration = Duration::from_millis(250);
/// How long the database may refuse a number that is not.
const RESERVE: Duration = Duration::from_secs(10);
/// How often it is asked again.
const RESERVE_PAUSE: Duration = Duration::from_millis(200);
/// How long giving back may take.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// How many numbers are reserved ahead, where playlists have `listed` segments.
pub(super) fn ahead(listed: usize) -> u32 {
    u32::try_from(listed.saturating_sub(LISTED_MORE)).map_or(MOST_AHEAD, |n| n.min(MOST_AHEAD))
}

/// The numbers of one publication.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    database: &'a Database,
    stream: StreamId,
    ahead: u32,
    begun: Option<SegmentNumber>,
    /// Numbers below it are ours, and the row says so.
    reserved_to: SegmentNumber,
    /// The row is not told of what begins.
    is_away: bool,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(database: &'a Database, stream: StreamId, ahead: u32) -> Self {
        Self {
            database,
            stream,
            ahead,
            begun: None,
            reserved_to: SegmentNumber(0),
            is_away: false,
        }
    }

    /// Segment `number` begins. An error means that it must not.
    pub(super) async fn begin(&mut self, number: SegmentNumber) -> Result<(), RowError> {
        if self.begun >= Some(number) {
            return Ok(());
        }
        if number < self.reserved_to {
            self.tell(number).await?;
        } else {
            self.wait_for(number).await?;
        }
        self.begun = Some(number);
        Ok(())
    }

    /// Of a reserved number; that the database is away stops nobody.
    async fn tell(&mut self, number: SegmentNumber) -> Result<(), RowError> {
        let telling = begin_reserved_segment(self.database, self.stream, number, self.ahead);
        let failed = match timeout(TELL, telling).await {
            Ok(Ok(reserved_to)) => {
                self.reserved_to = reserved_to;
                if std::mem::take(&mut self.is_away) {
                    tracing::info!(stream = %self.stream, "segment numbers are reserved again");
                }
                return Ok(());
            }
            Ok(Err(
                error @ (RowError::NumberTaken { .. }
                | RowError::NotFound(_)
                | RowError::LeaseLost { .. }),
            )) => {
                return Err(error);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {TELL:?}"),
        };
        metrics::counter!("nova_live_numbers_untold_total").increment(1);
        if !std::mem::replace(&mut self.is_away, true) {
            let left = self.reserved_to.0.saturating_sub(number.0);
            tracing::warn!(
                stream = %self.stream, left, error = failed,
                "the database is away: the stream goes on with reserved segment numbers"
            );
        }
        Ok(())
    }

    async fn wait_for(&mut self, number: SegmentNumber) -> Result<(), RowError> {
        let patience = Instant::now() + RESERVE;
        loop {
            let error = match timeout_at(patience, self.reserve(number)).await {
                Ok(Ok(())) => {
                    self.is_away = false;
                    return Ok(());
                }
                Ok(Err(error)) => error,
                Err(_) => RowError::Busy,
            };
            if !error.is_transient() || Instant::now() >= patience {
                return Err(error);
            }
            tracing::warn!(stream = %self.stream, %error, "a segment number waits for the database");
            sleep(RESERVE_PAUSE).await;
        }
    }

    async fn reserve(&mut self, number: SegmentNumber) -> Result<(), RowError> {
        let Self {
            database,
            stream,
            ahead,
            ..
        } = *self;
        if let Some(begun) = self.begun
            && number >= self.reserved_to
        {
            // Told again: an attempt whose answer was lost may have reserved more.
            self.reserved_to = begin_reserved_segment(database, stream, begun, ahead).await?;
        }
        self.reserved_to = if number < self.reserved_to {
            begin_reserved_segment(database, stream, number, ahead).await?
        } else {
            reserve_segments(database, stream, number, ahead).await?
        };
        Ok(())
    }

    /// The publication has ended: what it did not use is free again. Costs gaps when it
    /// fails, and no more.
    pub(super) async fn give_back(self) {
        let Some(begun) = self.begun else { return };
        let giving = give_back_segments(self.database, self.stream, begun.next());
        let failed = match timeout(GIVE_BACK, giving).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {GIVE_BACK:?}"),
        };
        tracing::warn!(stream = %self.stream, error = failed, "reserved segment numbers were not given back");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::objects::MemoryStore;
    use storage::rows::numbering::{next_numbers, next_unbegun, reserve_segment};

    use super::*;
    use crate::live::simulation::World;

    fn n(number: u64) -> SegmentNumber {
        SegmentNumber(number)
    }

    #[tokio::test]
    async fn a_publication_goes_on_while_the_database_is_away() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let (database, stream) = (world.database(), world.stream("garden").await);
        let mut numbers = Numbers::new(database, stream, 3);
        numbers.begin(n(0)).await.unwrap();
        // The second track of the same segment.
        numbers.begin(n(0)).await.unwrap();
        let lock = database.write().await.unwrap();
        for number in 1..4 {
            numbers.begin(n(number)).await.unwrap();
        }
        assert!(numbers.is_away);
        assert_eq!(next_unbegun(database, stream).await.unwrap(), n(1));
        // The next one is not reserved: it waits.
        let unlock = async {
            sleep(RESERVE_PAUSE).await;
            drop(lock);
        };
        let (begun, ()) = tokio::join!(numbers.begin(n(4)), unlock);
        begun.unwrap();
        assert!(!numbers.is_away);
        assert_eq!(next_unbegun(database, stream).await.unwrap(), n(5));
        let reserved = next_numbers(database, stream).await.unwrap();
        assert_eq!(reserved.segment, n(8));
        numbers.give_back().await;
        let next = next_numbers(database, stream).await.unwrap();
        assert_eq!(next.segment, n(5));
    }

    #[tokio::test]
    async fn who_lost_the_stream_stops() {
        let directory = tempfile::tempdir().unwrap();
        let world = World::on_sqlite(directory.path(), Arc::new(MemoryStore::default())).await;
        let (database, stream) = (world.database(), world.stream("garden").await);
        let mut numbers = Numbers::new(database, stream, 8);
        numbers.begin(n(0)).await.unwrap();
        reserve_segment(database, stream, n(9)).await.unwrap();
        let error = numbers.begin(n(1)).await.unwrap_err();
        assert!(matches!(error, RowError::NumberTaken { .. }), "{error}");
        numbers.give_back().await;
        let next = next_numbers(database, stream).await.unwrap();
        assert_eq!(next.segment, n(10));
    }

    #[test]
    fn a_crash_costs_less_than_a_playlist() {
        assert_eq!([4, 10, 18, 1_000].map(ahead), [2, 8, 16, 16]);
        assert_eq!(ahead(0), 0);
    }
}
