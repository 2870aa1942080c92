//! Rows for every table, made from what the schema itself says: types, references, keys.
//! What a `CHECK` or a unique index refuses is drawn again.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{Connection, Row};
use uuid::Uuid;

/// Words of columns that take no others.
const WORDS: [(&str, &str, &[&str]); 16] = [
    ("edge_assets", "kind", &["live", "vod", "other"]),
    ("edge_assets", "access", &["public", "signed"]),
    (
        "purges",
        "kind",
        &["url", "prefix", "pattern", "tag", "everything"],
    ),
    ("prewarms", "kind", &["urls", "video", "playlist"]),
    (
        "prewarm_nodes",
        "state",
        &["waiting", "running", "done", "failed", "cancelled"],
    ),
    ("streams", "takeover", &["takeover", "reject"]),
    ("streams", "visibility", &["public", "followers", "private"]),
    ("renditions", "kind", &["video", "audio"]),
    (
        "jobs",
        "state",
        &["ready", "running", "done", "dead", "cancelled"],
    ),
    ("users", "role", &["user", "moderator", "admin"]),
    ("email_tokens", "purpose", &["verify", "change", "reset"]),
    ("posts", "visibility", &["public", "followers"]),
    (
        "videos",
        "state",
        &["transcoding", "ready", "failed", "cancelled"],
    ),
    ("video_renditions", "kind", &["video", "audio"]),
    ("usage_minutes", "kind", &["stream", "video", "other"]),
    ("trends", "kind", &["post", "hashtag", "stream"]),
];

/// Draws for one row until one is taken.
const DRAWS: usize = 2_000;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn bytes(&mut self, at_most: u64) -> Vec<u8> {
        let length = self.below(at_most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self) -> String {
        match self.below(6) {
            0 | 1 => String::new(),
            2 => self
                .of(&[
                    "plain",
                    "O'Hara \"quoted\" \\ ; -- $1 %s",
                    "two\nlines\tand a tab",
                    "ünïcødé, 日本語, 😀\u{10ffff}\u{1}",
                    "NULL",
                    " ",
                ])
                .to_owned(),
            3 => "long ".repeat(self.below(400) as usize),
            _ => format!("{:x}", self.next()),
        }
    }

    fn number(&mut self) -> i64 {
        match self.below(10) {
            0..4 => 0,
            4..8 => self.below(1_000) as i64,
            8 => 1_800_000_000_000_000 + self.below(1 << 40) as i64,
            _ => *self.of(&[&i64::MAX, &i64::MIN, &-1]),
        }
    }
}

#[derive(Clone, Debug)]
enum Cell {
    Null,
    Number(i64),
    Text(String),
    Blob(Vec<u8>),
}

struct Table {
    name: String,
    columns: Vec<Column>,
    references: Vec<Reference>,
}

/// The other table, and pairs of a column here and one there.
type Reference = (String, Vec<(String, String)>);

struct Column {
    name: String,
    declared: String,
    is_nullable: bool,
    is_numbered: bool,
}

type Rows = Vec<HashMap<String, Cell>>;

/// Puts up to `rows` rows into every table of the SQLite file that `url` names, at least
/// one.
pub(super) async fn fill(url: &str, rows: u64, random: &mut Random) {
    let options: SqliteConnectOptions = url.parse().unwrap();
    let pool = SqlitePool::connect_with(options.foreign_keys(true))
        .await
        .unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let mut left = tables(&mut connection).await;
    let mut made: HashMap<String, Rows> = HashMap::new();
    let mut transaction = connection.begin().await.unwrap();
    while !left.is_empty() {
        let ready = left.iter().position(|table| {
            let mut others = table.references.iter().map(|(other, _)| other);
            others.all(|other| *other == table.name || made.contains_key(other))
        });
        let table = left.swap_remove(ready.expect("an order of references"));
        made.insert(table.name.clone(), Vec::new());
        for _ in 0..rows.max(1) {
            for draw in 0..DRAWS {
                let row = draw_row(&table, &made, random);
                if insert(&mut transaction, &table, &row).await {
                    made.get_mut(&table.name).unwrap().push(row);
                    break;
                }
                let some = !made[&table.name].is_empty();
                assert!(
                    some || draw + 1 < DRAWS,
                    "no row fits {}: {row:?}",
                    table.name
                );
            }
        }
    }
    transaction.commit().await.unwrap();
}

