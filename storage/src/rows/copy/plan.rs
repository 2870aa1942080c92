//! What is copied, and in which order.

use std::collections::BTreeMap;

use super::CopyError;
use crate::rows::catalogue::{Kind, Table};

/// A table as both databases have it. Columns are in the source's order.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) columns: Vec<PairedColumn>,
    /// The places of the primary key's columns in `columns`.
    pub(super) key: Vec<usize>,
    /// The places of the columns that refer to this table's own key.
    pub(super) own_references: Vec<usize>,
    /// The column that the database numbers.
    pub(super) numbered: Option<String>,
}

#[derive(Debug)]
pub(super) struct PairedColumn {
    pub(super) name: String,
    pub(super) source: Kind,
    pub(super) target: Kind,
}

/// The tables of both, each after those that it refers to.
pub(super) fn plan(
    source: &BTreeMap<String, Table>,
    target: &BTreeMap<String, Table>,
) -> Result<Vec<Pair>, CopyError> {
    if let Some(name) = target.keys().find(|name| !source.contains_key(*name)) {
        return Err(CopyError::Schema(format!("the source has no {name}")));
    }
    let mut pairs = Vec::with_capacity(source.len());
    for table in ordered(source)? {
        let other = target
            .get(&table.name)
            .ok_or_else(|| CopyError::Schema(format!("the target has no {}", table.name)))?;
        pairs.push(pair(table, other)?);
    }
    Ok(pairs)
}

/// Each table after those that it refers to.
fn ordered(tables: &BTreeMap<String, Table>) -> Result<Vec<&Table>, CopyError> {
    let mut ordered: Vec<&Table> = Vec::with_capacity(tables.len());
    let mut left: Vec<&Table> = tables.values().collect();
    while !left.is_empty() {
        let done = |name: &str| ordered.iter().any(|table| table.name == name);
        let (ready, waiting): (Vec<_>, Vec<_>) = left.into_iter().partition(|table| {
            let mut references = table.references.iter();
            references.all(|other| other.table == table.name || done(&other.table))
        });
        if ready.is_empty() {
            let names: Vec<_> = waiting.iter().map(|table| table.name.as_str()).collect();
            let names = names.join(", ");
            return Err(CopyError::Schema(format!(
                "in a circle of references: {names}"
            )));
        }
        ordered.extend(ready);
        left = waiting;
    }
    Ok(ordered)
}

fn pair(source: &Table, target: &Table) -> Result<Pair, CopyError> {
    let name = &source.name;
    let differ = |what: String| CopyError::Schema(format!("{name}, {what}"));
    if source.key != target.key || source.key.is_empty() {
        return Err(differ("the primary key".to_owned()));
    }
    if source.columns.len() != target.columns.len() {
        return Err(differ("the number of columns".to_owned()));
    }
    let mut columns = Vec::with_capacity(source.columns.len());
    for column in &source.columns {
        let other = target.column(&column.name);
        let other = other.ok_or_else(|| differ(format!("column {}", column.name)))?;
        if !is_convertible(column.kind, other.kind) {
            return Err(differ(format!("type of column {}", column.name)));
        }
        columns.push(PairedColumn {
            name: column.name.clone(),
            source: column.kind,
            target: other.kind,
        });
    }
    let place = |wanted: &String| columns.iter().position(|column| column.name == *wanted);
    let key: Vec<usize> = source.key.iter().filter_map(place).collect();
    let mut own_references = Vec::new();
    for reference in source.references.iter().filter(|r| r.table == *name) {
        match &reference.columns[..] {
            [(here, there)] if source.key == [there.clone()] => own_references.extend(place(here)),
            _ => {
                return Err(differ(
                    "a reference to itself by several columns".to_owned(),
                ));
            }
        }
    }
    // They are looked up in lists.
    let is_text = |&place: &usize| matches!(columns[place].target, Kind::Text | Kind::Uuid);
    if !own_references.is_empty() && !key.iter().all(is_text) {
        return Err(differ("a reference to itself that is no text".to_owned()));
    }
    Ok(Pair {
        name: name.clone(),
        key,
        own_references,
        numbered: target.numbered().map(|column| column.name.clone()),
        columns,
    })
}

fn is_convertible(source: Kind, target: Kind) -> bool {
    source == target
        || matches!(
            (source, target),
            (Kind::Text, Kind::Uuid) | (Kind::Uuid, Kind::Text)
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::catalogue::{Column, Reference};

    fn table(name: &str, references: &[&str]) -> Table {
        let columns = std::iter::once("id").chain(references.iter().copied());
        Table {
            name: name.to_owned(),
            columns: columns
                .map(|name| Column {
                    name: name.to_owned(),
                    kind: Kind::Text,
                    is_numbered: false,
                })
                .collect(),
            key: vec!["id".to_owned()],
            references: references
                .iter()
                .map(|other| Reference {
                    table: (*other).to_owned(),
                    columns: vec![((*other).to_owned(), "id".to_owned())],
                })
                .collect(),
        }
    }

    fn tables(all: &[(&str, &[&str])]) -> BTreeMap<String, Table> {
        let all = all.iter();
        all.map(|(name, references)| ((*name).to_owned(), table(name, references)))
            .collect()
    }

    #[test]
    fn what_is_referred_to_goes_first() {
        let tables = tables(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &["c"]), ("d", &[])]);
        let plan = plan(&tables, &tables).unwrap();
        let names: Vec<_> = plan.iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(names, ["c", "d", "b", "a"]);
        assert_eq!(plan[0].own_references, [1]);
        assert!(plan[3].own_references.is_empty());
    }

    #[test]
    fn what_differs_is_named() {
        let one = tables(&[("a", &[]), ("b", &["a"])]);
        for (other, said) in [
            (tables(&[("a", &[])]), "the target has no b"),
            (
                tables(&[("a", &[]), ("b", &["a"]), ("c", &[])]),
                "the source has no c",
            ),
            (
                tables(&[("a", &[]), ("b", &[])]),
                "b, the number of columns",
            ),
            (
                tables(&[("a", &["b"]), ("b", &["a"])]),
                "a, the number of columns",
            ),
        ] {
            let error = plan(&one, &other).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let circle = tables(&[("a", &["b"]), ("b", &["a"])]);
        let error = plan(&circle, &circle).unwrap_err().to_string();
        assert!(error.contains("circle of references: a, b"), "{error}");
    }
}
