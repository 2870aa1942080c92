//! Instants and spans, both in whole microseconds.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An instant: microseconds since 1970-01-01T00:00:00Z. Media time is Unix time,
/// so a frame's place on the timeline and a row's `created_at` are one type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A signed span of time in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant in ticks of `timescale` per second, rounded to the nearest.
    pub fn in_timescale(self, timescale: u32) -> i64 {
        Micros(self.0).in_timescale(timescale)
    }

    /// `YYYY-MM-DDThh:mm:ss.mmmZ`, the form of `EXT-X-PROGRAM-DATE-TIME` and `xs:dateTime`.
    pub fn to_rfc3339(self) -> String {
        let days = self.0.div_euclid(86_400_000_000);
        let in_day = self.0.rem_euclid(86_400_000_000) / 1_000;
        let (year, month, day) = civil_from_days(days);
        let (ms, s) = (in_day % 1_000, in_day / 1_000);
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
            s / 3_600,
            s / 60 % 60,
            s % 60
        )
    }
}

/// Days since 1970-01-01 to a proleptic Gregorian date, by counting 400-year eras
/// that begin on 1 March, so that the leap day is the last day of a year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl Micros {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From microseconds.
    pub const fn new(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }

    /// The span of `ticks` at `timescale` ticks per second, rounded to the nearest microsecond.
    pub fn from_ticks(ticks: i64, timescale: u32) -> Self {
        Self(div_round(
            i128::from(ticks) * 1_000_000,
            i128::from(timescale.max(1)),
        ))
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds, for printing.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This span in ticks of `timescale` per second, rounded to the nearest.
    pub fn in_timescale(self, timescale: u32) -> i64 {
        div_round(i128::from(self.0) * i128::from(timescale), 1_000_000)
    }

    /// Whole seconds, rounded half up: what RFC 8216 4.3.3.1 compares with TARGETDURATION.
    pub fn rounded_secs(self) -> i64 {
        (self.0 + 500_000).div_euclid(1_000_000)
    }

    /// The distance from zero.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// As a [`Duration`]; a negative span is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_micros(self.0.max(0).unsigned_abs())
    }
}

/// Rounds half away from zero, saturating at the bounds of `i64`.
fn div_round(numerator: i128, denominator: i128) -> i64 {
    let half = denominator / 2;
    let rounded = if numerator >= 0 {
        (numerator + half) / denominator
    } else {
        (numerator - half) / denominator
    };
    i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Add<Micros> for Timestamp {
    type Output = Self;
    fn add(self, span: Micros) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Micros> for Timestamp {
    type Output = Self;
    fn sub(self, span: Micros) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Micros;
    fn sub(self, earlier: Self) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Micros {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Micros {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// Where the time of day comes from. Passed in, never reached for.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(Micros::from(since).0)
    }
}

/// A clock that stands still until it is told to move, for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.0))
    }

    /// Moves the clock forward by `span`.
    pub fn advance(&self, span: Micros) {
        self.0.fetch_add(span.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_709_210_096_789_000, "2024-02-29T12:34:56.789Z"),
            (951_868_799_999_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_rfc3339(), text);
        }
    }

    #[test]
    fn unix_time_fits_every_timescale() {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        assert_eq!(now.in_timescale(90_000), 162_000_000_000_000);
        assert_eq!(now.in_timescale(48_000), 86_400_000_000_000);
    }

    #[test]
    fn sample_counts_survive_microseconds() {
        let start = Timestamp::from_micros(1_800_000_000_123_457);
        let base = start.in_timescale(44_100);
        for frame in (0..5_000_000_i64).step_by(997) {
            let at = start + Micros::from_ticks(frame * 1024, 44_100);
            assert!((at.in_timescale(44_100) - base - frame * 1024).abs() <= 1);
        }
    }
}
