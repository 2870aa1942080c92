//! The computation of trends: at an interval, of what something happened to lately.

use std::cmp::Reverse;
use std::collections::HashMap;

use media::{Micros, PostId, StreamId, Timestamp, UserId};
use uuid::Uuid;

use super::super::post_counts::PostCounts;
use super::super::sql::{FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::people::{self, Counts};
use super::scores::{self, HASHTAG_WINDOW, HashtagUse, POST_WINDOW, VIEWERS_WINDOW};

/// Whoever reads on does so in the computation that they began with, for so long after it was
/// made.
pub const GENERATIONS_KEPT_FOR: Micros = Micros::from_secs(15 * 60);

/// The posts that something happened to last: of more, the others do not trend.
const POSTS_LOOKED_AT: u32 = 10_000;

/// The newest public posts, and of them those that have hashtags.
const NEWEST_LOOKED_AT: u32 = 50_000;
const TAGGED_LOOKED_AT: u32 = 10_000;

/// Streams that are live.
const STREAMS_LOOKED_AT: u32 = 5_000;

/// Posts whose people are counted by one statement.
const PEOPLE_AT_ONCE: usize = 200;

const POSTS_KEPT: usize = 200;
const HASHTAGS_KEPT: usize = 100;
const STREAMS_KEPT: usize = 100;

pub(super) const POST: &str = "post";
pub(super) const HASHTAG: &str = "hashtag";
pub(super) const STREAM: &str = "stream";

/// `$1`: the window's begin, `$2`: how many.
pub(super) const ACTIVE_POSTS: &str = "
    SELECT c.post_id, c.likes, c.comments, c.shares, c.quotes, p.created_at, p.stream_id
    FROM (SELECT post_id, likes, comments, shares, quotes FROM post_counts
          WHERE active_at > $1 ORDER BY active_at DESC, post_id DESC LIMIT $2) AS c
        JOIN posts p ON p.id = c.post_id
        JOIN users u ON u.id = p.author_id
    WHERE p.parent_id IS NULL AND p.visibility = 'public' AND p.deleted_at IS NULL
        AND p.created_at > $1 AND u.suspended_at IS NULL AND u.deleted_at IS NULL
        AND NOT u.is_private";

/// `$1`: the window's begin, `$2`: how many posts with hashtags, `$3`: the highest id, `$4`: how
/// many posts are read for that. What is not counted takes nobody's place among the posts.
pub(super) const USED_HASHTAGS: &str = "
    SELECT t.hashtag, p.author_id, p.created_at
    FROM (SELECT n.id, n.author_id, n.created_at
          FROM (SELECT id, author_id, created_at FROM posts
                WHERE parent_id IS NULL AND share_of_id IS NULL AND visibility = 'public'
                    AND deleted_at IS NULL AND id < $3
                ORDER BY id DESC LIMIT $4) AS n
          WHERE n.created_at > $1
              AND EXISTS (SELECT 1 FROM post_hashtags h WHERE h.post_id = n.id)
              AND (SELECT u.suspended_at IS NULL AND u.deleted_at IS NULL AND NOT u.is_private
                   FROM users u WHERE u.id = n.author_id)
          ORDER BY n.id DESC LIMIT $2) AS p
        JOIN post_hashtags t ON t.post_id = p.id";

/// `$1`: an id before all, `$2`: how many. Those that anybody sees: others take nobody's place.
pub(super) const LIVE_STREAMS: &str = "
    SELECT l.stream_id
    FROM live_sessions l
    WHERE l.ended_at IS NULL AND l.stream_id > $1
        AND (SELECT s.visibility = 'public' AND s.deleted_at IS NULL
                 AND u.suspended_at IS NULL AND u.deleted_at IS NULL
             FROM streams s JOIN users u ON u.id = s.owner_id
             WHERE s.id = l.stream_id)
    ORDER BY l.stream_id LIMIT $2";

struct ActivePost {
    counts: Counts,
    created_at: Timestamp,
    stream: Option<StreamId>,
}

impl FromRow for ActivePost {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            counts: Counts::new(PostCounts::from_row(row)?),
            created_at: row.get("created_at")?,
            stream: row.get("stream_id")?,
        })
    }
}

