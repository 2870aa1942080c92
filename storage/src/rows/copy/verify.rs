//! Whether source and target are the same.

use std::cmp::Ordering;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::pages::{Cells, Rows, Side};
use super::plan::Pair;
use super::{CopyError, Limits, cells};
use crate::rows::Transaction;

/// What a table holds, in short: how many rows, and the SHA-256 of their values in the
/// order of the primary key. The same on both engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableDigest {
    /// How many rows.
    pub rows: u64,
    /// Of the values.
    pub sha256: [u8; 32],
}

impl fmt::Display for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, sha256 ", self.rows)?;
        self.sha256
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest that both sides have, or how they differ.
pub(super) async fn verify(
    pair: &Pair,
    source: &mut Transaction,
    target: &mut Transaction,
    limits: Limits,
) -> Result<TableDigest, CopyError> {
    let (one, other) = tokio::try_join!(
        digest(Rows::of(pair, Side::Source, source, limits)),
        digest(Rows::of(pair, Side::Target, target, limits)),
    )?;
    if one == other {
        return Ok(one);
    }
    let counts = format!(
        "{} rows in the source, {} in the target",
        one.rows, other.rows
    );
    let first = first_difference(
        pair,
        Rows::of(pair, Side::Source, source, limits),
        Rows::of(pair, Side::Target, target, limits),
    );
    Err(CopyError::Differs {
        table: pair.name.clone(),
        difference: match first.await? {
            Some(first) => format!("{first} ({counts})"),
            None => counts,
        },
    })
}

pub(super) async fn digest(mut rows: Rows<'_>) -> Result<TableDigest, CopyError> {
    let (mut count, mut hash) = (0, Sha256::new());
    while let Some(row) = rows.next().await? {
        count += 1;
        row.iter().for_each(|value| cells::hash(value, &mut hash));
    }
    Ok(TableDigest {
        rows: count,
        sha256: hash.finalize().into(),
    })
}

async fn first_difference(
    pair: &Pair,
    mut source: Rows<'_>,
    mut target: Rows<'_>,
) -> Result<Option<String>, CopyError> {
    let only = |row: &Cells, place: &str| {
        let key = cells::shown(pair.key_of(row));
        Ok(Some(format!("{key} is only in the {place}")))
    };
    loop {
        let (one, other) = match (source.next().await?, target.next().await?) {
            (None, None) => return Ok(None),
            (Some(row), None) => return only(&row, "source"),
            (None, Some(row)) => return only(&row, "target"),
            (Some(one), Some(other)) => (one, other),
        };
        let (key, other_key) = (pair.key_of(&one), pair.key_of(&other));
        let order = key.iter().zip(&other_key);
        let order = order.map(|(one, other)| cells::compare(one, other));
        match order.fold(Ordering::Equal, Ordering::then) {
            Ordering::Less => return only(&one, "source"),
            Ordering::Greater => return only(&other, "target"),
            Ordering::Equal => {}
        }
        let mut columns = pair.columns.iter().zip(one.iter().zip(&other));
        let differs = columns.find(|(_, (one, other))| cells::compare(one, other).is_ne());
        if let Some((column, _)) = differs {
            let key = cells::shown(key);
            return Ok(Some(format!("{} of {key} is another", column.name)));
        }
    }
}
