//! Counts by suite, every miss, and whether it is as much as is to be shown.

use std::collections::BTreeMap;
use std::error::Error;

use crate::suite::Row;

/// The least that is to be passed.
const REQUIRED: usize = 140;
const OPTIMAL: usize = 80;
/// Suites of which nothing is to be missed.
const WHOLE: [&str; 2] = ["partial", "cdn-cache-control"];

/// Passed, and tests.
type Count = (usize, usize);

/// Prints the scores; an error when they are too low.
pub(crate) fn print(rows: &[Row]) -> Result<(), Box<dyn Error>> {
    let mut suites: BTreeMap<&str, BTreeMap<&str, Count>> = BTreeMap::new();
    let mut total: BTreeMap<&str, Count> = BTreeMap::new();
    for row in rows {
        let passed = usize::from(matches!(row.verdict.as_str(), "pass" | "yes"));
        let kinds = suites.entry(&row.suite).or_default();
        for counts in [kinds, &mut total] {
            let count = counts.entry(&row.kind).or_default();
            *count = (count.0 + passed, count.1 + 1);
        }
    }
    println!(
        "{:20} {:>9} {:>9} {:>9}",
        "suite", "required", "optimal", "yes"
    );
    for (suite, kinds) in suites.iter().chain([(&"total", &total)]) {
        let cell = |kind| {
            kinds.get(kind).map_or_else(
                || "-".to_owned(),
                |(passed, tests)| format!("{passed}/{tests}"),
            )
        };
        println!(
            "{suite:20} {:>9} {:>9} {:>9}",
            cell("required"),
            cell("optimal"),
            cell("check")
        );
    }
    println!("\nmissed:");
    for row in rows.iter().filter(|row| is_missed(row)) {
        println!(
            "  {} {} ({}): {}\n      {}",
            row.kind, row.id, row.verdict, row.name, row.detail
        );
    }

    let passed = |counts: &BTreeMap<&str, Count>, kind| counts.get(kind).map_or(0, |count| count.0);
    let mut short = Vec::new();
    for (kind, least) in [("required", REQUIRED), ("optimal", OPTIMAL)] {
        if passed(&total, kind) < least {
            short.push(format!("{kind} below {least}"));
        }
    }
    for suite in WHOLE {
        if rows.iter().any(|row| row.suite == suite && is_missed(row)) {
            short.push(format!("{suite} not whole"));
        }
    }
    match short.is_empty() {
        true => Ok(()),
        false => Err(short.join(", ").into()),
    }
}

/// A `check` asks what a cache does, and has no wrong answer.
fn is_missed(row: &Row) -> bool {
    row.kind != "check" && row.verdict != "pass"
}
