//! What people are told of, and what they are told of no more.

use std::sync::Arc;

use media::{ManualClock, NotificationId, PostId, Timestamp, UserId};
use storage::events::LocalBus;
use storage::objects::MemoryStore;
use storage::rows::erasure::{self, Step};
use storage::rows::notifications::{
    self, ACTORS_AT_MOST, ActorRow, CONSUMER, KEPT_FOR, Kind, NotificationPage, NotificationRow,
    ROWS_AT_ONCE, Seen, UNREAD_AT_MOST, WINDOW, Writer,
};
use storage::rows::outbox::{Deliver, NewEvent, OutboxEvent};
use storage::rows::posts::{self, Edit, NewPost};
use storage::rows::users::Role;
use storage::rows::{Transaction, follows, likes, outbox, preferences, sql, users};
use storage::{Database, RowError};
use uuid::Uuid;

use crate::feed::{count, events, mute, unfollow};
use crate::fixtures::TestDatabase;
use crate::likes::{like, unlike};
use crate::outbox::{Running, delivered};
use crate::outbox_writers::Random;
use crate::people::{block, follow, set_private};
use crate::posts::{comment, create, delete, new, post, quote, share};
use crate::users::{at, write};

on_both_engines! {
    everybody_is_told_of_what_concerns_them,
    a_request_to_follow_is_told_until_it_is_answered,
    what_moderators_do_is_told_without_their_names,
    nobody_is_told_of_what_they_do_themselves,
    s06_a_like_that_is_undone_and_done_again_is_one_notification,
    what_several_do_is_one_group_until_it_is_read,
    a_group_takes_nothing_after_its_time,
    what_was_undone_is_gone_at_once,
    whom_one_does_not_see_is_in_no_notification,
    what_one_may_not_see_any_more_is_in_no_notification,
    a_text_tells_everybody_once,
    what_is_not_wanted_is_not_written,
    what_comes_again_or_late_changes_nothing,
    two_consumers_at_once_tell_once,
    what_was_added_since_it_was_seen_is_not_read,
    all_up_to_one_are_read,
    of_very_many_the_newest_are_named,
    what_is_unread_is_counted_to_a_limit,
    old_notifications_are_swept,
    an_erased_account_leaves_no_notifications,
    an_event_that_cannot_be_read_stops_nobody,
}

/// The consumer of the outbox, whom a test hands the events.
pub(crate) struct Telling {
    pub(crate) writer: Writer,
    taken: i64,
}

impl Telling {
    pub(crate) fn new(db: &Database) -> Self {
        let clock = Arc::new(ManualClock::new(at(10)));
        Self {
            writer: Writer::new(db.clone(), clock, Arc::new(LocalBus::new())),
            taken: 0,
        }
    }

    /// All events that it was not given yet.
    pub(crate) async fn take_all(&mut self, db: &Database) {
        let events = events(db, self.taken).await;
        self.give(&events).await;
        self.taken = events.last().map_or(self.taken, |event| event.sequence);
    }

    pub(crate) async fn give(&self, events: &[OutboxEvent]) {
        for event in events {
            self.writer.deliver(event).await.unwrap();
        }
        self.writer.confirm().await.unwrap();
    }
}

/// What the page after this one begins behind, if there is one.
pub(crate) fn after(page: &NotificationPage, limit: u32) -> Option<NotificationId> {
    let is_full = page.rows.len() == limit as usize;
    let last = page.rows.last().filter(|_| is_full);
    page.next.or(last.map(|last| last.id))
}

/// All of somebody's, the last begun first, by pages of several sizes, which agree.
pub(crate) async fn list(test: &TestDatabase, user: UserId) -> Vec<NotificationRow> {
    let of = async |limit: u32| {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = notifications::page(&test.db, user, before, limit).await;
            let page = page.unwrap();
            all.extend_from_slice(&page.rows);
            match after(&page, limit) {
                Some(last) => before = Some(last),
                None => return all,
            }
        }
    };
    let all = of(100).await;
    for limit in [1, 2] {
        assert_eq!(of(limit).await, all, "pages of {limit}");
    }
    all
}

