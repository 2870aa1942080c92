//! The indexes: FTS5 tables on SQLite, `tsvector` columns on PostgreSQL. What differs between
//! the two stands here and in [`windows`](super::windows).
//!
//! An index gives the positions of what has some words, from high ones to low ones. A row keeps
//! its position for its life. Where the newest come first, new rows get positions above all
//! others and rows from before the index get them below; where the oldest come first, it is the
//! other way round.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::query::Expression;
use super::windows::{self, Walk};

/// Which index.
#[derive(Debug)]
pub(super) struct Index {
    /// Its name in `search_indexes`.
    pub(super) name: &'static str,
    /// Its table.
    pub(super) table: &'static str,
    /// The column that says what is found.
    pub(super) id: &'static str,
    /// On SQLite: the words.
    words: &'static str,
    /// What is new stands above what is old.
    newest_first: bool,
    /// From how many letters on the beginning of a word finds it.
    pub(super) shortest: usize,
}

/// Posts: the newest first.
pub(super) static POSTS: Index = Index {
    name: "posts",
    table: "search_posts",
    id: "post_id",
    words: "search_post_words",
    newest_first: true,
    shortest: 2,
};

/// People: who has been there longest first, since who pretends to be somebody comes later.
pub(super) static USERS: Index = Index {
    name: "users",
    table: "search_users",
    id: "user_id",
    words: "search_user_words",
    newest_first: false,
    shortest: 1,
};

/// Streams: likewise.
pub(super) static STREAMS: Index = Index {
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
        found.sort_unstable_by(|one, other| other.cmp(one));
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

/// Where a row comes from that an index does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Age {
    /// It was just made.
    New,
    /// It was there before the index.
    Old,
}

/// A transaction that writes to an index, and has locked it.
#[derive(Debug)]
pub(super) struct Writing {
    index: &'static Index,
    pub(super) transaction: Transaction,
    pub(super) state: State,
    engine: Engine,
    /// Of what this transaction writes.
    version: i64,
}

struct Present {
    position: i64,
    digest: i64,
}

impl FromRow for Present {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            position: row.get("position")?,
            digest: row.get("digest")?,
        })
    }
}

impl Writing {
    /// Begins one. Who comes second waits, and reads what the first has left.
    pub(super) async fn begin(db: &Database, index: &'static Index) -> Result<Self, RowError> {
        let mut transaction = db.write().await?;
        let state: State = query(
            "UPDATE search_indexes SET version = version WHERE name = $1
             RETURNING version, highest, lowest, caught_up_to, is_caught_up",
        )
        .bind(index.name)
        .one(&mut transaction)
        .await?;
        Ok(Self {
            index,
            transaction,
            state,
            engine: db.engine(),
            version: state.version + 1,
        })
    }

    /// Makes these the words of a row; without any, it is found by none.
    pub(super) async fn put(
        &mut self,
        id: Uuid,
        words: BTreeSet<String>,
        age: Age,
    ) -> Result<(), RowError> {
        let digest = digest(&words);
        let Index { table, id: key, .. } = self.index;
        let present: Option<Present> = query(AssertSqlSafe(format!(
            "SELECT position, digest FROM {table} WHERE {key} = $1"
        )))
        .bind(id)
        .optional(&mut self.transaction)
        .await?;
        match present {
            Some(present) if present.digest == digest => return Ok(()),
            Some(_) if words.is_empty() => return self.remove(id).await,
            Some(Present { position, .. }) => self.replace(id, position, digest, words).await?,
            None if words.is_empty() => return Ok(()),
            None => self.insert(id, digest, words, age).await?,
        }
        self.state.version = self.version;
        Ok(())
    }

