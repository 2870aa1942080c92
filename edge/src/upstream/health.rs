//! May a member of a pool be asked? What checks and requests say of it.

use std::time::{Duration, Instant};

use crate::upstream::rolling::RollingCounts;

const ANSWERED: usize = 0;
const FAILED: usize = 1;

/// When a member is taken out, and when it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRules {
    /// Checks in a row that a member that is out must pass.
    pub rise: u32,
    /// Checks in a row that a member must fail to be down.
    pub fall: u32,
    /// Requests in a row that must fail for an ejection.
    pub consecutive_failures: u32,
    /// The share of requests that must fail within `failure_window` for an ejection.
    pub failure_percent: u32,
    /// Requests in `failure_window` below which their share says nothing.
    pub failure_minimum: u32,
    /// What `failure_percent` is counted over.
    pub failure_window: Duration,
    /// How long the first ejection lasts. Each that follows lasts twice as long.
    pub ejection: Duration,
    /// How long an ejection lasts at most. A member that does well for as long begins anew.
    pub max_ejection: Duration,
    /// Requests at one time to a member on probation; as many in a row must be answered to
    /// end it.
    pub probes: u32,
    /// The share of a group that may be out at once through ejections; one member always.
    pub max_ejected_percent: u32,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self {
            rise: 2,
            fall: 3,
            consecutive_failures: 5,
            failure_percent: 50,
            failure_minimum: 20,
            failure_window: Duration::from_secs(10),
            ejection: Duration::from_secs(1),
            max_ejection: Duration::from_secs(30),
            probes: 3,
            max_ejected_percent: 50,
        }
    }
}

/// What a member may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Everything.
    Up,
    /// A few requests at a time, which decide whether it is up: its ejection is over.
    Probation,
    /// Nothing, unless there is nobody else: it was ejected for what became of requests.
    Ejected,
    /// The same, for what became of checks.
    Down,
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Ejected { lasts: Duration },
    Down,
    Up,
}

/// What is known of one member. Requests and checks are a circuit breaker each: the first
/// opens for a time and half-opens, the second until checks pass.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    down: bool,
    /// It has yet to answer for the first time.
    unproven: bool,
    /// Checks in a row that contradict `down`.
    contradictions: u32,
    /// Checks in a row that passed on probation.
    probation_passed: u32,
    breaker: Breaker,
    failures_in_a_row: u32,
    recent: RollingCounts,
    /// Ejections since it last did well for long.
    ejections: u32,
    /// Probes in a row that were answered.
    probes_passed: u32,
}

#[derive(Debug, Clone, Copy)]
enum Breaker {
    Closed {
        since: Instant,
    },
    /// Half open from `until` on.
    Open {
        until: Instant,
    },
}

impl Health {
    /// Of a member that nothing is known of: it is up.
    pub(crate) fn new(rules: &HealthRules, now: Instant) -> Self {
        Self {
            down: false,
            unproven: false,
            contradictions: 0,
            probation_passed: 0,
            breaker: Breaker::Closed { since: now },
            failures_in_a_row: 0,
            recent: RollingCounts::new(rules.failure_window, now),
            ejections: 0,
            probes_passed: 0,
        }
    }

    /// Of a member that has come to others: it is down until one check has passed.
    pub(crate) fn unproven(rules: &HealthRules, now: Instant) -> Self {
        Self {
            down: true,
            unproven: true,
            ..Self::new(rules, now)
        }
    }

    /// Has it yet to answer for the first time?
    pub(crate) fn is_unproven(&self) -> bool {
        self.unproven
    }

    pub(crate) fn standing(&self, now: Instant) -> Standing {
        match self.breaker {
            _ if self.down => Standing::Down,
            Breaker::Closed { .. } => Standing::Up,
            Breaker::Open { until } if now < until => Standing::Ejected,
            Breaker::Open { .. } => Standing::Probation,
        }
    }

    /// A check passed or failed. On probation it counts as a probe does, unless requests
    /// decide (`is_probed`): else a member that nobody asks would never come back.
    pub(crate) fn checked(
        &mut self,
        rules: &HealthRules,
        now: Instant,
        passed: bool,
        is_probed: bool,
    ) -> Option<Change> {
        let before = self.standing(now);
        if passed != self.down {
            self.contradictions = 0;
        } else {
            self.contradictions += 1;
            let needed = match self.down {
                true if self.unproven => 1,
                true => rules.rise,
                false => rules.fall,
            };
            if self.contradictions >= needed {
                self.contradictions = 0;
                self.down = !passed;
                self.unproven &= !passed;
            }
        }
        let is_over = matches!(self.breaker, Breaker::Open { until } if until <= now);
        self.probation_passed = match is_over && passed && !is_probed {
            true => self.probation_passed + 1,
            false => 0,
        };
        if self.probation_passed >= rules.rise && !self.down {
            self.close(now);
        }
        match (before, self.standing(now)) {
            (Standing::Up, Standing::Up) | (Standing::Down, Standing::Down) => None,
            (_, Standing::Up) => Some(Change::Up),
            (_, Standing::Down) => Some(Change::Down),
            _ => None,
        }
    }

