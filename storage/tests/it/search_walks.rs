//! S01: pages of search have no gap and no duplicate, whatever others write meanwhile.
//!
//! A reader goes through all that is found, page after page, while writers post, edit, delete,
//! block, mute and suspend, and while the index follows them. What must be on the pages of one
//! walk, exactly once, is what stays as it is. Nothing may be there twice or out of order. At
//! rest, what is found is what the rows say.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use media::{PostId, UserId};
use storage::rows::posts::{self, Edit, NewPost};
use storage::rows::search::{self, CONSUMER, Indexer, SearchQuery};
use storage::rows::sql::query;
use storage::rows::{blocks, mutes, users};
use storage::{Database, RowError};

use crate::fixtures::TestDatabase;
use crate::outbox::{Running, delivered};
use crate::outbox_writers::Random;
use crate::posts::{new, try_create};
use crate::search::{all_found, parsed, says};
use crate::users::at;

on_both_engines! {
    s01_search_has_no_gap_and_no_duplicate_while_others_write,
    long_s01_search_has_no_gap_and_no_duplicate_while_others_write,
}

async fn s01_search_has_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    Box::pin(read_while_others_write(test, 2_000)).await;
}

async fn long_s01_search_has_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    Box::pin(read_while_others_write(test, 10_000)).await;
}

/// Found by the word *stone*, and by its beginning only.
const BODIES: [&str; 2] = ["a stone", "a stonewall"];

/// Posts of one writer that are there at a time.
const LIVE_AT_ONCE: usize = 12;

/// How often the index is written to between walks.
const VERSIONS_AT_LEAST: usize = 20;

/// Who is there, and what stays.
struct World {
    viewer: UserId,
    /// Left in peace.
    steady: Vec<UserId>,
    /// Blocked, muted, suspended.
    restless: UserId,
    stays: BTreeSet<PostId>,
    stopped: AtomicBool,
}

/// A post that a writer edits and deletes.
struct Live {
    post: PostId,
    author: UserId,
    revision: u64,
    /// Which of the bodies it has.
    body: usize,
}

/// One of the writers.
struct Chaos<'a> {
    db: Database,
    world: &'a World,
    random: Random,
    live: Vec<Live>,
}

