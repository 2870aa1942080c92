//! The same texts, asked by `pgbench`.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use benches::processor;
use peers::postgres::Database;
use storage::rows::sql::Value;

use crate::pages::Statement;

/// How long its connection may take to end.
const END: Duration = Duration::from_secs(5);

/// How many times a second of a processor, of `pgbench` and the server, runs the statement.
pub(crate) fn read(
    database: &Database,
    statement: &Statement,
    times: usize,
) -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("page.sql");
    let script = Script::of(statement)?;
    fs::write(&file, script.text)?;
    let before = spent(database)?;
    let ran = database
        .client("pgbench")
        .args(["--no-vacuum", "--protocol=prepared", "--client=1"])
        .arg(format!("--transactions={times}"))
        .args(script.variables.iter().flat_map(|one| ["--define", one]))
        .arg("--file")
        .arg(&file)
        .output()?;
    if !ran.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&ran.stderr)).into());
    }
    // Its connection counts when the server has waited for it.
    let deadline = Instant::now() + END;
    let is_there = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
    while database.sql(is_there) != "0" {
        if Instant::now() > deadline {
            return Err("the connection of pgbench does not end".into());
        }
        std::thread::yield_now();
    }
    let spent = spent(database)? - before;
    Ok(times as f64 / spent.as_secs_f64())
}

fn spent(database: &Database) -> Result<Duration, Box<dyn Error>> {
    let own = processor::time_of_tree(std::process::id())?;
    Ok(own + processor::time_of_tree(database.process())?)
}

/// A statement with its values as variables.
struct Script {
    text: String,
    /// `name=value`.
    variables: Vec<String>,
}

impl Script {
    /// PostgreSQL has to be told the types.
    fn of(statement: &Statement) -> Result<Self, Box<dyn Error>> {
        let mut variables = Vec::new();
        let mut text = statement.text.clone() + ";\n";
        for (place, value) in statement.values.iter().enumerate().rev() {
            let (value, of_type) = match value {
                Value::Uuid(Some(id)) => (Some(id.to_string()), "UUID"),
                Value::BigInt(number) => (number.map(|number| number.to_string()), "BIGINT"),
                other => return Err(format!("{other:?} is no value for pgbench").into()),
            };
            let given = match value {
                Some(value) => {
                    variables.push(format!("v{place}={value}"));
                    format!("CAST(:v{place} AS {of_type})")
                }
                None => format!("CAST(NULL AS {of_type})"),
            };
            text = text.replace(&format!("${}", place + 1), &given);
        }
        Ok(Self { text, variables })
    }
}
