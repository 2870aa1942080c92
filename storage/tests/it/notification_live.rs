//! Followers are told of a broadcast: in steps, each once, whoever dies in between.

use std::sync::Arc;

use media::{SessionId, StreamId, SystemClock, UserId};
use storage::Database;
use storage::events::{Bus, LocalBus, SubjectPattern};
use storage::rows::notifications::{
    self, FOLLOWERS_AT_ONCE, Kind, NEWS, News, RESTS, begin_fan_out, fan_out_step,
};
use storage::rows::streams::{Change, Visibility};
use storage::rows::{sessions, sql, streams, users};
use tokio_util::sync::CancellationToken;

use crate::children::{TestProcess, eventually, given_argument, given_database};
use crate::feed::{count, mute, unfollow};
use crate::feed_writer::followers;
use crate::fixtures::TestDatabase;
use crate::notifications::{Telling, kinds, list, prefer, read_all};
use crate::outbox::delivered;
use crate::people::{block, follow};
use crate::users::{at, write};

on_both_engines! {
    followers_are_told_in_steps_and_each_once,
    two_who_tell_at_once_tell_each_once,
    whoever_is_killed_while_telling_is_followed_by_the_next,
    going_live_again_is_told_again,
    going_live_again_soon_is_told_to_those_who_follow_since,
    nobody_is_told_twice_while_a_stream_comes_and_goes,
    a_telling_that_goes_on_and_the_next_share_nobody,
    two_broadcasts_that_are_told_at_once_are_one_for_each,
    a_broadcast_that_is_over_is_not_told,
    who_does_not_want_it_or_follows_no_more_is_not_told,
    a_broadcast_is_told_to_those_whom_the_stream_is_for,
    a_stream_that_is_hidden_meanwhile_is_told_to_nobody_more,
    s02_going_live_costs_the_same_however_many_follow,
    a_server_tells_of_broadcasts_and_wakes_who_looks,
}

/// A stream that has gone live, and its owner.
async fn live(test: &TestDatabase, name: &str) -> (StreamId, UserId) {
    let stream = test.stream(name).await;
    let owner = streams::by_id(&test.db, stream)
        .await
        .unwrap()
        .unwrap()
        .owner;
    (stream, owner)
}

async fn go_live(test: &TestDatabase, stream: StreamId, now: i64) -> SessionId {
    let opened = sessions::open_session(&test.db, stream, at(now)).await;
    let opened = opened.unwrap();
    assert!(!opened.resumed);
    opened.session.id
}

async fn end(test: &TestDatabase, session: SessionId, now: i64) {
    sessions::end_session(&test.db, session, at(now))
        .await
        .unwrap();
}

async fn tell_all(db: &Database, session: SessionId) -> Vec<UserId> {
    let mut told = Vec::new();
    while let Some(some) = fan_out_step(db, session, at(9)).await.unwrap() {
        assert!(some.len() <= FOLLOWERS_AT_ONCE as usize);
        told.extend(some);
    }
    told
}

/// Who was told, as often as they were.
async fn told(db: &Database) -> Vec<UserId> {
    let rows: Vec<(UserId,)> =
        sql::query("SELECT recipient_id FROM notifications WHERE kind = 'went_live'")
            .all(db)
            .await
            .unwrap();
    let mut told: Vec<_> = rows.into_iter().map(|(user,)| user).collect();
    told.sort_unstable();
    told
}

/// All who follow.
async fn all_followers(db: &Database) -> Vec<UserId> {
    let rows: Vec<(UserId,)> = sql::query("SELECT follower_id FROM follows ORDER BY follower_id")
        .all(db)
        .await
        .unwrap();
    rows.into_iter().map(|(user,)| user).collect()
}

