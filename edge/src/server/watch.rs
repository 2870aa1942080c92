//! From a connection's counts, looked at now and then, to whether it may stay.

use std::time::Duration;

use tokio::time::Instant;

use super::activity::{Cut, Sample};
use super::config::ServerConfig;
use super::pace::Pace;

/// What was seen of one connection so far.
#[derive(Debug)]
pub(super) struct Watch {
    looked: Instant,
    last: Sample,
    /// Since when there is no request, and how many bytes had come then.
    quiet: Option<(Instant, u64)>,
    /// When the first bytes of a head were seen.
    head: Option<Instant>,
    pace: Pace,
}

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            looked: now,
            last: Sample::default(),
            quiet: Some((now, 0)),
            head: None,
            pace: Pace::default(),
        }
    }

    /// Why the connection has to end, if it has to.
    pub(super) fn look(
        &mut self,
        sample: Sample,
        now: Instant,
        config: &ServerConfig,
    ) -> Option<Cut> {
        let waited = now.duration_since(self.looked);
        let last = std::mem::replace(&mut self.last, sample);
        self.looked = now;
        if self.is_slow_reader(last, sample, waited, config) {
            return Some(Cut::SlowReader);
        }
        self.is_without_request(last, sample, now, config)
    }

    /// Bytes that wait in the server for the client, then and now, were waited for.
    fn is_slow_reader(
        &mut self,
        last: Sample,
        sample: Sample,
        waited: Duration,
        config: &ServerConfig,
    ) -> bool {
        if last.given <= last.taken || sample.given <= sample.taken {
            self.pace = Pace::default();
            return false;
        }
        let bytes = sample.taken.saturating_sub(last.taken);
        let least = config.least_in_window();
        self.pace.is_slow(waited, bytes, config.pace_window, least)
    }

    fn is_without_request(
        &mut self,
        last: Sample,
        sample: Sample,
        now: Instant,
        config: &ServerConfig,
    ) -> Option<Cut> {
        if sample.under_way > 0 {
            self.quiet = None;
            self.head = None;
            return None;
        }
        if sample.begun != last.begun {
            self.quiet = None;
            self.head = None;
        }
        let (since, received) = *self.quiet.get_or_insert((now, sample.received));
        let quiet = now.duration_since(since);
        if sample.begun == 0 {
            return (quiet >= config.header_timeout).then_some(Cut::SlowHeader);
        }
        if sample.is_http2 {
            // Bytes may be pings and settings there.
            return (quiet >= config.idle_timeout).then_some(Cut::Idle);
        }
        // It may have come with the request before it.
        if sample.received > received || sample.has_half_head {
            let since = *self.head.get_or_insert(now);
            let slow = now.duration_since(since) >= config.header_timeout;
            return slow.then_some(Cut::SlowHeader);
        }
        (quiet >= config.idle_timeout).then_some(Cut::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once in a second at what `sample` says of it; the second of the cut.
    fn cut_of(seconds: u64, sample: impl Fn(u64) -> Sample) -> Option<(u64, Cut)> {
        let start = Instant::now();
        let config = ServerConfig {
            least_pace: 100,
            ..ServerConfig::default()
        };
        let mut watch = Watch::new(start);
        (1..=seconds).find_map(|second| {
            let now = start + Duration::from_secs(second);
            let cut = watch.look(sample(second), now, &config)?;
            Some((second, cut))
        })
    }

    fn served() -> Sample {
        Sample {
            received: 100,
            begun: 1,
            ..Sample::default()
        }
    }

    #[test]
    fn the_first_head_has_its_time_from_the_connection_on() {
        let silent = cut_of(99, |_| Sample::default());
        assert_eq!(silent, Some((10, Cut::SlowHeader)));
        let drips = cut_of(99, |second| Sample {
            received: second,
            ..Sample::default()
        });
        assert_eq!(drips, Some((10, Cut::SlowHeader)));
        // HEADERS that never end.
        let frames = cut_of(99, |second| Sample {
            received: second,
            is_http2: true,
            ..Sample::default()
        });
        assert_eq!(frames, Some((10, Cut::SlowHeader)));
    }

    #[test]
    fn a_later_head_has_its_time_from_its_first_byte_on() {
        let drips = cut_of(99, |second| Sample {
            received: 100 + second.saturating_sub(20),
            ..served()
        });
        assert_eq!(drips, Some((31, Cut::SlowHeader)));
    }

    #[test]
    fn half_a_head_that_came_with_a_request_has_its_time_from_the_answer_on() {
        let pipelined = cut_of(99, |second| Sample {
            under_way: u32::from(second < 20),
            has_half_head: true,
            ..served()
        });
        assert_eq!(pipelined, Some((30, Cut::SlowHeader)));
    }

    #[test]
    fn a_connection_without_request_is_idle() {
        assert_eq!(cut_of(99, |_| served()), Some((61, Cut::Idle)));
        let pings = cut_of(99, |second| Sample {
            received: second * 17,
            is_http2: true,
            ..served()
        });
        assert_eq!(pings, Some((61, Cut::Idle)));
        // One that asks now and then is not.
        let asks = cut_of(300, |second| Sample {
            begun: second / 50,
            received: second / 50 * 80,
            ..served()
        });
        assert_eq!(asks, Some((10, Cut::SlowHeader)));
        let asks = cut_of(300, |second| Sample {
            begun: 1 + second / 50,
            received: 80 + second / 50 * 80,
            ..served()
        });
        assert_eq!(asks, None);
    }

    #[test]
    fn a_request_under_way_may_be_held() {
        let held = cut_of(300, |_| Sample {
            under_way: 1,
            ..served()
        });
        assert_eq!(held, None);
    }

    #[test]
    fn a_reader_below_the_pace_is_cut_and_one_that_keeps_it_is_not() {
        let reads = |rate: u64| {
            cut_of(200, move |second| Sample {
                under_way: 1,
                given: 1 << 30,
                taken: second * rate,
                ..served()
            })
        };
        assert_eq!(reads(0), Some((31, Cut::SlowReader)));
        assert_eq!(reads(99), Some((31, Cut::SlowReader)));
        assert_eq!(reads(100), None);
        // An origin that is slow is not the client's fault.
        let trickle = cut_of(200, |second| Sample {
            under_way: 1,
            given: second,
            taken: second,
            ..served()
        });
        assert_eq!(trickle, None);
    }

    #[test]
    fn an_answer_that_ended_but_was_not_taken_counts_as_well() {
        let left = cut_of(200, |_| Sample {
            given: 10,
            ..served()
        });
        assert_eq!(left, Some((31, Cut::SlowReader)));
    }
}
