//! Numbers are used once.

use media::{EpochNumber, SegmentNumber, StreamId, Timestamp};
use storage::RowError;
use storage::rows::numbering::{next_numbers, reserve_epoch, reserve_segment};

use crate::fixtures::TestDatabase;

on_both_engines! {
    numbers_begin_at_zero_and_only_grow,
    a_taken_segment_number_stops_whoever_lost_the_stream,
    one_of_two_gets_a_number,
    numbers_of_no_stream_are_errors,
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
