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
    /// The ladder is `behind` its source.
    pub(super) fn observe(&self, now: Timestamp, behind: Micros) {
        let mut state = self.machine.lock();
        let State { governor, meter } = &mut *state;
        if meter.is_due(now) {
            governor.machine(meter.measure(now));
        }
        governor.observe(now, self.id, behind);
        metrics::gauge!("nova_live_rungs_shed").set(governor.shed() as f64);
    }

    /// What was decided for the ladder since the last call.
    pub(super) fn decided(&self) -> Vec<Decision> {
        self.machine.lock().governor.decided(self.id)
    }

    /// The rungs that it makes.
    pub(super) fn active(&self) -> RungSet {
        self.machine.lock().governor.active(self.id)
    }

    /// Its worker starts, or takes nothing.
    pub(super) fn look_anew(&self) {
        self.machine.lock().governor.look_anew(self.id);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.machine.lock();
        state.governor.leave(self.id);
        metrics::gauge!("nova_live_rungs_shed").set(state.governor.shed() as f64);
    }
}

/// Reads how busy the processors were, those that this process may use. On a system
/// without `/proc` nothing is known.
#[derive(Debug, Default)]
struct Meter {
    last: Option<(Timestamp, Times)>,
    quota: Quota,
}

/// What the process's control group may use of the processors (cgroup v2, `cpu.max`):
/// within a quota, it is short of them while the host is idle.
#[derive(Debug, Default)]
struct Quota {
    last: Option<(Timestamp, Micros)>,
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
        let quota = self.quota.measure(now);
        let (_, before) = self.last.replace((now, times))?;
        let idle = times.idle_since(before)?;
        Some(quota.map_or(idle, |left| left.min(idle)))
    }
}

impl Quota {
    /// What is left of it, from 0 to 1; `None` without a quota.
    fn measure(&mut self, now: Timestamp) -> Option<f64> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let folder = std::path::Path::new("/sys/fs/cgroup").join(group);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let cores = quota_in_cores(&read("cpu.max")?)?;
        let used = used_time(&read("cpu.stat")?)?;
        let (at, before) = self.last.replace((now, used))?;
        left_of(cores, used - before, now - at)
    }
}

/// Of `cpu.max`: `QUOTA PERIOD` in microseconds, or `max PERIOD`.
fn quota_in_cores(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Of `cpu.stat`: the line `usage_usec MICROSECONDS`.
fn used_time(text: &str) -> Option<Micros> {
    let usage = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(Micros::new(usage.trim().parse().ok()?))
}

fn left_of(cores: f64, used: Micros, elapsed: Micros) -> Option<f64> {
    let available = cores * elapsed.as_secs_f64();
    (available > 0.0).then(|| (1.0 - used.as_secs_f64() / available).clamp(0.0, 1.0))
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
    fn a_quota_is_what_its_group_may_use() {
        assert_eq!(quota_in_cores("150000 100000\n"), Some(1.5));
        for text in ["max 100000\n", "", "0 100000", "1 0", "1"] {
            assert_eq!(quota_in_cores(text), None, "{text:?}");
        }
        let stat = "usage_usec 1500000\nuser_usec 1\nnr_throttled 3\n";
        assert_eq!(used_time(stat), Some(Micros::from_millis(1_500)));
        assert_eq!(used_time("user_usec 1\n"), None);
        let second = Micros::from_secs(1);
        assert_eq!(left_of(2.0, Micros::from_millis(1_500), second), Some(0.25));
        assert_eq!(left_of(1.0, Micros::from_millis(1_500), second), Some(0.0));
        assert_eq!(left_of(1.0, second, Micros::ZERO), None);
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
            seat.observe(now, Micros::from_secs(3));
            decisions.extend(seat.decided());
        }
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        assert_eq!(machine.shed(), 1);
        assert!(!seat.active().contains(0));
        drop(seat);
        assert_eq!(machine.shed(), 0);
    }
}