pub(crate) async fn kinds(test: &TestDatabase, user: UserId) -> Vec<Kind> {
    list(test, user).await.iter().map(|row| row.kind).collect()
}

async fn unread(test: &TestDatabase, user: UserId) -> u32 {
    notifications::unread(&test.db, user).await.unwrap()
}

/// Who did it, the newest first.
async fn actors(test: &TestDatabase, user: UserId, of: NotificationId) -> Vec<ActorRow> {
    let actors = notifications::actors_of(&test.db, user, &[of]).await;
    actors.unwrap()
}

async fn names(test: &TestDatabase, user: UserId, of: NotificationId) -> Vec<UserId> {
    let actors = actors(test, user, of).await;
    actors.iter().map(|row| row.actor).collect()
}

async fn read(test: &TestDatabase, user: UserId, seen: &[(NotificationId, u64)]) -> u64 {
    let seen = seen.iter().map(|(id, revision)| Seen {
        id: *id,
        revision: *revision,
    });
    let seen: Vec<_> = seen.collect();
    let mut transaction = write(test).await;
    let read = notifications::read(&mut transaction, user, &seen, at(20)).await;
    transaction.commit().await.unwrap();
    read.unwrap()
}

pub(crate) async fn read_all(test: &TestDatabase, user: UserId) -> u64 {
    let newest: NotificationId = Uuid::max().into();
    let read = notifications::read_up_to(&test.db, user, newest, at(20)).await;
    read.unwrap()
}

pub(crate) async fn prefer(test: &TestDatabase, user: UserId, kind: Kind, value: Option<&str>) {
    let name = kind.preference().expect("one can do without");
    let mut transaction = write(test).await;
    let set = preferences::set(&mut transaction, user, name, value).await;
    set.unwrap();
    transaction.commit().await.unwrap();
}

async fn does<T>(
    test: &TestDatabase,
    what: impl AsyncFnOnce(&Database, &mut Transaction) -> Result<T, RowError>,
) -> T {
    let mut transaction = write(test).await;
    let done = what(&test.db, &mut transaction).await.unwrap();
    transaction.commit().await.unwrap();
    done
}

async fn everybody_is_told_of_what_concerns_them(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    let about = post(&test, ada).await;
    follow(&test, bob, ada, 1).await;
    like(&test, bob, about).await;
    let answer = comment(&test, bob, about).await.id;
    let mentioning = NewPost {
        mentions: &[ada],
        ..new(bob)
    };
    let mentioning = create(&test, &mentioning).await.id;
    share(&test, bob, about).await;
    let quoting = quote(&test, bob, about).await.id;
    assert_eq!(list(&test, ada).await, []);
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    let of_post = about.as_uuid();
    let expected = [
        (Kind::Quote, of_post, quoting.as_uuid()),
        (Kind::Share, of_post, of_post),
        (Kind::Mention, mentioning.as_uuid(), mentioning.as_uuid()),
        (Kind::Comment, of_post, answer.as_uuid()),
        (Kind::Like, of_post, of_post),
        (Kind::Follow, ada.as_uuid(), ada.as_uuid()),
    ];
    assert_eq!(all.len(), expected.len());
    for (row, (kind, target, deed)) in all.iter().zip(expected) {
        assert_eq!((row.kind, row.target), (kind, target));
        assert_eq!((row.revision, row.read_at), (1, None));
        let actors = actors(&test, ada, row.id).await;
        assert_eq!(
            (actors[0].actor, actors[0].deed, actors.len()),
            (bob, deed, 1)
        );
    }
    assert_eq!(unread(&test, ada).await, 6);
    // Nobody else is told, and nobody sees who did what to somebody else.
    assert_eq!(list(&test, bob).await, []);
    assert_eq!(actors(&test, bob, all[0].id).await, []);
    // What somebody answers is the comment's author's.
    let third = test.user("eve").await;
    comment(&test, third, answer).await;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, bob).await, [Kind::Comment]);
    assert_eq!(list(&test, ada).await, all);
}

