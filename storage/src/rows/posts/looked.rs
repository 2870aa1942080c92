//! Pages of lists of which a reader may see little.

use std::cmp::Ordering;

use media::PostId;
use uuid::Uuid;

use super::super::sql::{FromRow, Query, Row};
use super::super::{Database, RowError};
use super::PostRow;

/// Posts that one page looks at, at most.
pub const LOOKED_AT_MOST: u32 = 1_000;

/// A page of posts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PostPage {
    /// Those that are shown, in the order of the list.
    pub posts: Vec<PostRow>,
    /// The last post that was looked at, of a page that is not full, though there are more: among
    /// [`LOOKED_AT_MOST`] were too few for the reader. The next page goes on after it.
    pub next: Option<PostId>,
}

/// The order of a list's ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::rows) enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    fn compare(self, one: PostId, other: PostId) -> Ordering {
        match self {
            Self::OldestFirst => one.cmp(&other),
            Self::NewestFirst => other.cmp(&one),
        }
    }
}

/// The text of a page: `$source` gives ids as `place`, whoever may see them, `$order` and `$limit`
/// bound it, and of those that are `$shown` come the posts.
macro_rules! looked_at {
    ($source:expr; $($shown:expr),+; $order:literal, $limit:literal) => {
        concat!(
            "SELECT c.place, ",
            $crate::rows::posts::post_columns!(p),
            " FROM (SELECT ",
            $source,
            " ORDER BY ",
            $order,
            " LIMIT ",
            $limit,
            ") AS c
              LEFT JOIN posts p ON p.id = c.place AND ",
            $($shown),+,
            " AND ",
            $crate::rows::posts::visible!()
        )
    };
}

pub(in crate::rows) use looked_at;

/// A post that was looked at.
struct Looked {
    place: PostId,
    /// `None`: it is not shown.
    post: Option<PostRow>,
}

impl FromRow for Looked {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let shown: Option<PostId> = row.get("id")?;
        Ok(Self {
            place: row.get("place")?,
            post: shown.map(|_| PostRow::from_row(row)).transpose()?,
        })
    }
}

/// A page of `limit` posts after `from`. `ask` gives the query for the next so many after a place,
/// whose text is [`looked_at!`].
///
/// First no more is read than the page has; while something is missing, twice as much as before.
pub(in crate::rows) async fn page(
    db: &Database,
    order: Order,
    from: Uuid,
    limit: u32,
    ask: impl Fn(Uuid, u32) -> Query,
) -> Result<PostPage, RowError> {
    let mut page = PostPage::default();
    let (mut after, mut looked_at) = (from, 0);
    while page.posts.len() < limit as usize {
        if looked_at == LOOKED_AT_MOST {
            page.next = Some(PostId::from(after));
            break;
        }
        let at_once = limit.max(looked_at).min(LOOKED_AT_MOST - looked_at);
        let mut rows: Vec<Looked> = ask(after, at_once).all(db).await?;
        rows.sort_unstable_by(|one, other| order.compare(one.place, other.place));
        let is_all = rows.len() < at_once as usize;
        after = rows.last().map_or(after, |last| last.place.as_uuid());
        page.posts
            .extend(rows.into_iter().filter_map(|row| row.post));
        if is_all {
            break;
        }
        looked_at += at_once;
    }
    page.posts.truncate(limit as usize);
    Ok(page)
}