async fn followers_are_told_in_steps_and_each_once(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, 2 * FOLLOWERS_AT_ONCE + 300).await;
    let session = go_live(&test, stream, 20).await;
    let mut telling = Telling::new(&test.db);
    telling.take_all(&test.db).await;
    // The consumer leaves it to a job.
    assert_eq!(told(&test.db).await, []);
    assert_eq!(count(&test.db, "SELECT COUNT(*) FROM jobs").await, 1);
    assert!(!begin_fan_out(&test.db, session, at(9)).await.unwrap());
    let first = fan_out_step(&test.db, session, at(9))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.len(), FOLLOWERS_AT_ONCE as usize);
    assert_eq!(told(&test.db).await.len(), FOLLOWERS_AT_ONCE as usize);
    // Another goes on where the first has stopped.
    let other = test.another_handle().await;
    let rest = tell_all(&other, session).await;
    assert_eq!(rest.len(), FOLLOWERS_AT_ONCE as usize + 300);
    let all = all_followers(&test.db).await;
    assert_eq!(told(&test.db).await, all);
    let mut woken = [first, rest].concat();
    woken.sort_unstable();
    assert_eq!(woken, all);
    assert!(tell_all(&test.db, session).await.is_empty());
    assert_eq!(told(&test.db).await, all);
    let row = list(&test, all[0]).await[0];
    assert_eq!(
        (row.kind, row.target, row.revision),
        (Kind::WentLive, stream.as_uuid(), 1)
    );
    assert_eq!(row.changed_at, at(20));
    let ids = count(&test.db, "SELECT COUNT(DISTINCT id) FROM notifications").await;
    assert_eq!(ids, all.len() as i64);
}

async fn two_who_tell_at_once_tell_each_once(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, 3 * FOLLOWERS_AT_ONCE).await;
    let session = go_live(&test, stream, 20).await;
    assert!(begin_fan_out(&test.db, session, at(9)).await.unwrap());
    let other = test.another_handle().await;
    let both = tokio::join!(tell_all(&test.db, session), tell_all(&other, session));
    assert_eq!(both.0.len() + both.1.len(), 3 * FOLLOWERS_AT_ONCE as usize);
    assert_eq!(told(&test.db).await, all_followers(&test.db).await);
}

/// A process tells until it is killed, and another, whose job it then is, does the rest.
async fn whoever_is_killed_while_telling_is_followed_by_the_next(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, 6 * FOLLOWERS_AT_ONCE + 10).await;
    let session = go_live(&test, stream, 20).await;
    assert!(begin_fan_out(&test.db, session, at(9)).await.unwrap());
    let argument = session.to_string();
    let mut process = TestProcess::spawn(
        "notification_live::child_tells_of_a_broadcast",
        &test.url,
        &argument,
    );
    process.wait_for("told").await;
    process.kill().await;
    let so_far = told(&test.db).await.len();
    assert!(so_far >= FOLLOWERS_AT_ONCE as usize);
    assert_eq!(so_far % FOLLOWERS_AT_ONCE as usize, 0);
    let rest = tell_all(&test.db, session).await;
    let all = all_followers(&test.db).await;
    assert_eq!(rest.len(), all.len() - so_far);
    assert_eq!(told(&test.db).await, all);
}

#[tokio::test]
#[ignore = "a process of the tests above"]
async fn child_tells_of_a_broadcast() {
    let db = given_database().await;
    let session: SessionId = given_argument().parse().unwrap();
    for _ in 0..3 {
        fan_out_step(&db, session, at(9)).await.unwrap();
        println!("told");
    }
    std::future::pending().await
}

async fn going_live_again_is_told_again(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    follow(&test, ada, owner, 0).await;
    follow(&test, bob, owner, 0).await;
    let first = go_live(&test, stream, 10).await;
    assert!(begin_fan_out(&test.db, first, at(10)).await.unwrap());
    tell_all(&test.db, first).await;
    end(&test, first, 20).await;
    assert_eq!(read_all(&test, ada).await, 1);
    let eve = test.user("eve").await;
    follow(&test, eve, owner, 25).await;
    // An encoder that comes and goes is news to nobody but her; the same stream of another is.
    let soon = go_live(&test, stream, 30).await;
    assert!(begin_fan_out(&test.db, soon, at(30)).await.unwrap());
    assert_eq!(tell_all(&test.db, soon).await, [eve]);
    end(&test, soon, 40).await;
    let (other, _) = live(&test, "other").await;
    let elsewhere = go_live(&test, other, 30).await;
    assert!(begin_fan_out(&test.db, elsewhere, at(30)).await.unwrap());
    let later = 10 + RESTS.as_micros() / 1_000_000;
    let second = go_live(&test, stream, later).await;
    assert!(begin_fan_out(&test.db, second, at(later)).await.unwrap());
    assert_eq!(tell_all(&test.db, second).await.len(), 3);
    // Who has read of the first has another; who has not has one, of both. She was told lately.
    assert_eq!(shown(&test, ada).await, [(1, true), (1, false)]);
    assert_eq!(shown(&test, bob).await, [(2, true)]);
    assert_eq!(shown(&test, eve).await, [(1, true)]);
    assert_eq!(list(&test, bob).await[0].changed_at, at(later));
    assert_eq!(list(&test, eve).await[0].changed_at, at(30));
}