async fn a_request_to_follow_is_told_until_it_is_answered(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    set_private(&test, ada, true).await;
    for (asking, now) in [(bob, 1), (bob, 2), (eve, 3)] {
        follow(&test, asking, ada, now).await;
    }
    telling.take_all(&test.db).await;
    let asked = list(&test, ada).await;
    assert_eq!(
        (asked[0].kind, asked[0].revision, asked.len()),
        (Kind::FollowRequest, 2, 1)
    );
    assert_eq!(names(&test, ada, asked[0].id).await, [eve, bob]);
    does(&test, async |db, transaction| {
        follows::accept(db, transaction, ada, bob, at(4)).await
    })
    .await;
    telling.take_all(&test.db).await;
    assert_eq!(names(&test, ada, asked[0].id).await, [eve]);
    assert_eq!(kinds(&test, bob).await, [Kind::FollowAccepted]);
    does(&test, async |_, transaction| {
        follows::refuse(transaction, ada, eve).await
    })
    .await;
    telling.take_all(&test.db).await;
    assert_eq!(list(&test, ada).await, []);
    assert_eq!(list(&test, eve).await, []);
    assert_eq!(unread(&test, ada).await, 0);
    // Whom one follows no more has accepted nothing.
    unfollow(&test, bob, ada).await;
    assert_eq!(list(&test, bob).await, []);
}

async fn what_moderators_do_is_told_without_their_names(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    let removed = post(&test, ada).await;
    let deleted = post(&test, ada).await;
    let shared = share(&test, ada, post(&test, bob).await).await.id;
    assert!(delete(&test, deleted, Some(ada)).await);
    assert!(delete(&test, removed, None).await);
    assert!(delete(&test, shared, None).await);
    for now in [1, 2] {
        does(&test, async |db, transaction| {
            drop(users::suspend(db, transaction, ada, at(now)).await?);
            users::unsuspend(db, transaction, ada, at(now))
                .await
                .map(drop)
        })
        .await;
    }
    does(&test, async |db, transaction| {
        let set = users::set_role(db, transaction, ada, Role::Moderator, at(3));
        set.await.map(drop)
    })
    .await;
    telling.take_all(&test.db).await;
    telling.give(&events(&test.db, 0).await).await;
    let all = list(&test, ada).await;
    let told: Vec<_> = all
        .iter()
        .map(|row| (row.kind, row.target, row.revision))
        .collect();
    assert_eq!(
        told,
        [
            (Kind::RoleChanged, ada.as_uuid(), 1),
            (Kind::Unsuspended, ada.as_uuid(), 2),
            (Kind::Suspended, ada.as_uuid(), 2),
            (Kind::PostRemoved, shared.as_uuid(), 1),
            (Kind::PostRemoved, removed.as_uuid(), 1),
        ]
    );
    for row in &all {
        assert_eq!(actors(&test, ada, row.id).await, []);
    }
    assert_eq!(unread(&test, ada).await, 5);
    assert_eq!(kinds(&test, bob).await, [Kind::Share; 0]);
}

async fn nobody_is_told_of_what_they_do_themselves(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut telling = Telling::new(&test.db);
    let own = post(&test, ada).await;
    like(&test, ada, own).await;
    share(&test, ada, own).await;
    quote(&test, ada, own).await;
    let answer = NewPost {
        parent: Some(own),
        mentions: &[ada],
        ..new(ada)
    };
    create(&test, &answer).await;
    telling.take_all(&test.db).await;
    assert_eq!(
        count(&test.db, "SELECT COUNT(*) FROM notifications").await,
        0
    );
}

