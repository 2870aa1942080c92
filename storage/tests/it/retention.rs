//! What streams keep, and what goes when.

use media::{EpochNumber, Micros, Rendition, RenditionName, SegmentNumber, StreamId};
use storage::RowError;
use storage::retention::{Extent, Rules};
use storage::rows::segments::{SegmentRow, insert_rendition, insert_segment};
use storage::rows::settling::{self, UnsettledSession};
use storage::rows::{numbering, retention, sessions};

use crate::fixtures::{NOW, TestDatabase};
use crate::windows::{Live, audio, row, start_of, video};

on_both_engines! {
    rules_are_kept,
    the_floor_only_rises,
    what_is_below_the_floor_is_listed_until_it_is_gone,
    an_epoch_goes_when_nothing_of_it_can_come,
    the_last_epoch_goes_with_its_session,
    a_stream_is_summed_up_from_its_floor_on,
    streams_come_in_pages,
    sessions_wait_to_be_settled,
    nothing_is_added_to_a_settled_session,
    a_session_that_has_grown_is_not_settled,
    lost_segments_become_gaps,
    media_time_and_numbers_do_not_go_back_when_all_is_deleted,
}

fn n(number: u64) -> SegmentNumber {
    SegmentNumber(number)
}

async fn raise(live: &Live, floor: u64) -> bool {
    let mut transaction = live.test.db.write().await.unwrap();
    let raised = retention::raise_floor(&mut transaction, live.stream, n(floor)).await;
    transaction.commit().await.unwrap();
    raised.unwrap()
}

/// As the sweeper, without objects.
async fn sweep(live: &Live, limit: u32) -> Vec<u64> {
    let (db, stream) = (&live.test.db, live.stream);
    let old = retention::below_floor(db, stream, limit).await.unwrap();
    let mut transaction = db.write().await.unwrap();
    retention::delete_segments(&mut transaction, stream, &old)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    old.iter().map(|row| row.segment.number.0).collect()
}

async fn finished(live: &Live) -> Vec<u32> {
    let epochs = retention::finished_epochs(&live.test.db, live.stream, 10).await;
    epochs.unwrap().into_iter().map(|epoch| epoch.0).collect()
}

async fn end(live: &Live) -> UnsettledSession {
    sessions::end_session(&live.test.db, live.session, NOW)
        .await
        .unwrap();
    UnsettledSession {
        session: live.session,
        stream: live.stream,
    }
}

async fn settle(live: &Live, session: &UnsettledSession, rows: u64) -> bool {
    let mut transaction = live.test.db.write().await.unwrap();
    let settled = settling::settle(&mut transaction, session, rows, NOW).await;
    transaction.commit().await.unwrap();
    settled.unwrap()
}

async fn rules_are_kept(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let fresh = retention::rules(&test.db, stream).await.unwrap();
    assert_eq!(fresh, Rules::default());
    let wanted = Rules {
        recording: true,
        live_window: Some(Micros::from_secs(60)),
        keep_for: Some(Micros::from_secs(7 * 86_400)),
        byte_quota: Some(10_000_000_000),
    };
    let set = retention::change_rules(&test.db, stream, |rules| *rules = wanted).await;
    assert_eq!(set.unwrap(), wanted);
    let again = retention::change_rules(&test.db, stream, |rules| rules.keep_for = None)
        .await
        .unwrap();
    let expected = Rules {
        keep_for: None,
        ..wanted
    };
    assert_eq!(again, expected);
    assert_eq!(retention::rules(&test.db, stream).await.unwrap(), expected);
    let nobody = StreamId::new();
    for error in [
        retention::rules(&test.db, nobody).await.unwrap_err(),
        retention::change_rules(&test.db, nobody, |_| {})
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "no such stream");
    }
}

async fn the_floor_only_rises(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    assert!(raise(&live, 2).await);
    assert!(!raise(&live, 2).await);
    assert!(!raise(&live, 1).await);
    let kept = retention::kept_streams(&live.test.db, None, 10).await;
    assert_eq!(kept.unwrap()[0].kept_from, n(2));
}

