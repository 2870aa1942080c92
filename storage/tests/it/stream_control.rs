//! Streams: who may publish, who sees them, and how they go.

use media::{Micros, SessionId, StreamId, StreamKeyId, Timestamp, UserId};
use storage::rows::playback_bars::{self, Bar};
use storage::rows::playback_keys::{self, PlaybackKey};
use storage::rows::stream_keys::{self, NewKey, StreamKey};
use storage::rows::streams::removal::{self, Step};
use storage::rows::streams::{self, Change, Visibility};
use storage::rows::videos::playback as videos;
use storage::rows::{RowError, expiry, purges, sessions, users};

use crate::chat::{sanction, say};
use crate::feed::count;
use crate::fixtures::{NOW, TestDatabase};
use crate::search::indexed;

on_both_engines! {
    who_may_publish_is_asked_of_many_keys_at_once,
    a_stream_says_how_it_stands,
    a_change_of_audience_bars_and_purges_and_another_change_does_not,
    a_deleted_stream_goes_when_the_sweeper_has_done_its_part,
    a_recording_is_for_whom_its_stream_is,
    the_first_key_for_playback_is_everybodys,
    keys_that_are_good_no_more_are_swept,
    bars_are_read_in_order_and_forgotten_in_time,
}

fn at(seconds: i64) -> Timestamp {
    NOW + Micros::from_secs(seconds)
}

async fn owner(test: &TestDatabase, stream: StreamId) -> UserId {
    let row = streams::by_id(&test.db, stream).await.unwrap();
    row.unwrap().owner
}

async fn key(test: &TestDatabase, stream: StreamId) -> StreamKeyId {
    let secret = StreamKey::generate().unwrap();
    let new = NewKey {
        key: &secret,
        name: "",
    };
    let mut transaction = test.db.write().await.unwrap();
    let made = stream_keys::create(&test.db, &mut transaction, stream, new, NOW).await;
    transaction.commit().await.unwrap();
    made.unwrap().key.id
}

async fn who_may_publish_is_asked_of_many_keys_at_once(test: TestDatabase) {
    let mut keys = Vec::new();
    let mut of = Vec::new();
    for name in [
        "good",
        "revoked",
        "rotated",
        "stopped",
        "deleted",
        "suspended",
    ] {
        let stream = test.stream(name).await;
        of.push(stream);
        keys.push(key(&test, stream).await);
    }
    let [_, revoked, rotated, stopped, deleted, suspended] = of[..] else {
        unreachable!()
    };
    let good = async |now| {
        let good = stream_keys::good_among(&test.db, &keys, now).await.unwrap();
        let places = keys.iter().map(|key| good.contains(key));
        places.collect::<Vec<_>>()
    };
    assert_eq!(good(NOW).await, [true; 6]);
    let barred = owner(&test, suspended).await;
    let secret = StreamKey::generate().unwrap();
    let (db, mut transaction) = (&test.db, test.db.write().await.unwrap());
    let on = &mut transaction;
    stream_keys::revoke(db, on, revoked, keys[1], NOW)
        .await
        .unwrap();
    stream_keys::rotate(db, on, rotated, keys[2], &secret, at(60), NOW)
        .await
        .unwrap();
    streams::stop(db, on, stopped, NOW).await.unwrap();
    streams::delete(db, on, deleted, NOW).await.unwrap();
    let _told = users::suspend(db, on, barred, NOW).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(good(at(59)).await, [true, false, true, false, false, false]);
    assert_eq!(
        good(at(60)).await,
        [true, false, false, false, false, false]
    );
    let none = stream_keys::good_among(&test.db, &[], NOW).await.unwrap();
    assert_eq!(none, []);
    // What opens is told apart from what is stopped.
    let found = async |key: &str| {
        let found = stream_keys::find_stream_by_key(&test.db, key, NOW).await;
        found.unwrap().map(|found| found.stream.stopped_at)
    };
    assert_eq!(found("key-of-stopped").await, Some(Some(NOW)));
    assert_eq!(found("key-of-good").await, Some(None));
    for nothing in ["key-of-deleted", "key-of-suspended"] {
        assert_eq!(found(nothing).await, None);
    }
    stream_keys::note_use(&test.db, keys[0], at(1))
        .await
        .unwrap();
    stream_keys::note_use(&test.db, keys[0], at(2))
        .await
        .unwrap();
    let rows = stream_keys::of_stream(&test.db, of[0], NOW).await.unwrap();
    assert_eq!(rows[0].last_used_at, Some(at(1)));
}

