//! Who follows whom, and feeds that are full already.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use benches::numbered::{id, make, series};
use storage::Database;
use storage::rows::sql::{Engine, query};

use crate::api::{Account, Api};
use crate::feeds;

/// How many follow each of the three, of whom the last is an ordinary account.
const FOLLOWERS: [u64; 3] = [100_000, 4_900, 100];

/// Entries that each feed has, of posts that are gone.
const ENTRIES_EACH: u64 = 50;

/// A day, in milliseconds.
const DAY: u64 = 24 * 3_600 * 1_000;

/// Fills an empty database.
pub(crate) async fn fill(db: &Database, api: &Api) -> Result<[Account; 3], Box<dyn Error>> {
    let engine = db.engine();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let long_ago = u64::try_from(now)? - 365 * DAY;
    let (people, person) = (FOLLOWERS[0], |number: &str| {
        id(engine, &format!("{long_ago} + ({number}) * 60000"))
    });
    let everybody = format!(
        "{} INSERT INTO users (id, name, email, password_hash, created_at, display_name,
                               email_verified_at)
         SELECT {}, 'user-' || s.n, 'user-' || s.n || '@example.org', '', {long_ago} * 1000,
                'Person ' || s.n, 0
         FROM series s",
        series(engine, people),
        person("s.n"),
    );
    make(db, "people", everybody).await?;
    let lately = long_ago + 300 * DAY;
    let post = format!("{lately} + s.n % {ENTRIES_EACH} * 60000");
    let entries = format!(
        "{} INSERT INTO feed_entries (user_id, post_id)
         SELECT {}, {} FROM series s",
        series(engine, people * ENTRIES_EACH),
        person(&format!("s.n / {ENTRIES_EACH}")),
        id(engine, &post),
    );
    make(db, "entries", entries).await?;
    let mut accounts = Vec::new();
    for followers in FOLLOWERS {
        let mut account = api.account(followers).await?;
        // Among all, so that each feed of a step is in another place.
        let step = people / followers;
        let follows = format!(
            "{} INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             SELECT {}, u.id, s.n * 7919 % {followers}, s.n * 7919 % {followers}
             FROM series s, users u WHERE u.name = 'followed-by-{followers}'",
            series(engine, followers),
            person(&format!("s.n * {step}")),
        );
        make(db, "follows", follows).await?;
        account.some_followers = feeds::some_followers(db, account.id).await?;
        accounts.push(account);
    }
    // As its own vacuum does sooner or later; SQLite is as the server leaves it.
    if engine == Engine::Postgres {
        let mut transaction = db.write().await?;
        query("ANALYZE").execute(&mut transaction).await?;
        transaction.commit().await?;
    }
    let three: Result<[Account; 3], _> = accounts.try_into();
    three.map_err(|_| "there are three".into())
}

/// No author is pulled any more, as if none ever was.
pub(crate) async fn forget_pulled(db: &Database) -> Result<(), Box<dyn Error>> {
    let mut transaction = db.write().await?;
    let forget = query("DELETE FROM pulled_authors");
    forget.execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}