/// mastodon#4118, #28243.
async fn s06_a_like_that_is_undone_and_done_again_is_one_notification(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    let liked = post(&test, ada).await;
    for round in 0..100 {
        assert!(like(&test, bob, liked).await);
        follow(&test, bob, ada, round).await;
        // Now and then the consumer comes between.
        if round % 7 == 0 {
            telling.take_all(&test.db).await;
        }
        assert!(unlike(&test, bob, liked).await);
        unfollow(&test, bob, ada).await;
        telling.take_all(&test.db).await;
        assert_eq!(list(&test, ada).await, [], "round {round}");
        assert_eq!(unread(&test, ada).await, 0);
    }
    like(&test, bob, liked).await;
    follow(&test, bob, ada, 200).await;
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|row| row.revision == 1));
    assert_eq!(
        count(&test.db, "SELECT COUNT(*) FROM notifications").await,
        2
    );
    // Once it was read, it is not unread again for that.
    assert_eq!(read_all(&test, ada).await, 2);
    unlike(&test, bob, liked).await;
    like(&test, bob, liked).await;
    unfollow(&test, bob, ada).await;
    follow(&test, bob, ada, 300).await;
    telling.take_all(&test.db).await;
    assert_eq!(unread(&test, ada).await, 0);
    assert_eq!(list(&test, ada).await.len(), 2);
}

async fn what_several_do_is_one_group_until_it_is_read(test: TestDatabase) {
    let ada = test.user("ada").await;
    let (one, other) = (post(&test, ada).await, post(&test, ada).await);
    let mut telling = Telling::new(&test.db);
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(test.user(&format!("u{n}")).await);
    }
    for liker in &people[..3] {
        like(&test, *liker, one).await;
        telling.take_all(&test.db).await;
    }
    like(&test, people[0], other).await;
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    let targets: Vec<_> = all.iter().map(|row| (row.target, row.revision)).collect();
    assert_eq!(targets, [(other.as_uuid(), 1), (one.as_uuid(), 3)]);
    let mut three = names(&test, ada, all[1].id).await;
    three.sort_unstable();
    assert_eq!(three, people[..3]);
    assert_eq!(unread(&test, ada).await, 2);
    // What comes after it was read is another group, on top.
    assert_eq!(read(&test, ada, &[(all[1].id, 3)]).await, 1);
    for liker in &people[3..] {
        like(&test, *liker, one).await;
        telling.take_all(&test.db).await;
    }
    let after = list(&test, ada).await;
    assert_eq!(after.len(), 3);
    assert_eq!((after[0].target, after[0].revision), (one.as_uuid(), 2));
    assert_eq!(after[1].id, all[0].id);
    assert_eq!(names(&test, ada, after[2].id).await.len(), 3);
    assert_eq!(unread(&test, ada).await, 2);
}

async fn a_group_takes_nothing_after_its_time(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    let liked = post(&test, ada).await;
    let likes = async |user, now: Timestamp| {
        does(&test, async |db, transaction| {
            likes::like(db, transaction, user, liked, now).await
        })
        .await
    };
    likes(bob, at(0)).await;
    likes(eve, at(0) + WINDOW).await;
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[0].window_at, all[1].window_at),
        (at(0) + WINDOW, at(0))
    );
}

async fn what_was_undone_is_gone_at_once(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    let about = post(&test, ada).await;
    let (mut answers, mut quotes) = (Vec::new(), Vec::new());
    for user in [bob, eve] {
        like(&test, user, about).await;
        follow(&test, user, ada, 1).await;
        share(&test, user, about).await;
        answers.push(comment(&test, user, about).await.id);
        quotes.push(quote(&test, user, about).await.id);
    }
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    assert_eq!(all.len(), 5);
    for (n, user) in [bob, eve].into_iter().enumerate() {
        unlike(&test, user, about).await;
        unfollow(&test, user, ada).await;
        does(&test, async |db, transaction| {
            posts::unshare(db, transaction, user, about, at(3)).await
        })
        .await;
        delete(&test, answers[n], Some(user)).await;
        delete(&test, quotes[n], Some(user)).await;
        match n {
            0 => {
                assert_eq!(list(&test, ada).await, all);
                for row in &all {
                    assert_eq!(names(&test, ada, row.id).await, [eve], "{}", row.kind);
                }
                assert_eq!(unread(&test, ada).await, 5);
            }
            _ => {
                assert_eq!(list(&test, ada).await, []);
                assert_eq!(unread(&test, ada).await, 0);
            }
        }
    }
    telling.take_all(&test.db).await;
    assert_eq!(list(&test, ada).await, []);
}

