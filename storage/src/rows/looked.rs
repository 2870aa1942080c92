//! Pages of lists of which a reader may be shown little: what somebody writes whom they block, who
//! follows somebody and is suspended.
//!
//! A page would read on through all that is hidden. So it looks at [`LOOKED_AT_MOST`] rows, whether
//! they are shown or not; where too few of them are, it is short, and says where the next goes on.

use std::cmp::Ordering;

use media::{NotificationId, PostId, SessionId, Timestamp, UserId};
use uuid::Uuid;

use super::sql::{FromRow, Query, Row};
use super::{Database, RowError};

/// Rows that one page looks at, at most.
pub const LOOKED_AT_MOST: u32 = 1_000;

/// A page of rows `R`, which are at places `P` of their list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<R, P> {
    /// Those that are shown, in the order of the list.
    pub rows: Vec<R>,
    /// The last place that was looked at, of a page that is not full, though there are more: among
    /// [`LOOKED_AT_MOST`] were too few for the reader. The next page goes on after it.
    pub next: Option<P>,
}

impl<R, P> Default for Page<R, P> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            next: None,
        }
    }
}

/// The order of a list's places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::rows) enum Order {
    OldestFirst,
    NewestFirst,
}

impl Order {
    /// What comes before every id.
    pub(in crate::rows) fn begin(self) -> Uuid {
        match self {
            Self::OldestFirst => Uuid::nil(),
            Self::NewestFirst => Uuid::max(),
        }
    }

    fn compare<P: Ord>(self, one: &P, other: &P) -> Ordering {
        match self {
            Self::OldestFirst => one.cmp(other),
            Self::NewestFirst => other.cmp(one),
        }
    }
}

/// What a list is in the order of.
pub(in crate::rows) trait Place: Copy + Ord {
    /// Reads it of a row that was looked at.
    fn of(row: &Row) -> Result<Self, RowError>;
}

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl Place for $id {
            fn of(row: &Row) -> Result<Self, RowError> {
                row.get("place")
            }
        }
    )+};
}

ids!(NotificationId, PostId, SessionId, UserId);

/// A message of a chat, in the order in which they were said.
impl Place for u64 {
    fn of(row: &Row) -> Result<Self, RowError> {
        row.get("place")
    }
}

/// The same in the order of media time.
impl Place for (Timestamp, u64) {
    fn of(row: &Row) -> Result<Self, RowError> {
        Ok((row.get("media_at")?, row.get("place")?))
    }
}

/// The text of a page: `$source` gives places, whoever may see what is there, `$order` and `$limit`
/// bound it, and the `$columns` of `$table` come with those of which they are shown.
macro_rules! looked_at {
    ($source:expr; $columns:expr, $table:literal, $($shown:expr),+; $order:literal, $limit:literal) => {
        concat!(
            "SELECT c.*, ",
            $columns,
            " FROM (SELECT ",
            $source,
            " ORDER BY ",
            $order,
            " LIMIT ",
            $limit,
            ") AS c
              LEFT JOIN ",
            $table,
            " ON ",
            $($shown),+
        )
    };
}

/// The same of posts `p`, which the viewer may see. A place is a post.
macro_rules! posts_looked_at {
    ($source:expr; $($shown:expr),+; $order:literal, $limit:literal) => {
        $crate::rows::looked::looked_at!(
            $source;
            $crate::rows::posts::post_columns!(p), "posts p",
            "p.id = c.place AND ", $($shown),+, " AND ", $crate::rows::posts::visible!();
            $order, $limit
        )
    };
}

/// The same of people `u`. `place` is who it is.
macro_rules! people_looked_at {
    ($source:expr; $($shown:expr),+; $order:literal, $limit:literal) => {
        $crate::rows::looked::looked_at!(
            $source;
            $crate::rows::users::user_columns!(u), "users u",
            "u.id = c.place AND ", $($shown),+;
            $order, $limit
        )
    };
}

pub(in crate::rows) use {looked_at, people_looked_at, posts_looked_at};

/// A row that was looked at.
struct Looked<R, P> {
    place: P,
    /// `None`: it is not shown.
    row: Option<R>,
}

impl<R: FromRow, P: Place> FromRow for Looked<R, P> {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let shown: Option<Uuid> = row.get("id")?;
        Ok(Self {
            place: P::of(row)?,
            row: shown.map(|_| R::from_row(row)).transpose()?,
        })
    }
}

/// A page of `limit` rows after `after`. `ask` gives the query for the next so many after a place,
/// whose text is [`looked_at!`].
///
/// First a quarter more is read than the page has, so that a few that are hidden take no second
/// read; while something is missing, as much again as was read so far.
pub(in crate::rows) async fn page<R: FromRow, P: Place>(
    db: &Database,
    order: Order,
    mut after: Option<P>,
    limit: u32,
    ask: impl Fn(Option<P>, u32) -> Query,
) -> Result<Page<R, P>, RowError> {
    let (mut page, mut looked_at) = (Page::default(), 0);
    while page.rows.len() < limit as usize {
        if looked_at == LOOKED_AT_MOST {
            page.next = after;
            break;
        }
        let at_once = limit
            .saturating_add(limit / 4)
            .max(looked_at)
            .min(LOOKED_AT_MOST - looked_at);
        let mut rows: Vec<Looked<R, P>> = ask(after, at_once).all(db).await?;
        rows.sort_unstable_by(|one, other| order.compare(&one.place, &other.place));
        let is_all = rows.len() < at_once as usize;
        after = rows.last().map(|last| last.place).or(after);
        page.rows.extend(rows.into_iter().filter_map(|row| row.row));
        if is_all {
            break;
        }
        looked_at += at_once;
    }
    page.rows.truncate(limit as usize);
    Ok(page)
}
