//! S01: pages of feeds have no gap and no duplicate, whatever others write meanwhile.
//!
//! A reader goes through a whole feed, page after page, while writers post, delete, share, follow,
//! unfollow, block, mute, suspend and make private, while authors cross the threshold in both
//! directions, trends are computed anew and feeds are swept. What must be on the pages of one
//! walk, exactly once, is what was in the feed throughout: posts of authors who are followed and
//! left in peace the whole time, which had come into the feed before the walk began and are not
//! deleted. Nothing may be there twice or out of order. At rest, the feed is what the rows say.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use media::{ManualClock, PostId, UserId};
use storage::rows::feed::{self, CONSUMER, TrendCursor, Writer};
use storage::rows::posts::{self, NewPost, PostPage};
use storage::rows::sql::query;
use storage::rows::users::ProfileChange;
use storage::rows::{blocks, follows, likes, mutes, users};
use storage::{Database, RowError};

use crate::feed::{LOW, count, home_in_pages};
use crate::fixtures::TestDatabase;
use crate::likes::like;
use crate::outbox::{Running, delivered};
use crate::outbox_writers::Random;
use crate::people::follow;
use crate::post_pages::ids;
use crate::posts::{new, post, quote, share, try_create};
use crate::users::at;

on_both_engines! {
    s01_feeds_have_no_gap_and_no_duplicate_while_others_write,
    long_s01_feeds_have_no_gap_and_no_duplicate_while_others_write,
}

async fn s01_feeds_have_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    Box::pin(read_while_others_write(test, 3_000)).await;
}

async fn long_s01_feeds_have_no_gap_and_no_duplicate_while_others_write(test: TestDatabase) {
    Box::pin(read_while_others_write(test, 10_000)).await;
}

/// Posts of one writer that are there at a time, for each author: fewer than a follow brings.
const LIVE_AT_ONCE: usize = 6;

/// Who is there, and what stays.
struct World {
    viewer: UserId,
    /// Followed and left in peace. The second half becomes private now and then.
    steady: Vec<UserId>,
    /// Followed, unfollowed, blocked, muted, suspended.
    restless: Vec<UserId>,
    /// Follow and unfollow the steady: these cross the threshold.
    crowd: Vec<UserId>,
    /// What is in home throughout; of these, what is in discover and may trend throughout.
    stays: BTreeSet<PostId>,
    stays_public: BTreeSet<PostId>,
    /// What the writers delete one after the other.
    leaves: Vec<PostId>,
    stopped: AtomicBool,
}

async fn world(test: &TestDatabase) -> World {
    let mut people = Vec::new();
    for n in 0..17 {
        people.push(test.user(&format!("u{n}")).await);
    }
    let viewer = people[0];
    let (steady, restless) = (people[1..7].to_vec(), people[7..12].to_vec());
    for followed in steady.iter().chain(&restless) {
        follow(test, viewer, *followed, 0).await;
    }
    let (mut stays, mut stays_public) = (BTreeSet::new(), BTreeSet::new());
    let mut leaves = Vec::new();
    for n in 0..20 {
        for (place, author) in steady.iter().chain([&viewer]).enumerate() {
            let written = match n % 5 {
                3 => quote(test, *author, *stays.first().unwrap()).await.id,
                // One person shares a post once.
                4 => share(test, *author, leaves[n]).await.id,
                _ => post(test, *author).await,
            };
            match n % 5 {
                4 => continue,
                _ => stays.insert(written),
            };
            if place < 3 {
                stays_public.insert(written);
            }
            leaves.push(post(test, *author).await);
        }
        for author in &restless {
            leaves.push(post(test, *author).await);
        }
    }
    let original = *stays.first().unwrap();
    for author in &steady {
        stays.insert(share(test, *author, original).await.id);
    }
    for post in stays_public.iter().step_by(3) {
        like(test, viewer, *post).await;
    }
    World {
        viewer,
        steady,
        restless,
        crowd: people[12..17].to_vec(),
        stays,
        stays_public,
        leaves,
        stopped: AtomicBool::new(false),
    }
}

/// One of the writers.
struct Chaos<'a> {
    db: Database,
    world: &'a World,
    random: Random,
    /// By author, the oldest first.
    live: Vec<Vec<PostId>>,
    leaves: Vec<PostId>,
}