/// What trends, the highest score first.
#[derive(Default)]
struct Trends {
    posts: Vec<(PostId, i64)>,
    hashtags: Vec<(String, HashtagUse, i64)>,
    streams: Vec<(StreamId, i64)>,
}

/// Computes all trends, and keeps them as a new generation; its number. Generations that nobody
/// reads any more go.
pub async fn compute(db: &Database, now: Timestamp) -> Result<u64, RowError> {
    let mut posts: Vec<ActivePost> = query(ACTIVE_POSTS)
        .bind(now - POST_WINDOW)
        .bind(POSTS_LOOKED_AT)
        .all(db)
        .await?;
    let trends = Trends {
        streams: streams(db, &mut posts, now).await?,
        hashtags: hashtags(db, now).await?,
        posts: best(db, &mut posts, now).await?,
    };
    keep(db, &trends, now).await
}

fn score(post: &ActivePost, now: Timestamp) -> f64 {
    scores::of_post(post.counts.known(), now - post.created_at)
}

/// Those with the highest scores. No score rises when people are counted instead of what they
/// wrote: so that is done from the top, until it is done of all that are kept.
async fn best(
    db: &Database,
    posts: &mut [ActivePost],
    now: Timestamp,
) -> Result<Vec<(PostId, i64)>, RowError> {
    let place = |post: &ActivePost| (scores::kept(score(post, now)), post.counts.known().post);
    loop {
        posts.sort_unstable_by_key(|post| Reverse(place(post)));
        let mut kept = posts.iter().take(POSTS_KEPT);
        if kept.all(|post| post.counts.are_of_people) {
            break;
        }
        let unknown = posts.iter_mut().map(|post| &mut post.counts);
        let unknown = unknown.filter(|counts| !counts.are_of_people);
        people::look(db, unknown.take(PEOPLE_AT_ONCE)).await?;
    }
    let best = posts.iter().take(POSTS_KEPT).map(place);
    let best = best.filter(|(score, _)| *score > 0);
    Ok(best.map(|(score, post)| (post, score)).collect())
}

async fn hashtags(
    db: &Database,
    now: Timestamp,
) -> Result<Vec<(String, HashtagUse, i64)>, RowError> {
    let rows: Vec<(String, UserId, Timestamp)> = query(USED_HASHTAGS)
        .bind(now - HASHTAG_WINDOW)
        .bind(TAGGED_LOOKED_AT)
        .bind(Uuid::max())
        .bind(NEWEST_LOOKED_AT)
        .all(db)
        .await?;
    let mut uses: HashMap<String, HashtagUse> = HashMap::new();
    for (hashtag, author, at) in rows {
        uses.entry(hashtag).or_default().add(author, at);
    }
    let mut hashtags: Vec<_> = uses
        .into_iter()
        .map(|(hashtag, used)| {
            let score = scores::kept(used.score(now));
            (hashtag, used, score)
        })
        .collect();
    hashtags.sort_unstable_by(|(one, _, low), (other, _, high)| {
        high.cmp(low).then_with(|| one.cmp(other))
    });
    hashtags.truncate(HASHTAGS_KEPT);
    Ok(hashtags)
}

