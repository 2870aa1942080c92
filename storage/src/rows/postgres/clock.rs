//! Whether this host's clock agrees with the server's.
//!
//! Leases, heartbeats and jobs are compared with the clock of whoever asks: never with the
//! server's, so that tests and both engines have one clock, which is passed in. Fencing
//! tokens keep what is written right whatever clocks say. But a host that is ahead by more
//! than a lease takes it from its owner, who has to begin anew, and one that is behind keeps
//! others waiting. The server is what all hosts have in common.

use media::{Clock, Micros, SystemClock, Timestamp};
use sqlx::{Executor, PgConnection, Row};

use crate::rows::outbox::LEASE;

/// More than this is told: a third of the shortest lease, which is as long as an owner
/// leaves between two renewals.
const MOST: Micros = Micros::new(LEASE.as_micros() / 3);

/// Asks the server for its time; logs and measures how far this host is from it.
pub(super) async fn compare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const NOW: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let asked = SystemClock.now();
    let row = connection.fetch_one(sqlx::raw_sql(NOW)).await?;
    let answered = SystemClock.now();
    let theirs = Timestamp::from_micros(row.try_get(0)?);
    let ahead = ahead(asked, theirs, answered);
    let seconds = ahead.as_micros() as f64 / 1e6;
    metrics::gauge!("nova_database_clock_skew_seconds").set(seconds);
    if is_told(ahead) {
        tracing::warn!(
            seconds,
            "the clock of this host is not the database server's: set both by NTP, or leases are lost and waited for"
        );
    }
    Ok(())
}

/// How far this host's clock is ahead of one that said `theirs` between `asked` and
/// `answered`: less than zero, if it is behind. At least, for nobody knows when between.
fn ahead(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Micros {
    if theirs < asked {
        asked - theirs
    } else if theirs > answered {
        answered - theirs
    } else {
        Micros::new(0)
    }
}

fn is_told(ahead: Micros) -> bool {
    ahead.as_micros().abs() > MOST.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_by_what_the_answer_cannot_explain() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for (asked, theirs, answered, expected, told) in [
            (100, 100, 100, 0, false),
            (100, 103, 110, 0, false),
            (100, 96, 110, 4, false),
            (100, 94, 110, 6, true),
            (100, 115, 110, -5, false),
            (100, 116, 110, -6, true),
        ] {
            let ahead = ahead(at(asked), at(theirs), at(answered));
            assert_eq!(ahead, Micros::from_secs(expected));
            assert_eq!(is_told(ahead), told, "{expected}");
        }
    }
}
