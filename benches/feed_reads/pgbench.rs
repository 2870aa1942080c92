//! The same texts with the same values, asked by `pgbench`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use benches::processor;
use peers::postgres::Database;
use storage::rows::sql::{Statement, Value};

/// How long its connection may take to end.
const END: Duration = Duration::from_secs(5);

/// How many times a second of a processor, of `pgbench` and the server, asks all of it: what a run
/// spends on one time is its start and its end, and does not count.
pub(crate) fn read(
    database: &Database,
    asked: &[Statement],
    times: usize,
) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.sql");
    let script = Script::of(asked)?;
    fs::write(&file, &script.text)?;
    let once = run(database, &script, &file, 1)?;
    let spent = run(database, &script, &file, times + 1)?.saturating_sub(once);
    Ok(times as f64 / spent.as_secs_f64())
}

fn run(
    database: &Database,
    script: &Script,
    file: &Path,
    times: usize,
) -> Result<Duration, Box<dyn Error>> {
    let before = spent(database)?;
    let ran = database
        .client("pgbench")
        // As connections of Nova are.
        .env("PGOPTIONS", "-c jit=off")
        .args(["--no-vacuum", "--protocol=prepared", "--client=1"])
        .arg(format!("--transactions={times}"))
        .args(script.variables.iter().flat_map(|one| ["--define", one]))
        .arg("--file")
        .arg(file)
        .output()?;
    let told = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() || told.contains("ERROR") {
        return Err(format!("pgbench: {told}").into());
    }
    // Its connection counts when the server has waited for it.
    let deadline = Instant::now() + END;
    let is_there = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
    while database.sql(is_there) != "0" {
        if Instant::now() > deadline {
            return Err("the connection of pgbench does not end".into());
        }
    }
    Ok(spent(database)? - before)
}

fn spent(database: &Database) -> Result<Duration, Box<dyn Error>> {
    let own = processor::time_of_tree(std::process::id())?;
    Ok(own + processor::time_of_tree(database.process())?)
}

/// What is asked, with its values as variables.
struct Script {
    text: String,
    /// `name=value`.
    variables: Vec<String>,
}

impl Script {
    fn of(asked: &[Statement]) -> Result<Self, Box<dyn Error>> {
        let mut script = Self {
            text: String::new(),
            variables: Vec::new(),
        };
        let mut open = None;
        for (number, statement) in asked.iter().enumerate() {
            if statement.transaction != open {
                if open.is_some() {
                    script.text.push_str("ROLLBACK;\n");
                }
                if statement.transaction.is_some() {
                    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n";
                    script.text.push_str(begin);
                }
                open = statement.transaction;
            }
            script.add(number, statement)?;
        }
        if open.is_some() {
            script.text.push_str("ROLLBACK;\n");
        }
        Ok(script)
    }

    /// PostgreSQL has to be told the types.
    fn add(&mut self, number: usize, statement: &Statement) -> Result<(), Box<dyn Error>> {
        let mut text = statement.text.clone() + ";\n";
        // The last ones first: `$1` begins `$10`.
        for (place, value) in statement.values.iter().enumerate().rev() {
            let (value, of_type) = match value {
                Value::Uuid(id) => (id.map(|id| id.to_string()), "UUID"),
                Value::BigInt(number) => (number.map(|number| number.to_string()), "BIGINT"),
                Value::Text(text) => (text.clone(), "TEXT"),
                Value::BigInts(list) => {
                    let list: Vec<String> = list.iter().map(i64::to_string).collect();
                    (Some(format!("{{{}}}", list.join(","))), "BIGINT[]")
                }
                other => return Err(format!("{other:?} is no value for pgbench").into()),
            };
            let given = match value {
                Some(value) => {
                    self.variables.push(format!("v{number}_{place}={value}"));
                    format!("CAST(:v{number}_{place} AS {of_type})")
                }
                None => format!("CAST(NULL AS {of_type})"),
            };
            text = text.replace(&format!("${}", place + 1), &given);
        }
        self.text.push_str(&text);
        Ok(())
    }
}
