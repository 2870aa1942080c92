//! Pages of what is found. In every text `$1` is the viewer, `$2` positions and `$3` the
//! version of the index that the first page was made of.
//!
//! An index gives positions, and one statement leaves out what the viewer may not see; both go
//! on until the page is full, or until so much was looked at that the page goes out short, with
//! a cursor.

use std::cmp::Reverse;

use media::UserId;

use super::super::posts::{PostRow, not_blocked, post_columns, viewer_id, visible};
use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::streams::{ListedStream, listed_columns, stream_shown};
use super::super::users::{UserRow, user_columns};
use super::super::{Database, RowError};
use super::index::{self, Index, POSTS, STREAMS, USERS};
use super::query::{Expression, SearchQuery};
use super::{Cursor, Found};

/// Positions that are asked for at a time, at least and at most.
const POSITIONS_AT_ONCE: std::ops::RangeInclusive<u32> = 40..=100;

/// How often an index is asked for one page.
const ROUNDS_AT_MOST: u32 = 10;

/// Posts that `viewer` may see, best first, those after `after`, about `limit` at most: with all
/// words, then with a word that begins like the last one; among those the newest first. Comments
/// and quotes too; no shares, and nothing of the muted.
pub async fn posts(
    db: &Database,
    search: &SearchQuery,
    viewer: Option<UserId>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<PostRow>, RowError> {
    let ranks = search.of_posts(POSTS.shortest);
    let text = posts_text(db.engine());
    page(db, &POSTS, &ranks, &text, viewer, after, limit).await
}

/// People whom `viewer` may see, likewise: whose name it is, whose name begins so, and who has
/// words that begin so in what they are shown as; among those, who has been there longest first.
pub async fn users(
    db: &Database,
    search: &SearchQuery,
    viewer: Option<UserId>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<UserRow>, RowError> {
    let ranks = search.of_people(USERS.shortest);
    let text = users_text(db.engine());
    page(db, &USERS, &ranks, &text, viewer, after, limit).await
}

/// Streams that `viewer` may see, likewise: by the words of their names and titles, and by
/// `@owner`; the oldest first.
pub async fn streams(
    db: &Database,
    search: &SearchQuery,
    viewer: Option<UserId>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<ListedStream>, RowError> {
    let ranks = search.of_streams(STREAMS.shortest);
    let text = streams_text(db.engine());
    page(db, &STREAMS, &ranks, &text, viewer, after, limit).await
}

pub(super) fn posts_text(engine: Engine) -> String {
    format!(
        concat!(
            "SELECT i.position, ",
            post_columns!(p),
            " FROM search_posts i JOIN posts p ON p.id = i.post_id
              WHERE i.position {} AND i.version <= $3
                  AND NOT EXISTS (SELECT 1 FROM mutes m
                                  WHERE m.muter_id = $1 AND m.muted_id = p.author_id)
                  AND ",
            visible!()
        ),
        engine.one_of("$2")
    )
}

pub(super) fn users_text(engine: Engine) -> String {
    format!(
        concat!(
            "SELECT i.position, ",
            user_columns!(u),
            " FROM search_users i JOIN users u ON u.id = i.user_id
              WHERE i.position {} AND i.version <= $3
                  AND u.suspended_at IS NULL AND u.deleted_at IS NULL AND ",
            not_blocked!("u.id")
        ),
        engine.one_of("$2")
    )
}

pub(super) fn streams_text(engine: Engine) -> String {
    format!(
        concat!(
            "SELECT i.position, ",
            listed_columns!(),
            " FROM search_streams i JOIN streams s ON s.id = i.stream_id
                 JOIN users u ON u.id = s.owner_id
             WHERE i.position {} AND i.version <= $3 AND ",
            stream_shown!("s")
        ),
        engine.one_of("$2")
    )
}

/// Something found, and where.
struct Hit<T> {
    position: i64,
    row: T,
}

impl<T: FromRow> FromRow for Hit<T> {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            position: row.get("position")?,
            row: T::from_row(row)?,
        })
    }
}

async fn page<T: FromRow>(
    db: &Database,
    index: &Index,
    ranks: &[Expression],
    text: &str,
    viewer: Option<UserId>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Found<T>, RowError> {
    let state = index::state(db, index).await?;
    let first = Cursor {
        rank: 0,
        before: state.highest + 1,
        version: state.version,
    };
    // No index has given any other place, and above its own there are no windows to ask.
    let mut cursor = after.map_or(first, |after| Cursor {
        rank: after.rank,
        before: after.before.min(first.before),
        version: after.version.min(first.version),
    });
    let mut items = Vec::new();
    let at_once = limit.clamp(*POSITIONS_AT_ONCE.start(), *POSITIONS_AT_ONCE.end()) as usize;
    for _ in 0..ROUNDS_AT_MOST {
        let Some(rank) = ranks.get(usize::from(cursor.rank)) else {
            return Ok(Found { items, next: None });
        };
        let matches = index::matches(db, index, rank, cursor.before, state.lowest, at_once);
        let matches = matches.await?;
        let mut hits: Vec<Hit<T>> = match matches.positions.is_empty() {
            true => Vec::new(),
            false => {
                query(AssertSqlSafe(text.to_owned()))
                    .bind(viewer_id(viewer))
                    .bind(matches.positions)
                    .bind(cursor.version)
                    .all(db)
                    .await?
            }
        };
        hits.sort_unstable_by_key(|hit| Reverse(hit.position));
        for hit in hits {
            if items.len() >= limit as usize {
                return Ok(Found {
                    items,
                    next: Some(cursor),
                });
            }
            cursor.before = hit.position;
            items.push((cursor, hit.row));
        }
        cursor = match matches.next {
            Some(before) => Cursor { before, ..cursor },
            None => Cursor {
                rank: cursor.rank + 1,
                before: first.before,
                ..cursor
            },
        };
    }
    let next = Some(cursor).filter(|cursor| usize::from(cursor.rank) < ranks.len());
    Ok(Found { items, next })
}
