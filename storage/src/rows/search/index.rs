//! The indexes: FTS5 tables on SQLite, `tsvector` columns on PostgreSQL. What differs between
//! the two stands here, in [`writing`](super::writing) and in [`windows`](super::windows).
//!
//! An index gives the positions of what has some words, from high ones to low ones. A row keeps
//! its position for its life. Where the newest come first, new rows get positions above all
//! others and rows from before the index get them below; where the oldest come first, it is the
//! other way round.

use std::cmp::Reverse;

use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::{Database, RowError};
use super::query::Expression;
use super::windows::{self, Walk};

/// What an index finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Posts,
    Users,
    Streams,
}

/// Which index.
#[derive(Debug)]
pub(super) struct Index {
    /// What it finds.
    pub(super) kind: Kind,
    /// Its name in `search_indexes`, and the table whose rows it finds.
    pub(super) name: &'static str,
    /// Its table.
    pub(super) table: &'static str,
    /// The column that says what is found.
    pub(super) id: &'static str,
    /// On SQLite: the words.
    pub(super) words: &'static str,
    /// What is new stands above what is old.
    pub(super) newest_first: bool,
    /// From how many letters on the beginning of a word finds it.
    pub(super) shortest: usize,
}

/// Posts: the newest first.
pub(super) static POSTS: Index = Index {
    kind: Kind::Posts,
    name: "posts",
    table: "search_posts",
    id: "post_id",
    words: "search_post_words",
    newest_first: true,
    shortest: 2,
};

/// People: who has been there longest first, since who pretends to be somebody comes later.
pub(super) static USERS: Index = Index {
    kind: Kind::Users,
    name: "users",
    table: "search_users",
    id: "user_id",
    words: "search_user_words",
    newest_first: false,
    shortest: 1,
};

/// Streams: likewise.
pub(super) static STREAMS: Index = Index {
    kind: Kind::Streams,
    name: "streams",
    table: "search_streams",
    id: "stream_id",
    words: "search_stream_words",
    newest_first: false,
    shortest: 1,
};

/// All of them.
pub(super) static ALL: [&Index; 3] = [&POSTS, &USERS, &STREAMS];

/// How far an index is.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// Of the last transaction that changed it.
    pub(super) version: i64,
    /// The highest position that was given.
    pub(super) highest: i64,
    /// The lowest one.
    pub(super) lowest: i64,
    /// The last row from before the index that was read; `None`: none yet.
    pub(super) caught_up_to: Option<Uuid>,
    /// All of them were.
    pub(super) is_caught_up: bool,
}

impl FromRow for State {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            version: row.get("version")?,
            highest: row.get("highest")?,
            lowest: row.get("lowest")?,
            caught_up_to: row.get("caught_up_to")?,
            is_caught_up: row.get("is_caught_up")?,
        })
    }
}

/// How far the index is.
pub(super) async fn state(db: &Database, index: &Index) -> Result<State, RowError> {
    query(
        "SELECT version, highest, lowest, caught_up_to, is_caught_up
         FROM search_indexes WHERE name = $1",
    )
    .bind(index.name)
    .one(db)
    .await
}

/// Positions that an index has given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Matches {
    /// From high to low.
    pub(super) positions: Vec<i64>,
    /// What was not looked at is below; `None`: there is no more.
    pub(super) next: Option<i64>,
}

/// The highest positions below `before` of what `expression` says, about `limit` of them.
pub(super) async fn matches(
    db: &Database,
    index: &Index,
    expression: &Expression,
    before: i64,
    lowest: i64,
    limit: usize,
) -> Result<Matches, RowError> {
    match db.engine() {
        Engine::Sqlite => matches_in_order(db, index, expression, before, limit).await,
        Engine::Postgres => {
            let walk = Walk::new(before, lowest);
            matches_by_window(db, index, expression, walk, limit).await
        }
    }
}