/// Those that are live and for everybody, by their viewers and by what came of the posts that show them.
async fn streams(
    db: &Database,
    posts: &mut [ActivePost],
    now: Timestamp,
) -> Result<Vec<(StreamId, i64)>, RowError> {
    let live: Vec<(StreamId,)> = query(LIVE_STREAMS)
        .bind(Uuid::nil())
        .bind(STREAMS_LOOKED_AT)
        .all(db)
        .await?;
    let mut scored: HashMap<StreamId, f64> =
        live.into_iter().map(|(stream,)| (stream, 0.0)).collect();
    for (stream, viewers) in viewers(db, now).await? {
        scored.entry(stream).and_modify(|score| *score += viewers);
    }
    let shows_one = |post: &&mut ActivePost| {
        post.stream
            .is_some_and(|stream| scored.contains_key(&stream))
    };
    let unknown = posts.iter_mut().filter(shows_one);
    let unknown = unknown.map(|post| &mut post.counts);
    let mut unknown: Vec<_> = unknown.filter(|counts| !counts.are_of_people).collect();
    for some in unknown.chunks_mut(PEOPLE_AT_ONCE) {
        people::look(db, some.iter_mut().map(|counts| &mut **counts)).await?;
    }
    for post in &*posts {
        if let Some(stream) = post.stream {
            scored
                .entry(stream)
                .and_modify(|sum| *sum += score(post, now));
        }
    }
    let mut streams: Vec<(StreamId, i64)> = scored
        .into_iter()
        .map(|(stream, score)| (stream, scores::kept(score)))
        .collect();
    streams.sort_unstable_by_key(|(stream, score)| Reverse((*score, *stream)));
    streams.truncate(STREAMS_KEPT);
    Ok(streams)
}

/// The most of a minute, of all edges together.
async fn viewers(db: &Database, now: Timestamp) -> Result<HashMap<StreamId, f64>, RowError> {
    let minutes: Vec<(StreamId, u64)> = query(
        "SELECT subject_id, CAST(SUM(viewers) AS BIGINT) AS viewers FROM usage_minutes
         WHERE minute_at >= $1 AND kind = 'stream'
         GROUP BY minute_at, subject_id",
    )
    .bind(now - VIEWERS_WINDOW)
    .all(db)
    .await?;
    let mut most: HashMap<StreamId, f64> = HashMap::new();
    for (stream, viewers) in minutes {
        let most = most.entry(stream).or_default();
        *most = most.max(viewers as f64);
    }
    Ok(most)
}

async fn keep(db: &Database, trends: &Trends, now: Timestamp) -> Result<u64, RowError> {
    /// Among all turns of the database: "trends" in ASCII. Two computations have two numbers.
    const TRENDS: i64 = 0x7472_656e_6473;
    let mut transaction = db.write().await?;
    query(db.engine().take_turn())
        .bind(TRENDS)
        .execute(&mut transaction)
        .await?;
    let (generation,): (u64,) = query(
        "INSERT INTO trend_generations (number, computed_at)
         SELECT COALESCE(MAX(number) + 1, 0), $1 FROM trend_generations WHERE TRUE
         RETURNING number",
    )
    .bind(now)
    .one(&mut transaction)
    .await?;
    let mut rows = Rows {
        transaction: &mut transaction,
        generation,
    };
    for (rank, (post, score)) in trends.posts.iter().enumerate() {
        rows.add(POST, rank, Some(post.as_uuid()), None, *score, 0)
            .await?;
    }
    for (rank, (hashtag, used, score)) in trends.hashtags.iter().enumerate() {
        rows.add(HASHTAG, rank, None, Some(hashtag), *score, used.posts)
            .await?;
    }
    for (rank, (stream, score)) in trends.streams.iter().enumerate() {
        rows.add(STREAM, rank, Some(stream.as_uuid()), None, *score, 0)
            .await?;
    }
    // Always the one before stays: somebody may have begun with it just now.
    query("DELETE FROM trend_generations WHERE number < $1 AND computed_at <= $2")
        .bind(generation.saturating_sub(1))
        .bind(now - GENERATIONS_KEPT_FOR)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(generation)
}

struct Rows<'a> {
    transaction: &'a mut Transaction,
    generation: u64,
}

impl Rows<'_> {
    async fn add(
        &mut self,
        kind: &str,
        rank: usize,
        subject: Option<Uuid>,
        hashtag: Option<&String>,
        score: i64,
        posts: u64,
    ) -> Result<(), RowError> {
        query(
            "INSERT INTO trends (generation, kind, rank, subject_id, hashtag, score, posts)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.generation)
        .bind(kind)
        .bind(rank as u64)
        .bind(subject)
        .bind(hashtag)
        .bind(score)
        .bind(posts)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }
}