impl Chaos<'_> {
    fn one(&mut self, of: &[UserId]) -> UserId {
        of[self.random.below(of.len() as u64) as usize]
    }

    /// Something happens. What the rules refuse is refused.
    async fn step(&mut self) -> Result<(), RowError> {
        let world = self.world;
        let (restless, steady) = (self.one(&world.restless), self.one(&world.steady));
        let crowd = self.one(&world.crowd);
        let viewer = world.viewer;
        let is_on = self.random.below(2) == 0;
        let what = self.random.below(14);
        let db = self.db.clone();
        if what < 4 {
            return self.write(what).await;
        }
        let mut transaction = db.write().await?;
        match what {
            4 => {
                if let Some(post) = self.leaves.pop() {
                    posts::delete(&db, &mut transaction, post, None, at(2)).await?;
                }
            }
            5 if is_on => {
                follows::follow(&db, &mut transaction, viewer, restless, at(2)).await?;
            }
            5 => {
                follows::unfollow(&mut transaction, viewer, restless).await?;
            }
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
            8 if is_on => drop(users::suspend(&db, &mut transaction, restless, at(2)).await?),
            8 => drop(users::unsuspend(&db, &mut transaction, restless, at(2)).await?),
            9 | 10 if is_on => {
                follows::follow(&db, &mut transaction, crowd, steady, at(2)).await?;
            }
            9 | 10 => {
                follows::unfollow(&mut transaction, crowd, steady).await?;
            }
            11 => {
                let change = ProfileChange {
                    is_private: Some(is_on),
                    ..ProfileChange::default()
                };
                let half = world.steady.len() / 2;
                let who = self.one(&world.steady[half..]);
                users::update_profile(&db, &mut transaction, who, change, at(2)).await?;
            }
            12 => {
                let post = self.random.below(world.stays.len() as u64) as usize;
                let post = *world.stays.iter().nth(post).expect("below the length");
                match is_on {
                    true => likes::like(&db, &mut transaction, crowd, post, at(2)).await?,
                    false => likes::unlike(&db, &mut transaction, crowd, post, at(2)).await?,
                };
            }
            _ => {
                transaction.commit().await?;
                feed::compute(&db, at(3)).await?;
                return Ok(());
            }
        }
        transaction.commit().await
    }

    /// Somebody writes, and what is too much goes.
    async fn write(&mut self, what: u64) -> Result<(), RowError> {
        let world = self.world;
        let authors: Vec<UserId> = world
            .steady
            .iter()
            .chain(&world.restless)
            .chain([&world.viewer])
            .copied()
            .collect();
        let place = self.random.below(authors.len() as u64) as usize;
        let other = *world.stays_public.first().expect("some stay");
        let post = match what {
            0 | 1 => new(authors[place]),
            2 => NewPost {
                quote_of: Some(other),
                ..new(authors[place])
            },
            _ => NewPost {
                parent: Some(other),
                ..new(authors[place])
            },
        };
        let made = try_create(&self.db, &post, 2).await?.post.id;
        if what < 3 {
            self.live[place].push(made);
        }
        if self.live[place].len() > LIVE_AT_ONCE {
            let oldest = self.live[place].remove(0);
            let mut transaction = self.db.write().await?;
            posts::delete(&self.db, &mut transaction, oldest, None, at(2)).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn run(mut self) {
        while !self.world.stopped.load(Ordering::SeqCst) {
            match self.step().await {
                // Who is suspended writes nothing, who is blocked follows nobody.
                Ok(()) | Err(RowError::NotFound(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Goes through a feed, and says how many pages it had.
async fn walk(
    stays: &BTreeSet<PostId>,
    random: &mut Random,
    page: impl AsyncFn(Option<PostId>, u32) -> PostPage,
) -> u32 {
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let limit = 1 + random.below(12) as u32;
        let PostPage { rows, next } = page(after, limit).await;
        assert!(rows.len() <= limit as usize);
        pages += 1;
        seen.extend(ids(&rows));
        after = next.or(rows.last().map(|last| last.id));
        if after.is_none() {
            break;
        }
    }
    // Not only different, but each before the last.
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "out of order"
    );
    let seen: BTreeSet<_> = seen.into_iter().collect();
    let missing: Vec<_> = stays.difference(&seen).collect();
    assert!(missing.is_empty(), "a gap: {missing:?}");
    pages
}

/// Goes through what trends. What must be there is what the computation has that it began with.
async fn walk_trends(db: &Database, world: &World, random: &mut Random) -> u32 {
    let (mut after, mut pages) = (None::<TrendCursor>, 0);
    let mut seen = Vec::new();
    loop {
        let limit = 1 + random.below(12) as u32;
        let page = feed::trending_posts(db, Some(world.viewer), after, limit).await;
        let page = page.unwrap();
        pages += 1;
        let Some(last) = page.last() else { break };
        for trending in &page {
            assert!(
                after.is_none_or(|after| after < trending.cursor),
                "out of order"
            );
            assert!(after.is_none_or(|after| after.generation == trending.cursor.generation));
            after = Some(trending.cursor);
            seen.push(trending.post.id);
        }
        assert_eq!(after, Some(last.cursor));
    }
    let Some(cursor) = after else { return pages };
    let distinct: BTreeSet<PostId> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "a duplicate");
    let computed: Vec<(PostId,)> =
        query("SELECT subject_id FROM trends WHERE generation = $1 AND kind = 'post'")
            .bind(cursor.generation)
            .all(db)
            .await
            .unwrap();
    for (post,) in computed {
        let must = world.stays_public.contains(&post);
        assert!(!must || distinct.contains(&post), "a gap: {post}");
    }
    pages
}

async fn read(db: Database, world: &World, pages: u32) {
    let mut random = Random(3);
    let (mut of_home, mut of_discover, mut of_trends) = (0, 0, 0);
    while of_home + of_discover + of_trends < pages {
        let home = async |before, limit| {
            let page = feed::home(&db, world.viewer, before, limit).await;
            page.unwrap()
        };
        for _ in 0..2 {
            of_home += walk(&world.stays, &mut random, home).await;
        }
        let discover = async |before, limit| {
            let page = feed::discover(&db, Some(world.viewer), before, limit).await;
            page.unwrap()
        };
        of_discover += walk(&world.stays_public, &mut random, discover).await;
        of_trends += walk_trends(&db, world, &mut random).await;
    }
    world.stopped.store(true, Ordering::SeqCst);
    // The walks were through something.
    assert!(of_home > pages / 3 && of_discover > pages / 10 && of_trends > pages / 100);
}

/// What home is, without anything that makes it fast.
async fn expected_home(db: &Database, viewer: UserId) -> Vec<PostId> {
    let all: Vec<(PostId,)> = query(
        "SELECT p.id FROM posts p
         WHERE p.parent_id IS NULL
             AND (p.author_id = $1
                  OR EXISTS (SELECT 1 FROM follows f
                             WHERE f.follower_id = $1 AND f.followed_id = p.author_id
                                 AND f.accepted_at IS NOT NULL)
                      AND NOT EXISTS (SELECT 1 FROM mutes m
                                      WHERE m.muter_id = $1 AND m.muted_id = p.author_id)
                      AND NOT EXISTS (SELECT 1 FROM mutes m JOIN posts o ON o.author_id = m.muted_id
                                      WHERE m.muter_id = $1 AND o.id = p.share_of_id))",
    )
    .bind(viewer)
    .all(db)
    .await
    .unwrap();
    let all: Vec<PostId> = all.into_iter().map(|(post,)| post).collect();
    let seen = posts::by_ids(db, &all, Some(viewer)).await.unwrap();
    let mut seen: Vec<PostId> = seen.into_iter().map(|post| post.id).collect();
    seen.sort_unstable();
    seen.reverse();
    seen
}

async fn read_while_others_write(test: TestDatabase, pages: u32) {
    let world = world(&test).await;
    let writer = |db: &Database| {
        let clock = Arc::new(ManualClock::new(at(10)));
        Arc::new(Writer::new(db.clone(), clock, LOW))
    };
    let other = test.another_handle().await;
    let relay = Running::relay(&other, CONSUMER, writer(&other));
    delivered(&test.db, CONSUMER).await;
    let chaos = |seed: usize| Chaos {
        db: if seed == 0 {
            test.db.clone()
        } else {
            other.clone()
        },
        world: &world,
        random: Random(seed as u64),
        live: vec![Vec::new(); world.steady.len() + world.restless.len() + 1],
        leaves: world.leaves.iter().copied().skip(seed).step_by(2).collect(),
    };
    let sweeper = async {
        let mut after = None;
        while !world.stopped.load(Ordering::SeqCst) {
            let swept = feed::sweep(&other, after, at(10), 1).await.unwrap();
            after = swept.next;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let reader = read(test.db.clone(), &world, pages);
    tokio::join!(reader, chaos(0).run(), chaos(1).run(), sweeper);
    delivered(&test.db, CONSUMER).await;
    relay.stop().await;

    let crossed = count(&test.db, "SELECT COUNT(*) FROM pulled_authors").await;
    assert!(crossed > 0, "nobody crossed");
    for _ in 0..2 {
        for viewer in [world.viewer, world.steady[0], world.crowd[0]] {
            let seen = home_in_pages(&test, viewer, 7).await;
            assert_eq!(seen, expected_home(&test.db, viewer).await);
        }
        // And once more when everything is swept.
        crate::feed_retention::sweep(&test, at(10)).await;
    }
}
