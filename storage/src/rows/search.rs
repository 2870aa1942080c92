//! Search: posts, people and streams by the words in them.
//!
//! An index of each is kept by a consumer of the outbox, see [`run`]; it has the words that this
//! module makes of texts, the same on both engines. What people type is read as a
//! [`SearchQuery`]: all words must be there, and the last may be the beginning of one.
//!
//! **The order is total and stands still.** What is found has a rank (the words themselves,
//! before what only begins like them), and within a rank a position, which a row keeps for its
//! life. The engines' own scores are not used: they differ, and change with every other row. A
//! [`Cursor`] names rank, position and the version of the index that the first page was made of.
//! What was written since, or edited since, is left out of the pages that follow: so nothing
//! comes twice, and nothing that stays as it is is passed over.
//!
//! **The work does not grow with how common a word is**: an index is read from where a page
//! begins, and no further than the page is long. A page may be short, and its cursor goes on.

mod documents;
mod index;
mod indexer;
mod pages;
#[cfg(test)]
mod plans;
mod query;
mod windows;
mod words;
mod writing;

use media::{PostId, StreamId, UserId};
use uuid::Uuid;

use super::sql::query;
use super::{Database, RowError, Transaction};

pub use indexer::{CONSUMER, Indexer, ROWS_AT_ONCE, catch_up, run};
pub use pages::{posts, streams, users};
pub use query::{InvalidSearch, QUERY_CHARACTERS_AT_MOST, QUERY_WORDS_AT_MOST, SearchQuery};

pub(super) use indexer::begin_again;

/// These posts are found no more, from the end of the transaction on.
pub(super) async fn forget_posts(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
) -> Result<(), RowError> {
    let ids = posts.iter().map(|post| post.as_uuid()).collect();
    writing::forget(db, transaction, &index::POSTS, ids).await
}

/// The account is found no more, and none of its streams.
pub(super) async fn forget_account(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
) -> Result<(), RowError> {
    writing::forget(db, transaction, &index::USERS, vec![user.as_uuid()]).await?;
    let streams: Vec<(Uuid,)> = query(
        "SELECT i.stream_id FROM streams s JOIN search_streams i ON i.stream_id = s.id
         WHERE s.owner_id = $1",
    )
    .bind(user)
    .all(&mut *transaction)
    .await?;
    let ids = streams.into_iter().map(|(stream,)| stream).collect();
    writing::forget(db, transaction, &index::STREAMS, ids).await
}

/// The stream is found no more, from the end of the transaction on.
pub(super) async fn forget_stream(
    db: &Database,
    transaction: &mut Transaction,
    stream: StreamId,
) -> Result<(), RowError> {
    writing::forget(db, transaction, &index::STREAMS, vec![stream.as_uuid()]).await
}

/// A page of what is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<T> {
    /// What was found, best first, each with its place: a page after it goes on there.
    pub items: Vec<(Cursor, T)>,
    /// Where the next page goes on, which may be empty; `None`: there is no more.
    pub next: Option<Cursor>,
}

/// A place in what is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// How well what came last fits, from 0: the best.
    pub rank: u8,
    /// Its position: only lower ones follow.
    pub before: i64,
    /// Of the index, when the first page was made.
    pub version: i64,
}
