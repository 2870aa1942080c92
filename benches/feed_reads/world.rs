//! A large world: people, whom they follow, and what they wrote and liked, all of it made by the
//! database from numbers, and the same on both engines.

use std::error::Error;
use std::time::Instant;

use media::{Timestamp, UserId};
use storage::rows::sql::{AssertSqlSafe, Engine, query};
use storage::rows::{Database, RowError, feed, search};
use uuid::Uuid;

/// People. Everybody follows the first.
pub(crate) const PEOPLE: u64 = 100_000;

/// What they wrote: posts, comments, shares and quotes.
pub(crate) const POSTS: u64 = 1_000_000;

/// Whom each follows, by chance; the lower somebody's number, the more often.
const FOLLOWS_EACH: u64 = 10;

/// The numbers from here on wrote nothing.
const DORMANT: u64 = 90_000;

/// Whom each of the two readers follows.
const FOLLOWED_BY_READER: u64 = 2_000;

/// Follows 2,000 people who write.
const ACTIVE_READER: u64 = 95_001;

/// Follows 2,000 people who never wrote.
const DORMANT_READER: u64 = 95_002;

/// From the first post to the last: 60 days, in milliseconds.
const SPAN: u64 = 60 * 24 * 3_600 * 1_000;

/// When the first of them had their account: a year before the first post.
const FIRST_ACCOUNT: u64 = SPAN + 365 * 24 * 3_600 * 1_000;

/// A text with `series(n)`, and how an engine makes numbers and ids.
struct Writing {
    engine: Engine,
    /// Milliseconds since 1970, when all of it is written.
    now: u64,
}

impl Writing {
    /// `WITH series(n) AS (...)`, from 0 to before `end`.
    fn series(&self, end: u64) -> String {
        match self.engine {
            Engine::Sqlite => format!(
                "WITH RECURSIVE series(n) AS (
                     SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {end})"
            ),
            Engine::Postgres => format!(
                "WITH series(n) AS (SELECT generate_series(CAST(0 AS BIGINT), {}))",
                end - 1
            ),
        }
    }

    /// The UUIDv7 of that time in milliseconds.
    fn id(&self, time: &str) -> String {
        match self.engine {
            Engine::Sqlite => format!(
                "printf('%08x-%04x-7000-8000-000000000000', ({time}) >> 16, ({time}) & 65535)"
            ),
            Engine::Postgres => format!(
                "CAST(lpad(to_hex(({time}) >> 16), 8, '0') || '-'
                     || lpad(to_hex(({time}) & 65535), 4, '0')
                     || '-7000-8000-000000000000' AS UUID)"
            ),
        }
    }

    fn person(&self, number: &str) -> String {
        let first = self.now - FIRST_ACCOUNT;
        self.id(&format!("{first} + ({number}) * 60000"))
    }

    fn posted_at(&self, number: &str) -> String {
        let (first, step) = (self.now - SPAN, SPAN / POSTS);
        format!("{first} + ({number}) * {step}")
    }

    fn post(&self, number: &str) -> String {
        self.id(&self.posted_at(number))
    }

    fn texts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("people", self.people()),
            ("follows", self.follows()),
            (
                "the follows of everybody",
                self.everybody_follows_the_first(),
            ),
            (
                "an active reader",
                self.reader(ACTIVE_READER, "s.n * 45 + 1"),
            ),
            (
                "a dormant reader",
                self.reader(DORMANT_READER, "90000 + s.n * 2"),
            ),
            ("posts", self.posts()),
            ("hashtags", self.hashtags()),
            ("likes", self.likes()),
            ("streams", self.streams()),
        ]
    }

    fn people(&self) -> String {
        let (series, id) = (self.series(PEOPLE), self.person("s.n"));
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

    fn follows(&self) -> String {
        let series = self.series(PEOPLE * FOLLOWS_EACH);
        let follower = format!("s.n / {FOLLOWS_EACH}");
        let followed = few_often(&chance("s.n", 7_919), PEOPLE);
        self.follow(&series, &follower, &followed)
    }

    fn everybody_follows_the_first(&self) -> String {
        self.follow(&self.series(PEOPLE), "s.n", "0")
    }

    fn reader(&self, reader: u64, followed: &str) -> String {
        let series = self.series(FOLLOWED_BY_READER);
        self.follow(&series, &reader.to_string(), followed)
    }

    fn follow(&self, series: &str, follower: &str, followed: &str) -> String {
        let (one, other) = (self.person(follower), self.person(followed));
        let at = (self.now - SPAN) * 1_000;
        format!(
            "{series}
             INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             SELECT {one}, {other}, {at}, {at} FROM series s
             WHERE {follower} <> {followed}
             ON CONFLICT (follower_id, followed_id) DO NOTHING"
        )
    }

    /// Of ten, seven are posts, one is a share of the post before, one a comment on it, and one
    /// quotes it.
    fn posts(&self) -> String {
        let series = self.series(POSTS);
        let (id, at) = (self.post("s.n"), self.posted_at("s.n"));
        let author = self.person(&format!("{} % {DORMANT}", chance("s.n", 104_729)));
        let kind = |digit: u64, back: u64| {
            let other = self.post(&format!("s.n - {back}"));
            format!("CASE WHEN s.n % 10 = {digit} THEN {other} END")
        };
        let (comment, share, quote) = (kind(7, 1), kind(8, 2), kind(9, 3));
        let words: Vec<String> = [3, 5, 7, 11, 13, 17, 19, 23]
            .map(|salt| format!("'word' || {}", few_often(&chance("s.n", salt), 50_000)))
            .into();
        let words = words.join(" || ' ' || ");
        format!(
            "{series}
             INSERT INTO posts (id, author_id, parent_id, root_id, share_of_id, quote_of_id,
                                visibility, body, created_at)
             SELECT {id}, {author}, {comment}, {comment}, {share}, {quote},
                    CASE WHEN s.n % 20 = 3 THEN 'followers' ELSE 'public' END,
                    CASE WHEN s.n % 10 = 8 THEN ''
                         WHEN s.n % 3 = 0 THEN 'hello ' || {words}
                         ELSE {words} END,
                    ({at}) * 1000
             FROM series s"
        )
    }

    fn hashtags(&self) -> String {
        let (series, id) = (self.series(POSTS / 5), self.post("s.n * 5"));
        let hashtag = few_often(&chance("s.n", 31), 2_000);
        format!(
            "{series}
             INSERT INTO post_hashtags (hashtag, post_id)
             SELECT 'tag' || {hashtag}, {id} FROM series s"
        )
    }

    /// The later something was written, the more like it.
    fn likes(&self) -> String {
        let series = self.series(POSTS);
        let liked = format!(
            "({POSTS} - 1 - {}) / 10 * 10",
            few_often(&chance("s.n", 37), POSTS)
        );
        let (id, who) = (self.post(&liked), self.person(&chance("s.n", 41)));
        let at = self.now * 1_000;
        format!(
            "{series}
             INSERT INTO likes (post_id, user_id, created_at)
             SELECT {id}, {who}, {at} FROM series s
             WHERE {chance} < {PEOPLE}
             ON CONFLICT (post_id, user_id) DO NOTHING",
            chance = chance("s.n", 41)
        )
    }

    fn streams(&self) -> String {
        let (series, owner) = (self.series(2_000), self.person("s.n"));
        let at = (self.now - SPAN) * 1_000;
        format!(
            "{series}
             INSERT INTO streams (id, owner_id, name, takeover, created_at)
             SELECT {owner}, {owner}, 'stream-' || s.n, 'takeover', {at} FROM series s"
        )
    }
}

