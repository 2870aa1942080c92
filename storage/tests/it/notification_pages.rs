//! S01: pages of notifications have no gap and no duplicate, whatever happens meanwhile.
//!
//! A reader goes through all of theirs, page after page, while others like, unlike, comment,
//! follow, unfollow, block and are muted, while groups are joined and read. What must be on the
//! pages of one walk, exactly once, is what was shown throughout: groups of which somebody stays
//! who is left in peace. Nothing may be there twice or out of order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use media::{NotificationId, PostId, UserId};
use storage::rows::LOOKED_AT_MOST;
use storage::rows::notifications::{self, NotificationRow, Seen};
use storage::rows::sql::query;
use storage::rows::{blocks, follows, likes, mutes};
use storage::{Database, RowError};
use uuid::Uuid;

use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::notifications::{Telling, after, list};
use crate::outbox_writers::Random;
use crate::posts::{comment, new, post, try_create};
use crate::users::at;

on_both_engines! {
    s01_notifications_have_no_gap_and_no_duplicate_while_others_act,
    long_s01_notifications_have_no_gap_and_no_duplicate_while_others_act,
    a_page_looks_at_so_many_and_no_more,
}

async fn s01_notifications_have_no_gap_and_no_duplicate_while_others_act(test: TestDatabase) {
    Box::pin(read_while_others_act(test, 1_000)).await;
}

async fn long_s01_notifications_have_no_gap_and_no_duplicate_while_others_act(test: TestDatabase) {
    Box::pin(read_while_others_act(test, 10_000)).await;
}

struct World {
    reader: UserId,
    restless: Vec<UserId>,
    posts: Vec<PostId>,
    /// Groups that are shown throughout.
    stays: BTreeSet<NotificationId>,
    stopped: AtomicBool,
}

async fn world(test: &TestDatabase, telling: &mut Telling) -> World {
    let mut people = Vec::new();
    for n in 0..9 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let (reader, steady, restless) = (people[0], &people[1..3], people[3..].to_vec());
    let mut posts = Vec::new();
    for n in 0..40 {
        let about = post(test, reader).await;
        match n % 2 {
            0 => drop(like(test, steady[0], about).await),
            _ => drop(comment(test, steady[1], about).await),
        }
        like(test, restless[n % restless.len()], about).await;
        posts.push(about);
    }
    telling.take_all(&test.db).await;
    let mut stays = BTreeSet::new();
    for row in list(test, reader).await {
        let actors = notifications::actors_of(&test.db, reader, &[row.id]).await;
        if actors
            .unwrap()
            .iter()
            .any(|row| steady.contains(&row.actor))
        {
            stays.insert(row.id);
        }
    }
    assert_eq!(stays.len(), 40);
    World {
        reader,
        restless,
        posts,
        stays,
        stopped: AtomicBool::new(false),
    }
}

/// Something happens. What the rules refuse is refused.
async fn step(db: &Database, world: &World, random: &mut Random) -> Result<(), RowError> {
    let who = world.restless[random.below(world.restless.len() as u64) as usize];
    let about = world.posts[random.below(world.posts.len() as u64) as usize];
    let (reader, is_on) = (world.reader, random.below(2) == 0);
    let what = random.below(10);
    if what < 2 {
        let answer = storage::rows::posts::NewPost {
            parent: Some(about),
            ..new(who)
        };
        return try_create(db, &answer, 2).await.map(drop);
    }
    let mut transaction = db.write().await?;
    match what {
        2..=4 if is_on => drop(likes::like(db, &mut transaction, who, about, at(2)).await?),
        2..=4 => drop(likes::unlike(db, &mut transaction, who, about, at(2)).await?),
        5 | 6 if is_on => drop(follows::follow(db, &mut transaction, who, reader, at(2)).await?),
        5 | 6 => drop(follows::unfollow(&mut transaction, who, reader).await?),
        7 if is_on => drop(blocks::block(db, &mut transaction, who, reader, at(2)).await?),
        7 => drop(blocks::unblock(&mut transaction, who, reader).await?),
        8 if is_on => drop(mutes::mute(&mut transaction, reader, who, at(2)).await?),
        8 => drop(mutes::unmute(&mut transaction, reader, who).await?),
        _ => {
            let page = notifications::page(db, reader, None, 3).await?;
            let seen: Vec<_> = page.rows.iter().map(seen).collect();
            notifications::read(&mut transaction, reader, &seen, at(2)).await?;
        }
    }
    transaction.commit().await
}