async fn whom_one_does_not_see_is_in_no_notification(test: TestDatabase) {
    let mut people = Vec::new();
    for n in 0..7 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let [ada, muted, blocked, blocker, suspended, gone, fine] = people[..] else {
        panic!("there are seven");
    };
    let mut telling = Telling::new(&test.db);
    let about = post(&test, ada).await;
    for user in &people[1..] {
        like(&test, *user, about).await;
        // A group of each one's own.
        let mention = NewPost {
            mentions: &[ada],
            ..new(*user)
        };
        create(&test, &mention).await;
    }
    telling.take_all(&test.db).await;
    assert_eq!(list(&test, ada).await.len(), 7);
    mute(&test, ada, muted).await;
    block(&test, ada, blocked).await;
    block(&test, blocker, ada).await;
    does(&test, async |db, transaction| {
        drop(users::suspend(db, transaction, suspended, at(3)).await?);
        users::delete(db, transaction, gone, at(3)).await.map(drop)
    })
    .await;
    let left = list(&test, ada).await;
    let kinds: Vec<_> = left.iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::Mention, Kind::Like]);
    for row in &left {
        assert_eq!(names(&test, ada, row.id).await, [fine]);
    }
    assert_eq!(unread(&test, ada).await, 2);
    // What they do now is not shown either.
    let other = post(&test, ada).await;
    like(&test, muted, other).await;
    telling.take_all(&test.db).await;
    assert_eq!(list(&test, ada).await, left);
    does(&test, async |db, transaction| {
        users::unsuspend(db, transaction, suspended, at(4))
            .await
            .map(drop)
    })
    .await;
    assert_eq!(list(&test, ada).await.len(), 3);
}

async fn what_one_may_not_see_any_more_is_in_no_notification(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    // Ada answers Bob, and Eve answers her: in Bob's thread.
    let thread = post(&test, bob).await;
    let answer = comment(&test, ada, thread).await.id;
    comment(&test, eve, answer).await;
    like(&test, eve, answer).await;
    let own = post(&test, ada).await;
    like(&test, eve, own).await;
    telling.take_all(&test.db).await;
    assert_eq!(list(&test, ada).await.len(), 3);
    set_private(&test, bob, true).await;
    // Her own answer she sees still, and who likes it.
    let about = async || {
        let left = list(&test, ada).await;
        left.iter().map(|row| row.target).collect::<Vec<_>>()
    };
    assert_eq!(about().await, [own.as_uuid(), answer.as_uuid()]);
    assert!(delete(&test, own, Some(ada)).await);
    assert_eq!(about().await, [answer.as_uuid()]);
    assert_eq!(unread(&test, ada).await, 1);
}

async fn a_text_tells_everybody_once(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    let (parent, quoted) = (post(&test, ada).await, post(&test, ada).await);
    let both = NewPost {
        parent: Some(parent),
        quote_of: Some(quoted),
        mentions: &[ada, bob, eve],
        ..new(bob)
    };
    let written = create(&test, &both).await.id;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Comment]);
    assert_eq!(kinds(&test, eve).await, [Kind::Mention]);
    // An edit tells whom it mentions now and did not before, and nobody anew.
    let late = test.user("late").await;
    let edit = Edit {
        post: written,
        seen: 0,
        body: "other",
        mentions: &[ada, eve, late],
        hashtags: &[],
    };
    does(&test, async |db, transaction| {
        posts::edit(db, transaction, bob, &edit, at(4)).await
    })
    .await;
    read_all(&test, eve).await;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Comment]);
    assert_eq!(kinds(&test, late).await, [Kind::Mention]);
    assert_eq!(
        (kinds(&test, eve).await, unread(&test, eve).await),
        (vec![Kind::Mention], 0)
    );
    // Who answers twice is named once for each.
    comment(&test, bob, parent).await;
    telling.take_all(&test.db).await;
    let told = list(&test, ada).await;
    assert_eq!((told.len(), told[0].revision), (1, 2));
    assert_eq!(names(&test, ada, told[0].id).await, [bob, bob]);
}

