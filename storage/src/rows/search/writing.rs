//! Writing to an index: one transaction at a time.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::index::{Index, State};
use super::windows;

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
        let state = lock(&mut transaction, index).await?;
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

/// Locks an index until the transaction ends. Whoever changes its rows, or deletes what they are
/// of, does this first: so nobody waits for a row of somebody who waits for one of theirs.
async fn lock(transaction: &mut Transaction, index: &Index) -> Result<State, RowError> {
    query(
        "UPDATE search_indexes SET version = version WHERE name = $1
         RETURNING version, highest, lowest, caught_up_to, is_caught_up",
    )
    .bind(index.name)
    .one(transaction)
    .await
}

/// These rows are found no more, from the end of the transaction on. Nobody waits for the index
/// when it has none of them: what it is just given has an event, which comes later.
pub(super) async fn forget(
    db: &Database,
    transaction: &mut Transaction,
    index: &Index,
    ids: Vec<Uuid>,
) -> Result<(), RowError> {
    let Index { table, id: key, .. } = index;
    let is_one = db.engine().one_of("$1");
    let is_there = query(AssertSqlSafe(format!(
        "SELECT 1 FROM {table} WHERE {key} {is_one} LIMIT 1"
    )))
    .bind(ids.clone())
    .exists(&mut *transaction)
    .await?;
    if !is_there {
        return Ok(());
    }
    lock(transaction, index).await?;
    query(AssertSqlSafe(format!(
        "DELETE FROM {table} WHERE {key} {is_one}"
    )))
    .bind(ids)
    .execute(transaction)
    .await?;
    Ok(())
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
