//! A large world: people, whom they follow, and what they wrote and liked, all of it made by the
//! database from numbers, and the same on both engines.

mod people;
mod posts;
mod streams;

use std::error::Error;
use std::time::Instant;

use benches::databases::Place;
use benches::numbered::{self, made, make};
use media::{Timestamp, UserId};
use storage::rows::sql::Engine;
use storage::rows::{Database, feed, search};
use uuid::Uuid;

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// What people wrote: posts, comments, shares and quotes.
    pub(crate) posts: u64,
    /// Everybody but three follows the first.
    pub(crate) people: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            posts: 1_000_000,
            people: 100_000,
        }
    }
}

impl Size {
    /// The numbers from here on have written nothing lately.
    fn dormant(self) -> u64 {
        self.people / 10 * 9
    }

    /// Whom the readers follow, each.
    fn followed_by_reader(self) -> u64 {
        (self.people / 50).min(2_000)
    }

    /// Follows people who write.
    fn active_reader(self) -> u64 {
        self.people / 100 * 95
    }

    /// Follows people who are dormant.
    fn dormant_reader(self) -> u64 {
        self.active_reader() + 1
    }

    /// Follows people who write, of whom each second one is pulled.
    fn reader_of_pulled(self) -> u64 {
        self.active_reader() + 2
    }

    /// One in five people has one.
    fn streams(self) -> u64 {
        self.people / 5
    }

    fn live(self) -> u64 {
        LIVE.min(self.streams())
    }

    /// The active reader follows each of so many who write, from the second one on; the reader of
    /// pulled ones, each of ten times as many, from the third one on.
    fn step(self) -> u64 {
        self.dormant() / self.followed_by_reader()
    }
}

/// From the first post to the last: 60 days, in milliseconds.
const SPAN: u64 = 60 * 24 * 3_600 * 1_000;

/// When the first of them had their account: a year before the first post.
const FIRST_ACCOUNT: u64 = SPAN + 365 * 24 * 3_600 * 1_000;

/// Streams that are live.
const LIVE: u64 = 500;

/// A text with `series(n)`, and how an engine makes numbers and ids.
struct Writing {
    engine: Engine,
    /// Milliseconds since 1970, when all of it is written.
    now: u64,
    size: Size,
}

impl Writing {
    fn series(&self, end: u64) -> String {
        numbered::series(self.engine, end)
    }

    fn id(&self, millis: &str) -> String {
        numbered::id(self.engine, millis)
    }

    fn person(&self, number: &str) -> String {
        let first = self.now - FIRST_ACCOUNT;
        self.id(&format!("{first} + ({number}) * CAST(60000 AS BIGINT)"))
    }

    fn posted_at(&self, number: &str) -> String {
        let (first, step) = (self.now - SPAN, SPAN / self.size.posts);
        format!("{first} + ({number}) * {step}")
    }

    fn post(&self, number: &str) -> String {
        self.id(&self.posted_at(number))
    }