/// What chance takes from: a prime.
const CHANCES: u64 = 1_000_003;

/// A number below [`CHANCES`] that looks like chance, from `number`.
fn chance(number: &str, salt: u64) -> String {
    format!("(((({number}) + {salt}) * {salt} % {CHANCES}) * 48271 % {CHANCES})")
}

/// A number below `end`, of which the low ones come often: the third power of the chance.
fn few_often(chance: &str, end: u64) -> String {
    format!("({chance} * {chance} / {CHANCES} * {chance} / {CHANCES} * {end} / {CHANCES})")
}

/// Does at once what the consumers of the outbox do for each post.
pub(crate) async fn follow_up(db: &Database, now: Timestamp) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let mut transaction = db.write().await?;
    query(
        "INSERT INTO pulled_authors (user_id, ended_at)
         SELECT followed_id, NULL FROM follows GROUP BY followed_id HAVING COUNT(*) > $1",
    )
    .bind(feed::Threshold::default().pulled_above)
    .execute(&mut transaction)
    .await?;
    let entries = query(
        "INSERT INTO feed_entries (user_id, post_id)
         SELECT f.follower_id, p.id
         FROM posts p JOIN follows f ON f.followed_id = p.author_id
         WHERE p.parent_id IS NULL AND p.created_at > $1
             AND NOT EXISTS (SELECT 1 FROM pulled_authors a WHERE a.user_id = p.author_id)",
    )
    .bind(now - feed::FEED_AGE)
    .execute(&mut transaction)
    .await?;
    let counts = query(
        "INSERT INTO post_counts (post_id, likes, comments, shares, quotes, active_at)
         SELECT p.id, (SELECT COUNT(*) FROM likes l WHERE l.post_id = p.id),
                (SELECT COUNT(*) FROM posts c WHERE c.parent_id = p.id),
                (SELECT COUNT(*) FROM posts s WHERE s.share_of_id = p.id),
                (SELECT COUNT(*) FROM posts q WHERE q.quote_of_id = p.id), p.created_at
         FROM posts p WHERE p.parent_id IS NULL AND p.share_of_id IS NULL",
    )
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    let seconds = began.elapsed().as_secs_f64();
    println!("{entries:>9} entries of feeds and {counts} counts in {seconds:.1} s");
    let began = Instant::now();
    feed::compute(db, now).await?;
    println!("          trends in {:.2} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    while search::catch_up(db).await? {}
    let seconds = began.elapsed().as_secs_f64();
    println!("          indexes of search in {seconds:.1} s");
    // As its own vacuum does sooner or later; SQLite is as the server has it.
    if db.engine() == Engine::Postgres {
        let mut transaction = db.write().await?;
        query("ANALYZE").execute(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// The two who read their home feeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readers {
    pub(crate) active: UserId,
    pub(crate) dormant: UserId,
}

/// Fills an empty database.
pub(crate) async fn fill(db: &Database, now: Timestamp) -> Result<Readers, RowError> {
    let writing = Writing {
        engine: db.engine(),
        now: now.as_micros().unsigned_abs() / 1_000,
    };
    for (what, text) in writing.texts() {
        let began = Instant::now();
        let mut transaction = db.write().await?;
        let rows = query(AssertSqlSafe(text)).execute(&mut transaction).await?;
        transaction.commit().await?;
        println!("{rows:>9} {what} in {:.1} s", began.elapsed().as_secs_f64());
    }
    let person = |number: u64| {
        let millis = writing.now - FIRST_ACCOUNT + number * 60_000;
        let id = format!(
            "{:08x}-{:04x}-7000-8000-000000000000",
            millis >> 16,
            millis & 65_535
        );
        UserId::from(Uuid::parse_str(&id).unwrap_or_default())
    };
    Ok(Readers {
        active: person(ACTIVE_READER),
        dormant: person(DORMANT_READER),
    })
}
