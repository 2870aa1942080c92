//! Pages of trends. A page goes on in the computation that the first one was read from.

use media::UserId;

use super::super::posts::{PostRow, post_columns, viewer_id, visible};
use super::super::sql::{FromRow, Query, Row, query};
use super::super::streams::{ListedStream, listed_columns, stream_shown};
use super::super::{Database, RowError};
use super::not_muted;

/// Where a page ends: the next begins after it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TrendCursor {
    /// The computation. One that is too old is gone, and has no more pages.
    pub generation: u64,
    /// The place in it, from 0 on.
    pub rank: u64,
}

impl FromRow for TrendCursor {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            generation: row.get("trend_generation")?,
            rank: row.get("trend_rank")?,
        })
    }
}

/// A post that trends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrendingPost {
    /// The post.
    pub post: PostRow,
    /// Its place.
    pub cursor: TrendCursor,
}

impl FromRow for TrendingPost {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: PostRow::from_row(row)?,
            cursor: TrendCursor::from_row(row)?,
        })
    }
}

/// A hashtag that trends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrendingHashtag {
    /// Without `#`, folded.
    pub hashtag: String,
    /// Posts with it that were counted.
    pub posts: u64,
    /// Its place.
    pub cursor: TrendCursor,
}

impl FromRow for TrendingHashtag {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            hashtag: row.get("hashtag")?,
            posts: row.get("posts")?,
            cursor: TrendCursor::from_row(row)?,
        })
    }
}

/// A stream that trends, and is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrendingStream {
    /// The stream.
    pub stream: ListedStream,
    /// Its place.
    pub cursor: TrendCursor,
}

impl FromRow for TrendingStream {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            stream: ListedStream::from_row(row)?,
            cursor: TrendCursor::from_row(row)?,
        })
    }
}

/// A page of a kind: `$1` is the viewer, `$2` the computation or NULL for the newest, `$3` the
/// last place, `$4` the limit.
macro_rules! trending {
    ($columns:expr, $from:literal, $kind:literal, $($where:expr),+) => {
        concat!(
            "SELECT t.generation AS trend_generation, t.rank AS trend_rank, ",
            $columns,
            " FROM trends t ",
            $from,
            " WHERE t.generation = COALESCE($2, (SELECT MAX(n.number) FROM trend_generations n))
                  AND t.kind = '",
            $kind,
            "' AND t.rank > $3 AND ",
            $($where),+,
            " ORDER BY t.rank LIMIT $4"
        )
    };
}

/// The text of [`trending_posts`], also for whoever measures it: `$1` is the viewer, `$2` the
/// computation or NULL for the newest, `$3` the last place or -1, `$4` the limit.
pub const TRENDING_POSTS: &str = trending!(
    post_columns!(p),
    "JOIN posts p ON p.id = t.subject_id",
    "post",
    "p.parent_id IS NULL AND p.visibility = 'public'
         AND (SELECT NOT c.is_private FROM users c WHERE c.id = p.author_id) AND ",
    not_muted!("p.author_id"),
    " AND ",
    visible!()
);

/// The text of [`trending_hashtags`], likewise. Hashtags are nobody's: they are the same for all
/// viewers.
pub const TRENDING_HASHTAGS: &str = trending!("t.hashtag, t.posts", "", "hashtag", "($1 = $1)");

pub(super) const TRENDING_STREAMS: &str = trending!(
    listed_columns!(),
    "JOIN streams s ON s.id = t.subject_id JOIN users u ON u.id = s.owner_id",
    "stream",
    "EXISTS (SELECT 1 FROM live_sessions l
             WHERE l.stream_id = s.id AND l.ended_at IS NULL)
         AND ",
    not_muted!("u.id"),
    " AND ",
    stream_shown!("s")
);

fn page(
    text: &'static str,
    viewer: Option<UserId>,
    after: Option<TrendCursor>,
    limit: u32,
) -> Query {
    query(text)
        .bind(viewer_id(viewer))
        .bind(after.map(|after| after.generation))
        .bind(after.map_or(-1, |after| i64::try_from(after.rank).unwrap_or(i64::MAX)))
        .bind(limit)
}

/// Posts that trend, the first place first, those after the cursor, at most `limit`, as `viewer`
/// may and wants to see them: public ones, no comments, no shares, nobody who is muted or
/// private.
pub async fn trending_posts(
    db: &Database,
    viewer: Option<UserId>,
    after: Option<TrendCursor>,
    limit: u32,
) -> Result<Vec<TrendingPost>, RowError> {
    page(TRENDING_POSTS, viewer, after, limit).all(db).await
}

/// Hashtags that trend, the first place first, those after the cursor, at most `limit`.
pub async fn trending_hashtags(
    db: &Database,
    after: Option<TrendCursor>,
    limit: u32,
) -> Result<Vec<TrendingHashtag>, RowError> {
    page(TRENDING_HASHTAGS, None, after, limit).all(db).await
}

/// Streams that trend and are live still, the first place first, those after the cursor, at most
/// `limit`, without those that `viewer` may not see, or of whom they mute.
pub async fn trending_streams(
    db: &Database,
    viewer: Option<UserId>,
    after: Option<TrendCursor>,
    limit: u32,
) -> Result<Vec<TrendingStream>, RowError> {
    page(TRENDING_STREAMS, viewer, after, limit).all(db).await
}