fn seen(row: &NotificationRow) -> Seen {
    Seen {
        id: row.id,
        revision: row.revision,
    }
}

/// Goes through all, and says how many pages there were.
async fn walk(db: &Database, world: &World, random: &mut Random) -> u32 {
    let (mut before, mut met, mut pages) = (None, Vec::new(), 0);
    loop {
        let limit = 1 + u32::try_from(random.below(9)).expect("below nine");
        let page = notifications::page(db, world.reader, before, limit).await;
        let page = page.unwrap();
        pages += 1;
        met.extend(page.rows.iter().map(|row| row.id));
        match after(&page, limit) {
            Some(last) => before = Some(last),
            None => break,
        }
    }
    assert!(
        met.windows(2).all(|pair| pair[0] > pair[1]),
        "in order, none twice"
    );
    let met: BTreeSet<_> = met.into_iter().collect();
    let missed: Vec<_> = world.stays.difference(&met).collect();
    assert!(missed.is_empty(), "missed {missed:?}");
    pages
}

async fn read_while_others_act(test: TestDatabase, pages: u32) {
    let mut telling = Telling::new(&test.db);
    let world = world(&test, &mut telling).await;
    let other = test.another_handle().await;
    let act = async |db: &Database, seed| {
        let mut random = Random(seed);
        while !world.stopped.load(Ordering::SeqCst) {
            match step(db, &world, &mut random).await {
                // Who is blocked follows and likes nobody.
                Ok(()) | Err(RowError::NotFound(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let tell = async {
        while !world.stopped.load(Ordering::SeqCst) {
            telling.take_all(&test.db).await;
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let (mut random, mut read) = (Random(3), 0);
        while read < pages {
            read += walk(&test.db, &world, &mut random).await;
        }
        world.stopped.store(true, Ordering::SeqCst);
    };
    tokio::join!(act(&test.db, 1), act(&other, 2), tell, read);
}

async fn a_page_looks_at_so_many_and_no_more(test: TestDatabase) {
    let ada = test.user("ada").await;
    let mut transaction = test.db.write().await.unwrap();
    let mut ids = Vec::new();
    // Two that are shown, under more than one page looks at, of a stream that is not there.
    for n in 0..LOOKED_AT_MOST + 12 {
        let id = NotificationId::from(Uuid::from_u128(u128::from(n) + 1));
        let kind = match n {
            0 | 1 => "post_removed",
            _ => "went_live",
        };
        query(
            "INSERT INTO notifications
                 (id, recipient_id, kind, target_id, window_at, changed_at, revision)
             VALUES ($1, $2, $3, $4, 0, 0, 1)",
        )
        .bind(id)
        .bind(ada)
        .bind(kind)
        .bind(Uuid::now_v7())
        .execute(&mut transaction)
        .await
        .unwrap();
        ids.push(id);
    }
    transaction.commit().await.unwrap();
    for limit in [1, 3, 100] {
        let page = notifications::page(&test.db, ada, None, limit).await;
        let page = page.unwrap();
        assert_eq!((page.rows.len(), page.next), (0, Some(ids[12])), "{limit}");
        let page = notifications::page(&test.db, ada, page.next, limit).await;
        let page = page.unwrap();
        let shown: Vec<_> = page.rows.iter().map(|row| row.id).collect();
        let all = [ids[1], ids[0]];
        assert_eq!(shown, all[..all.len().min(limit as usize)], "{limit}");
        assert_eq!(page.next, None);
    }
}