    fn texts(&self) -> Vec<(&'static str, String)> {
        let size = self.size;
        let [active, asleep, of_pulled] = self.followed_by_readers("s.n");
        vec![
            ("people", self.people()),
            ("links of profiles", self.links()),
            ("follows", self.follows()),
            ("follows of the first", self.everybody_follows_the_first()),
            (
                "follows of an active reader",
                self.reader(size.active_reader(), 1, &active),
            ),
            (
                "follows of a reader of the dormant",
                self.reader(size.dormant_reader(), 1, &asleep),
            ),
            (
                "follows of a reader of pulled ones",
                self.reader(size.reader_of_pulled(), 10, &of_pulled),
            ),
            ("blocks", self.blocks()),
            ("mutes", self.mutes()),
            ("blocks of readers", self.of_readers("blocks", 3)),
            ("mutes of readers", self.of_readers("mutes", 0)),
            ("streams", self.streams()),
            ("broadcasts that are over", self.broadcasts()),
            ("of them live", self.live()),
            ("of these measured", self.status()),
            ("posts", self.posts()),
            ("mentions", self.mentions()),
            ("hashtags", self.hashtags()),
            ("images", self.images()),
            ("videos", self.videos()),
            ("of them posted", self.posted_videos()),
            ("likes", self.likes()),
            ("minutes of usage", self.usage()),
        ]
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

/// Those who read their home feeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readers {
    pub(crate) active: UserId,
    pub(crate) dormant: UserId,
    pub(crate) of_pulled: UserId,
}

/// Fills an empty database.
pub(crate) async fn fill(
    db: &Database,
    place: &Place,
    size: Size,
    now: Timestamp,
) -> Result<Readers, Box<dyn Error>> {
    let writing = Writing {
        engine: db.engine(),
        now: now.as_micros().unsigned_abs() / 1_000,
        size,
    };
    for (what, text) in writing.texts() {
        make(db, what, text).await?;
    }
    let person = |number: u64| {
        UserId::from(numbered::id_at(
            writing.now - FIRST_ACCOUNT + number * 60_000,
        ))
    };
    let readers = Readers {
        active: person(size.active_reader()),
        dormant: person(size.dormant_reader()),
        of_pulled: person(size.reader_of_pulled()),
    };
    follow_up(db, &writing, readers, now).await?;
    index(db, place).await?;
    Ok(readers)
}

/// Does at once what the consumers of the outbox do for each post.
async fn follow_up(
    db: &Database,
    writing: &Writing,
    readers: Readers,
    now: Timestamp,
) -> Result<(), Box<dyn Error>> {
    let pulled_above = feed::Threshold::default().pulled_above;
    let followed = format!(
        "INSERT INTO pulled_authors (user_id, ended_at)
         SELECT followed_id, NULL FROM follows GROUP BY followed_id HAVING COUNT(*) > {pulled_above}"
    );
    make(db, "authors whom very many follow", followed).await?;
    let size = writing.size;
    let series = writing.series(size.followed_by_reader() / 20);
    let some = writing.person(&format!("s.n * {} + 2", size.step() * 20));
    let some = format!(
        "{series}
         INSERT INTO pulled_authors (user_id, ended_at) SELECT {some}, NULL FROM series s WHERE TRUE
         ON CONFLICT (user_id) DO NOTHING"
    );
    make(db, "authors as if very many did", some).await?;
    let oldest = (now - feed::FEED_AGE).as_micros();
    let entries = format!(
        "INSERT INTO feed_entries (user_id, post_id)
         SELECT f.follower_id, p.id
         FROM posts p JOIN follows f ON f.followed_id = p.author_id
         WHERE p.parent_id IS NULL AND p.created_at > {oldest}
             AND NOT EXISTS (SELECT 1 FROM pulled_authors a WHERE a.user_id = p.author_id)
         ORDER BY f.follower_id, p.id"
    );
    make(db, "entries of feeds", entries).await?;
    let counts = "INSERT INTO post_counts (post_id, likes, comments, shares, quotes, active_at)
         SELECT p.id, (SELECT COUNT(*) FROM likes l WHERE l.post_id = p.id),
                (SELECT COUNT(*) FROM posts c WHERE c.parent_id = p.id),
                (SELECT COUNT(*) FROM posts s WHERE s.share_of_id = p.id),
                (SELECT COUNT(*) FROM posts q WHERE q.quote_of_id = p.id), p.created_at
         FROM posts p WHERE p.parent_id IS NULL AND p.share_of_id IS NULL";
    make(db, "counts", counts.to_owned()).await?;
    let began = Instant::now();
    for reader in [readers.active, readers.of_pulled] {
        let id = reader.as_uuid().as_u128() - 1;
        let before = UserId::from(Uuid::from_u128(id));
        feed::sweep(db, Some(before), now, 1).await?;
    }
    made(2, "feeds swept", began);
    let began = Instant::now();
    let trends = feed::compute(db, now).await? + 1;
    made(trends, "computation of trends", began);
    Ok(())
}

/// As the server does it, but that PostgreSQL makes its index of words of posts when all are there.
async fn index(db: &Database, place: &Place) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let whole = match place {
        Place::File(_) => None,
        Place::Server(server) => {
            let name = "search_posts_words";
            let whole = server.sql(&format!("SELECT pg_get_indexdef('{name}'::regclass)"));
            server.sql(&format!("DROP INDEX {name}"));
            Some((server, whole))
        }
    };
    let mut steps = 0;
    while search::catch_up(db).await? {
        steps += 1;
    }
    if let Some((server, whole)) = whole {
        server.sql(&format!("SET maintenance_work_mem = '512MB'; {whole}"));
        // As its own vacuum does sooner or later; SQLite is as the server leaves it.
        server.sql("VACUUM ANALYZE");
    }
    made(steps, "steps of the indexes of search", began);
    Ok(())
}