/// FTS5 reads its lists from either end, and no further than it is asked to.
async fn matches_in_order(
    db: &Database,
    index: &Index,
    expression: &Expression,
    before: i64,
    limit: usize,
) -> Result<Matches, RowError> {
    let found: Vec<(i64,)> = query(AssertSqlSafe(in_order_text(index)))
        .bind(for_fts5(expression))
        .bind(before)
        .bind(limit as u64)
        .all(db)
        .await?;
    let positions: Vec<i64> = found.into_iter().map(|(position,)| position).collect();
    let is_full = positions.len() == limit;
    Ok(Matches {
        next: positions.last().copied().filter(|_| is_full),
        positions,
    })
}

pub(super) fn in_order_text(index: &Index) -> String {
    let words = index.words;
    format!(
        "SELECT rowid FROM {words} WHERE {words} MATCH $1 AND rowid < $2
         ORDER BY rowid DESC LIMIT $3"
    )
}

/// Windows that one call asks at most: what they have not given, the next call asks for.
const WINDOWS_AT_ONCE: usize = 32;

async fn matches_by_window(
    db: &Database,
    index: &Index,
    expression: &Expression,
    mut walk: Walk,
    limit: usize,
) -> Result<Matches, RowError> {
    // Whatever the planner guesses of how many rows have these words, only the index of words
    // bounds the work.
    let mut snapshot = db.snapshot().await?;
    query(BY_WORDS_ONLY).execute(&mut snapshot).await?;
    let text = by_window_text(index);
    let mut positions = Vec::new();
    for _ in 0..WINDOWS_AT_ONCE {
        let Some(step) = walk.next() else {
            return Ok(Matches {
                positions,
                next: None,
            });
        };
        let found: Vec<(i64,)> = query(AssertSqlSafe(text.clone()))
            .bind(for_tsquery(expression, step.token.as_deref()))
            .bind(step.before)
            .bind(windows::ROWS_AT_MOST as u64 + 1)
            .all(&mut snapshot)
            .await?;
        if found.len() > windows::ROWS_AT_MOST {
            walk.too_many(&step);
            continue;
        }
        let mut found: Vec<i64> = found.into_iter().map(|(position,)| position).collect();
        found.sort_unstable_by_key(|found| Reverse(*found));
        positions.extend(found);
        if positions.len() >= limit {
            break;
        }
        walk.seen(&step);
    }
    let is_full = positions.len() >= limit;
    positions.truncate(limit);
    let seen = walk.next().map(|step| step.before);
    Ok(Matches {
        next: if is_full {
            positions.last().copied()
        } else {
            seen
        },
        positions,
    })
}

/// Leaves the planner no other plan than an index of words, until the transaction ends.
pub(super) const BY_WORDS_ONLY: &str = "SELECT set_config('enable_seqscan', 'off', TRUE),
            set_config('enable_indexscan', 'off', TRUE),
            set_config('enable_indexonlyscan', 'off', TRUE)";

/// The sum keeps the index of positions out of it.
pub(super) fn by_window_text(index: &Index) -> String {
    format!(
        "SELECT position FROM {} WHERE words @@ CAST($1 AS TSQUERY) AND position + 0 < $2 LIMIT $3",
        index.table
    )
}

/// As FTS5 reads it. Words have no quotation marks, see [`words`](super::words).
pub(super) fn for_fts5(expression: &Expression) -> String {
    let quoted = |word: &String| format!("\"{word}\"");
    let all: Vec<String> = expression.all.iter().map(quoted).collect();
    let all = all.join(" AND ");
    match &expression.not {
        Some(not) => format!("({all}) NOT {}", quoted(not)),
        None => all,
    }
}

/// As PostgreSQL reads it.
pub(super) fn for_tsquery(expression: &Expression, window: Option<&str>) -> String {
    let quoted = |word: &str| format!("'{word}'");
    let words = expression.all.iter().map(String::as_str);
    let all: Vec<String> = words.chain(window).map(quoted).collect();
    let not = expression.not.as_deref().map(quoted);
    let not = not.map(|not| format!(" & !{not}")).unwrap_or_default();
    format!("{}{not}", all.join(" & "))
}
