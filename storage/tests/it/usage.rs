//! Usage by the minute, and its sums.

use media::{Micros, StreamId, Timestamp, VideoId};
use storage::rows::streams::{self, NewStream, TakeoverPolicy};
use storage::rows::usage::{
    self, Addition, Bucket, Counts, Period, Scope, Served, Subject, SubjectName, Sums,
};
use storage::rows::videos::imports::{self, NewImport};

use crate::fixtures::{NOW, TestDatabase};

on_both_engines! {
    what_is_added_is_summed_up,
    viewers_are_the_most_of_a_minute_and_never_added_up,
    each_stream_video_and_owner_has_its_own,
    pages_have_all_and_nothing_twice,
    old_minutes_are_deleted_oldest_first,
}

const MINUTE: Micros = Micros::from_secs(60);
const ALWAYS: Period = Period {
    from: Timestamp::from_micros(0),
    to: Timestamp::from_micros(i64::MAX),
};

/// A full hour.
fn at(minutes: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + minutes * 60_000_000)
}

fn addition(minute: i64, served: &Served, requests: u64, viewers: u64) -> Addition {
    Addition {
        minute: at(minute),
        served: served.clone(),
        counts: Counts {
            requests,
            hits: requests / 2,
            errors: 1,
            bytes: requests * 1_000,
            origin_requests: 2,
            origin_bytes: 5,
        },
        viewers,
    }
}

fn stream(name: &str) -> Served {
    Served::Stream(name.parse().unwrap())
}