async fn what_is_below_the_floor_is_listed_until_it_is_gone(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..4).await;
    let (db, stream) = (&live.test.db, live.stream);
    assert_eq!(retention::below_floor(db, stream, 10).await.unwrap(), []);
    raise(&live, 3).await;
    let listed = retention::below_floor(db, stream, 10).await.unwrap();
    // Whoever dies here lists them again.
    let again = retention::below_floor(db, stream, 10).await.unwrap();
    assert_eq!(listed, again);
    assert_eq!(sweep(&live, 5).await, [0, 0, 1, 1, 2]);
    assert_eq!(sweep(&live, 5).await, [2]);
    assert_eq!(sweep(&live, 5).await, [0; 0]);
    let left: Vec<_> = live.latest(10).await.segments;
    assert_eq!(left.len(), 2);
    assert_eq!(live.test.db.check().await.unwrap(), []);
}

async fn an_epoch_goes_when_nothing_of_it_can_come(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..2).await;
    live.epoch(1, 2..4).await;
    live.epoch(2, 4..5).await;
    raise(&live, 3).await;
    assert_eq!(finished(&live).await, [0; 0], "it has rows");
    sweep(&live, 100).await;
    assert_eq!(finished(&live).await, [0]);
    raise(&live, 100).await;
    sweep(&live, 100).await;
    assert_eq!(finished(&live).await, [0, 1], "the last one is live");
    for epoch in [0, 1] {
        let mut transaction = live.test.db.write().await.unwrap();
        retention::delete_epoch(&mut transaction, live.stream, EpochNumber(epoch))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    assert_eq!(finished(&live).await, [0; 0]);
    // What comes too late finds nobody.
    let late = row(1, RenditionName::AUDIO, 3, 1_000);
    let error = insert_segment(&live.test.db, live.stream, &late)
        .await
        .unwrap_err();
    assert!(matches!(error, RowError::NotFound(_)), "{error}");
    assert_eq!(live.test.db.check().await.unwrap(), []);
}

async fn the_last_epoch_goes_with_its_session(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..2).await;
    let (db, stream) = (&live.test.db, live.stream);
    numbering::reserve_segment(db, stream, n(1)).await.unwrap();
    assert_eq!(retention::nothing_below(db, stream).await.unwrap(), n(0));
    raise(&live, 2).await;
    sweep(&live, 100).await;
    // A straggler may still come.
    assert_eq!(retention::nothing_below(db, stream).await.unwrap(), n(0));
    let session = end(&live).await;
    assert_eq!(finished(&live).await, [0; 0]);
    let rows = settling::row_count(db, &session).await.unwrap();
    assert!(settle(&live, &session, rows).await);
    assert_eq!(retention::nothing_below(db, stream).await.unwrap(), n(2));
    assert_eq!(finished(&live).await, [0]);
}

async fn a_stream_is_summed_up_from_its_floor_on(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..4).await;
    let (db, stream) = (&live.test.db, live.stream);
    let gap = row(0, RenditionName::AUDIO, 4, 0);
    insert_segment(db, stream, &gap).await.unwrap();
    raise(&live, 1).await;
    let stored = retention::stored(db, stream).await.unwrap();
    assert_eq!((stored.bytes, stored.segments, stored.gaps), (6_000, 6, 1));
    assert_eq!(stored.start, Some(start_of(1)));
    assert_eq!(stored.end, Some(start_of(4)));
    assert_eq!(
        retention::bytes_from(db, stream, n(3)).await.unwrap(),
        2_000
    );
    let oldest = retention::oldest_extents(db, stream, n(3), 10)
        .await
        .unwrap();
    let extent = |number, bytes| Extent {
        number: n(number),
        end: start_of(number + 1),
        bytes,
    };
    assert_eq!(oldest, [extent(3, 2_000), extent(4, 0)]);
    let first = retention::oldest_extents(db, stream, n(1), 1)
        .await
        .unwrap();
    assert_eq!(first, [extent(1, 2_000)]);
    // Of nothing, all is nothing.
    let empty = live.test.stream("empty").await;
    assert_eq!(
        retention::stored(db, empty).await.unwrap(),
        retention::Stored::default()
    );
    assert_eq!(retention::bytes_from(db, empty, n(0)).await.unwrap(), 0);
}

async fn streams_come_in_pages(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    let first = live.stream;
    live.test.stream("never-live").await;
    let second = live.test.stream("second").await;
    let opened = sessions::open_session(&live.test.db, second, NOW).await;
    let next = Live {
        stream: second,
        session: opened.unwrap().session.id,
        test: live.test,
    };
    next.epoch(0, 0..0).await;
    end(&next).await;
    let db = &next.test.db;
    let all = retention::kept_streams(db, None, 10).await.unwrap();
    let facts: Vec<_> = all.iter().map(|s| (s.stream, s.newest, s.open)).collect();
    assert_eq!(facts, [(first, Some(n(2)), true), (second, None, false)]);
    let page = retention::kept_streams(db, None, 1).await.unwrap();
    assert_eq!(page, all[..1]);
    let page = retention::kept_streams(db, Some(first), 1).await.unwrap();
    assert_eq!(page, all[1..]);
}

