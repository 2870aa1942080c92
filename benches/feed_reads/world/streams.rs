//! Streams, what was broadcast, and who watches what is live.

use super::{SPAN, Writing, chance, few_often};

/// Broadcasts that each stream has had.
const BROADCASTS_EACH: u64 = 5;

impl Writing {
    /// The ids of their owners are theirs too.
    pub(super) fn streams(&self) -> String {
        let (series, owner) = (self.series(self.size.streams()), self.person("s.n"));
        let at = (self.now - SPAN) * 1_000;
        format!(
            "{series}
             INSERT INTO streams (id, owner_id, name, takeover, created_at)
             SELECT {owner}, {owner}, 'stream-' || s.n, 'takeover', {at} FROM series s"
        )
    }

    pub(super) fn broadcasts(&self) -> String {
        let series = self.series(self.size.streams() * BROADCASTS_EACH);
        let stream = self.person(&format!("s.n / {BROADCASTS_EACH}"));
        let began = format!("{} + s.n * 20000", self.now - SPAN / 2);
        let id = self.id(&began);
        format!(
            "{series}
             INSERT INTO live_sessions (id, stream_id, started_at, publisher_left_at, ended_at,
                                        settled_at)
             SELECT {id}, {stream}, ({began}) * 1000, ({began}) * 1000 + 3600000000,
                    ({began}) * 1000 + 3600000000, ({began}) * 1000 + 3600000000
             FROM series s"
        )
    }

    pub(super) fn live(&self) -> String {
        let (series, stream) = (self.series(self.size.live()), self.person("s.n"));
        let at = self.now * 1_000 - 3_600_000_000;
        format!(
            "{series}
             INSERT INTO live_sessions (id, stream_id, started_at)
             SELECT {stream}, {stream}, {at} FROM series s"
        )
    }

    /// What is measured of what is live.
    pub(super) fn status(&self) -> String {
        let (series, stream) = (self.series(self.size.live()), self.person("s.n"));
        let at = self.now * 1_000;
        format!(
            "{series}
             INSERT INTO stream_status (stream_id, session_id, node_id, measured_at, viewers,
                                        sessions, measured)
             SELECT {stream}, {stream}, {stream}, {at}, s.n * 7919 % 10000, 0, '{{}}'
             FROM series s"
        )
    }

    /// How many watch in the last minute.
    pub(super) fn usage(&self) -> String {
        let (series, stream) = (self.series(self.size.live()), self.person("s.n"));
        let at = self.now * 1_000 - 60_000_000;
        let viewers = few_often(&chance("s.n", 43), 10_000);
        format!(
            "{series}
             INSERT INTO usage_minutes (minute_at, node, kind, subject_id, requests, hits, errors,
                                        bytes, origin_requests, origin_bytes, viewers)
             SELECT {at}, 'edge', 'stream', {stream}, 1, 1, 0, 1, 0, 0, {viewers}
             FROM series s"
        )
    }
}