    /// A request was answered.
    pub(crate) fn answered(
        &mut self,
        rules: &HealthRules,
        now: Instant,
        probe: bool,
    ) -> Option<Change> {
        if self.standing(now) == Standing::Up {
            self.failures_in_a_row = 0;
            self.recent.count(now, ANSWERED);
            return None;
        }
        // What began before the member was taken out says nothing of how it is now.
        if !probe {
            return None;
        }
        self.probes_passed += 1;
        if self.probes_passed < rules.probes {
            return None;
        }
        self.down = false;
        self.unproven = false;
        self.contradictions = 0;
        self.close(now);
        Some(Change::Up)
    }

    /// A request failed. `may_eject` says whether its group can do without the member.
    pub(crate) fn failed(
        &mut self,
        rules: &HealthRules,
        now: Instant,
        probe: bool,
        may_eject: bool,
    ) -> Option<Change> {
        match self.standing(now) {
            Standing::Up => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.recent.count(now, FAILED);
                (may_eject && self.has_failed_enough(rules, now)).then(|| self.eject(rules, now))
            }
            _ if !probe => None,
            Standing::Probation => Some(self.eject(rules, now)),
            Standing::Ejected | Standing::Down => {
                self.probes_passed = 0;
                None
            }
        }
    }

    fn has_failed_enough(&self, rules: &HealthRules, now: Instant) -> bool {
        let [answered, failed] = self.recent.sums(now);
        let all = answered + failed;
        self.failures_in_a_row >= rules.consecutive_failures
            || (all >= rules.failure_minimum.into()
                && failed * 100 >= all * u64::from(rules.failure_percent))
    }

    fn eject(&mut self, rules: &HealthRules, now: Instant) -> Change {
        if let Breaker::Closed { since } = self.breaker
            && now.saturating_duration_since(since) >= rules.max_ejection
        {
            self.ejections = 0;
        }
        let factor = 2u32.saturating_pow(self.ejections);
        let lasts = rules
            .ejection
            .saturating_mul(factor)
            .min(rules.max_ejection);
        self.ejections = self.ejections.saturating_add(1);
        self.breaker = Breaker::Open { until: now + lasts };
        self.probes_passed = 0;
        self.probation_passed = 0;
        Change::Ejected { lasts }
    }

    fn close(&mut self, now: Instant) {
        self.breaker = Breaker::Closed { since: now };
        self.failures_in_a_row = 0;
        self.probes_passed = 0;
        self.probation_passed = 0;
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> HealthRules {
        HealthRules {
            consecutive_failures: 3,
            probes: 2,
            ..HealthRules::default()
        }
    }

    /// A member, and a clock that begins with it.
    fn member() -> (Health, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        let at = move |millis| start + Duration::from_millis(millis);
        (Health::new(&rules(), start), at)
    }

    fn fail(health: &mut Health, times: u32, now: Instant) -> Option<Change> {
        (0..times).fold(None, |_, _| health.failed(&rules(), now, false, true))
    }

    #[test]
    fn checks_must_agree_before_they_count() {
        let (mut health, at) = member();
        let mut checks = |results: &[bool]| {
            let changes: Vec<_> = results
                .iter()
                .filter_map(|&passed| health.checked(&rules(), at(0), passed, false))
                .collect();
            (changes, health.standing(at(0)))
        };
        assert_eq!(
            checks(&[false, false, true, false, false]),
            (vec![], Standing::Up)
        );
        assert_eq!(checks(&[false]), (vec![Change::Down], Standing::Down));
        assert_eq!(
            checks(&[false, true, false, true]),
            (vec![], Standing::Down)
        );
        assert_eq!(checks(&[true]), (vec![Change::Up], Standing::Up));
    }

    #[test]
    fn who_is_unproven_is_down_until_a_check_has_passed() {
        let start = Instant::now();
        let mut health = Health::unproven(&rules(), start);
        assert_eq!(health.checked(&rules(), start, false, false), None);
        assert_eq!(health.standing(start), Standing::Down);
        let up = health.checked(&rules(), start, true, false);
        assert_eq!(up, Some(Change::Up));
        assert_eq!(health.standing(start), Standing::Up);
        assert!(!health.is_unproven());
        // From then on as all others.
        for _ in 0..3 {
            health.checked(&rules(), start, false, false);
        }
        assert_eq!(health.checked(&rules(), start, true, false), None);
        assert_eq!(health.standing(start), Standing::Down);
    }

    #[test]
    fn failures_in_a_row_eject_and_probes_bring_back() {
        let (mut health, at) = member();
        assert_eq!(fail(&mut health, 2, at(0)), None);
        health.answered(&rules(), at(0), false);
        assert_eq!(fail(&mut health, 2, at(0)), None);
        let lasts = Duration::from_secs(1);
        assert_eq!(fail(&mut health, 1, at(0)), Some(Change::Ejected { lasts }));
        assert_eq!(health.standing(at(999)), Standing::Ejected);
        assert_eq!(health.standing(at(1_000)), Standing::Probation);
        // What began before the ejection decides nothing.
        assert_eq!(health.answered(&rules(), at(1_000), false), None);
        assert_eq!(health.failed(&rules(), at(1_000), false, true), None);
        assert_eq!(health.answered(&rules(), at(1_000), true), None);
        assert_eq!(health.answered(&rules(), at(1_000), true), Some(Change::Up));
        assert_eq!(health.standing(at(1_000)), Standing::Up);
    }

    #[test]
    fn checks_bring_back_what_nobody_asks() {
        let (mut health, at) = member();
        fail(&mut health, 3, at(0));
        for _ in 0..3 {
            health.checked(&rules(), at(500), false, false);
        }
        // The ejection is not over.
        for _ in 0..5 {
            assert_eq!(health.checked(&rules(), at(999), true, false), None);
        }
        assert_eq!(health.standing(at(999)), Standing::Ejected);
        assert_eq!(health.checked(&rules(), at(1_000), true, false), None);
        // Requests know better.
        assert_eq!(health.checked(&rules(), at(1_000), true, true), None);
        assert_eq!(health.checked(&rules(), at(1_000), true, false), None);
        assert_eq!(health.standing(at(1_000)), Standing::Probation);
        let up = health.checked(&rules(), at(1_000), true, false);
        assert_eq!(
            (up, health.standing(at(1_000))),
            (Some(Change::Up), Standing::Up)
        );
    }

    #[test]
    fn a_share_of_failures_ejects_where_there_are_enough() {
        let (mut health, at) = member();
        for n in 0..9 {
            health.answered(&rules(), at(n), false);
            assert_eq!(health.failed(&rules(), at(n), false, true), None);
        }
        health.answered(&rules(), at(9), false);
        assert!(health.failed(&rules(), at(9), false, true).is_some());
    }

    #[test]
    fn a_flapping_member_stays_out_for_longer_each_time() {
        let (mut health, at) = member();
        let mut now = 0;
        let mut lasted = Vec::new();
        fail(&mut health, 3, at(now));
        for _ in 0..6 {
            while health.standing(at(now)) == Standing::Ejected {
                now += 500;
            }
            match health.failed(&rules(), at(now), true, false) {
                Some(Change::Ejected { lasts }) => lasted.push(lasts.as_secs()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(lasted, [2, 4, 8, 16, 30, 30]);
        // After it did well for as long, it begins anew.
        now += 30_000;
        health.answered(&rules(), at(now), true);
        health.answered(&rules(), at(now), true);
        assert_eq!(health.standing(at(now)), Standing::Up);
        now += 30_000;
        let lasts = Duration::from_secs(1);
        assert_eq!(
            fail(&mut health, 3, at(now)),
            Some(Change::Ejected { lasts })
        );
    }

    #[test]
    fn who_cannot_be_spared_is_not_ejected() {
        let (mut health, at) = member();
        for _ in 0..100 {
            assert_eq!(health.failed(&rules(), at(0), false, false), None);
        }
        assert_eq!(health.standing(at(0)), Standing::Up);
    }

    #[test]
    fn requests_that_are_answered_bring_back_what_checks_have_not_seen_yet() {
        let (mut health, at) = member();
        for _ in 0..3 {
            health.checked(&rules(), at(0), false, false);
        }
        health.answered(&rules(), at(0), true);
        assert_eq!(health.failed(&rules(), at(0), true, true), None);
        health.answered(&rules(), at(0), true);
        assert_eq!(health.standing(at(0)), Standing::Down);
        assert_eq!(health.answered(&rules(), at(0), true), Some(Change::Up));
        assert_eq!(health.standing(at(0)), Standing::Up);
    }

    proptest! {
        /// Whatever happens, an ejection is over after its cap, and a member whose probes
        /// are answered comes back.
        #[test]
        fn nobody_is_out_for_ever(
            events in prop::collection::vec((0u64..5_000, 0u8..4, any::<bool>()), 0..300),
        ) {
            let (mut health, at) = member();
            let mut now = 0;
            for (millis, event, probe) in events {
                now += millis;
                let time = at(now);
                match event {
                    0 => health.answered(&rules(), time, probe),
                    1 => health.failed(&rules(), time, probe, true),
                    2 => health.checked(&rules(), time, true, probe),
                    _ => health.checked(&rules(), time, false, probe),
                };
            }
            let later = at(now + 30_000);
            prop_assert_ne!(health.standing(later), Standing::Ejected);
            let mut checked = health.clone();
            for _ in 0..2 {
                checked.checked(&rules(), later, true, false);
            }
            prop_assert_eq!(checked.standing(later), Standing::Up);
            for _ in 0..2 {
                health.answered(&rules(), later, true);
            }
            prop_assert_eq!(health.standing(later), Standing::Up);
        }
    }
}
