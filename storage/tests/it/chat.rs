//! Live chat: what is said, in which order, by whom, and what is done about it.

use media::{ChatMessageId, Micros, StreamId, Timestamp, UserId};
use storage::RowError;
use storage::rows::chat::{
    self, BODY_BYTES_AT_MOST, ChatMessageRow, ChatRoomRow, Direction, NewChatMessage, Refusal,
    Sending,
};
use storage::rows::sql::query;
use storage::rows::{Entity, blocks, mutes, streams, users};

use crate::fixtures::{NOW, TestDatabase};
use crate::people::{block, follow};
use crate::users::{at, write};

on_both_engines! {
    what_is_said_has_its_place_and_is_read_both_ways,
    what_is_deleted_is_an_event_of_its_own,
    whoever_has_seen_an_event_has_missed_none_before_it,
    under_one_key_something_is_said_once,
    a_slow_room_lets_everybody_talk_now_and_then,
    a_room_for_followers_hears_nobody_else,
    a_timeout_ends_and_a_ban_does_not,
    a_sanction_holds_whatever_its_subject_is_called,
    who_looks_after_a_room_is_not_kept_from_talking,
    who_is_blocked_or_suspended_says_nothing,
    what_is_answered_is_in_the_room,
    nobody_reads_whom_they_block_or_mute,
    what_is_said_is_replayed_by_what_was_seen,
    a_room_changes_in_part,
    old_messages_and_timeouts_are_swept,
    what_is_too_long_or_nowhere_is_not_said,
    what_somebody_said_is_theirs_to_have,
}

pub(crate) fn says(author: UserId, body: &str) -> NewChatMessage {
    NewChatMessage {
        author,
        reply_to: None,
        body: body.to_owned(),
        media_at: None,
        client_key: None,
    }
}

async fn try_send(
    test: &TestDatabase,
    stream: StreamId,
    messages: &[NewChatMessage],
    now: Timestamp,
) -> Result<Vec<Sending>, RowError> {
    let mut transaction = write(test).await;
    let sent = chat::send(&mut transaction, stream, messages, now).await?;
    transaction.commit().await?;
    Ok(sent)
}

async fn send(
    test: &TestDatabase,
    stream: StreamId,
    message: NewChatMessage,
    now: Timestamp,
) -> Sending {
    let sent = try_send(test, stream, &[message], now).await;
    sent.unwrap().pop().unwrap()
}

/// Says it, and is heard.
pub(crate) async fn say(
    test: &TestDatabase,
    stream: StreamId,
    author: UserId,
    body: &str,
) -> ChatMessageRow {
    match send(test, stream, says(author, body), at(0)).await {
        Sending::Said(row) => row,
        other => panic!("{other:?}"),
    }
}

async fn refused(
    test: &TestDatabase,
    stream: StreamId,
    author: UserId,
    now: Timestamp,
) -> Option<Refusal> {
    match send(test, stream, says(author, "x"), now).await {
        Sending::Said(_) => None,
        Sending::Refused(refusal) => Some(refusal),
        Sending::Known(row) => panic!("{row:?}"),
    }
}

async fn delete(
    test: &TestDatabase,
    stream: StreamId,
    id: ChatMessageId,
    by: Option<UserId>,
) -> Option<UserId> {
    let mut transaction = write(test).await;
    let deleted = chat::delete_message(&mut transaction, stream, id, by, at(9)).await;
    transaction.commit().await.unwrap();
    deleted.unwrap()
}

pub(crate) async fn sanction(
    test: &TestDatabase,
    stream: StreamId,
    user: UserId,
    until: Option<Timestamp>,
) {
    let mut transaction = write(test).await;
    let done = chat::sanction(&mut transaction, stream, user, until, at(0)).await;
    done.unwrap();
    transaction.commit().await.unwrap();
}

async fn change(
    test: &TestDatabase,
    stream: StreamId,
    slow_mode: Option<Micros>,
    followers_only: Option<bool>,
) -> ChatRoomRow {
    let mut transaction = write(test).await;
    let changed = chat::change_room(&mut transaction, stream, slow_mode, followers_only).await;
    transaction.commit().await.unwrap();
    changed.unwrap()
}

