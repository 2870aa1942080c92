//! People: whom they follow, and whom they do not want to see.

use super::{FIRST_ACCOUNT, SPAN, Writing, chance, few_often};

/// Whom each follows, by chance; the lower somebody's number, the more often.
const FOLLOWS_EACH: u64 = 10;

/// How many people block and mute, each, by chance.
const BLOCKS_EACH: u64 = 2;
const MUTES_EACH: u64 = 2;

/// One in so many of those whom a reader follows is muted, and so many others are blocked.
const REJECTED_PART: u64 = 40;

impl Writing {
    /// The number of the one that each reader follows as their n-th.
    pub(super) fn followed_by_readers(&self, n: &str) -> [String; 3] {
        let (step, dormant) = (self.size.step(), self.size.dormant());
        [
            format!("{n} * {step} + 1"),
            format!("{dormant} + {n} * 2"),
            format!("{n} * {} + 2", step * 10),
        ]
    }

    pub(super) fn people(&self) -> String {
        let (series, id) = (self.series(self.size.people), self.person("s.n"));
        let first = self.now - FIRST_ACCOUNT;
        format!(
            "{series}
             INSERT INTO users (id, name, email, password_hash, created_at, display_name,
                                email_verified_at)
             SELECT {id}, 'user-' || s.n, 'user-' || s.n || '@example.org', '',
                    ({first} + s.n * 60000) * 1000,
                    'Person ' || s.n, 0
             FROM series s"
        )
    }

    /// One in three people has one.
    pub(super) fn links(&self) -> String {
        let (series, id) = (self.series(self.size.people / 3), self.person("s.n * 3"));
        format!(
            "{series}
             INSERT INTO profile_links (user_id, position, label, url)
             SELECT {id}, 0, 'Home', 'https://example.org/' || s.n FROM series s"
        )
    }

    pub(super) fn follows(&self) -> String {
        let series = self.series(self.size.people * FOLLOWS_EACH);
        let followed = few_often(&chance("s.n", 7_919), self.size.people);
        self.follow(&series, &format!("s.n / {FOLLOWS_EACH}"), &followed)
    }

    pub(super) fn everybody_follows_the_first(&self) -> String {
        self.follow(&self.series(self.size.people), "s.n", "0")
    }

    pub(super) fn reader(&self, reader: u64, part: u64, followed: &str) -> String {
        let series = self.series(self.size.followed_by_reader() / part);
        self.insert_follows(&series, &reader.to_string(), followed, "TRUE")
    }

    /// The three readers follow nobody else.
    pub(super) fn follow(&self, series: &str, follower: &str, followed: &str) -> String {
        let (first, last) = (self.size.active_reader(), self.size.reader_of_pulled());
        let is_other = format!("{follower} NOT BETWEEN {first} AND {last}");
        self.insert_follows(series, follower, followed, &is_other)
    }

    pub(super) fn insert_follows(
        &self,
        series: &str,
        follower: &str,
        followed: &str,
        only: &str,
    ) -> String {
        let at = (self.now - SPAN) * 1_000;
        let columns = "follows (follower_id, followed_id, created_at, accepted_at)";
        let values = format!("{at}, {at}");
        self.pairs(series, columns, [follower, followed], &values, only)
    }

    pub(super) fn pairs(
        &self,
        series: &str,
        columns: &str,
        [one, other]: [&str; 2],
        values: &str,
        only: &str,
    ) -> String {
        let (first, second) = (self.person(one), self.person(other));
        format!(
            "{series}
             INSERT INTO {columns}
             SELECT {first}, {second}, {values} FROM series s
             WHERE {one} <> {other} AND {only}
             ON CONFLICT DO NOTHING"
        )
    }

    /// Of anybody, seldom of whom they follow: a block ends that.
    pub(super) fn blocks(&self) -> String {
        let people = self.size.people;
        let series = self.series(people * BLOCKS_EACH);
        let blocked = format!("{} % {people}", chance("s.n", 61));
        let pair = [&*format!("s.n / {BLOCKS_EACH}"), &*blocked];
        self.reject(&series, "blocks", pair)
    }

    /// Rather of those whom many follow.
    pub(super) fn mutes(&self) -> String {
        let people = self.size.people;
        let series = self.series(people * MUTES_EACH);
        let muted = few_often(&chance("s.n", 67), people);
        let pair = [&*format!("s.n / {MUTES_EACH}"), &*muted];
        self.reject(&series, "mutes", pair)
    }

    /// What the three readers reject: with the `distance` 0, whom they follow.
    pub(super) fn of_readers(&self, table: &str, distance: u64) -> String {
        let [active, asleep, of_pulled] =
            self.followed_by_readers(&format!("(s.n / 3 * {REJECTED_PART})"));
        let each = (self.size.followed_by_reader() / REJECTED_PART).max(1);
        // The third follows a tenth of what the others follow.
        let of_pulled = format!("({of_pulled}) % {}", self.size.dormant());
        let rejected = format!(
            "(CASE s.n % 3 WHEN 0 THEN {active} WHEN 1 THEN {asleep} ELSE {of_pulled} END
              + {distance})"
        );
        let reader = format!("({} + s.n % 3)", self.size.active_reader());
        self.reject(&self.series(each * 3), table, [&reader, &rejected])
    }

    pub(super) fn reject(&self, series: &str, table: &str, pair: [&str; 2]) -> String {
        let columns = match table {
            "blocks" => "blocks (blocker_id, blocked_id, created_at)",
            _ => "mutes (muter_id, muted_id, created_at)",
        };
        let at = ((self.now - SPAN) * 1_000).to_string();
        self.pairs(series, columns, pair, &at, "TRUE")
    }
}
