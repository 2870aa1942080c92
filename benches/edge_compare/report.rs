//! What is printed.

use std::time::Duration;

use crate::contestants::{ALL, NOVA};
use crate::load::Loaded;
use crate::origin::OBJECTS;

/// One run.
pub(crate) struct Measured {
    pub(crate) contestant: &'static str,
    pub(crate) object: &'static str,
    pub(crate) processor: Duration,
    pub(crate) loaded: Loaded,
}

impl Measured {
    fn per_processor_second(&self) -> f64 {
        self.loaded.requests as f64 / self.processor.as_secs_f64().max(0.01)
    }

    fn per_second(&self) -> f64 {
        self.loaded.requests as f64 / self.loaded.seconds
    }
}

pub(crate) fn print(measured: &[Measured]) {
    println!(
        "{:<10} {:<14} {:>18} {:>12} {:>10}",
        "", "", "requests / CPU s", "requests/s", "p99 ms"
    );
    for object in &OBJECTS {
        let of = |contestant: &str, figure: fn(&Measured) -> f64| {
            let runs = measured
                .iter()
                .filter(|run| run.contestant == contestant && run.object == object.name);
            median(runs.map(figure).collect())
        };
        for contestant in ALL {
            let Some(rate) = of(contestant.name, Measured::per_processor_second) else {
                continue;
            };
            let or_zero = |figure| of(contestant.name, figure).unwrap_or_default();
            println!(
                "{:<10} {:<14} {:>18.0} {:>12.0} {:>10.2}",
                object.name,
                contestant.name,
                rate,
                or_zero(Measured::per_second),
                or_zero(|run| run.loaded.p99.as_secs_f64() * 1e3),
            );
        }
        let Some(ours) = of(NOVA, Measured::per_processor_second) else {
            continue;
        };
        for other in ALL.iter().filter(|other| other.name != NOVA) {
            if let Some(theirs) = of(other.name, Measured::per_processor_second) {
                let ratio = ours / theirs;
                println!("{:<10} {NOVA} / {:<14} {ratio:>11.2}", "", other.name);
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
