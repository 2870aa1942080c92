//! Who watched a stream, and how long it was live.

use media::{Micros, Timestamp};
use storage::rows::usage::Period;
use storage::rows::viewers::{self, ViewerMinute as MinuteRow};

use crate::caller::Caller;
use crate::model::{Long, Moment, StreamAnalytics, ViewerMinute};
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// The longest time that is told of at once.
const LONGEST: Micros = Micros::from_secs(24 * 60 * 60);

/// As many minutes as it has: it may begin within one.
const MINUTES_AT_MOST: u32 = 24 * 60 + 1;

/// What is told of unless something else is asked for.
const USUAL: Micros = Micros::from_secs(60 * 60);

impl Services {
    /// Who watched a stream of the caller's from `from` on and before `to`.
    pub async fn get_stream_analytics(
        &self,
        caller: &Caller,
        name: &str,
        from: Option<Moment>,
        to: Option<Moment>,
    ) -> Result<StreamAnalytics, ServiceError> {
        let actor = self.begin_known(caller, Operation::GetStreamAnalytics)?;
        let stream = self.find_own_stream(caller, actor, name).await?.stream.id;
        let now = self.now();
        let period = period(from.map(Into::into), to.map(Into::into), now)?;
        let minutes = viewers::minutes(&self.db, stream, period, MINUTES_AT_MOST).await?;
        let broadcasts = viewers::broadcasts(&self.db, stream, period, now).await?;
        let watched = minutes
            .iter()
            .fold(Micros::ZERO, |all, minute| all + minute.watched);
        // Of several the first: the last that is the largest, from behind.
        let peak = minutes.iter().rev().max_by_key(|minute| minute.viewers);
        Ok(StreamAnalytics {
            from: period.from.into(),
            to: period.to.into(),
            peak: peak.map(shown),
            minutes: minutes.iter().map(shown).collect(),
            watch_seconds: seconds(watched),
            broadcasts: broadcasts.count,
            live_seconds: seconds(broadcasts.live),
        })
    }
}

fn shown(row: &MinuteRow) -> ViewerMinute {
    ViewerMinute {
        at: row.minute.into(),
        viewers: row.viewers,
    }
}

fn seconds(span: Micros) -> Long {
    Long(span.to_duration().as_secs())
}

fn period(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    now: Timestamp,
) -> Result<Period, ServiceError> {
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(to - USUAL);
    let is_period = from < to && to - from <= LONGEST;
    is_period.then_some(Period { from, to }).ok_or_else(|| {
        let expected = "expected an instant before `to`, by a day at most";
        ServiceError::invalid("from", expected)
    })
}