async fn what_is_not_wanted_is_not_written(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    prefer(&test, ada, Kind::Like, Some("off")).await;
    let liked = post(&test, ada).await;
    like(&test, bob, liked).await;
    share(&test, bob, liked).await;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Share]);
    // What was not told stays untold; what is told next is.
    prefer(&test, ada, Kind::Like, None).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Share]);
    like(&test, bob, post(&test, ada).await).await;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Like, Kind::Share]);
    for kind in Kind::ALL {
        let is_of_moderators = matches!(
            kind,
            Kind::PostRemoved | Kind::Suspended | Kind::Unsuspended | Kind::RoleChanged
        );
        assert_eq!(kind.preference().is_none(), is_of_moderators, "{kind}");
    }
}

/// What is told, whatever the groups are: who did what.
async fn told(test: &TestDatabase, user: UserId) -> Vec<(String, Uuid, UserId, Uuid)> {
    let mut told = Vec::new();
    for row in list(test, user).await {
        for actor in actors(test, user, row.id).await {
            told.push((row.kind.to_string(), row.target, actor.actor, actor.deed));
        }
    }
    told.sort_unstable();
    told
}

async fn what_comes_again_or_late_changes_nothing(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut random = Random(11);
    let targets: [PostId; 2] = [post(&test, ada).await, post(&test, bob).await];
    let mut made = Vec::new();
    for now in 0..80 {
        let target = targets[random.below(2) as usize];
        let user = [ada, bob][random.below(2) as usize];
        match random.below(8) {
            0 => drop(like(&test, user, target).await),
            1 => drop(unlike(&test, user, target).await),
            2 => made.push(comment(&test, user, target).await.id),
            3 => made.push(quote(&test, user, target).await.id),
            4 => drop(share(&test, user, target).await),
            5 => drop(follow(&test, bob, ada, now).await),
            6 => {
                let mut transaction = write(&test).await;
                follows::unfollow(&mut transaction, bob, ada).await.unwrap();
                transaction.commit().await.unwrap();
            }
            _ => {
                if let Some(post) = made.pop() {
                    delete(&test, post, Some(user)).await;
                }
            }
        }
    }
    like(&test, bob, targets[0]).await;
    let mut all = events(&test.db, 0).await;
    let telling = Telling::new(&test.db);
    telling.give(&all).await;
    let expected = (told(&test, ada).await, told(&test, bob).await);
    assert!(!expected.0.is_empty() && !expected.1.is_empty());
    let lists = (list(&test, ada).await, list(&test, bob).await);
    for _ in 0..3 {
        for _ in 0..all.len() {
            let one = random.below(all.len() as u64) as usize;
            let other = random.below(all.len() as u64) as usize;
            all.swap(one, other);
        }
        telling.give(&all).await;
    }
    assert_eq!((told(&test, ada).await, told(&test, bob).await), expected);
    assert_eq!((list(&test, ada).await, list(&test, bob).await), lists);
    // In any order from the beginning, the end is the same.
    test.raw("DELETE FROM notification_actors").await;
    test.raw("DELETE FROM notifications").await;
    telling.give(&all).await;
    assert_eq!((told(&test, ada).await, told(&test, bob).await), expected);
}

