//! Brings what was counted to whoever keeps it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use media::{Clock, Micros, Timestamp};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Usage;
use super::ledger::{Counts, Drained};
use super::subject::Subject;

/// How often usage is reported; a crash loses no more. A minute is a whole number of them, so
/// that minutes are exact.
const EVERY: Micros = Micros::from_secs(10);
/// Minutes and subjects that wait while nobody takes them. Beyond it the oldest are lost.
const MAX_WAITING: usize = 20_000;
/// Of those, how many are handed over at one time.
const AT_ONCE: usize = 1_000;

/// Usage of one subject in one minute, as far as it was not reported before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageMinute {
    /// When the minute began.
    pub minute: Timestamp,
    /// Of what.
    pub subject: Subject,
    /// To be added to what is kept of it.
    pub counts: Counts,
    /// Different sessions of the minute so far: the largest counts, nothing is added.
    pub viewers: u64,
}

/// Who keeps usage.
pub trait UsageSink: fmt::Debug + Send + Sync {
    /// Why it was not kept.
    type Error: fmt::Display + Send;

    /// Adds to what is kept: all or nothing, for after an error it is reported again.
    fn add(&self, minutes: &[UsageMinute]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What was drained and not yet taken, by minute and subject.
#[derive(Debug, Default)]
struct Waiting(BTreeMap<(Timestamp, Subject), (Counts, u64)>);

impl Waiting {
    /// How many of the oldest were lost for want of room.
    fn add(&mut self, drained: Vec<Drained>) -> u64 {
        for one in drained {
            let (counts, viewers) = self.0.entry((one.minute, one.subject)).or_default();
            counts.add(&one.counts);
            *viewers = one.viewers.max(*viewers);
        }
        let mut lost = 0;
        while self.0.len() > MAX_WAITING {
            self.0.pop_first();
            lost += 1;
        }
        lost
    }

    /// The oldest, as many as are handed over at once.
    fn first(&self) -> Vec<UsageMinute> {
        let first = self.0.iter().take(AT_ONCE);
        let minute =
            |((minute, subject), (counts, viewers)): (&(_, Subject), &(_, _))| UsageMinute {
                minute: *minute,
                subject: subject.clone(),
                counts: *counts,
                viewers: *viewers,
            };
        first.map(minute).collect()
    }

    /// These were taken.
    fn taken(&mut self, minutes: Vec<UsageMinute>) {
        for one in minutes {
            self.0.remove(&(one.minute, one.subject));
        }
    }
}

impl Usage {
    /// Reports to `sink` until `shutdown`, and then a last time. Without a sink what is
    /// counted is in metrics only.
    pub async fn report(
        &self,
        sink: Option<impl UsageSink>,
        clock: &dyn Clock,
        shutdown: CancellationToken,
    ) {
        let mut waiting = Waiting::default();
        let mut is_failing = false;
        self.0.ledger.begin(clock.now());
        loop {
            let pause = tokio::time::sleep(until_next(clock.now()).to_duration());
            let is_over = shutdown.run_until_cancelled(pause).await.is_none();
            let drained = self.drain(clock.now());
            if let Some(sink) = &sink {
                let lost = waiting.add(drained);
                if lost > 0 {
                    metrics::counter!("nova_edge_usage_minutes_lost_total").increment(lost);
                }
                let handed = hand_over(&mut waiting, sink).await;
                match (&handed, is_failing) {
                    (Err(error), false) => tracing::warn!(%error, "usage cannot be kept yet"),
                    (Ok(()), true) => tracing::info!("usage is kept again"),
                    _ => {}
                }
                is_failing = handed.is_err();
                metrics::gauge!("nova_edge_usage_minutes_waiting").set(waiting.0.len() as f64);
            }
            if is_over {
                return;
            }
        }
    }

    fn drain(&self, now: Timestamp) -> Vec<Drained> {
        let ledger = &self.0.ledger;
        let drained = ledger.drain(now);
        metrics::gauge!("nova_edge_viewers").set(ledger.viewers() as f64);
        metrics::gauge!("nova_edge_usage_subjects").set(ledger.len() as f64);
        drained
    }
}

async fn hand_over<S: UsageSink>(waiting: &mut Waiting, sink: &S) -> Result<(), String> {
    loop {
        let minutes = waiting.first();
        if minutes.is_empty() {
            return Ok(());
        }
        match timeout(PATIENCE, sink.add(&minutes)).await {
            Ok(added) => added.map_err(|error| error.to_string())?,
            Err(_) => return Err("no answer in time".to_owned()),
        }
        waiting.taken(minutes);
    }
}

/// How long minutes may take to be taken. Below [`EVERY`]: else what is counted meanwhile
/// would count for the minute in which it began.
const PATIENCE: Duration = Duration::from_secs(5);

/// From `now` to the next time to report.
fn until_next(now: Timestamp) -> Micros {
    EVERY - Micros::new(now.as_micros().rem_euclid(EVERY.as_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(minute: i64, name: &str, requests: u64, viewers: u64) -> Drained {
        Drained {
            minute: Timestamp::from_micros(minute * 60_000_000),
            subject: Subject::of(&format!("/live/{name}/x")),
            counts: Counts {
                requests,
                ..Counts::default()
            },
            viewers,
        }
    }

    #[test]
    fn what_waits_is_added_up_and_bounded() {
        let mut waiting = Waiting::default();
        waiting.add(vec![drained(1, "a", 2, 3), drained(1, "b", 1, 1)]);
        waiting.add(vec![drained(1, "a", 5, 2), drained(2, "a", 1, 1)]);
        let first = waiting.first();
        let told: Vec<_> = first
            .iter()
            .map(|one| (one.counts.requests, one.viewers))
            .collect();
        assert_eq!(told, [(7, 3), (1, 1), (1, 1)]);
        waiting.taken(first);
        assert_eq!(waiting.first(), []);
        let many = (0..MAX_WAITING as i64 + 5).map(|minute| drained(minute, "a", 1, 1));
        assert_eq!(waiting.add(many.collect()), 5);
        assert_eq!(waiting.first().len(), AT_ONCE);
        let oldest = Timestamp::from_micros(5 * 60_000_000);
        assert_eq!(waiting.first()[0].minute, oldest);
    }

    #[test]
    fn it_is_reported_at_full_tens_of_seconds() {
        let until = |seconds: i64| until_next(Timestamp::from_micros(seconds * 1_000_000));
        assert_eq!(until(120), EVERY);
        assert_eq!(until(121), Micros::from_secs(9));
        assert_eq!(until(129), Micros::from_secs(1));
    }
}