async fn keys_that_are_good_no_more_are_swept(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(key(&test, stream).await);
    }
    let secret = StreamKey::generate().unwrap();
    let (db, mut transaction) = (&test.db, test.db.write().await.unwrap());
    let on = &mut transaction;
    stream_keys::revoke(db, on, stream, keys[0], at(10))
        .await
        .unwrap();
    stream_keys::rotate(db, on, stream, keys[1], &secret, at(20), NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let left = async |now| {
        expiry::delete_expired(&test.db, now, 100).await.unwrap();
        count(&test.db, "SELECT COUNT(*) FROM stream_keys").await
    };
    let kept = expiry::OLD_KEY_KEPT;
    // With that which the stream was made with, and that which took a place.
    assert_eq!(left(at(9) + kept).await, 5);
    assert_eq!(left(at(10) + kept).await, 4);
    assert_eq!(left(at(19) + kept).await, 4);
    assert_eq!(left(at(20) + kept).await, 3);
    assert_eq!(left(at(99) + kept + kept).await, 3);
    let rows = stream_keys::of_stream(&test.db, stream, at(99)).await;
    let rows = rows.unwrap();
    assert!(rows.len() == 3 && rows.iter().any(|row| row.id == keys[2]));
}

async fn a_stream_says_how_it_stands(test: TestDatabase) {
    let (one, other) = (test.stream("one").await, test.stream("other").await);
    let standing = async |stream| {
        let all = streams::standings(&test.db, &[one, other]).await.unwrap();
        let all = all.into_iter().find(|standing| standing.stream == stream);
        all.map(|one| (one.visibility, one.is_stopped, one.is_shown))
    };
    let open = Some((Visibility::Public, false, true));
    assert_eq!((standing(one).await, standing(other).await), (open, open));
    let mut transaction = test.db.write().await.unwrap();
    let change = Change {
        visibility: Some(Visibility::Followers),
        ..Change::default()
    };
    streams::change(&test.db, &mut transaction, one, &change, NOW)
        .await
        .unwrap();
    streams::stop(&test.db, &mut transaction, one, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(
        standing(one).await,
        Some((Visibility::Followers, true, true))
    );
    let mut transaction = test.db.write().await.unwrap();
    streams::delete(&test.db, &mut transaction, one, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(
        standing(one).await,
        Some((Visibility::Followers, true, false))
    );
    assert_eq!(standing(other).await, open);
    let gone = streams::standings(&test.db, &[StreamId::new()]).await;
    assert_eq!(gone.unwrap(), []);
}

async fn a_change_of_audience_bars_and_purges_and_another_change_does_not(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let owner = owner(&test, stream).await;
    let change = async |change: Change<'_>, now| {
        let mut transaction = test.db.write().await.unwrap();
        let changed = streams::change(&test.db, &mut transaction, stream, &change, now).await;
        let changed = changed.unwrap();
        transaction.commit().await.unwrap();
        let subjects = changed.events.iter().map(|event| {
            let subject = event.subject.as_str();
            subject.rsplit('.').next().unwrap().to_owned()
        });
        (subjects.collect::<Vec<_>>(), changed.is_purged)
    };
    let title = Change {
        title: Some("Night"),
        ..Change::default()
    };
    let told = change(title, NOW).await;
    assert_eq!(told, (vec!["changed".to_owned()], false));
    let private = Change {
        visibility: Some(Visibility::Private),
        ..Change::default()
    };
    let (told, is_purged) = change(private, at(1)).await;
    assert!(told == ["barred", "changed"] && is_purged);
    let (told, is_purged) = change(private, at(2)).await;
    assert!(told == ["changed"] && !is_purged);
    let bars = playback_bars::since(&test.db, NOW, None, 10).await.unwrap();
    let all = Bar {
        owner,
        viewer: None,
        at: at(1),
    };
    assert_eq!(bars, [all]);
    let purges = purges::list(&test.db, None, 10).await.unwrap();
    let purges: Vec<_> = purges
        .iter()
        .map(|one| (&*one.kind, &*one.subject))
        .collect();
    assert_eq!(purges, [("tag", "stream:garden")]);
    // What was not said stays.
    let row = streams::by_id(&test.db, stream).await.unwrap().unwrap();
    assert_eq!(
        (&*row.title, row.visibility),
        ("Night", Visibility::Private)
    );
    let mut transaction = test.db.write().await.unwrap();
    let nowhere = StreamId::new();
    let error = streams::change(&test.db, &mut transaction, nowhere, &private, NOW).await;
    assert!(matches!(error.unwrap_err(), RowError::NotFound(_)));
}

async fn end(test: &TestDatabase, session: SessionId) {
    sessions::end_session(&test.db, session, at(5))
        .await
        .unwrap();
}

async fn a_deleted_stream_goes_when_the_sweeper_has_done_its_part(test: TestDatabase) {
    let (stream, other) = (test.stream("garden").await, test.stream("attic").await);
    test.raw("UPDATE streams SET recording = TRUE").await;
    let session = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    let ada = test.user("ada").await;
    for of in [stream, other] {
        say(&test, of, ada, "hello").await;
        sanction(&test, of, ada, None).await;
    }
    indexed(&test).await;
    let findable = "SELECT COUNT(*) FROM search_streams";
    assert_eq!(count(&test.db, findable).await, 2);
    assert_eq!(removal::step(&test.db, stream).await.unwrap(), Step::Done);
    assert!(streams::by_id(&test.db, stream).await.unwrap().is_some());
    let mut transaction = test.db.write().await.unwrap();
    streams::delete(&test.db, &mut transaction, stream, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(streams::by_id(&test.db, stream).await.unwrap(), None);
    let name = "garden".parse().unwrap();
    assert_eq!(streams::by_name(&test.db, &name).await.unwrap(), None);
    let found = streams::find(&test.db, &name, None).await.unwrap();
    assert_eq!(found, None);
    let rules = storage::rows::retention::rules(&test.db, stream).await;
    assert!(!rules.unwrap().recording);
    // What was said about it goes at once, and nobody finds it.
    assert_eq!(removal::step(&test.db, stream).await.unwrap(), Step::Again);
    for (text, left) in [
        ("SELECT COUNT(*) FROM chat_messages", 1),
        ("SELECT COUNT(*) FROM chat_sanctions", 1),
        (findable, 1),
    ] {
        assert_eq!(count(&test.db, text).await, left, "{text}");
    }
    assert_eq!(removal::step(&test.db, stream).await.unwrap(), Step::Waits);
    end(&test, session.session.id).await;
    assert_eq!(
        removal::step(&test.db, stream).await.unwrap(),
        Step::Waits,
        "not settled"
    );
    test.raw("UPDATE live_sessions SET settled_at = 6").await;
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::Done) {
        assert!(steps.len() < 10, "{steps:?}");
        steps.push(removal::step(&test.db, stream).await.unwrap());
    }
    assert_eq!(steps, [Step::Done]);
    test.stream_of(owner(&test, other).await, "garden").await;
    assert!(streams::by_id(&test.db, other).await.unwrap().is_some());
}

async fn a_recording_is_for_whom_its_stream_is(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let owner = owner(&test, stream).await;
    test.raw("UPDATE streams SET recording = TRUE").await;
    let session = sessions::open_session(&test.db, stream, NOW).await.unwrap();
    end(&test, session.session.id).await;
    let list = storage::rows::videos::list(&test.db, None, 10)
        .await
        .unwrap();
    let video = list[0].id;
    let audience = async || {
        let audience = videos::audience(&test.db, video).await.unwrap();
        audience.map(|of| (of.recording_of.unwrap().to_string(), of.is_signed))
    };
    assert_eq!(audience().await, Some(("garden".to_owned(), false)));
    let mut transaction = test.db.write().await.unwrap();
    let change = Change {
        visibility: Some(Visibility::Followers),
        ..Change::default()
    };
    streams::change(&test.db, &mut transaction, stream, &change, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(audience().await, Some(("garden".to_owned(), true)));
    let mut transaction = test.db.write().await.unwrap();
    let _told = users::suspend(&test.db, &mut transaction, owner, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(audience().await, None);
    let mut transaction = test.db.write().await.unwrap();
    let _told = users::unsuspend(&test.db, &mut transaction, owner, NOW)
        .await
        .unwrap();
    streams::delete(&test.db, &mut transaction, stream, NOW)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(audience().await, None);
    let nobodys = videos::audience(&test.db, media::VideoId::new()).await;
    assert_eq!(nobodys.unwrap(), None);
}

async fn the_first_key_for_playback_is_everybodys(test: TestDatabase) {
    let key = |name: &str| PlaybackKey {
        kid: name.to_owned(),
        secret: name.repeat(8).into_bytes(),
    };
    let (one, other) = (key("nova-one"), key("nova-other"));
    let there = test.another_handle().await;
    let (here, there) = tokio::join!(
        playback_keys::take(&test.db, &one, NOW),
        playback_keys::take(&there, &other, NOW),
    );
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_eq!(here, there);
    let again = playback_keys::take(&test.db, &key("nova-more"), NOW).await;
    assert_eq!(again.unwrap(), here);
    assert!(!format!("{here:?}").contains("secret"));
}

async fn bars_are_read_in_order_and_forgotten_in_time(test: TestDatabase) {
    let stream = test.stream("garden").await;
    let owner = owner(&test, stream).await;
    let viewers = [test.user("ada").await, test.user("bob").await];
    let bar = async |viewer, now| {
        let mut transaction = test.db.write().await.unwrap();
        let barred =
            playback_bars::bar_viewer(&test.db, &mut transaction, owner, viewer, now).await;
        transaction.commit().await.unwrap();
        barred.unwrap().map(|event| Bar::read(&event).unwrap())
    };
    assert_eq!(bar(viewers[0], NOW).await, None, "everybody may play it");
    test.raw("UPDATE streams SET visibility = 'followers'")
        .await;
    let of = |viewer, at| Bar {
        owner,
        viewer: Some(viewer),
        at,
    };
    assert_eq!(bar(viewers[0], at(2)).await, Some(of(viewers[0], at(2))));
    // What comes late takes nothing back.
    assert_eq!(bar(viewers[0], at(1)).await, Some(of(viewers[0], at(1))));
    bar(viewers[1], at(1)).await;
    let page = async |since, after| {
        let page = playback_bars::since(&test.db, since, after, 1).await;
        page.unwrap().first().copied()
    };
    let first = page(NOW, None).await;
    assert_eq!(first, Some(of(viewers[1], at(1))));
    let second = page(NOW, first).await;
    assert_eq!(second, Some(of(viewers[0], at(2))));
    assert_eq!(page(NOW, second).await, None);
    assert_eq!(page(at(2), None).await, second);
    let late = at(1) + playback_bars::BARS_KEPT;
    expiry::delete_expired(&test.db, late, 100).await.unwrap();
    assert_eq!(page(NOW, None).await, second);
}

/// On SQLite only one transaction writes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_that_is_moved_on_while_it_is_swept_stays() {
    let test = TestDatabase::on_postgres().await;
    let stream = test.stream("garden").await;
    let (owner, ada) = (owner(&test, stream).await, test.user("ada").await);
    test.raw("UPDATE streams SET visibility = 'followers'")
        .await;
    let late = NOW + playback_bars::BARS_KEPT;
    let mut transaction = test.db.write().await.unwrap();
    let barred = playback_bars::bar_viewer(&test.db, &mut transaction, owner, ada, NOW).await;
    barred.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = test.db.write().await.unwrap();
    let barred = playback_bars::bar_viewer(&test.db, &mut transaction, owner, ada, late).await;
    barred.unwrap();
    let barring = async {
        test.until_somebody_waits().await;
        transaction.commit().await.unwrap();
    };
    let (swept, ()) = tokio::join!(expiry::delete_expired(&test.db, late, 100), barring);
    swept.unwrap();
    let bars = playback_bars::since(&test.db, NOW, None, 10).await;
    assert_eq!(bars.unwrap().len(), 1);
}