/// As when one was paused and has lost its lease.
async fn two_consumers_at_once_tell_once(test: TestDatabase) {
    let ada = test.user("ada").await;
    let other = test.another_handle().await;
    let writer = |db: &Database| Arc::new(Telling::new(db).writer);
    let relays = [
        Running::relay(&test.db, CONSUMER, writer(&test.db)),
        Running::relay(&other, "another", writer(&other)),
    ];
    let liked = post(&test, ada).await;
    for n in 0..30 {
        let user = test.user(&format!("u{n}")).await;
        like(&test, user, liked).await;
        follow(&test, user, ada, n).await;
    }
    delivered(&test.db, CONSUMER).await;
    delivered(&test.db, "another").await;
    for relay in relays {
        relay.stop().await;
    }
    let all = list(&test, ada).await;
    assert_eq!(all.len(), 2);
    for row in all {
        assert_eq!(row.revision, 30);
        assert_eq!(actors(&test, ada, row.id).await.len(), 30);
    }
}

async fn what_was_added_since_it_was_seen_is_not_read(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    let liked = post(&test, ada).await;
    like(&test, bob, liked).await;
    telling.take_all(&test.db).await;
    let seen = list(&test, ada).await[0];
    like(&test, eve, liked).await;
    telling.take_all(&test.db).await;
    assert_eq!(read(&test, ada, &[(seen.id, seen.revision)]).await, 0);
    assert_eq!(unread(&test, ada).await, 1);
    // Nobody reads for somebody else.
    assert_eq!(read(&test, bob, &[(seen.id, 2)]).await, 0);
    let nobodys = (NotificationId::new(), 1);
    assert_eq!(read(&test, ada, &[nobodys, (seen.id, 2)]).await, 1);
    assert_eq!(read(&test, ada, &[(seen.id, 2)]).await, 0);
    assert_eq!(unread(&test, ada).await, 0);
    assert_eq!(list(&test, ada).await[0].read_at, Some(at(20)));
}

async fn all_up_to_one_are_read(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    for _ in 0..5 {
        like(&test, bob, post(&test, ada).await).await;
        like(&test, ada, post(&test, bob).await).await;
    }
    telling.take_all(&test.db).await;
    let all = list(&test, ada).await;
    let up_to = notifications::read_up_to(&test.db, ada, all[2].id, at(20)).await;
    assert_eq!(up_to.unwrap(), 3);
    let left: Vec<_> = list(&test, ada).await;
    let left: Vec<_> = left.iter().map(|row| row.read_at.is_none()).collect();
    assert_eq!(left, [true, true, false, false, false]);
    assert_eq!((unread(&test, ada).await, unread(&test, bob).await), (2, 5));
}

async fn of_very_many_the_newest_are_named(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut telling = Telling::new(&test.db);
    let liked = post(&test, ada).await;
    let mut people = Vec::new();
    for n in 0..ACTORS_AT_MOST + 10 {
        let user = test.user(&format!("u{n}")).await;
        does(&test, async |db, transaction| {
            likes::like(db, transaction, user, liked, at(n.into())).await
        })
        .await;
        people.insert(0, user);
    }
    telling.take_all(&test.db).await;
    let told = list(&test, ada).await;
    assert_eq!(told[0].revision, u64::from(ACTORS_AT_MOST) + 10);
    assert_eq!(
        names(&test, ada, told[0].id).await,
        people[..ACTORS_AT_MOST as usize]
    );
    // Those who are not shown take nobody's place.
    for user in &people[..5] {
        unlike(&test, *user, liked).await;
    }
    assert_eq!(
        names(&test, ada, told[0].id).await,
        people[5..ACTORS_AT_MOST as usize + 5]
    );
}