impl Chaos<'_> {
    /// Something happens. What the rules refuse is refused.
    async fn step(&mut self) -> Result<(), RowError> {
        let World {
            viewer, restless, ..
        } = *self.world;
        let is_on = self.random.below(2) == 0;
        let what = self.random.below(9);
        let db = self.db.clone();
        match what {
            0..3 => return self.write().await,
            3..5 => return self.edit().await,
            5 => return self.delete().await,
            _ => {}
        }
        let mut transaction = db.write().await?;
        match what {
            6 if is_on => {
                blocks::block(&db, &mut transaction, restless, viewer, at(2)).await?;
            }
            6 => {
                blocks::unblock(&mut transaction, restless, viewer).await?;
            }
            7 if is_on => {
                mutes::mute(&mut transaction, viewer, restless, at(2)).await?;
            }
            7 => {
                mutes::unmute(&mut transaction, viewer, restless).await?;
            }
            _ if is_on => drop(users::suspend(&db, &mut transaction, restless, at(2)).await?),
            _ => drop(users::unsuspend(&db, &mut transaction, restless, at(2)).await?),
        }
        transaction.commit().await
    }

    async fn write(&mut self) -> Result<(), RowError> {
        let steady = &self.world.steady;
        let place = self.random.below(steady.len() as u64 + 1) as usize;
        let author = steady.get(place).copied().unwrap_or(self.world.restless);
        let body = self.random.below(2) as usize;
        let post = NewPost {
            body: BODIES[body],
            ..new(author)
        };
        self.live.push(Live {
            post: try_create(&self.db, &post, 2).await?.post.id,
            author,
            revision: 0,
            body,
        });
        if self.live.len() > LIVE_AT_ONCE {
            self.delete().await?;
        }
        Ok(())
    }

    /// From one rank to the other.
    async fn edit(&mut self) -> Result<(), RowError> {
        let below = self.random.below(LIVE_AT_ONCE as u64) as usize;
        let Some(live) = self.live.get_mut(below) else {
            return Ok(());
        };
        let body = 1 - live.body;
        let edit = Edit {
            post: live.post,
            seen: live.revision,
            body: BODIES[body],
            mentions: &[],
            hashtags: &[],
        };
        let mut transaction = self.db.write().await?;
        posts::edit(&self.db, &mut transaction, live.author, &edit, at(2)).await?;
        transaction.commit().await?;
        (live.revision, live.body) = (live.revision + 1, body);
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), RowError> {
        if self.live.is_empty() {
            return Ok(());
        }
        let oldest = self.live.remove(0).post;
        let mut transaction = self.db.write().await?;
        posts::delete(&self.db, &mut transaction, oldest, None, at(2)).await?;
        transaction.commit().await
    }

    async fn run(mut self) {
        while !self.world.stopped.load(Ordering::SeqCst) {
            match self.step().await {
                // Who is suspended writes nothing.
                Ok(()) | Err(RowError::NotFound(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// What a walk was through.
struct Walk {
    pages: u32,
    /// Of the index, when it began.
    version: Option<i64>,
}

/// Goes through all that is found.
async fn walk(db: &Database, world: &World, query: &SearchQuery, random: &mut Random) -> Walk {
    let (mut seen, mut places) = (BTreeSet::new(), Vec::new());
    let (mut pages, mut after) = (0, None);
    loop {
        let limit = 1 + random.below(12) as u32;
        let page = search::posts(db, query, Some(world.viewer), after, limit).await;
        let page = page.unwrap();
        assert!(page.items.len() <= limit as usize);
        pages += 1;
        for (place, post) in page.items {
            assert!(seen.insert(post.id), "a duplicate: {}", post.id);
            places.push(place);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let order = |place: &search::Cursor| (place.rank, Reverse(place.before));
    assert!(
        places.is_sorted_by(|one, next| order(one) < order(next)),
        "out of order"
    );
    let missing: Vec<_> = world.stays.difference(&seen).collect();
    assert!(missing.is_empty(), "a gap: {missing:?}");
    Walk {
        pages,
        version: places.first().map(|place| place.version),
    }
}

async fn read(db: &Database, world: &World, at_least: u32) {
    let mut random = Random(3);
    let queries = ["sto", "stone", "a ston"].map(parsed);
    let (mut pages, mut versions) = (0, BTreeSet::new());
    while pages < at_least || versions.len() < VERSIONS_AT_LEAST {
        for query in &queries {
            let walk = walk(db, world, query, &mut random).await;
            pages += walk.pages;
            versions.extend(walk.version);
        }
        assert!(pages < 50 * at_least, "the index gets on: {versions:?}");
    }
    world.stopped.store(true, Ordering::SeqCst);
}

async fn world(test: &TestDatabase) -> World {
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let (viewer, restless, steady) = (people[0], people[1], people[2..].to_vec());
    let mut stays = BTreeSet::new();
    for n in 0..90 {
        let body = BODIES[n / 7 % 2];
        match steady.get(n % 4) {
            Some(author) => drop(stays.insert(says(test, *author, body).await)),
            None => drop(says(test, restless, body).await),
        }
    }
    World {
        viewer,
        steady,
        restless,
        stays,
        stopped: AtomicBool::new(false),
    }
}

async fn read_while_others_write(test: TestDatabase, pages: u32) {
    let world = world(&test).await;
    let other = test.another_handle().await;
    let indexer = Arc::new(Indexer::new(other.clone()));
    let relay = Running::relay(&other, CONSUMER, indexer);
    delivered(&test.db, CONSUMER).await;
    let chaos = |db: &Database, seed| Chaos {
        db: db.clone(),
        world: &world,
        random: Random(seed),
        live: Vec::new(),
    };
    tokio::join!(
        read(&test.db, &world, pages),
        chaos(&test.db, 0).run(),
        chaos(&other, 1).run()
    );
    delivered(&test.db, CONSUMER).await;
    relay.stop().await;

    let all: Vec<(PostId,)> = query("SELECT id FROM posts WHERE deleted_at IS NULL")
        .all(&test.db)
        .await
        .unwrap();
    let all: Vec<PostId> = all.into_iter().map(|(post,)| post).collect();
    let expected = posts::by_ids(&test.db, &all, None).await.unwrap();
    let expected: BTreeSet<PostId> = expected.into_iter().map(|post| post.id).collect();
    let stone = parsed("stone");
    let found = all_found(7, async |after, limit| {
        search::posts(&test.db, &stone, None, after, limit).await
    });
    let found: Vec<PostId> = found.await.into_iter().map(|post| post.id).collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(BTreeSet::from_iter(found), expected);
}