async fn sessions_wait_to_be_settled(test: TestDatabase) {
    let live = Live::new(test).await;
    let db = &live.test.db;
    assert_eq!(settling::unsettled(db, NOW, 0, 10).await.unwrap(), []);
    let session = end(&live).await;
    let before = NOW - Micros::new(1);
    assert_eq!(settling::unsettled(db, before, 0, 10).await.unwrap(), []);
    let waiting = settling::unsettled(db, NOW, 0, 10).await.unwrap();
    assert_eq!(waiting, std::slice::from_ref(&session));
    assert_eq!(settling::unsettled(db, NOW, 1, 10).await.unwrap(), []);
    assert!(settle(&live, &session, 0).await);
    assert_eq!(settling::unsettled(db, NOW, 0, 10).await.unwrap(), []);
}

async fn nothing_is_added_to_a_settled_session(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..2).await;
    let session = end(&live).await;
    let (db, stream) = (&live.test.db, live.stream);
    // Between its end and that, a clerk may still store.
    let late = row(0, RenditionName::AUDIO, 2, 1_000);
    insert_segment(db, stream, &late).await.unwrap();
    let rows = settling::row_count(db, &session).await.unwrap();
    assert_eq!(rows, 5 + 2);
    assert!(settle(&live, &session, rows).await);
    let too_late = row(0, RenditionName::AUDIO, 3, 1_000);
    let another = Rendition {
        name: "360p".parse().unwrap(),
        ..video()
    };
    for error in [
        insert_segment(db, stream, &too_late).await.unwrap_err(),
        insert_rendition(db, stream, EpochNumber(0), &another)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, RowError::SessionSettled), "{error}");
    }
}

async fn a_session_that_has_grown_is_not_settled(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..2).await;
    let session = end(&live).await;
    let (db, stream) = (&live.test.db, live.stream);
    let rows = settling::row_count(db, &session).await.unwrap();
    let late = row(0, RenditionName::AUDIO, 2, 1_000);
    insert_segment(db, stream, &late).await.unwrap();
    assert!(!settle(&live, &session, rows).await);
    assert_eq!(settling::unsettled(db, NOW, 0, 1).await.unwrap().len(), 1);
}

async fn lost_segments_become_gaps(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..4).await;
    let session = end(&live).await;
    let (db, stream, name) = (&live.test.db, live.stream, RenditionName::AUDIO);
    let epochs = settling::epochs(db, &session).await.unwrap();
    assert_eq!(epochs, [EpochNumber(0)]);
    let renditions = settling::renditions(db, stream, EpochNumber(0)).await;
    assert_eq!(renditions.unwrap()[0], audio());
    raise(&live, 1).await;
    let numbers = async |from, limit| {
        let found = settling::stored_numbers(db, stream, EpochNumber(0), &name, n(from), limit);
        found.await.unwrap()
    };
    assert_eq!(numbers(0, 2).await, [n(1), n(2)]);
    let mut transaction = db.write().await.unwrap();
    let made = settling::make_gaps(&mut transaction, stream, &name, &[n(2), n(9)]).await;
    transaction.commit().await.unwrap();
    assert_eq!(made.unwrap(), 1);
    assert_eq!(numbers(0, 10).await, [n(1), n(3)]);
    let gaps: Vec<SegmentRow> = live.latest(10).await.segments;
    let gaps = gaps.iter().filter(|row| row.segment.is_gap());
    assert_eq!(gaps.count(), 1);
}

async fn media_time_and_numbers_do_not_go_back_when_all_is_deleted(test: TestDatabase) {
    let live = Live::new(test).await;
    live.epoch(0, 0..3).await;
    let (db, stream) = (&live.test.db, live.stream);
    numbering::reserve_segment(db, stream, n(2)).await.unwrap();
    raise(&live, 3).await;
    sweep(&live, 100).await;
    let next = numbering::next_numbers(db, stream).await.unwrap();
    assert_eq!(next.not_before, start_of(3));
    assert_eq!(next.segment, n(3));
    assert_eq!(next.epoch, EpochNumber(1));
}