async fn owner(test: &TestDatabase, stream: StreamId) -> UserId {
    let row = streams::by_id(&test.db, stream).await.unwrap();
    row.unwrap().owner
}

async fn room(test: &TestDatabase, stream: StreamId) -> ChatRoomRow {
    chat::room(&test.db, stream).await.unwrap()
}

async fn events(test: &TestDatabase, stream: StreamId, after: u64) -> Vec<ChatMessageRow> {
    let to = room(test, stream).await.last_event;
    let rows = chat::events(&test.db, stream, after, to, 100).await;
    rows.unwrap()
}

fn bodies(rows: &[ChatMessageRow]) -> Vec<&str> {
    rows.iter().map(|row| row.body.as_str()).collect()
}

async fn what_is_said_has_its_place_and_is_read_both_ways(test: TestDatabase) {
    let (demo, other) = (test.stream("demo").await, test.stream("other").await);
    let ada = test.user("ada").await;
    assert_eq!(room(&test, demo).await, ChatRoomRow::default());
    for n in 1..=5 {
        let row = say(&test, demo, ada, &n.to_string()).await;
        assert_eq!((row.sequence, row.last_event), (n, n));
        assert_eq!((row.author.id, row.stream), (ada, demo));
        assert_eq!((row.media_at, row.created_at), (at(0), at(0)));
        let found = chat::message(&test.db, demo, row.id).await.unwrap();
        assert_eq!(found, Some(row.clone()));
        let elsewhere = chat::message(&test.db, other, row.id).await.unwrap();
        assert_eq!(elsewhere, None);
    }
    assert_eq!(say(&test, other, ada, "elsewhere").await.sequence, 1);
    let page = async |direction, after, limit| {
        let rows = chat::history(&test.db, demo, None, direction, after, limit).await;
        let rows = rows.unwrap().rows;
        rows.iter().map(|row| row.sequence).collect::<Vec<_>>()
    };
    assert_eq!(page(Direction::Backwards, None, 2).await, [5, 4]);
    assert_eq!(page(Direction::Backwards, Some(4), 9).await, [3, 2, 1]);
    assert_eq!(page(Direction::Forwards, None, 2).await, [1, 2]);
    assert_eq!(page(Direction::Forwards, Some(2), 9).await, [3, 4, 5]);
    let mut known = chat::last_events(&test.db, &[demo, other]).await.unwrap();
    known.sort_unstable();
    assert_eq!(known, [(demo, 5), (other, 1)]);
}

async fn what_is_deleted_is_an_event_of_its_own(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let first = say(&test, demo, ada, "first").await;
    say(&test, demo, bob, "second").await;
    assert_eq!(delete(&test, demo, first.id, Some(bob)).await, None);
    assert_eq!(delete(&test, demo, first.id, Some(ada)).await, Some(ada));
    assert_eq!(delete(&test, demo, first.id, None).await, None);
    assert_eq!(delete(&test, demo, ChatMessageId::new(), None).await, None);

    let seen = events(&test, demo, 0).await;
    let seen: Vec<_> = seen
        .iter()
        .map(|row| (row.last_event, row.body.as_str(), row.deleted_at))
        .collect();
    assert_eq!(seen, [(2, "second", None), (3, "", Some(at(9)))]);
    assert_eq!(events(&test, demo, 2).await[0].id, first.id);
    assert!(events(&test, demo, 3).await.is_empty());
    let newest = chat::newest_events(&test.db, demo, 3, 1).await.unwrap();
    assert_eq!(newest[0].id, first.id);
    let all = chat::history(&test.db, demo, None, Direction::Forwards, None, 9).await;
    assert_eq!(bodies(&all.unwrap().rows), ["second"]);
    // A number is never given again.
    assert_eq!(say(&test, demo, ada, "third").await.sequence, 4);
}

