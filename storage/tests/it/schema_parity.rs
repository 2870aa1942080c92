//! Both engines have the same schema, as their own catalogues describe it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Connection, PgConnection, PgPool, Row};

use crate::fixtures::TestDatabase;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Table {
    columns: Vec<Column>,
    primary_key: Vec<String>,
    references: BTreeSet<Reference>,
    indexes: BTreeSet<Index>,
    /// As PostgreSQL writes them.
    checks: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Column {
    name: String,
    /// As on PostgreSQL.
    declared: &'static str,
    is_nullable: bool,
    is_numbered: bool,
    default: Option<String>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Reference {
    columns: Vec<String>,
    table: String,
    other_columns: Vec<String>,
    on_delete: String,
    on_update: String,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Index {
    /// None for a `UNIQUE` in the table's definition: engines name those themselves.
    name: Option<String>,
    columns: Vec<String>,
    is_unique: bool,
    /// As PostgreSQL writes it; empty: it has none.
    condition: String,
}

type Schema = BTreeMap<String, Table>;

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let (sqlite, postgres) = (TestDatabase::new().await, TestDatabase::on_postgres().await);
    let (sqlite, postgres) = (
        as_postgres_reads_it(of_sqlite(&sqlite.url).await, &postgres.url).await,
        of_postgres(&postgres.url).await,
    );
    assert_eq!(
        sqlite.keys().collect::<Vec<_>>(),
        postgres.keys().collect::<Vec<_>>()
    );
    assert!(sqlite.len() > 20, "{:?}", sqlite.keys());
    for (name, table) in &postgres {
        let mut other = sqlite[name].clone();
        for (column, other) in table.columns.iter().zip(&mut other.columns) {
            // SQLite has no type for ids.
            if (column.declared, other.declared) == ("uuid", "text") {
                assert!(
                    column.name == "id" || column.name.ends_with("_id"),
                    "{name}.{}",
                    column.name
                );
                other.declared = "uuid";
            }
            assert_eq!(*other, *column, "{name}");
        }
        assert_eq!(other, *table, "{name}");
    }
}

#[tokio::test]
async fn text_is_in_the_order_of_its_bytes() {
    let test = TestDatabase::on_postgres().await;
    let pool = PgPool::connect(&test.url).await.unwrap();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name || '.' || column_name, COALESCE(collation_name, 'the default')
         FROM information_schema.columns
         WHERE table_schema = current_schema() AND data_type = 'text'
             AND table_name <> '_sqlx_migrations'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert!(columns.len() > 30);
    for (column, collation) in columns {
        assert_eq!(collation, "C", "{column}");
    }
    pool.close().await;
}

/// Every type that a column may have. `INTEGER` has 32 bits on PostgreSQL, and is how
/// SQLite spells a column that it numbers itself.
fn declared(of: &str, is_numbered: bool) -> &'static str {
    match (of.to_ascii_lowercase().as_str(), is_numbered) {
        ("integer", true) | ("bigint", _) => "bigint",
        ("boolean", _) => "boolean",
        ("text", _) => "text",
        ("blob" | "bytea", _) => "bytea",
        ("uuid", _) => "uuid",
        (other, _) => panic!("no column may be {other}"),
    }
}

fn default(text: Option<String>) -> Option<String> {
    let text = text?.to_ascii_lowercase();
    Some(text.split("::").next().unwrap_or_default().to_owned())
}

/// What stands in parentheses after each `CHECK`.
fn checks(mut table: &str) -> BTreeSet<String> {
    let mut checks = BTreeSet::new();
    while let Some((_, rest)) = table.split_once("CHECK (") {
        let mut depth = 1;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let end = end.expect("the parenthesis is closed");
        checks.insert(rest[..end].to_owned());
        table = &rest[end..];
    }
    checks
}

/// PostgreSQL keeps what an expression means, and writes it in its own way: the
/// expressions of SQLite, written like that.
async fn as_postgres_reads_it(schema: Schema, url: &str) -> Schema {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let mut read = Schema::new();
    for (name, mut table) in schema {
        let scratch = format!("CREATE TEMP TABLE scratch (LIKE \"{name}\")");
        run(&mut connection, scratch).await;
        for check in std::mem::take(&mut table.checks) {
            let add = format!("ALTER TABLE scratch ADD CONSTRAINT one CHECK ({check})");
            run(&mut connection, add).await;
            let text = "SELECT pg_get_constraintdef(oid) FROM pg_constraint
                        WHERE conname = 'one' AND conrelid = 'scratch'::regclass";
            let check = sqlx::query_scalar(text).fetch_one(&mut connection).await;
            table.checks.insert(check.unwrap());
            let drop = "ALTER TABLE scratch DROP CONSTRAINT one".to_owned();
            run(&mut connection, drop).await;
        }
        let mut indexes = BTreeSet::new();
        for mut index in table.indexes {
            if !index.condition.is_empty() {
                let (column, condition) = (&table.columns[0].name, &index.condition);
                let add = format!("CREATE INDEX one ON scratch (\"{column}\") WHERE {condition}");
                run(&mut connection, add).await;
                let text = "SELECT pg_get_expr(indpred, indrelid) FROM pg_index
                            WHERE indexrelid = 'one'::regclass";
                let condition = sqlx::query_scalar(text).fetch_one(&mut connection).await;
                index.condition = condition.unwrap();
                run(&mut connection, "DROP INDEX one".to_owned()).await;
            }
            indexes.insert(index);
        }
        table.indexes = indexes;
        run(&mut connection, "DROP TABLE scratch".to_owned()).await;
        read.insert(name, table);
    }
    connection.close().await.unwrap();
    read
}

async fn run(connection: &mut PgConnection, statement: String) {
    let text = sqlx::AssertSqlSafe(statement.clone());
    let done = sqlx::query(text).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn of_sqlite(url: &str) -> Schema {
    let options: SqliteConnectOptions = url.parse().unwrap();
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let all = async |text: &'static str, name: &str| {
        sqlx::query(text)
            .bind(name.to_owned())
            .fetch_all(&pool)
            .await
            .unwrap()
    };
    let mut schema = Schema::new();
    let tables = all(
        r"SELECT name, sql FROM sqlite_schema
          WHERE type = 'table' AND name NOT IN ($1, 'sqlite_sequence')
              AND name NOT LIKE 'search\_%' ESCAPE '\'",
        "_sqlx_migrations",
    )
    .await;
    for table in tables {
        let (name, sql): (String, String) = (table.get("name"), table.get("sql"));
        let mut this = Table {
            checks: checks(&sql),
            ..Table::default()
        };
        let mut key = BTreeMap::new();
        for row in all("SELECT * FROM pragma_table_info($1)", &name).await {
            let place = row.get::<i64, _>("pk");
            let is_numbered = place > 0 && sql.contains(" AUTOINCREMENT");
            this.columns.push(Column {
                name: row.get("name"),
                declared: declared(row.get("type"), is_numbered),
                is_nullable: row.get::<i64, _>("notnull") == 0 && place == 0,
                is_numbered,
                default: default(row.get("dflt_value")),
            });
            if place > 0 {
                key.insert(place, row.get("name"));
            }
        }
        this.primary_key = key.into_values().collect();
        let mut references: BTreeMap<i64, Reference> = BTreeMap::new();
        for row in all(
            "SELECT * FROM pragma_foreign_key_list($1) ORDER BY id, seq",
            &name,
        )
        .await
        {
            let reference = references
                .entry(row.get("id"))
                .or_insert_with(|| Reference {
                    columns: Vec::new(),
                    table: row.get("table"),
                    other_columns: Vec::new(),
                    on_delete: row.get("on_delete"),
                    on_update: row.get("on_update"),
                });
            reference.columns.push(row.get("from"));
            reference.other_columns.push(row.get("to"));
        }
        this.references = references.into_values().collect();
        for row in all(
            "SELECT * FROM pragma_index_list($1) WHERE origin <> 'pk'",
            &name,
        )
        .await
        {
            let index: String = row.get("name");
            let text = all(
                "SELECT COALESCE(sql, '') AS sql FROM sqlite_schema WHERE name = $1",
                &index,
            );
            let text: String = text.await[0].get("sql");
            let (text, condition) = text.split_once("WHERE").unwrap_or((&text, ""));
            let parts = all(
                "SELECT * FROM pragma_index_xinfo($1) WHERE key = 1 ORDER BY seqno",
                &index,
            );
            let parts = parts.await;
            let columns = parts.iter().map(|part| {
                let name: Option<String> = part.get("name");
                // An expression stands in the text only.
                let expression =
                    || text[text.find('(').unwrap() + 1..text.rfind(')').unwrap()].to_owned();
                assert_eq!(part.get::<i64, _>("desc"), 0, "{index}");
                name.unwrap_or_else(expression)
            });
            this.indexes.insert(Index {
                columns: columns.collect(),
                name: (row.get::<String, _>("origin") == "c").then_some(index),
                is_unique: row.get::<i64, _>("unique") == 1,
                condition: condition.trim().to_owned(),
            });
        }
        schema.insert(name, this);
    }
    pool.close().await;
    schema
}

async fn of_postgres(url: &str) -> Schema {
    let pool = PgPool::connect(url).await.unwrap();
    let all = async |text: &'static str| sqlx::query(text).fetch_all(&pool).await.unwrap();
    let mut schema = Schema::new();
    let columns = all(
        r"SELECT t.relname::TEXT AS table_name, c.attname::TEXT AS name,
                format_type(c.atttypid, c.atttypmod) AS type, c.attnotnull, c.attidentity <> '' AS is_numbered,
                pg_get_expr(d.adbin, d.adrelid) AS default
         FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
         LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = c.attnum
         WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace
             AND c.attnum > 0 AND NOT c.attisdropped AND t.relname <> '_sqlx_migrations'
             AND t.relname NOT LIKE 'search\_%' ESCAPE '\'
         ORDER BY t.relname, c.attnum",
    );
    for row in columns.await {
        let table: &mut Table = schema.entry(row.get("table_name")).or_default();
        let is_numbered = row.get("is_numbered");
        table.columns.push(Column {
            name: row.get("name"),
            declared: declared(row.get("type"), false),
            is_nullable: !row.get::<bool, _>("attnotnull"),
            is_numbered,
            default: default(row.get("default")),
        });
    }
    let constraints = all(
        r"SELECT t.relname::TEXT AS table_name, f.contype::TEXT AS type,
                ARRAY(SELECT c.attname::TEXT FROM unnest(f.conkey) WITH ORDINALITY AS k (n, place)
                      JOIN pg_attribute c ON c.attrelid = f.conrelid AND c.attnum = k.n
                      ORDER BY k.place) AS columns,
                COALESCE(o.relname::TEXT, '') AS other_table,
                ARRAY(SELECT c.attname::TEXT FROM unnest(f.confkey) WITH ORDINALITY AS k (n, place)
                      JOIN pg_attribute c ON c.attrelid = f.confrelid AND c.attnum = k.n
                      ORDER BY k.place) AS other_columns,
                f.confdeltype::TEXT AS on_delete, f.confupdtype::TEXT AS on_update,
                f.condeferrable, pg_get_constraintdef(f.oid) AS definition
         FROM pg_constraint f JOIN pg_class t ON t.oid = f.conrelid
         LEFT JOIN pg_class o ON o.oid = f.confrelid
         WHERE f.connamespace = current_schema()::regnamespace AND t.relname <> '_sqlx_migrations'
             AND t.relname NOT LIKE 'search\_%' ESCAPE '\'",
    );
    let action = |code: &str| match code {
        "a" => "NO ACTION".to_owned(),
        "c" => "CASCADE".to_owned(),
        "n" => "SET NULL".to_owned(),
        other => panic!("action {other}"),
    };
    for row in constraints.await {
        let name: String = row.get("table_name");
        let table = schema.get_mut(&name).unwrap();
        assert!(!row.get::<bool, _>("condeferrable"), "{name}");
        match row.get::<&str, _>("type") {
            "c" => {
                table.checks.insert(row.get("definition"));
            }
            "p" => table.primary_key = row.get("columns"),
            "f" => {
                table.references.insert(Reference {
                    columns: row.get("columns"),
                    table: row.get("other_table"),
                    other_columns: row.get("other_columns"),
                    on_delete: action(row.get("on_delete")),
                    on_update: action(row.get("on_update")),
                });
            }
            // Among the indexes.
            "u" => {}
            other => panic!("{name} has a constraint of type {other}"),
        }
    }
    let indexes = all(
        r"SELECT t.relname::TEXT AS table_name, n.relname::TEXT AS name, i.indisunique AS is_unique,
                ARRAY(SELECT pg_get_indexdef(i.indexrelid, k::INT, TRUE)
                      FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k) AS columns,
                COALESCE(pg_get_expr(i.indpred, i.indrelid), '') AS condition,
                EXISTS (SELECT 1 FROM pg_constraint f WHERE f.conindid = i.indexrelid AND f.contype = 'u')
                    AS is_unnamed
         FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_class n ON n.oid = i.indexrelid
         WHERE t.relnamespace = current_schema()::regnamespace AND NOT i.indisprimary
             AND t.relname <> '_sqlx_migrations'
             AND t.relname NOT LIKE 'search\_%' ESCAPE '\'",
    );
    for row in indexes.await {
        let table = schema.get_mut(row.get::<&str, _>("table_name")).unwrap();
        let index = Index {
            name: (!row.get::<bool, _>("is_unnamed")).then(|| row.get("name")),
            // Key words come in quotes.
            columns: row
                .get::<Vec<String>, _>("columns")
                .iter()
                .map(|column| column.replace('"', ""))
                .collect(),
            is_unique: row.get("is_unique"),
            condition: row.get("condition"),
        };
        table.indexes.insert(index);
    }
    pool.close().await;
    schema
}
