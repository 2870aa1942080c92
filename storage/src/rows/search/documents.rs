//! What is indexed of a row.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::super::{Database, RowError, Transaction};
use super::index::{Index, Kind};
use super::words;

/// A row, by the words that find it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Document {
    pub(super) id: Uuid,
    pub(super) words: BTreeSet<String>,
}

/// Two columns of a row that have its words.
struct Texts {
    id: Uuid,
    one: String,
    other: String,
}

impl FromRow for Texts {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            one: row.get("one")?,
            other: row.get("other")?,
        })
    }
}

/// What of a table can be found, as it is now. Suspended accounts are indexed and left out of
/// pages, so that what comes back need not be indexed again.
fn select(index: &Index) -> &'static str {
    match index.kind {
        Kind::Posts => {
            "SELECT p.id, p.body AS one, '' AS other FROM posts p
             WHERE p.deleted_at IS NULL AND p.share_of_id IS NULL AND p.id "
        }
        Kind::Streams => {
            "SELECT s.id, s.name || ' ' || s.title AS one, u.name AS other
             FROM streams s JOIN users u ON u.id = s.owner_id
             WHERE u.deleted_at IS NULL AND s.deleted_at IS NULL AND s.id "
        }
        Kind::Users => {
            "SELECT u.id, u.name AS one, u.display_name AS other FROM users u
             WHERE u.deleted_at IS NULL AND u.id "
        }
    }
}

/// Those of these rows that can be found.
pub(super) async fn load(
    db: &Database,
    transaction: &mut Transaction,
    index: &Index,
    ids: &[Uuid],
) -> Result<Vec<Document>, RowError> {
    let text = format!("{}{}", select(index), db.engine().one_of("$1"));
    let rows: Vec<Texts> = query(AssertSqlSafe(text))
        .bind(ids.to_vec())
        .all(transaction)
        .await?;
    let document = |row: Texts| {
        let mut found = BTreeSet::new();
        words::index(&row.one, index.shortest, &mut found);
        match index.kind {
            Kind::Posts => {}
            Kind::Users => {
                words::index_tag(&format!("@{}", row.one), index.shortest, &mut found);
                words::index(&row.other, index.shortest, &mut found);
            }
            // Whose it is finds a stream, as a mention.
            Kind::Streams => {
                words::index_tag(&format!("@{}", row.other), index.shortest, &mut found);
            }
        }
        Document {
            id: row.id,
            words: found,
        }
    };
    Ok(rows.into_iter().map(document).collect())
}

/// The ids of rows that may be found, those before `before`, the newest first.
pub(super) async fn older(
    transaction: &mut Transaction,
    index: &Index,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Uuid>, RowError> {
    let text = format!(
        "SELECT id FROM {} WHERE id < $1 ORDER BY id DESC LIMIT $2",
        index.name
    );
    let ids: Vec<(Uuid,)> = query(AssertSqlSafe(text))
        .bind(before.unwrap_or(Uuid::max()))
        .bind(limit)
        .all(transaction)
        .await?;
    Ok(ids.into_iter().map(|(id,)| id).collect())
}