/// Of several who write at once, on handles of their own as several nodes have: whoever reads up
/// to the number of the room has all of it, whatever is committed later.
async fn whoever_has_seen_an_event_has_missed_none_before_it(test: TestDatabase) {
    const WRITERS: usize = 4;
    const EACH: u64 = 15;
    let demo = test.stream("demo").await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..WRITERS {
        let author = test.user(&format!("u{n}")).await;
        let db = test.another_handle().await;
        writers.spawn(async move {
            for n in 0..EACH {
                let mut transaction = db.write().await.unwrap();
                let message = says(author, &n.to_string());
                chat::send(&mut transaction, demo, &[message], NOW)
                    .await
                    .unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    let (mut seen, mut known) = (Vec::new(), 0);
    let all = WRITERS as u64 * EACH;
    while known < all {
        let rows = events(&test, demo, known).await;
        seen.extend(rows.iter().map(|row| row.last_event));
        known = seen.last().copied().unwrap_or(known);
        tokio::task::yield_now().await;
    }
    writers.join_all().await;
    assert_eq!(seen, (1..=all).collect::<Vec<_>>());
}

async fn under_one_key_something_is_said_once(test: TestDatabase) {
    let (demo, other) = (test.stream("demo").await, test.stream("other").await);
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let keyed = |author, body: &str| NewChatMessage {
        client_key: Some("k".to_owned()),
        ..says(author, body)
    };
    let twice = [keyed(ada, "one"), keyed(ada, "one")];
    let sent = try_send(&test, demo, &twice, at(0)).await.unwrap();
    let Sending::Said(row) = &sent[0] else {
        panic!("{sent:?}");
    };
    assert_eq!(sent[1], Sending::Known(row.clone()));
    let again = send(&test, demo, keyed(ada, "other"), at(5)).await;
    assert_eq!(again, Sending::Known(row.clone()));
    // Somebody else's key, and one of another room, are others.
    for (stream, author) in [(demo, bob), (other, ada)] {
        let sent = send(&test, stream, keyed(author, "x"), at(0)).await;
        assert!(matches!(sent, Sending::Said(_)), "{sent:?}");
    }
    delete(&test, demo, row.id, None).await;
    let again = send(&test, demo, keyed(ada, "one"), at(5)).await;
    assert!(matches!(again, Sending::Known(row) if row.deleted_at.is_some()));
}

async fn a_slow_room_lets_everybody_talk_now_and_then(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    say(&test, demo, ada, "at once").await;
    change(&test, demo, Some(Micros::from_secs(10)), None).await;
    let again_at = at(10);
    let too_soon = Some(Refusal::TooSoon { again_at });
    assert_eq!(refused(&test, demo, ada, at(9)).await, too_soon);
    assert_eq!(refused(&test, demo, bob, at(9)).await, None);
    assert_eq!(refused(&test, demo, ada, at(10)).await, None);
    // Also of what is sent as one, and of what was deleted.
    let both = [says(bob, "one"), says(bob, "other")];
    let sent = try_send(&test, demo, &both, at(20)).await.unwrap();
    let Sending::Said(row) = &sent[0] else {
        panic!("{sent:?}");
    };
    assert!(matches!(sent[1], Sending::Refused(Refusal::TooSoon { .. })));
    delete(&test, demo, row.id, None).await;
    let again_at = at(30);
    let too_soon = Some(Refusal::TooSoon { again_at });
    assert_eq!(refused(&test, demo, bob, at(21)).await, too_soon);
}

async fn a_room_for_followers_hears_nobody_else(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    change(&test, demo, None, Some(true)).await;
    follow(&test, ada, owner(&test, demo).await, 0).await;
    assert_eq!(refused(&test, demo, ada, at(0)).await, None);
    let only = Some(Refusal::FollowersOnly);
    assert_eq!(refused(&test, demo, bob, at(0)).await, only);
    // Who asks to follow does not follow yet.
    let private = owner(&test, demo).await;
    crate::people::set_private(&test, private, true).await;
    follow(&test, bob, private, 0).await;
    assert_eq!(refused(&test, demo, bob, at(0)).await, only);
}

async fn a_timeout_ends_and_a_ban_does_not(test: TestDatabase) {
    let (demo, other) = (test.stream("demo").await, test.stream("other").await);
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    sanction(&test, demo, ada, Some(at(60))).await;
    sanction(&test, demo, bob, None).await;
    let until = at(60);
    let timed_out = Some(Refusal::TimedOut { until });
    assert_eq!(refused(&test, demo, ada, at(59)).await, timed_out);
    assert_eq!(refused(&test, demo, ada, at(60)).await, None);
    let year = at(365 * 24 * 3_600);
    let banned = Some(Refusal::Banned);
    assert_eq!(refused(&test, demo, bob, year).await, banned);
    assert_eq!(refused(&test, other, bob, at(0)).await, None);

    let listed = async |now| {
        let rows = chat::sanctions(&test.db, demo, now, None, 9).await.unwrap();
        rows.into_iter()
            .map(|row| (row.user.id, row.until))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(at(1)).await, [(bob, None), (ada, Some(at(60)))]);
    assert_eq!(listed(at(60)).await, [(bob, None)]);
    let after = chat::sanctions(&test.db, demo, at(1), Some(bob), 9).await;
    assert_eq!(after.unwrap()[0].user.id, ada);
    let found = chat::sanction_of(&test.db, demo, ada, at(60)).await;
    assert_eq!(found.unwrap(), None);

    // The newer of two counts.
    sanction(&test, demo, bob, Some(at(5))).await;
    assert_eq!(refused(&test, demo, bob, at(5)).await, None);
    sanction(&test, demo, bob, None).await;
    let mut transaction = write(&test).await;
    assert!(chat::lift(&mut transaction, demo, bob).await.unwrap());
    assert!(!chat::lift(&mut transaction, demo, bob).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(refused(&test, demo, bob, at(0)).await, None);
}

async fn a_sanction_holds_whatever_its_subject_is_called(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let ada = test.user("ada").await;
    sanction(&test, demo, ada, None).await;
    test.raw(
        "UPDATE users SET name = 'lovelace', email = 'lovelace@example.org',
             display_name = 'Somebody' WHERE name = 'ada'",
    )
    .await;
    let banned = Some(Refusal::Banned);
    assert_eq!(refused(&test, demo, ada, at(1)).await, banned);
    let listed = chat::sanctions(&test.db, demo, at(1), None, 9).await;
    assert_eq!(listed.unwrap()[0].user.name, "lovelace");
    // Whoever has the name now is somebody else.
    let other = test.user("ada").await;
    assert_eq!(refused(&test, demo, other, at(1)).await, None);
}

async fn who_looks_after_a_room_is_not_kept_from_talking(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let owner = owner(&test, demo).await;
    let keeper = test.user("keeper").await;
    test.raw("UPDATE users SET role = 'moderator' WHERE name = 'keeper'")
        .await;
    change(&test, demo, Some(Micros::from_secs(60)), Some(true)).await;
    for one in [owner, keeper] {
        sanction(&test, demo, one, None).await;
        assert_eq!(refused(&test, demo, one, at(0)).await, None);
        assert_eq!(refused(&test, demo, one, at(0)).await, None);
    }
}

async fn who_is_blocked_or_suspended_says_nothing(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let owner = owner(&test, demo).await;
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    block(&test, owner, ada).await;
    block(&test, bob, owner).await;
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, eve, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    for (who, why) in [
        (ada, Refusal::Blocked),
        (bob, Refusal::Blocked),
        (eve, Refusal::NotActive),
        (UserId::new(), Refusal::NotActive),
    ] {
        assert_eq!(refused(&test, demo, who, at(0)).await, Some(why));
    }
    assert_eq!(room(&test, demo).await.last_event, 0);
}

async fn what_is_answered_is_in_the_room(test: TestDatabase) {
    let (demo, other) = (test.stream("demo").await, test.stream("other").await);
    let ada = test.user("ada").await;
    let here = say(&test, demo, ada, "here").await.id;
    let there = say(&test, other, ada, "there").await.id;
    let gone = say(&test, demo, ada, "gone").await.id;
    delete(&test, demo, gone, None).await;
    let answers = |id| NewChatMessage {
        reply_to: Some(id),
        ..says(ada, "yes")
    };
    let Sending::Said(row) = send(&test, demo, answers(here), at(1)).await else {
        panic!("it is there");
    };
    assert_eq!(row.reply_to, Some(here));
    for id in [there, gone, ChatMessageId::new()] {
        let sent = send(&test, demo, answers(id), at(1)).await;
        assert_eq!(sent, Sending::Refused(Refusal::NoSuchReply));
    }
}

async fn nobody_reads_whom_they_block_or_mute(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    for one in [ada, bob, eve] {
        say(&test, demo, one, "x").await;
    }
    block(&test, ada, bob).await;
    let read = async |viewer| {
        let rows = chat::history(&test.db, demo, viewer, Direction::Forwards, None, 9).await;
        let rows = rows.unwrap().rows;
        rows.iter().map(|row| row.author.id).collect::<Vec<_>>()
    };
    assert_eq!(read(Some(ada)).await, [ada, eve]);
    assert_eq!(read(Some(bob)).await, [bob, eve]);
    assert_eq!(read(Some(eve)).await, [ada, bob, eve]);
    assert_eq!(read(None).await, [ada, bob, eve]);
    let mut transaction = write(&test).await;
    mutes::mute(&mut transaction, eve, ada, at(0))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(read(Some(eve)).await, [bob, eve]);
    assert_eq!(read(Some(ada)).await, [ada, eve]);
    let hidden = |user| blocks::hidden_from(&test.db, user, 9);
    assert_eq!(hidden(ada).await.unwrap(), [bob]);
    assert_eq!(hidden(bob).await.unwrap(), [ada]);
    assert_eq!(hidden(eve).await.unwrap(), [ada]);
    let mut transaction = write(&test).await;
    let told = users::suspend(&test.db, &mut transaction, eve, at(0)).await;
    assert!(!told.unwrap().is_empty());
    transaction.commit().await.unwrap();
    assert_eq!(read(None).await, [ada, bob]);
    let forwards = Direction::Forwards;
    let replayed = chat::replay(&test.db, demo, Some(ada), forwards, at(0), None, 9).await;
    assert_eq!(replayed.unwrap().rows.len(), 1);
}

async fn what_is_said_is_replayed_by_what_was_seen(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let ada = test.user("ada").await;
    let session = media::SessionId::new();
    let mut transaction = write(&test).await;
    query("INSERT INTO live_sessions (id, stream_id, started_at) VALUES ($1, $2, $3)")
        .bind(session)
        .bind(demo)
        .bind(at(-100))
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    // Whoever is behind sees earlier what others said of.
    for (seen, body) in [(-5, "a"), (-30, "b"), (-5, "c"), (-500, "d"), (500, "e")] {
        let message = NewChatMessage {
            media_at: Some(at(seen)),
            ..says(ada, body)
        };
        send(&test, demo, message, at(0)).await;
    }
    let read = async |direction, from, after, limit| {
        let rows = chat::replay(&test.db, demo, None, direction, at(from), after, limit).await;
        rows.unwrap().rows
    };
    let replay = async |from, after, limit| read(Direction::Forwards, from, after, limit).await;
    let back = async |from, after, limit| read(Direction::Backwards, from, after, limit).await;
    let all = replay(-1_000, None, 9).await;
    assert_eq!(bodies(&all), ["d", "b", "a", "c", "e"]);
    assert_eq!(all[0].media_at, at(-100));
    assert_eq!(all[4].media_at, at(0));
    assert_eq!(bodies(&replay(-5, None, 9).await), ["a", "c", "e"]);
    let after = Some((all[2].media_at, all[2].sequence));
    assert_eq!(bodies(&replay(-1_000, after, 1).await), ["c"]);
    // Backwards is what the other way leaves out.
    assert_eq!(bodies(&back(-5, None, 9).await), ["b", "d"]);
    assert_eq!(bodies(&back(1, None, 2).await), ["e", "c"]);
    let after = Some((all[3].media_at, all[3].sequence));
    assert_eq!(bodies(&back(1, after, 9).await), ["a", "b", "d"]);
}

async fn a_room_changes_in_part(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let slow = Micros::from_secs(5);
    let changed = change(&test, demo, Some(slow), None).await;
    assert_eq!((changed.slow_mode, changed.followers_only), (slow, false));
    assert_eq!(changed.last_event, 1);
    let changed = change(&test, demo, None, Some(true)).await;
    assert_eq!((changed.slow_mode, changed.followers_only), (slow, true));
    assert_eq!(changed, room(&test, demo).await);
    // What changes nothing is nothing to be told.
    assert_eq!(change(&test, demo, Some(slow), None).await, changed);
    let mut transaction = write(&test).await;
    let nowhere = chat::change_room(&mut transaction, StreamId::new(), None, None).await;
    let nowhere = nowhere.unwrap_err();
    assert!(
        matches!(nowhere, RowError::NotFound(Entity::Stream)),
        "{nowhere}"
    );
}

async fn old_messages_and_timeouts_are_swept(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let first = say(&test, demo, ada, "first").await.id;
    let answer = NewChatMessage {
        reply_to: Some(first),
        ..says(ada, "answer")
    };
    send(&test, demo, answer, at(10)).await;
    let db = &test.db;
    assert_eq!(chat::delete_before(db, at(0), 9).await.unwrap(), 0);
    assert_eq!(chat::delete_before(db, at(10), 9).await.unwrap(), 1);
    let left = events(&test, demo, 0).await;
    assert_eq!((left.len(), left[0].reply_to), (1, None));
    sanction(&test, demo, ada, Some(at(60))).await;
    sanction(&test, demo, bob, None).await;
    assert_eq!(chat::lift_expired(db, at(59), 9).await.unwrap(), 0);
    assert_eq!(chat::lift_expired(db, at(60), 9).await.unwrap(), 1);
    assert_eq!(
        chat::sanctions(db, demo, at(0), None, 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

/// On SQLite only one transaction writes at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_that_is_given_anew_while_it_is_swept_stays() {
    let test = TestDatabase::on_postgres().await;
    let demo = test.stream("demo").await;
    let ada = test.user("ada").await;
    sanction(&test, demo, ada, Some(at(60))).await;
    let mut transaction = write(&test).await;
    chat::sanction(&mut transaction, demo, ada, None, at(60))
        .await
        .unwrap();
    let banning = async {
        test.until_somebody_waits().await;
        transaction.commit().await.unwrap();
    };
    let (lifted, ()) = tokio::join!(chat::lift_expired(&test.db, at(60), 9), banning);
    assert_eq!(lifted.unwrap(), 0);
    assert_eq!(
        refused(&test, demo, ada, at(61)).await,
        Some(Refusal::Banned)
    );
}

async fn what_is_too_long_or_nowhere_is_not_said(test: TestDatabase) {
    let demo = test.stream("demo").await;
    let ada = test.user("ada").await;
    let long = says(ada, &"x".repeat(BODY_BYTES_AT_MOST + 1));
    let keyed = NewChatMessage {
        client_key: Some("k".repeat(256)),
        ..says(ada, "x")
    };
    for message in [long, keyed] {
        let error = try_send(&test, demo, &[message], at(0)).await.unwrap_err();
        assert!(matches!(error, RowError::TooLarge { .. }), "{error}");
    }
    let error = try_send(&test, StreamId::new(), &[says(ada, "x")], at(0)).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, RowError::NotFound(Entity::Stream)),
        "{error}"
    );
    assert_eq!(room(&test, demo).await.last_event, 0);
}

async fn what_somebody_said_is_theirs_to_have(test: TestDatabase) {
    let (demo, other) = (test.stream("demo").await, test.stream("other").await);
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let gone = say(&test, demo, ada, "gone").await.id;
    delete(&test, demo, gone, None).await;
    for (stream, body) in [(demo, "a"), (other, "b"), (demo, "c")] {
        say(&test, stream, ada, body).await;
        say(&test, stream, bob, "x").await;
    }
    let (mut had, mut after) = (Vec::new(), None);
    loop {
        let rows = chat::of_author(&test.db, ada, after, 2).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = Some((last.stream, last.sequence));
        had.extend(rows.into_iter().map(|row| (row.stream_name, row.body)));
    }
    had.sort_unstable();
    let expected = [("demo", "a"), ("demo", "c"), ("other", "b")];
    let expected = expected.map(|(stream, body)| (stream.to_owned(), body.to_owned()));
    assert_eq!(had, expected);
}