async fn tables(connection: &mut SqliteConnection) -> Vec<Table> {
    let names: Vec<(String, String)> = sqlx::query_as(
        r"SELECT name, sql FROM sqlite_schema
          WHERE type = 'table' AND name NOT LIKE '\_%' ESCAPE '\' AND name NOT LIKE 'sqlite%'
              AND name NOT LIKE 'search\_%' ESCAPE '\'",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut tables = Vec::new();
    for (name, sql) in names {
        let columns = sqlx::query("SELECT * FROM pragma_table_info($1)").bind(&name);
        let columns = columns.fetch_all(&mut *connection).await.unwrap();
        let columns = columns.iter().map(|row| Column {
            name: row.get("name"),
            declared: row.get("type"),
            is_nullable: row.get::<i64, _>("notnull") == 0 && row.get::<i64, _>("pk") == 0,
            is_numbered: row.get::<i64, _>("pk") > 0 && sql.contains(" AUTOINCREMENT"),
        });
        let keys = sqlx::query("SELECT * FROM pragma_foreign_key_list($1) ORDER BY id, seq");
        let keys = keys.bind(&name).fetch_all(&mut *connection).await.unwrap();
        let mut references: Vec<(i64, Reference)> = Vec::new();
        for key in keys {
            let id = key.get("id");
            if references.last().is_none_or(|(last, _)| *last != id) {
                references.push((id, (key.get("table"), Vec::new())));
            }
            let pair = (key.get("from"), key.get("to"));
            references.last_mut().unwrap().1.1.push(pair);
        }
        tables.push(Table {
            columns: columns.collect(),
            references: references
                .into_iter()
                .map(|(_, reference)| reference)
                .collect(),
            name,
        });
    }
    tables
}

fn draw_row(
    table: &Table,
    made: &HashMap<String, Rows>,
    random: &mut Random,
) -> HashMap<String, Cell> {
    let mut row = HashMap::new();
    for column in &table.columns {
        let words = WORDS
            .iter()
            .find(|(of, name, _)| *of == table.name && *name == column.name);
        let is_id = column.name == "id" || column.name.ends_with("_id");
        let cell = match column.declared.as_str() {
            _ if column.is_numbered => Cell::Null,
            _ if column.is_nullable && random.below(2) == 0 => Cell::Null,
            "TEXT" if is_id => {
                let id = u128::from(random.next()) << 64 | u128::from(random.next());
                Cell::Text(Uuid::from_u128(id).to_string())
            }
            "TEXT" => Cell::Text(match words {
                Some((_, _, words)) => random.of(words).to_owned(),
                None => random.text(),
            }),
            "BIGINT" => Cell::Number(random.number()),
            "BOOLEAN" => Cell::Number(random.below(2) as i64),
            "BLOB" => Cell::Blob(random.bytes(300)),
            other => panic!("{}.{} is {other}", table.name, column.name),
        };
        row.insert(column.name.clone(), cell);
    }
    for (other, pairs) in &table.references {
        let nullable = |name: &String| {
            let mut columns = table.columns.iter();
            columns.any(|column| column.name == *name && column.is_nullable)
        };
        let is_optional = pairs.iter().any(|(here, _)| nullable(here));
        let parents = &made[other];
        if is_optional && (parents.is_empty() || random.below(2) == 0) {
            for (here, _) in pairs {
                row.insert(here.clone(), Cell::Null);
            }
        } else if !parents.is_empty() {
            let parent = &parents[random.below(parents.len() as u64) as usize];
            for (here, there) in pairs {
                row.insert(here.clone(), parent[there].clone());
            }
        }
    }
    row
}

/// Whether the row was taken.
async fn insert(
    connection: &mut SqliteConnection,
    table: &Table,
    row: &HashMap<String, Cell>,
) -> bool {
    let columns = table.columns.iter().filter(|column| !column.is_numbered);
    let names: Vec<_> = columns.map(|column| column.name.as_str()).collect();
    let places: Vec<_> = (1..=names.len()).map(|place| format!("${place}")).collect();
    let text = format!(
        r#"INSERT INTO "{}" ("{}") VALUES ({})"#,
        table.name,
        names.join("\", \""),
        places.join(", ")
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    for name in names {
        query = match row[name].clone() {
            Cell::Null => query.bind(None::<i64>),
            Cell::Number(number) => query.bind(number),
            Cell::Text(text) => query.bind(text),
            Cell::Blob(bytes) => query.bind(bytes),
        };
    }
    match query.execute(connection).await {
        Ok(_) => true,
        Err(sqlx::Error::Database(error)) if error.kind() != sqlx::error::ErrorKind::Other => false,
        Err(error) => panic!("{}: {error}", table.name),
    }
}
