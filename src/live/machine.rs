//! The machine that this process's ladders share: who makes which rungs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use media::{Micros, Timestamp};
use transcode::{Decision, Governor, LadderId, Rung, RungSet};

/// How often it is measured how much of the machine is idle.
const MEASURE: Micros = Micros::from_secs(1);

/// The ladders of this process, and the governor that decides between them.
#[derive(Debug, Default)]
pub struct Machine(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    governor: Governor,
    meter: Meter,
}

/// A ladder's place; dropped, the ladder is gone.
#[derive(Debug)]
pub(super) struct Seat {
    machine: Arc<Machine>,
    id: LadderId,
}

impl Machine {
    /// Rungs that are not made because the machine cannot, of all streams.
    pub fn shed(&self) -> usize {
        self.lock().governor.shed()
    }

    pub(super) fn join(self: &Arc<Self>, rungs: &[Rung], frame_rate: f64) -> Seat {
        let id = self.lock().governor.join(rungs, frame_rate);
        Seat {
            machine: self.clone(),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A ladder whose task panicked must not take the others along.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The ladder is `behind` its source: what was decided for it.
    pub(super) fn observe(&self, now: Timestamp, behind: Micros) -> Vec<Decision> {
        let mut state = self.machine.lock();
        let State { governor, meter } = &mut *state;
        if meter.is_due(now) {
            governor.machine(meter.measure(now));
        }
        let decisions = governor.observe(now, self.id, behind);
        metrics::gauge!("nova_live_rungs_shed").set(governor.shed() as f64);
        decisions
    }

    /// The rungs that it makes.
    pub(super) fn active(&self) -> RungSet {
        self.machine.lock().governor.active(self.id)
    }

    /// Its worker was started.
    pub(super) fn restarted(&self) {
        self.machine.lock().governor.restarted(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.machine.lock();
        state.governor.leave(self.id);
        metrics::gauge!("nova_live_rungs_shed").set(state.governor.shed() as f64);
    }
}

/// Reads how busy the processors were. On a system without `/proc` nothing is known.
#[derive(Debug, Default)]
struct Meter {
    last: Option<(Timestamp, Times)>,
}

/// Processor time since the system started, in ticks (proc_stat(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Times {
    idle: u64,
    all: u64,
}

impl Meter {
    fn is_due(&self, now: Timestamp) -> bool {
        self.last.is_none_or(|(at, _)| now - at >= MEASURE)
    }

    /// From 0 to 1. The kernel answers from memory: this does not block.
    fn measure(&mut self, now: Timestamp) -> Option<f64> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let times = Times::parse(&text)?;
        let (_, before) = self.last.replace((now, times))?;
        times.idle_since(before)
    }
}

impl Times {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let mut times = Self::default();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in the first two.
        for (index, text) in line.split_whitespace().take(8).enumerate() {
            let ticks: u64 = text.parse().ok()?;
            times.all = times.all.checked_add(ticks)?;
            if index == 3 || index == 4 {
                times.idle = times.idle.checked_add(ticks)?;
            }
        }
        Some(times)
    }

    fn idle_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        // The kernel's idle time may go back a little.
        let idle = self.idle.saturating_sub(before.idle);
        Some((idle as f64 / all as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_read_off_the_first_line() {
        let before = Times::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        let after = Times::parse("cpu  160 10 80 860 90 5 5 0 40 40\n").unwrap();
        assert_eq!(
            before,
            Times {
                idle: 850,
                all: 1_000
            }
        );
        assert_eq!(after.idle_since(before), Some(100.0 / 210.0));
        assert_eq!(after.idle_since(after), None, "no time has passed");
        assert_eq!(before.idle_since(after), None, "another system");
        for text in ["", "cpu0 1 2 3 4", "cpu  1 two 3 4", "intr 1 2"] {
            assert_eq!(Times::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_seat_that_is_left_sheds_nothing() {
        let machine = Arc::new(Machine::default());
        let shape = media::VideoShape {
            width: 1280,
            height: 720,
        };
        let rung = Rung::live("720p".parse().unwrap(), shape, 2_800_000);
        let seat = machine.join(&[rung], 30.0);
        let mut now = Timestamp::from_micros(0);
        let mut decisions = Vec::new();
        for _ in 0..10 {
            now = now + Micros::from_millis(250);
            decisions.extend(seat.observe(now, Micros::from_secs(3)));
        }
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        assert_eq!(machine.shed(), 1);
        assert!(!seat.active().contains(0));
        drop(seat);
        assert_eq!(machine.shed(), 0);
    }
}
