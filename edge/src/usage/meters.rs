//! What Prometheus is told. Every label has a handful of values.

use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

use crate::cache_status::Outcome;
use crate::cmcd::{Entry, Faults, ObjectType, Value};

/// How a request ended, as `result` of `nova_edge_requests_total`.
const RESULTS: [&str; 9] = [
    "hit",
    "disk_hit",
    "miss",
    "collapsed",
    "stale",
    "error",
    "rejected",
    "preflight",
    ABANDONED,
];

/// The client left before there was an answer.
pub(super) const ABANDONED: &str = "abandoned";

const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// Items of `bl` and `mtp` that are looked at.
const MAX_ITEMS: usize = 4;

/// Handles that are found once, so that nothing is looked up by name afterwards.
pub(super) struct Meters {
    requests: [[Counter; CLASSES.len()]; RESULTS.len()],
    time_to_head: [Histogram; RESULTS.len()],
    starvations: PerObjectType<Counter>,
    buffer: PerObjectType<Histogram>,
    throughput: PerObjectType<Histogram>,
    faults: [Counter; 3],
}

/// One for each object type, and one for those that say none.
struct PerObjectType<T>([T; ObjectType::ALL.len()], T);

impl<T> PerObjectType<T> {
    fn new(of: impl Fn(&'static str) -> T) -> Self {
        Self(ObjectType::ALL.map(|kind| of(kind.label())), of("none"))
    }

    fn get(&self, kind: Option<ObjectType>) -> &T {
        kind.map_or(&self.1, |kind| &self.0[kind as usize])
    }
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            requests: RESULTS.map(|result| {
                CLASSES.map(
                    |class| counter!("nova_edge_requests_total", "result" => result, "status" => class),
                )
            }),
            time_to_head: RESULTS
                .map(|result| histogram!("nova_edge_time_to_head_seconds", "result" => result)),
            starvations: PerObjectType::new(
                |kind| counter!("nova_edge_cmcd_buffer_starvations_total", "object_type" => kind),
            ),
            buffer: PerObjectType::new(
                |kind| histogram!("nova_edge_cmcd_buffer_length_seconds", "object_type" => kind),
            ),
            throughput: PerObjectType::new(|kind| {
                histogram!("nova_edge_cmcd_throughput_bits_per_second", "object_type" => kind)
            }),
            faults: ["value", "dictionary", "too-long"]
                .map(|reason| counter!("nova_edge_cmcd_faults_total", "reason" => reason)),
        }
    }

    pub(super) fn answered(&self, result: &'static str, status: Option<StatusCode>) {
        let class = status.map_or(CLASSES.len() - 1, |status| {
            usize::from(status.as_u16() / 100)
                .saturating_sub(2)
                .min(CLASSES.len() - 2)
        });
        if let Some(at) = RESULTS.iter().position(|known| *known == result) {
            self.requests[at][class].increment(1);
        }
    }

    pub(super) fn head_after(&self, result: &'static str, time: Duration) {
        if let Some(at) = RESULTS.iter().position(|known| *known == result) {
            self.time_to_head[at].record(time);
        }
    }

    pub(super) fn told(&self, player: &Player, faults: Faults) {
        if player.is_starved {
            self.starvations.get(player.object_type).increment(1);
        }
        for (item, of) in player.buffer.iter() {
            let seconds = item as f64 / 1_000.0;
            let of = of.or(player.object_type);
            self.buffer.get(of).record(seconds);
        }
        for (item, of) in player.throughput.iter() {
            let bits = item as f64 * 1_000.0;
            self.throughput.get(of.or(player.object_type)).record(bits);
        }
        let faults = [faults.values, faults.dictionaries, faults.too_long];
        for (counter, faults) in self.faults.iter().zip(faults) {
            if faults > 0 {
                counter.increment(faults.into());
            }
        }
    }
}

/// The `result` label of an answer; one that no edge made was refused in front of it.
pub(super) fn result_of(outcome: Option<Outcome>, status: StatusCode) -> &'static str {
    match outcome {
        Some(outcome) => outcome.label(status),
        None if status.is_server_error() => "error",
        None => "rejected",
    }
}

/// What is counted of what a player tells.
#[derive(Debug, Default)]
pub(super) struct Player {
    object_type: Option<ObjectType>,
    /// `bs`: it ran out of media since its last request.
    is_starved: bool,
    /// `bl`, in milliseconds.
    buffer: Items,
    /// `mtp`, in kilobits per second.
    throughput: Items,
}

/// The first items of a list of numbers.
#[derive(Debug, Default)]
struct Items([Option<(i64, Option<ObjectType>)>; MAX_ITEMS]);

impl Items {
    fn push(&mut self, number: i64, of: Option<ObjectType>) {
        if let Some(free) = self.0.iter_mut().find(|item| item.is_none()) {
            *free = Some((number, of));
        }
    }

    fn iter(&self) -> impl Iterator<Item = (i64, Option<ObjectType>)> {
        self.0.iter().copied().flatten()
    }
}

impl Player {
    pub(super) fn hears(&mut self, entry: &Entry<'_>) {
        match (entry.key.as_str(), entry.value) {
            ("ot", Value::Token(token)) => self.object_type = ObjectType::of(token),
            ("bs", Value::Flag(set)) => self.is_starved = set,
            ("bl", Value::Integer(number)) if number >= 0 => self.buffer.push(number, entry.of),
            ("mtp", Value::Integer(number)) if number >= 0 => {
                self.throughput.push(number, entry.of);
            }
            _ => {}
        }
    }
}
