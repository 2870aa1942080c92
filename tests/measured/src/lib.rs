//! A recorder of metrics for tests, which tells what was counted.
//!
//! Set for a thread (`metrics::set_default_local_recorder`), it hears of nothing but that
//! thread's test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Counters and gauges, by `name label=value ...`, with labels in the order in which they are
/// given. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    counters: Cells,
    gauges: Cells,
}

type Cells = Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>;

impl Measured {
    /// What a counter has come to; 0 where there is none.
    pub fn count(&self, name: &str) -> u64 {
        get(&self.counters, name).unwrap_or(0)
    }

    /// What a gauge shows; `None`: it was never set.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        get(&self.gauges, name).map(f64::from_bits)
    }
}

fn get(cells: &Cells, name: &str) -> Option<u64> {
    let cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
    Some(cells.get(name)?.load(Ordering::Acquire))
}

fn cell(cells: &Cells, key: &Key) -> Arc<AtomicU64> {
    let labels = key
        .labels()
        .map(|label| format!(" {}={}", label.key(), label.value()));
    let name = key.name().to_owned() + &labels.collect::<String>();
    let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(cells.entry(name).or_default())
}

impl Recorder for Measured {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(cell(&self.counters, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(cell(&self.gauges, key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_told_by_name_and_labels() {
        let measured = Measured::default();
        let clone = measured.clone();
        metrics::with_local_recorder(&clone, || {
            metrics::counter!("taken_total", "a" => "b", "c" => "d").increment(2);
            metrics::counter!("taken_total").increment(1);
            metrics::gauge!("level").set(0.5);
        });
        assert_eq!(measured.count("taken_total a=b c=d"), 2);
        assert_eq!(measured.count("taken_total"), 1);
        assert_eq!(measured.count("other_total"), 0);
        assert_eq!(measured.gauge("level"), Some(0.5));
        assert_eq!(measured.gauge("other"), None);
    }
}
