//! Old segments leave the object store, whether their stream is live or not.

use std::time::Duration;

use media::{StreamId, Timestamp};
use packager::object_key;
use storage::rows::expiry;
use tokio_util::sync::CancellationToken;

use super::archive::{ArchiveError, Shelves};

/// How often old segments are looked for.
const ROUND: Duration = Duration::from_secs(30);
/// Streams in one round.
const STREAMS_AT_MOST: u32 = 500;
/// Segments of a stream in one round.
const SEGMENTS_AT_MOST: u32 = 1_000;

/// Deletes what is older than the shelves keep, round after round, until `shutdown`.
pub(super) async fn run(shelves: Shelves, shutdown: CancellationToken) {
    loop {
        if let Err(error) = round(&shelves).await {
            tracing::error!(%error, "old segments were not deleted");
            metrics::counter!("nova_live_expiry_failures_total").increment(1);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ROUND) => {}
        }
    }
}

async fn round(shelves: &Shelves) -> Result<(), ArchiveError> {
    let before = shelves.clock.now() - shelves.keep;
    let streams = expiry::streams_with_expired(&shelves.database, before, STREAMS_AT_MOST).await?;
    for stream in streams {
        expire(shelves, stream, before).await?;
    }
    Ok(())
}

/// Objects go before their rows: a row always says where there may be an object.
async fn expire(
    shelves: &Shelves,
    stream: StreamId,
    before: Timestamp,
) -> Result<(), ArchiveError> {
    let Shelves {
        database, objects, ..
    } = shelves;
    let old = expiry::expired_segments(database, stream, before, SEGMENTS_AT_MOST).await?;
    for row in &old {
        let number = row.segment.number;
        let key = object_key::segment(stream, row.epoch, &row.rendition, number);
        objects.delete(&key).await?;
    }
    expiry::delete_segments(database, stream, &old).await?;
    for epoch in expiry::expired_epochs(database, stream, before).await? {
        objects
            .delete_prefix(&object_key::epoch(stream, epoch))
            .await?;
        expiry::delete_epoch(database, stream, epoch).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use media::{EpochNumber, ManualClock, Micros, RenditionName, Segment, SegmentNumber};
    use storage::ObjectError;
    use storage::objects::FileStore;
    use storage::rows::segments::{self, EpochRow, SegmentRow};
    use storage::rows::streams::{self, NewStream, TakeoverPolicy};
    use storage::rows::users::{self, NewUser};
    use storage::rows::{Database, IfMissing, sessions};

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const KEEP: Micros = Micros::from_secs(60);

    /// A stream whose session has ended, with one segment of sound.
    async fn ended_stream(shelves: &Shelves) -> StreamId {
        let database = &shelves.database;
        let user = NewUser {
            name: "ada",
            email: "ada@example.org",
            password_hash: "none",
            is_admin: false,
        };
        let owner = users::create(database, user, START).await.unwrap().id;
        let stream = NewStream {
            owner,
            name: &"garden".parse().unwrap(),
            takeover: TakeoverPolicy::Takeover,
        };
        let key = "key".parse().unwrap();
        let stream = streams::create(database, stream, &key, START)
            .await
            .unwrap()
            .id;
        let opened = sessions::open_session(database, stream, START)
            .await
            .unwrap();
        let epoch = EpochRow {
            number: EpochNumber(0),
            session: opened.session.id,
            first_segment: SegmentNumber(0),
            started_at: START,
            target_duration: 2,
        };
        segments::insert_epoch(database, stream, &epoch)
            .await
            .unwrap();
        let codec = media::AacConfig::parse(Bytes::from_static(&[0x12, 0x10])).unwrap();
        let sound = media::Rendition::new(
            RenditionName::AUDIO,
            media::Codec::Aac(codec),
            96_000,
            Micros::new(23_220),
        );
        segments::insert_rendition(database, stream, epoch.number, &sound)
            .await
            .unwrap();
        let row = SegmentRow {
            epoch: epoch.number,
            rendition: RenditionName::AUDIO,
            segment: Segment {
                number: SegmentNumber(0),
                start: START,
                duration: Micros::from_secs(2),
                size: 5,
            },
        };
        let key = object_key::segment(stream, row.epoch, &row.rendition, row.segment.number);
        shelves
            .objects
            .put(&key, Bytes::from_static(b"sound"))
            .await
            .unwrap();
        segments::insert_segment(database, stream, &row)
            .await
            .unwrap();
        sessions::end_session(database, opened.session.id, START)
            .await
            .unwrap();
        stream
    }

    #[tokio::test]
    async fn segments_of_an_ended_stream_leave_when_they_are_old() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("nova.db").display());
        let database = Database::open(&url, IfMissing::Create).await.unwrap();
        database.migrate().await.unwrap();
        let objects = FileStore::open(&directory.path().join("objects")).unwrap();
        let clock = Arc::new(ManualClock::new(START + KEEP));
        let shelves = Shelves {
            database,
            objects: Arc::new(objects),
            clock: clock.clone(),
            keep: KEEP,
        };
        let stream = ended_stream(&shelves).await;
        let name = RenditionName::AUDIO;
        let key = object_key::segment(stream, EpochNumber(0), &name, SegmentNumber(0));

        // Its two seconds are not over yet.
        round(&shelves).await.unwrap();
        assert!(shelves.objects.head(&key).await.is_ok());

        clock.advance(Micros::from_secs(2));
        round(&shelves).await.unwrap();
        let gone = shelves.objects.head(&key).await;
        assert!(matches!(gone, Err(ObjectError::NotFound(_))), "{gone:?}");
        let before = shelves.clock.now();
        let left = expiry::streams_with_expired(&shelves.database, before, 10)
            .await
            .unwrap();
        assert_eq!(left, []);
    }
}