/// How often a user's notifications took something, and whether they are unread, the newest first.
async fn shown(test: &TestDatabase, user: UserId) -> Vec<(u64, bool)> {
    let list = list(test, user).await;
    list.iter()
        .map(|row| (row.revision, row.read_at.is_none()))
        .collect()
}

/// A broadcast from `from` to `to`, and who is woken for it.
async fn broadcast(test: &TestDatabase, stream: StreamId, from: i64, to: i64) -> Vec<UserId> {
    let session = go_live(test, stream, from).await;
    assert!(begin_fan_out(&test.db, session, at(from)).await.unwrap());
    let woken = tell_all(&test.db, session).await;
    // Its event comes again.
    assert!(!begin_fan_out(&test.db, session, at(from)).await.unwrap());
    assert_eq!(tell_all(&test.db, session).await, []);
    end(test, session, to).await;
    woken
}

async fn going_live_again_soon_is_told_to_those_who_follow_since(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, FOLLOWERS_AT_ONCE + 10).await;
    let old = all_followers(&test.db).await;
    assert_eq!(broadcast(&test, stream, 10, 20).await.len(), old.len());
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    follow(&test, ada, owner, 15).await;
    follow(&test, bob, owner, 25).await;
    // Of so many only the new ones are looked at.
    assert_eq!(broadcast(&test, stream, 30, 40).await, [ada, bob]);
    assert_eq!(read_all(&test, ada).await, 1);
    assert_eq!(broadcast(&test, stream, 50, 60).await, []);
    follow(&test, eve, owner, 55).await;
    assert_eq!(broadcast(&test, stream, 70, 80).await, [eve]);
    for (user, expected) in [(ada, (1, false)), (bob, (1, true)), (eve, (1, true))] {
        assert_eq!(shown(&test, user).await, [expected]);
    }
    assert_eq!(shown(&test, old[0]).await, [(1, true)]);
    assert_eq!(told(&test.db).await.len(), old.len() + 3);
}

async fn nobody_is_told_twice_while_a_stream_comes_and_goes(test: TestDatabase) {
    let rests = RESTS.as_micros() / 1_000_000;
    let (stream, owner) = live(&test, "one").await;
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    follow(&test, ada, owner, 0).await;
    follow(&test, eve, owner, 0).await;
    broadcast(&test, stream, 10, 20).await;
    assert_eq!(read_all(&test, ada).await, 1);
    // Who follows anew is new, and was told all the same.
    unfollow(&test, ada, owner).await;
    unfollow(&test, eve, owner).await;
    follow(&test, ada, owner, 21).await;
    follow(&test, eve, owner, 22).await;
    follow(&test, bob, owner, 23).await;
    broadcast(&test, stream, 30, 40).await;
    assert_eq!(shown(&test, ada).await, [(1, false)]);
    assert_eq!(shown(&test, eve).await, [(1, true)]);
    assert_eq!(shown(&test, bob).await, [(1, true)]);
    assert_eq!(read_all(&test, bob).await, 1);
    // All are told again, but for him, who was told later than they.
    broadcast(&test, stream, 10 + rests, 15 + rests).await;
    assert_eq!(shown(&test, ada).await, [(1, true), (1, false)]);
    assert_eq!(shown(&test, eve).await, [(2, true)]);
    assert_eq!(shown(&test, bob).await, [(1, false)]);
    broadcast(&test, stream, 10 + 2 * rests, 15 + 2 * rests).await;
    assert_eq!(shown(&test, ada).await, [(2, true), (1, false)]);
    assert_eq!(shown(&test, bob).await, [(1, true), (1, false)]);
}

async fn a_telling_that_goes_on_and_the_next_share_nobody(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, FOLLOWERS_AT_ONCE + 10).await;
    let first = go_live(&test, stream, 10).await;
    assert!(begin_fan_out(&test.db, first, at(10)).await.unwrap());
    let some = fan_out_step(&test.db, first, at(10)).await.unwrap();
    assert_eq!(some.unwrap().len(), FOLLOWERS_AT_ONCE as usize);
    end(&test, first, 20).await;
    let ada = test.user("ada").await;
    follow(&test, ada, owner, 25).await;
    assert_eq!(broadcast(&test, stream, 30, 40).await, [ada]);
    assert_eq!(tell_all(&test.db, first).await.len(), 10);
    assert_eq!(told(&test.db).await, all_followers(&test.db).await);
}