    async fn insert(
        &mut self,
        id: Uuid,
        digest: i64,
        words: BTreeSet<String>,
        age: Age,
    ) -> Result<(), RowError> {
        let is_above = (age == Age::New) == self.index.newest_first;
        let position = match is_above {
            true => {
                self.state.highest += 1;
                self.state.highest
            }
            false => {
                self.state.lowest -= 1;
                self.state.lowest
            }
        };
        let Index { table, id: key, .. } = self.index;
        let (column, value) = match self.engine {
            Engine::Sqlite => ("", ""),
            Engine::Postgres => (", words", ", array_to_tsvector($5)"),
        };
        let insert = query(AssertSqlSafe(format!(
            "INSERT INTO {table} ({key}, position, digest, version{column})
             VALUES ($1, $2, $3, $4{value})"
        )))
        .bind(id)
        .bind(position)
        .bind(digest)
        .bind(self.version);
        match self.engine {
            Engine::Sqlite => {
                insert.execute(&mut self.transaction).await?;
                self.insert_words(position, words).await
            }
            Engine::Postgres => {
                let words = lexemes(position, words);
                insert.bind(words).execute(&mut self.transaction).await?;
                Ok(())
            }
        }
    }

    async fn replace(
        &mut self,
        id: Uuid,
        position: i64,
        digest: i64,
        words: BTreeSet<String>,
    ) -> Result<(), RowError> {
        let Index { table, id: key, .. } = self.index;
        let change = match self.engine {
            Engine::Sqlite => "",
            Engine::Postgres => ", words = array_to_tsvector($4)",
        };
        let update = query(AssertSqlSafe(format!(
            "UPDATE {table} SET digest = $2, version = $3{change} WHERE {key} = $1"
        )))
        .bind(id)
        .bind(digest)
        .bind(self.version);
        match self.engine {
            Engine::Sqlite => {
                update.execute(&mut self.transaction).await?;
                let text = format!("DELETE FROM {} WHERE rowid = $1", self.index.words);
                query(AssertSqlSafe(text))
                    .bind(position)
                    .execute(&mut self.transaction)
                    .await?;
                self.insert_words(position, words).await
            }
            Engine::Postgres => {
                let words = lexemes(position, words);
                update.bind(words).execute(&mut self.transaction).await?;
                Ok(())
            }
        }
    }

    async fn insert_words(
        &mut self,
        position: i64,
        words: BTreeSet<String>,
    ) -> Result<(), RowError> {
        let text = format!(
            "INSERT INTO {} (rowid, words) VALUES ($1, $2)",
            self.index.words
        );
        let words: Vec<String> = words.into_iter().collect();
        query(AssertSqlSafe(text))
            .bind(position)
            .bind(words.join(" "))
            .execute(&mut self.transaction)
            .await?;
        Ok(())
    }

    /// A row is found no more. Where its words are a table of their own, they go with it.
    pub(super) async fn remove(&mut self, id: Uuid) -> Result<(), RowError> {
        let Index { table, id: key, .. } = self.index;
        query(AssertSqlSafe(format!(
            "DELETE FROM {table} WHERE {key} = $1"
        )))
        .bind(id)
        .execute(&mut self.transaction)
        .await?;
        Ok(())
    }

    /// Writes how far the index is, and commits.
    pub(super) async fn commit(mut self) -> Result<(), RowError> {
        query(
            "UPDATE search_indexes
             SET version = $2, highest = $3, lowest = $4, caught_up_to = $5, is_caught_up = $6
             WHERE name = $1",
        )
        .bind(self.index.name)
        .bind(self.state.version)
        .bind(self.state.highest)
        .bind(self.state.lowest)
        .bind(self.state.caught_up_to)
        .bind(self.state.is_caught_up)
        .execute(&mut self.transaction)
        .await?;
        self.transaction.commit().await
    }
}

fn lexemes(position: i64, words: BTreeSet<String>) -> Vec<String> {
    words.into_iter().chain(windows::tokens(position)).collect()
}

/// What tells other words from these.
fn digest(words: &BTreeSet<String>) -> i64 {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}
