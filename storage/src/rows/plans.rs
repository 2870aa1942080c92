//! What an engine does for a text: no page has to read a whole table, or to sort, whatever the rows
//! are. Which of its plans PostgreSQL takes, the rows decide.

use std::collections::HashSet;

use media::UserId;
use uuid::Uuid;

use super::sql::{AssertSqlSafe, Bind, Engine, Value, query};
use super::streams::LIVE;
use super::videos::owned::OWNED;
use super::videos::recordings::kept_text;
use super::{Database, IfMissing, blocks, follows, likes, mutes};

/// A plan, a line for each step.
pub(super) struct Plan {
    text: String,
    lines: Vec<String>,
    /// What the text calls tables.
    tables: HashSet<String>,
}

impl Plan {
    /// The plan of a text with these values.
    pub(super) async fn of(db: &Database, text: &str, values: Vec<Value>) -> Self {
        let mut transaction = db.write().await.unwrap();
        let (explain, column) = match db.engine() {
            Engine::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
            Engine::Postgres => {
                // Tables are empty: without this, reading them whole is always the fastest.
                for off in [
                    "SET LOCAL enable_seqscan = off",
                    "SET LOCAL enable_sort = off",
                    "SET LOCAL enable_hashjoin = off",
                    "SET LOCAL enable_mergejoin = off",
                ] {
                    query(off).execute(&mut transaction).await.unwrap();
                }
                ("EXPLAIN ", "QUERY PLAN")
            }
        };
        let mut explained = query(AssertSqlSafe(format!("{explain}{text}")));
        for value in values {
            explained = explained.bind(value);
        }
        let rows = explained.rows(&mut transaction).await.unwrap();
        let lines = rows.iter().map(|row| row.get(column).unwrap()).collect();
        let tables: Vec<(String,)> = match db.engine() {
            Engine::Sqlite => query("SELECT name FROM sqlite_schema WHERE type = 'table'")
                .all(&mut transaction)
                .await
                .unwrap(),
            // It says itself what a sequential scan is of.
            Engine::Postgres => Vec::new(),
        };
        let tables = tables.into_iter().map(|(name,)| name).collect();
        Self {
            tables: called(text, &tables),
            text: text.to_owned(),
            lines,
        }
    }

    /// SQLite scans also what the text makes itself, which has as many rows as the text says: only by
    /// their names are these told from tables.
    fn is_whole(&self, line: &str) -> bool {
        let scanned = line.strip_prefix("SCAN ").and_then(first_word);
        line.contains("Seq Scan") || scanned.is_some_and(|name| self.tables.contains(name))
    }

    fn reads_a_whole_table(&self) -> bool {
        self.lines.iter().any(|line| self.is_whole(line))
    }

    fn sorts(&self) -> bool {
        let sorts = |line: &String| line.contains("Sort ") || line.contains("TEMP B-TREE");
        self.lines.iter().any(sorts)
    }

    fn shown(&self) -> String {
        format!("{}\n{}", self.text, self.lines.join("\n"))
    }

    pub(super) fn must_not_read_a_whole_table(&self) {
        assert!(!self.reads_a_whole_table(), "{}", self.shown());
    }

    pub(super) fn must_not_sort(&self) {
        assert!(!self.sorts(), "{}", self.shown());
    }
}

fn first_word(text: &str) -> Option<&str> {
    text.split_whitespace().next()
}

/// The names of `tables` that are in a text, and what else it calls them. Rather too much than too
/// little: what stands behind such a name may be another word of the text.
fn called(text: &str, tables: &HashSet<String>) -> HashSet<String> {
    let is_between = |c: char| c.is_whitespace() || "(),".contains(c);
    let mut words = text
        .split(is_between)
        .filter(|word| !word.is_empty())
        .peekable();
    let mut called = HashSet::new();
    while let Some(word) = words.next() {
        if !tables.contains(word) {
            continue;
        }
        called.insert(word.to_owned());
        words.next_if_eq(&"AS");
        called.extend(words.peek().map(|alias| (*alias).to_owned()));
    }
    called
}

/// A file, which goes with the folder.
pub(super) async fn on_sqlite() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("nova.db").display());
    let db = Database::open(&url, IfMissing::Create).await.unwrap();
    db.migrate().await.unwrap();
    (directory, db)
}

pub(super) async fn on_postgres() -> (peers::postgres::Database, Database) {
    let server = tokio::task::spawn_blocking(peers::postgres::database);
    let server = server.await.unwrap();
    let db = Database::open(&server.url(), IfMissing::Create)
        .await
        .unwrap();
    db.migrate().await.unwrap();
    (server, db)
}

#[tokio::test]
async fn a_table_is_read_whole_whatever_it_is_called() {
    let (_directory, db) = on_sqlite().await;
    for (text, is_whole) in [
        ("SELECT id FROM posts", true),
        ("SELECT c.id FROM posts c", true),
        ("SELECT c.id FROM posts AS c", true),
        ("SELECT u.id FROM posts p, users u WHERE p.id = $1", true),
        (
            "SELECT c.id FROM (SELECT p.id FROM posts p WHERE p.id < $1 ORDER BY p.id LIMIT 9) AS c
             LEFT JOIN posts p ON p.id = c.id",
            false,
        ),
        ("SELECT p.id FROM posts p WHERE p.id = $1", false),
        (
            "SELECT p.id FROM posts p WHERE p.id IN (SELECT value FROM json_each($1))",
            false,
        ),
    ] {
        let values = vec![Uuid::now_v7().value(); text.matches('$').count()];
        let plan = Plan::of(&db, text, values).await;
        assert_eq!(plan.reads_a_whole_table(), is_whole, "{}", plan.shown());
    }
}

/// Lists of people, of what is live, and of videos, and what is kept of recordings.
async fn every_plan_is_good(db: &Database) {
    let id = || Uuid::now_v7().value();
    let (at, limit) = (|| 0_i64.value(), || 20_i64.value());
    let viewer = || UserId::new().value();
    for (text, values) in [
        (likes::LIKERS, vec![viewer(), id(), id(), limit()]),
        (
            follows::FOLLOWERS,
            vec![viewer(), id(), at(), id(), limit()],
        ),
        (
            follows::FOLLOWING,
            vec![viewer(), id(), at(), id(), limit()],
        ),
        (follows::REQUESTS, vec![viewer(), id(), at(), id(), limit()]),
        (blocks::BLOCKED, vec![viewer(), id(), limit()]),
        (mutes::MUTED, vec![viewer(), id(), limit()]),
        (LIVE, vec![viewer(), id(), limit()]),
        (OWNED, vec![viewer(), id(), limit()]),
    ] {
        let plan = Plan::of(db, text, values).await;
        plan.must_not_read_a_whole_table();
        plan.must_not_sort();
    }
    // What it sorts is the epochs of the sessions it is asked for.
    let text = kept_text(db.engine());
    let of_sessions = vec![vec![Uuid::now_v7()].value(), i64::MAX.value()];
    let plan = Plan::of(db, &text, of_sessions).await;
    plan.must_not_read_a_whole_table();
}

#[tokio::test]
async fn no_list_reads_a_whole_table_on_sqlite() {
    let (_directory, db) = on_sqlite().await;
    every_plan_is_good(&db).await;
}

#[tokio::test]
async fn no_list_reads_a_whole_table_on_postgres() {
    let (_server, db) = on_postgres().await;
    every_plan_is_good(&db).await;
}