/// The first was held up until all are to be told again.
async fn two_broadcasts_that_are_told_at_once_are_one_for_each(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, 2 * FOLLOWERS_AT_ONCE).await;
    let later = 10 + RESTS.as_micros() / 1_000_000;
    let mut sessions = Vec::new();
    for now in [10, later] {
        let session = go_live(&test, stream, now).await;
        assert!(begin_fan_out(&test.db, session, at(now)).await.unwrap());
        end(&test, session, now + 1).await;
        sessions.push(session);
    }
    let other = test.another_handle().await;
    let both = tokio::join!(
        tell_all(&test.db, sessions[0]),
        tell_all(&other, sessions[1])
    );
    let all = all_followers(&test.db).await;
    assert_eq!((both.0.len(), both.1.len()), (all.len(), all.len()));
    assert_eq!(told(&test.db).await, all);
}

async fn a_broadcast_that_is_over_is_not_told(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    followers(&test, owner, 3).await;
    let session = go_live(&test, stream, 10).await;
    end(&test, session, 20).await;
    assert!(!begin_fan_out(&test.db, session, at(21)).await.unwrap());
    assert!(
        !begin_fan_out(&test.db, SessionId::new(), at(21))
            .await
            .unwrap()
    );
    assert_eq!(tell_all(&test.db, session).await, []);
    assert_eq!(count(&test.db, "SELECT COUNT(*) FROM jobs").await, 0);
    // One that ends meanwhile is told to the end.
    let session = go_live(&test, stream, 30).await;
    assert!(begin_fan_out(&test.db, session, at(31)).await.unwrap());
    end(&test, session, 40).await;
    assert_eq!(tell_all(&test.db, session).await.len(), 3);
}

