//! Reading a table page by page, in the order of its primary key.

use std::ops::ControlFlow;

use super::plan::Pair;
use super::{CopyError, Limits, cells};
use crate::rows::catalogue::{Kind, quoted, quoted_list};
use crate::rows::sql::{AssertSqlSafe, Row, Value, query};
use crate::rows::{RowError, Transaction};

/// The values of a row, in the order of [`Pair::columns`].
pub(super) type Cells = Vec<Value>;

/// Which of the two databases is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Source,
    Target,
}

/// How many rows the next page asks for. What a page broke off at its limit of bytes is
/// sent by a server all the same, so pages of large rows become short, and grow again.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageSize {
    rows: usize,
    limits: Limits,
}

impl PageSize {
    pub(super) fn within(limits: Limits) -> Self {
        /// Before anything is known of the rows.
        const FIRST: usize = 16;
        Self {
            rows: FIRST,
            limits,
        }
    }

    /// A page had so many rows.
    fn learn(&mut self, rows: usize, was_broken_off: bool) {
        self.rows = match was_broken_off {
            true => rows.max(1),
            false => self.rows.saturating_mul(2),
        };
    }
}

impl Pair {
    /// The row's primary key.
    pub(super) fn key_of<'a>(&self, row: &'a Cells) -> Vec<&'a Value> {
        self.key
            .iter()
            .filter_map(|&place| row.get(place))
            .collect()
    }

    pub(super) fn key_names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.key
            .iter()
            .map(|&place| self.columns[place].name.as_str())
    }

    fn kind(&self, place: usize, side: Side) -> Kind {
        match side {
            Side::Source => self.columns[place].source,
            Side::Target => self.columns[place].target,
        }
    }

    /// The rows after `after`, at most as many as fit `size`, at least one. None: there
    /// are no more.
    pub(super) async fn page(
        &self,
        side: Side,
        on: &mut Transaction,
        after: Option<&[Value]>,
        size: &mut PageSize,
    ) -> Result<Vec<Cells>, CopyError> {
        let key = quoted_list(self.key_names());
        let condition = after.map_or_else(String::new, |after| {
            let placeholders: Vec<_> = (1..=after.len()).map(|n| format!("${n}")).collect();
            format!("WHERE ({key}) > ({})", placeholders.join(", "))
        });
        let text = format!(
            "SELECT {} FROM {} {condition} ORDER BY {key} LIMIT ${}",
            quoted_list(self.columns.iter().map(|column| column.name.as_str())),
            quoted(&self.name),
            after.map_or(0, <[Value]>::len) + 1,
        );
        let mut query = query(AssertSqlSafe(text));
        for value in after.unwrap_or_default() {
            query = query.bind(value.clone());
        }
        query = query.bind(self.rows_in_page(*size) as u64);
        let (mut rows, mut weight, mut unreadable) = (Vec::new(), 0, None);
        query
            .for_each(on, |row| {
                match self.read(side, &row) {
                    Ok(cells) => {
                        weight += cells.iter().map(cells::weight).sum::<usize>();
                        rows.push(cells);
                    }
                    Err(error) => unreadable = Some(error),
                }
                Ok(match unreadable.is_some() || weight >= size.limits.bytes {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })
            .await?;
        size.learn(rows.len(), weight >= size.limits.bytes);
        match unreadable {
            Some(error) => Err(error),
            None => Ok(rows),
        }
    }

    /// A statement has one placeholder for each value of a page.
    fn rows_in_page(&self, size: PageSize) -> usize {
        /// SQLite takes 32,766, PostgreSQL 65,535.
        const PLACEHOLDERS: usize = 30_000;
        let rows = size.rows.min(size.limits.rows);
        rows.min(PLACEHOLDERS / self.columns.len()).max(1)
    }

    fn read(&self, side: Side, row: &Row) -> Result<Cells, CopyError> {
        let read = |place: usize| {
            let (name, kind) = (&self.columns[place].name, self.kind(place, side));
            cells::read(row, name, kind)
        };
        let unreadable = |place: usize, error: RowError| {
            let key: Vec<_> = self
                .key
                .iter()
                .filter_map(|&place| read(place).ok())
                .collect();
            CopyError::Value {
                table: self.name.clone(),
                key: cells::shown(&key),
                column: self.columns[place].name.clone(),
                reason: error.to_string(),
            }
        };
        (0..self.columns.len())
            .map(|place| read(place).map_err(|error| unreadable(place, error)))
            .collect()
    }
}

/// One row after the other.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    pair: &'a Pair,
    side: Side,
    on: &'a mut Transaction,
    size: PageSize,
    page: std::vec::IntoIter<Cells>,
    after: Option<Cells>,
    ended: bool,
}

impl<'a> Rows<'a> {
    /// From the first on.
    pub(super) fn of(pair: &'a Pair, side: Side, on: &'a mut Transaction, limits: Limits) -> Self {
        Self {
            pair,
            side,
            on,
            size: PageSize::within(limits),
            page: Vec::new().into_iter(),
            after: None,
            ended: false,
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Cells>, CopyError> {
        if self.page.len() == 0 && !self.ended {
            let after = self.after.as_deref();
            let page = self
                .pair
                .page(self.side, self.on, after, &mut self.size)
                .await?;
            match page.last() {
                Some(last) => {
                    let key = self.pair.key_of(last);
                    self.after = Some(key.into_iter().cloned().collect());
                }
                None => self.ended = true,
            }
            self.page = page.into_iter();
        }
        Ok(self.page.next())
    }
}
