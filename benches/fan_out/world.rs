//! Who follows whom, and feeds that are full already.

use std::error::Error;

use benches::crowd::{self, Crowd};
use benches::numbered::{id, make, series};
use storage::Database;

use crate::api::Account;
use crate::feeds;

/// How many follow each of the three, of whom the last is an ordinary account.
const FOLLOWERS: [u64; 3] = [100_000, 4_900, 100];

/// Entries that each feed has, of posts that are gone.
const ENTRIES_EACH: u64 = 50;

/// Fills an empty database.
pub(crate) async fn fill(db: &Database) -> Result<[Account; 3], Box<dyn Error>> {
    let people = FOLLOWERS[0];
    let crowd = Crowd::gather(db, people).await?;
    let lately = crowd.days_later(300);
    let entries = format!(
        "{} INSERT INTO feed_entries (user_id, post_id)
         SELECT {}, {} FROM series s",
        series(db.engine(), people * ENTRIES_EACH),
        crowd.person(&format!("s.n / {ENTRIES_EACH}")),
        id(
            db.engine(),
            &format!("{lately} + s.n % {ENTRIES_EACH} * 60000")
        ),
    );
    make(db, "entries", entries).await?;
    let mut accounts = Vec::new();
    for followers in FOLLOWERS {
        let name = format!("followed-by-{followers}");
        let account = crowd::account(db, &name).await?;
        crowd.follow(db, account, followers).await?;
        accounts.push(Account {
            id: account,
            name,
            followers,
            some_followers: feeds::some_followers(db, account).await?,
        });
    }
    crowd::settle(db).await?;
    let three: Result<[Account; 3], _> = accounts.try_into();
    three.map_err(|_| "there are three".into())
}