async fn video_of(test: &TestDatabase, owner: &str) -> VideoId {
    let id = VideoId::new();
    let new = NewImport {
        id,
        owner: test.user(owner).await,
        title: "A film",
        original_size: 1,
    };
    let mut transaction = test.db.write().await.unwrap();
    imports::create(&mut transaction, new, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    id
}

async fn minutes(test: &TestDatabase, scope: Scope) -> Vec<Bucket> {
    usage::by_time(&test.db, scope, ALWAYS, MINUTE, None, 100)
        .await
        .unwrap()
}

async fn what_is_added_is_summed_up(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let added = [
        addition(0, &stream("demo"), 10, 3),
        addition(0, &Served::Other, 1, 1),
    ];
    for node in ["one", "one", "two"] {
        usage::add(&test.db, node, &added).await.unwrap();
    }
    let expected = Sums {
        counts: Counts {
            requests: 30,
            hits: 15,
            errors: 3,
            bytes: 30_000,
            origin_requests: 6,
            origin_bytes: 15,
        },
        most_viewers: 6,
        minutes_watched: 6,
    };
    let found = minutes(&test, Scope::Stream(demo)).await;
    assert_eq!(
        (found.len(), found[0].start, found[0].sums),
        (1, at(0), expected)
    );
    assert_eq!(minutes(&test, Scope::All).await[0].sums.counts.requests, 33);
    let unknown = Scope::Stream(StreamId::new());
    assert_eq!(minutes(&test, unknown).await, []);
    // Of a stream that no row has: it is counted, as all else is.
    let gone = [addition(0, &stream("gone"), 7, 1)];
    usage::add(&test.db, "one", &gone).await.unwrap();
    assert_eq!(minutes(&test, Scope::All).await[0].sums.counts.requests, 40);
}

async fn viewers_are_the_most_of_a_minute_and_never_added_up(test: TestDatabase) {
    let demo = test.stream("demo").await;
    for (minute, viewers) in [(0, 3), (0, 5), (0, 4), (1, 2), (61, 9)] {
        let added = [addition(minute, &stream("demo"), 1, viewers)];
        usage::add(&test.db, "one", &added).await.unwrap();
    }
    let hours = usage::by_time(
        &test.db,
        Scope::Stream(demo),
        ALWAYS,
        Micros::from_secs(3_600),
        None,
        100,
    );
    let told: Vec<_> = hours
        .await
        .unwrap()
        .iter()
        .map(|hour| {
            let sums = hour.sums;
            (hour.start, sums.most_viewers, sums.minutes_watched)
        })
        .collect();
    assert_eq!(told, [(at(0), 5, 7), (at(60), 9, 9)]);
}

async fn each_stream_video_and_owner_has_its_own(test: TestDatabase) {
    let (one, two) = (test.stream("one").await, test.stream("two").await);
    let owner = streams::by_name(&test.db, &"one".parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .owner;
    let also = NewStream {
        owner,
        name: &"also".parse().unwrap(),
        takeover: TakeoverPolicy::Takeover,
    };
    let key = "key-of-also".parse().unwrap();
    let also = streams::create(&test.db, also, &key, NOW).await.unwrap().id;
    let film = video_of(&test, "filmmaker").await;
    let added = [
        addition(0, &stream("one"), 1, 1),
        addition(0, &stream("also"), 10, 2),
        addition(1, &stream("also"), 100, 2),
        addition(0, &stream("two"), 1_000, 1),
        addition(0, &Served::Video(film), 10_000, 1),
        addition(0, &Served::Other, 100_000, 1),
    ];
    usage::add(&test.db, "one", &added).await.unwrap();

    let subjects = usage::by_subject(&test.db, Scope::All, ALWAYS, None, 100);
    let subjects = subjects.await.unwrap();
    let told: Vec<_> = subjects
        .iter()
        .map(|one| (one.subject, one.name.clone(), one.sums.counts.requests))
        .collect();
    let named = |name: &str| Some(SubjectName::Stream(name.parse().unwrap()));
    let film_name = Some(SubjectName::Video("A film".to_owned()));
    let expected = [
        (Subject::Other, None, 100_000),
        (Subject::Stream(one), named("one"), 1),
        (Subject::Stream(two), named("two"), 1_000),
        (Subject::Stream(also), named("also"), 110),
        (Subject::Video(film), film_name, 10_000),
    ];
    assert_eq!(told, expected);
    let of_owner = usage::by_subject(&test.db, Scope::Owner(owner), ALWAYS, None, 100);
    let of_owner = of_owner.await.unwrap();
    assert_eq!(of_owner.len(), 2);
    assert!(of_owner.iter().all(|one| one.owner == Some(owner)));
    // A minute's viewers of two streams are added: a session is of one.
    let first = minutes(&test, Scope::Owner(owner)).await[0];
    assert_eq!(
        (first.sums.counts.requests, first.sums.most_viewers),
        (11, 3)
    );

    let owners = usage::by_owner(&test.db, ALWAYS, None, 100).await.unwrap();
    let mut requests: Vec<_> = owners.iter().map(|one| one.sums.counts.requests).collect();
    requests.sort_unstable();
    assert_eq!(requests, [111, 1_000, 10_000]);
    let later = Period {
        from: at(1),
        ..ALWAYS
    };
    let owners = usage::by_owner(&test.db, later, None, 100).await.unwrap();
    assert_eq!((owners.len(), owners[0].owner), (1, owner));

    // What is gone is still counted, as nobody's.
    test.raw("DELETE FROM videos").await;
    let left = usage::by_subject(&test.db, Scope::Video(film), ALWAYS, None, 100);
    let left = left.await.unwrap();
    assert_eq!(
        (left[0].subject, left[0].owner),
        (Subject::Video(film), None)
    );
    assert_eq!(
        usage::by_owner(&test.db, ALWAYS, None, 100)
            .await
            .unwrap()
            .len(),
        2
    );
}

async fn pages_have_all_and_nothing_twice(test: TestDatabase) {
    for name in ["a", "b", "c"] {
        test.stream(name).await;
    }
    let subjects = [stream("a"), stream("b"), stream("c"), Served::Other];
    for minute in 0..7 {
        let added: Vec<_> = subjects
            .iter()
            .map(|served| addition(minute, served, 1, 1))
            .collect();
        usage::add(&test.db, "one", &added).await.unwrap();
    }
    let two_minutes = Micros::from_secs(120);
    let (mut after, mut starts) = (None, Vec::new());
    loop {
        let page = usage::by_time(&test.db, Scope::All, ALWAYS, two_minutes, after, 3);
        let page = page.await.unwrap();
        starts.extend(
            page.iter()
                .map(|bucket| (bucket.start, bucket.sums.counts.requests)),
        );
        match page.last() {
            Some(last) => after = Some(last.start),
            None => break,
        }
    }
    assert_eq!(starts, [(at(0), 8), (at(2), 8), (at(4), 8), (at(6), 4)]);

    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = usage::by_subject(&test.db, Scope::All, ALWAYS, after, 1);
        let page = page.await.unwrap();
        match page.last() {
            Some(last) => after = Some(last.subject),
            None => break,
        }
        seen.extend(page.into_iter().map(|one| one.sums.counts.requests));
    }
    assert_eq!(seen, [7; 4]);

    let (mut after, mut owners) = (None, Vec::new());
    loop {
        let page = usage::by_owner(&test.db, ALWAYS, after, 2).await.unwrap();
        match page.last() {
            Some(last) => after = Some(last.owner),
            None => break,
        }
        owners.extend(page.into_iter().map(|one| one.sums.counts.requests));
    }
    assert_eq!(owners, [7; 3]);
}

async fn old_minutes_are_deleted_oldest_first(test: TestDatabase) {
    for minute in 0..5 {
        let added = [addition(minute, &Served::Other, 1, 1)];
        usage::add(&test.db, "one", &added).await.unwrap();
    }
    let delete = async |limit| usage::delete_before(&test.db, at(3), limit).await.unwrap();
    assert_eq!(delete(2).await, 2);
    assert_eq!(minutes(&test, Scope::All).await[0].start, at(2));
    assert_eq!((delete(2).await, delete(2).await), (1, 0));
    assert_eq!(minutes(&test, Scope::All).await.len(), 2);
}
