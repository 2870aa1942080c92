//! Numbers are used once.

use media::{EpochNumber, SegmentNumber, StreamId, Timestamp};
use storage::RowError;
use storage::rows::numbering::{
    begin_reserved_segment, give_back_segments, next_numbers, next_unbegun, reserve_epoch,
    reserve_segment, reserve_segments,
};

use crate::fixtures::TestDatabase;

on_both_engines! {
    numbers_begin_at_zero_and_only_grow,
    a_taken_segment_number_stops_whoever_lost_the_stream,
    one_of_two_gets_a_number,
    numbers_of_no_stream_are_errors,
    reserved_numbers_are_nobody_elses,
    a_reserved_number_can_begin_twice_for_its_owner,
    what_was_not_used_is_given_back,
}

async fn numbers_begin_at_zero_and_only_grow(test: TestDatabase) {
    let stream = test.stream("demo").await;
    let fresh = next_numbers(&test.db, stream).await.unwrap();
    assert_eq!(
        (fresh.epoch, fresh.segment),
        (EpochNumber(0), SegmentNumber(0))
    );
    assert_eq!(fresh.not_before, Timestamp::default());

    assert_eq!(
        reserve_epoch(&test.db, stream).await.unwrap(),
        EpochNumber(0)
    );
    assert_eq!(
        reserve_epoch(&test.db, stream).await.unwrap(),
        EpochNumber(1)
    );
    for number in [0, 1, 7] {
        reserve_segment(&test.db, stream, SegmentNumber(number))
            .await
            .unwrap();
    }
    let next = next_numbers(&test.db, stream).await.unwrap();
    assert_eq!(
        (next.epoch, next.segment),
        (EpochNumber(2), SegmentNumber(8))
    );
}

async fn a_taken_segment_number_stops_whoever_lost_the_stream(test: TestDatabase) {
    let other = test.another_handle().await;
    let stream = test.stream("demo").await;
    reserve_segment(&test.db, stream, SegmentNumber(10))
        .await
        .unwrap();
    reserve_segment(&other, stream, SegmentNumber(11))
        .await
        .unwrap();
    for taken in [11, 10, 0] {
        let error = reserve_segment(&test.db, stream, SegmentNumber(taken))
            .await
            .unwrap_err();
        assert!(
            matches!(error, RowError::NumberTaken { what: "segment", number } if number == taken),
            "{error}"
        );
    }
    let next = next_numbers(&test.db, stream).await.unwrap();
    assert_eq!(next.segment, SegmentNumber(12));
}

async fn one_of_two_gets_a_number(test: TestDatabase) {
    let other = test.another_handle().await;
    let stream = test.stream("demo").await;
    let take_all = async |db: &storage::Database| {
        let mut taken = Vec::new();
        for number in 0..50 {
            match reserve_segment(db, stream, SegmentNumber(number)).await {
                Ok(()) => taken.push(number),
                Err(RowError::NumberTaken { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        taken
    };
    let (here, there) = tokio::join!(take_all(&test.db), take_all(&other));
    let mut all = [here, there].concat();
    all.sort_unstable();
    let once = all.len();
    all.dedup();
    assert_eq!(all.len(), once, "a number was given twice");
    assert_eq!(all.last(), Some(&49));
}

async fn numbers_of_no_stream_are_errors(test: TestDatabase) {
    let nobody = StreamId::new();
    for error in [
        reserve_epoch(&test.db, nobody).await.unwrap_err(),
        reserve_segment(&test.db, nobody, SegmentNumber(1))
            .await
            .unwrap_err(),
        next_numbers(&test.db, nobody).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "no such stream");
    }
    let stream = test.stream("demo").await;
    let error = reserve_segment(&test.db, stream, SegmentNumber(u64::MAX))
        .await
        .unwrap_err();
    assert!(matches!(error, RowError::OutOfRange { .. }), "{error}");
}

/// The lowest number that has not begun, and the lowest that is not reserved.
async fn numbers(test: &TestDatabase, stream: StreamId) -> (u64, u64) {
    let unbegun = next_unbegun(&test.db, stream).await.unwrap();
    let next = next_numbers(&test.db, stream).await.unwrap();
    (unbegun.0, next.segment.0)
}

fn assert_taken<T: std::fmt::Debug>(result: Result<T, RowError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, RowError::NumberTaken { .. }), "{error}");
}

async fn reserved_numbers_are_nobody_elses(test: TestDatabase) {
    let (db, n) = (&test.db, SegmentNumber);
    let stream = test.stream("demo").await;
    let to = reserve_segments(db, stream, n(5), 8).await.unwrap();
    assert_eq!(to, n(14));
    assert_eq!(numbers(&test, stream).await, (6, 14));
    // Another, who believes that it has the stream.
    for number in [5, 6, 13] {
        assert_taken(reserve_segments(db, stream, n(number), 2).await);
    }
    let to = begin_reserved_segment(db, stream, n(7), 8).await.unwrap();
    assert_eq!(to, n(16));
    assert_eq!(numbers(&test, stream).await, (8, 16));
    // Another has taken over; it reserves fewer. The first has numbers to 15.
    reserve_segments(db, stream, n(16), 0).await.unwrap();
    for number in [7, 8, 15] {
        assert_taken(begin_reserved_segment(db, stream, n(number), 8).await);
    }
    give_back_segments(db, stream, n(8)).await.unwrap();
    assert_eq!(numbers(&test, stream).await, (17, 17));
}

async fn a_reserved_number_can_begin_twice_for_its_owner(test: TestDatabase) {
    let (db, n) = (&test.db, SegmentNumber);
    let stream = test.stream("demo").await;
    reserve_segments(db, stream, n(0), 8).await.unwrap();
    for _ in 0..2 {
        let to = begin_reserved_segment(db, stream, n(4), 8).await.unwrap();
        assert_eq!(to, n(13));
    }
    assert_eq!(numbers(&test, stream).await, (5, 13));
    // Below the newest, numbers do not come back.
    assert_taken(begin_reserved_segment(db, stream, n(3), 8).await);
}

async fn what_was_not_used_is_given_back(test: TestDatabase) {
    let (db, n) = (&test.db, SegmentNumber);
    let stream = test.stream("demo").await;
    reserve_segments(db, stream, n(0), 8).await.unwrap();
    // The database was away while 1 and 2 were used.
    give_back_segments(db, stream, n(3)).await.unwrap();
    assert_eq!(numbers(&test, stream).await, (3, 3));
    reserve_segments(db, stream, n(3), 8).await.unwrap();
    assert_eq!(numbers(&test, stream).await, (4, 12));
}
