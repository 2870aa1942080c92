//! Very many people, and accounts that they follow.

use std::error::Error;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use media::{SystemClock, UserId};
use social::accounts::{NewUser, create_user};
use storage::rows::sql::{Engine, query};
use storage::rows::{Database, RowError, search};

use crate::numbered::{id, made, make, series};

/// Of every account.
pub const PASSWORD: &str = "correct horse";

/// A day, in milliseconds.
const DAY: u64 = 24 * 3_600 * 1_000;

/// Makes an account that can log in.
pub async fn account(db: &Database, name: &str) -> Result<UserId, Box<dyn Error>> {
    let user = NewUser {
        name: name.parse()?,
        email: format!("{name}@example.org").parse()?,
        password: PASSWORD.parse()?,
        is_admin: false,
    };
    Ok(create_user(db, &SystemClock, user).await?.id)
}

/// People `user-0`, `user-1` and so on, who have been there for up to a year and do nothing.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    engine: Engine,
    people: u64,
    /// When the first had their account, in milliseconds since 1970.
    since: u64,
}

impl Crowd {
    /// Makes them.
    pub async fn gather(db: &Database, people: u64) -> Result<Self, Box<dyn Error>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let crowd = Self {
            engine: db.engine(),
            people,
            since: u64::try_from(now)? - 365 * DAY,
        };
        let everybody = format!(
            "{} INSERT INTO users (id, name, email, password_hash, created_at, display_name,
                                   email_verified_at)
             SELECT {}, 'user-' || s.n, 'user-' || s.n || '@example.org', '', {} * 1000,
                    'Person ' || s.n, 0
             FROM series s",
            series(crowd.engine, people),
            crowd.person("s.n"),
            crowd.since,
        );
        make(db, "people", everybody).await?;
        Ok(crowd)
    }

    /// The id of one, of a number which is an expression.
    pub fn person(&self, number: &str) -> String {
        id(self.engine, &format!("{} + ({number}) * 60000", self.since))
    }

    /// The time so many days after the first had their account, in milliseconds since 1970.
    pub fn days_later(&self, days: u64) -> u64 {
        self.since + days * DAY
    }

    /// Lets so many follow an account, who are spread among all.
    pub async fn follow(
        &self,
        db: &Database,
        account: UserId,
        followers: u64,
    ) -> Result<(), RowError> {
        let step = self.people / followers.max(1);
        let at = format!(
            "{} * CAST(1000 AS BIGINT) + s.n * 7919 % {followers}",
            self.days_later(1)
        );
        let follows = format!(
            "{} INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             SELECT {}, u.id, {at}, {at} FROM series s, users u WHERE u.id = '{account}'",
            series(self.engine, followers),
            self.person(&format!("s.n * {step}")),
        );
        make(db, "follows", follows).await
    }
}

/// Does what a server would do by and by with rows that were just made: search knows the people, and
/// PostgreSQL what its tables are like.
pub async fn settle(db: &Database) -> Result<(), RowError> {
    let began = Instant::now();
    let mut steps = 0;
    while search::catch_up(db).await? {
        steps += 1;
    }
    made(steps, "steps of the indexes of search", began);
    // As its own vacuum does sooner or later; SQLite is as the server leaves it.
    if db.engine() == Engine::Postgres {
        let mut transaction = db.write().await?;
        query("ANALYZE").execute(&mut transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
