//! Writing to an index: one transaction at a time.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, Engine, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::documents::Document;
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
    id: Uuid,
    position: i64,
    digest: i64,
}

impl FromRow for Present {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
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

    /// Makes these the words of rows; what an index does not have comes into it in this order. A row
    /// without words is found by none.
    pub(super) async fn put(&mut self, documents: Vec<Document>, age: Age) -> Result<(), RowError> {
        let Index { table, id: key, .. } = self.index;
        let ids: Vec<Uuid> = documents.iter().map(|document| document.id).collect();
        let present: Vec<Present> = query(AssertSqlSafe(format!(
            "SELECT {key} AS id, position, digest FROM {table} WHERE {key} {}",
            self.engine.one_of("$1")
        )))
        .bind(ids)
        .all(&mut self.transaction)
        .await?;
        let mut new = Vec::new();
        for Document { id, words } in documents {
            let digest = digest(&words);
            match present.iter().find(|present| present.id == id) {
                Some(present) if present.digest == digest => continue,
                Some(_) if words.is_empty() => {
                    self.remove(id).await?;
                    continue;
                }
                Some(present) => self.replace(id, present.position, digest, words).await?,
                None if words.is_empty() => continue,
                None => new.push((id, digest, words)),
            }
            self.state.version = self.version;
        }
        match new.is_empty() {
            true => Ok(()),
            false => self.insert(new, age).await,
        }
    }

    async fn insert(
        &mut self,
        new: Vec<(Uuid, i64, BTreeSet<String>)>,
        age: Age,
    ) -> Result<(), RowError> {
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let (mut digests, mut texts) = (Vec::new(), Vec::new());
        for (id, digest, words) in new {
            let position = self.next_position(age);
            ids.push(id);
            positions.push(position);
            digests.push(digest);
            texts.push(match self.engine {
                Engine::Sqlite => joined(words),
                Engine::Postgres => joined(lexemes(position, words)),
            });
        }
        self.state.version = self.version;
        let Index { table, id: key, .. } = self.index;
        match self.engine {
            Engine::Sqlite => {
                query(AssertSqlSafe(format!(
                    "INSERT INTO {table} ({key}, position, digest, version)
                     SELECT n.value, json_extract($2, '$[' || n.key || ']'),
                            json_extract($3, '$[' || n.key || ']'), $4
                     FROM json_each($1) n"
                )))
                .bind(ids)
                .bind(positions.clone())
                .bind(digests)
                .bind(self.version)
                .execute(&mut self.transaction)
                .await?;
                self.insert_words(positions, texts).await
            }
            Engine::Postgres => {
                query(AssertSqlSafe(format!(
                    "INSERT INTO {table} ({key}, position, digest, version, words)
                     SELECT n.id, n.position, n.digest, $4,
                            array_to_tsvector(string_to_array(n.words, ' '))
                     FROM unnest($1, $2, $3, $5) AS n (id, position, digest, words)"
                )))
                .bind(ids)
                .bind(positions)
                .bind(digests)
                .bind(self.version)
                .bind(texts)
                .execute(&mut self.transaction)
                .await?;
                Ok(())
            }
        }
    }

    fn next_position(&mut self, age: Age) -> i64 {
        let is_above = (age == Age::New) == self.index.newest_first;
        match is_above {
            true => {
                self.state.highest += 1;
                self.state.highest
            }
            false => {
                self.state.lowest -= 1;
                self.state.lowest
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
                self.insert_words(vec![position], vec![joined(words)]).await
            }
            Engine::Postgres => {
                let words: Vec<String> = lexemes(position, words).collect();
                update.bind(words).execute(&mut self.transaction).await?;
                Ok(())
            }
        }
    }

    async fn insert_words(
        &mut self,
        positions: Vec<i64>,
        texts: Vec<String>,
    ) -> Result<(), RowError> {
        query(AssertSqlSafe(format!(
            "INSERT INTO {} (rowid, words)
             SELECT json_extract($1, '$[' || n.key || ']'), n.value FROM json_each($2) n",
            self.index.words
        )))
        .bind(positions)
        .bind(texts)
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

fn lexemes(position: i64, words: BTreeSet<String>) -> impl Iterator<Item = String> {
    words.into_iter().chain(windows::tokens(position))
}

/// No word has a space.
fn joined(words: impl IntoIterator<Item = String>) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word);
    }
    text
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