async fn who_does_not_want_it_or_follows_no_more_is_not_told(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    let mut people = Vec::new();
    for n in 0..6 {
        let user = test.user(&format!("u{n}")).await;
        follow(&test, user, owner, n).await;
        people.push(user);
    }
    let [fine, unwilling, muting, late, blocking, gone] = people[..] else {
        panic!("there are six");
    };
    prefer(&test, unwilling, Kind::WentLive, Some("off")).await;
    unfollow(&test, late, owner).await;
    let session = go_live(&test, stream, 10).await;
    // Who follows after it has begun knows.
    follow(&test, late, owner, 11).await;
    assert!(begin_fan_out(&test.db, session, at(12)).await.unwrap());
    tell_all(&test.db, session).await;
    for (user, is_told) in [
        (fine, true),
        (unwilling, false),
        (muting, true),
        (late, false),
    ] {
        assert_eq!(!kinds(&test, user).await.is_empty(), is_told);
    }
    mute(&test, muting, owner).await;
    block(&test, blocking, owner).await;
    unfollow(&test, gone, owner).await;
    for user in [muting, blocking, gone] {
        assert_eq!(kinds(&test, user).await, []);
        assert_eq!(notifications::unread(&test.db, user).await.unwrap(), 0);
    }
    let mut transaction = write(&test).await;
    let suspended = users::suspend(&test.db, &mut transaction, owner, at(13)).await;
    drop(suspended.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(kinds(&test, fine).await, []);
}

async fn set_visibility(test: &TestDatabase, stream: StreamId, visibility: Visibility) {
    let change = Change {
        visibility: Some(visibility),
        ..Change::default()
    };
    let mut transaction = write(test).await;
    let changed = streams::change(&test.db, &mut transaction, stream, &change, at(9)).await;
    drop(changed.unwrap());
    transaction.commit().await.unwrap();
}

async fn delete(test: &TestDatabase, stream: StreamId) {
    let mut transaction = write(test).await;
    let deleted = streams::delete(&test.db, &mut transaction, stream, at(9)).await;
    drop(deleted.unwrap());
    transaction.commit().await.unwrap();
}

async fn a_broadcast_is_told_to_those_whom_the_stream_is_for(test: TestDatabase) {
    let ada = test.user("ada").await;
    for (name, visibility) in [
        ("open", Some(Visibility::Public)),
        ("half", Some(Visibility::Followers)),
        ("shut", Some(Visibility::Private)),
        ("gone", None),
    ] {
        let (stream, owner) = live(&test, name).await;
        follow(&test, ada, owner, 0).await;
        let session = go_live(&test, stream, 10).await;
        match visibility {
            Some(visibility) => set_visibility(&test, stream, visibility).await,
            None => delete(&test, stream).await,
        }
        let is_told = matches!(visibility, Some(Visibility::Public | Visibility::Followers));
        let begun = begin_fan_out(&test.db, session, at(10)).await.unwrap();
        assert_eq!(begun, is_told, "{name}");
        let told = tell_all(&test.db, session).await;
        assert_eq!(told.len(), usize::from(is_told), "{name}");
    }
    assert_eq!(kinds(&test, ada).await, [Kind::WentLive; 2]);
}

async fn a_stream_that_is_hidden_meanwhile_is_told_to_nobody_more(test: TestDatabase) {
    for name in ["shut", "gone"] {
        let (stream, owner) = live(&test, name).await;
        followers(&test, owner, FOLLOWERS_AT_ONCE + 1).await;
        let session = go_live(&test, stream, 20).await;
        assert!(begin_fan_out(&test.db, session, at(20)).await.unwrap());
        let first = fan_out_step(&test.db, session, at(20)).await.unwrap();
        let user = first.unwrap()[0];
        assert_eq!(kinds(&test, user).await, [Kind::WentLive]);
        match name {
            "shut" => set_visibility(&test, stream, Visibility::Private).await,
            _ => delete(&test, stream).await,
        }
        assert_eq!(tell_all(&test.db, session).await, []);
        assert_eq!(kinds(&test, user).await, []);
        assert_eq!(notifications::unread(&test.db, user).await.unwrap(), 0);
        if name == "shut" {
            // It is over for good; what was told is true again.
            set_visibility(&test, stream, Visibility::Followers).await;
            assert_eq!(tell_all(&test.db, session).await, []);
            assert_eq!(kinds(&test, user).await, [Kind::WentLive]);
            // The next does not count it as told.
            end(&test, session, 30).await;
            broadcast(&test, stream, 40, 50).await;
            assert_eq!(told(&test.db).await, all_followers(&test.db).await);
            test.raw("DELETE FROM follows").await;
            test.raw("DELETE FROM users WHERE name LIKE 'follower%'")
                .await;
        }
    }
}

async fn s02_going_live_costs_the_same_however_many_follow(test: TestDatabase) {
    let (mut added, mut asked) = (Vec::new(), Vec::new());
    for (name, many) in [("one", 0), ("other", 500)] {
        let (stream, owner) = live(&test, name).await;
        followers(&test, owner, many).await;
        let rows = async || {
            let mut rows = Vec::new();
            for text in [
                "SELECT COUNT(*) FROM outbox_events",
                "SELECT COUNT(*) FROM notifications",
                "SELECT COUNT(*) FROM jobs",
                "SELECT COUNT(*) FROM live_fan_outs",
            ] {
                rows.push(count(&test.db, text).await);
            }
            rows
        };
        let before = rows().await;
        let (_, statements) = sql::recorded(go_live(&test, stream, 10)).await;
        asked.push(statements.len());
        let after = rows().await;
        added.push(
            after
                .iter()
                .zip(before)
                .map(|(a, b)| a - b)
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(added, [[1, 0, 0, 0], [1, 0, 0, 0]]);
    assert_eq!(asked[0], asked[1]);
}

async fn a_server_tells_of_broadcasts_and_wakes_who_looks(test: TestDatabase) {
    let (stream, owner) = live(&test, "one").await;
    let many = FOLLOWERS_AT_ONCE + 20;
    followers(&test, owner, many).await;
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
    let pattern = SubjectPattern::new(NEWS).unwrap();
    let mut news = bus.subscribe(&pattern).await.unwrap();
    let shutdown = CancellationToken::new();
    let clock = Arc::new(SystemClock);
    let db = test.db.clone();
    let running = tokio::spawn(notifications::run(db, clock, bus, shutdown.clone()));
    // The consumer is told of what comes after it.
    delivered(&test.db, notifications::CONSUMER).await;
    go_live(&test, stream, 10).await;
    let mut woken = Vec::new();
    while woken.len() < many as usize {
        let message = news.recv().await.unwrap();
        let News(users) = News::read(&message.event.payload).unwrap();
        // They are told after the rows can be read.
        let user = users[0];
        assert_eq!(kinds(&test, user).await, [Kind::WentLive]);
        woken.extend(users);
    }
    woken.sort_unstable();
    assert_eq!(woken, all_followers(&test.db).await);
    let finished = "SELECT COUNT(*) FROM jobs WHERE state = 'done'";
    eventually("the job ends", async || {
        count(&test.db, finished).await == 1
    })
    .await;
    shutdown.cancel();
    running.await.unwrap();
}