/// So many notifications of `kind` that were begun long ago and are unread.
async fn old(test: &TestDatabase, user: UserId, kind: Kind, many: u32) {
    let mut transaction = write(test).await;
    for _ in 0..many {
        let id = NotificationId::new();
        sql::query(
            "INSERT INTO notifications
                 (id, recipient_id, kind, target_id, window_at, changed_at, revision)
             VALUES ($1, $2, $3, $2, 0, 0, 1)",
        )
        .bind(id)
        .bind(user)
        .bind(kind.to_string())
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query(
            "INSERT INTO notification_actors (notification_id, at, actor_id, deed_id)
             VALUES ($1, 0, $2, $1)",
        )
        .bind(id)
        .bind(Uuid::nil())
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn what_is_unread_is_counted_to_a_limit(test: TestDatabase) {
    let ada = test.user("ada").await;
    old(&test, ada, Kind::RoleChanged, UNREAD_AT_MOST + 5).await;
    assert_eq!(unread(&test, ada).await, UNREAD_AT_MOST);
    assert_eq!(list(&test, ada).await.len(), UNREAD_AT_MOST as usize + 5);
}

async fn old_notifications_are_swept(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    old(&test, ada, Kind::RoleChanged, ROWS_AT_ONCE + 10).await;
    old(&test, bob, Kind::RoleChanged, 1).await;
    // Ids say when they were made, by the clock of the machine.
    let now = media::SystemClock;
    let now = media::Clock::now(&now);
    let before = now + KEPT_FOR - media::Micros::from_secs(3_600);
    let swept = notifications::sweep(&test.db, before).await.unwrap();
    assert_eq!((swept.deleted, swept.more), (0, false));
    let after = now + KEPT_FOR + media::Micros::from_secs(3_600);
    let mut rounds = 0;
    while notifications::sweep(&test.db, after).await.unwrap().more {
        rounds += 1;
        assert!(rounds < 10);
    }
    assert!(rounds > 0);
    for table in ["notifications", "notification_actors"] {
        let text = match table {
            "notifications" => "SELECT COUNT(*) FROM notifications",
            _ => "SELECT COUNT(*) FROM notification_actors",
        };
        assert_eq!(count(&test.db, text).await, 0, "{table}");
    }
}

async fn an_erased_account_leaves_no_notifications(test: TestDatabase) {
    let (ada, bob, eve) = (
        test.user("ada").await,
        test.user("bob").await,
        test.user("eve").await,
    );
    let mut telling = Telling::new(&test.db);
    let about = post(&test, ada).await;
    for user in [bob, eve] {
        like(&test, user, about).await;
        like(&test, ada, post(&test, user).await).await;
    }
    telling.take_all(&test.db).await;
    does(&test, async |db, transaction| {
        users::delete(db, transaction, bob, at(30)).await.map(drop)
    })
    .await;
    telling.take_all(&test.db).await;
    let objects = MemoryStore::default();
    loop {
        match erasure::step(&test.db, &objects, bob, at(31))
            .await
            .unwrap()
        {
            Step::Again => {}
            Step::Done => break,
            Step::Waits => panic!("nothing is left for the sweeper"),
        }
    }
    for text in [
        "SELECT COUNT(*) FROM notifications n
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = n.recipient_id)",
        "SELECT COUNT(*) FROM notification_actors a
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = a.actor_id)",
    ] {
        assert_eq!(count(&test.db, text).await, 0, "{text}");
    }
    let told = list(&test, ada).await;
    assert_eq!(names(&test, ada, told[0].id).await, [eve]);
    assert_eq!(kinds(&test, eve).await, [Kind::Like]);
    // Events of theirs that come again write nothing.
    telling.give(&events(&test.db, 0).await).await;
    assert_eq!(list(&test, bob).await, []);
    let of_bob = sql::query("SELECT 1 FROM notifications WHERE recipient_id = $1");
    assert!(!of_bob.bind(bob).exists(&test.db).await.unwrap());
}

async fn an_event_that_cannot_be_read_stops_nobody(test: TestDatabase) {
    let (ada, bob) = (test.user("ada").await, test.user("bob").await);
    let mut telling = Telling::new(&test.db);
    for subject in [
        "post.x.liked",
        "follow.x.accepted",
        "account.x.suspended",
        "stream.x.live",
    ] {
        let mut transaction = write(&test).await;
        let event = NewEvent {
            subject: &subject.parse().unwrap(),
            key: "x",
            payload: "{".into(),
        };
        outbox::append(&test.db, &mut transaction, &event, at(0))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    like(&test, bob, post(&test, ada).await).await;
    telling.take_all(&test.db).await;
    assert_eq!(kinds(&test, ada).await, [Kind::Like]);
}
