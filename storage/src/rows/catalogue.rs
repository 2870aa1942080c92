//! The tables of a database as its engine describes them: what a copy copies and a check
//! follows is what is there, not a list that somebody must keep.
//!
//! What search has made of other rows, each engine in its own form, is left out: it is made
//! again.

use std::collections::BTreeMap;

use super::sql::{Engine, FromRow, Row, query};
use super::{RowError, Transaction};

/// Kept by the tools, not by the model.
pub(super) const TABLES_OF_TOOLS: [&str; 2] = ["_sqlx_migrations", super::copy::MARKER];

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// In the table's own order.
    pub(super) columns: Vec<Column>,
    /// The names of the primary key's columns, in its order.
    pub(super) key: Vec<String>,
    pub(super) references: Vec<Reference>,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Whether the database numbers it.
    pub(super) is_numbered: bool,
}

/// What a column holds. SQLite has no type for ids: there they are [`Kind::Text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    BigInt,
    Boolean,
    Text,
    Blob,
    Uuid,
}

/// A foreign key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reference {
    pub(super) table: String,
    /// The column here and the one there.
    pub(super) columns: Vec<(String, String)>,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column that the database numbers.
    pub(super) fn numbered(&self) -> Option<&Column> {
        self.columns.iter().find(|column| column.is_numbered)
    }
}

/// A name as it stands in a query.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names as they stand in a query.
pub(super) fn quoted_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(quoted).collect();
    names.join(", ")
}

/// Every table of the model, by name.
pub(super) async fn tables(
    engine: Engine,
    transaction: &mut Transaction,
) -> Result<BTreeMap<String, Table>, RowError> {
    let (columns, references) = match engine {
        Engine::Sqlite => (SQLITE_COLUMNS, SQLITE_REFERENCES),
        Engine::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
    };
    let mut tables = BTreeMap::new();
    let mut keys: BTreeMap<(String, i64), String> = BTreeMap::new();
    for row in query(columns).all::<ColumnRow>(&mut *transaction).await? {
        if TABLES_OF_TOOLS.contains(&row.table.as_str()) {
            continue;
        }
        let kind = kind(&row)?;
        let table = tables.entry(row.table.clone()).or_insert_with(|| Table {
            name: row.table.clone(),
            columns: Vec::new(),
            key: Vec::new(),
            references: Vec::new(),
        });
        if row.place_in_key > 0 {
            keys.insert((row.table, row.place_in_key), row.name.clone());
        }
        table.columns.push(Column {
            name: row.name,
            kind,
            is_numbered: row.is_numbered,
        });
    }
    for ((table, _), column) in keys {
        if let Some(table) = tables.get_mut(&table) {
            table.key.push(column);
        }
    }
    let mut last = None;
    for row in query(references)
        .all::<ReferenceRow>(&mut *transaction)
        .await?
    {
        let Some(table) = tables.get_mut(&row.table) else {
            continue;
        };
        let this = Some((row.table, row.name));
        if last != this {
            table.references.push(Reference {
                table: row.other,
                columns: Vec::new(),
            });
            last = this;
        }
        if let Some(reference) = table.references.last_mut() {
            reference.columns.push((row.column, row.other_column));
        }
    }
    Ok(tables)
}

fn kind(row: &ColumnRow) -> Result<Kind, RowError> {
    match row.declared.to_ascii_lowercase().as_str() {
        "bigint" | "integer" => Ok(Kind::BigInt),
        "boolean" => Ok(Kind::Boolean),
        "text" => Ok(Kind::Text),
        "blob" | "bytea" => Ok(Kind::Blob),
        "uuid" => Ok(Kind::Uuid),
        _ => Err(RowError::UnknownType {
            table: row.table.clone(),
            column: row.name.clone(),
            declared: row.declared.clone(),
        }),
    }
}

/// By table, then in the table's order.
const SQLITE_COLUMNS: &str = r#"
    SELECT t.name AS table_name, c.name AS column_name, c.type AS declared,
           c.pk AS place_in_key,
           c.pk > 0 AND UPPER(t.sql) LIKE '% AUTOINCREMENT%' AS is_numbered
    FROM sqlite_schema t, pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
        AND t.name NOT LIKE 'search\_%' ESCAPE '\'
    ORDER BY t.name, c.cid"#;

const POSTGRES_COLUMNS: &str = r#"
    SELECT t.relname::TEXT AS table_name, c.attname::TEXT AS column_name,
           format_type(c.atttypid, c.atttypmod) AS declared,
           COALESCE((SELECT k.place
                     FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                     WHERE i.indrelid = t.oid AND i.indisprimary AND k.number = c.attnum),
                    0) AS place_in_key,
           c.attidentity <> '' AS is_numbered
    FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
    WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace
        AND c.attnum > 0 AND NOT c.attisdropped
        AND t.relname NOT LIKE 'search\_%' ESCAPE '\'
    ORDER BY t.relname, c.attnum"#;

/// By table and key, then in the key's order.
const SQLITE_REFERENCES: &str = r#"
    SELECT t.name AS table_name, f.id AS name, f."table" AS other_table,
           f."from" AS column_name, f."to" AS other_column
    FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
    WHERE t.type = 'table'
    ORDER BY t.name, f.id, f.seq"#;

const POSTGRES_REFERENCES: &str = r#"
    SELECT t.relname::TEXT AS table_name, f.oid::BIGINT AS name,
           o.relname::TEXT AS other_table,
           c.attname::TEXT AS column_name, oc.attname::TEXT AS other_column
    FROM pg_constraint f
    JOIN pg_class t ON t.oid = f.conrelid
    JOIN pg_class o ON o.oid = f.confrelid
    CROSS JOIN LATERAL unnest(f.conkey, f.confkey) WITH ORDINALITY AS k (here, there, place)
    JOIN pg_attribute c ON c.attrelid = f.conrelid AND c.attnum = k.here
    JOIN pg_attribute oc ON oc.attrelid = f.confrelid AND oc.attnum = k.there
    WHERE f.contype = 'f' AND f.connamespace = current_schema()::regnamespace
    ORDER BY t.relname, f.oid, k.place"#;

struct ColumnRow {
    table: String,
    name: String,
    declared: String,
    /// From 1; 0 is none.
    place_in_key: i64,
    is_numbered: bool,
}

impl FromRow for ColumnRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            table: row.get("table_name")?,
            name: row.get("column_name")?,
            declared: row.get("declared")?,
            place_in_key: row.get("place_in_key")?,
            is_numbered: row.get("is_numbered")?,
        })
    }
}

struct ReferenceRow {
    table: String,
    /// What tells one foreign key of the table from another.
    name: i64,
    other: String,
    column: String,
    other_column: String,
}

impl FromRow for ReferenceRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            table: row.get("table_name")?,
            name: row.get("name")?,
            other: row.get("other_table")?,
            column: row.get("column_name")?,
            other_column: row.get("other_column")?,
        })
    }
}
