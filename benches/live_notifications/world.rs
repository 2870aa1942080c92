//! Who is there.

use std::error::Error;

use benches::crowd::{self, Crowd};
use media::{Clock, StreamId, SystemClock, UserId};
use storage::Database;
use storage::rows::streams::{self, NewStream, TakeoverPolicy};

/// Whom everybody follows.
pub(crate) const BUSY: &str = "busy";

/// Whom nobody follows.
pub(crate) const QUIET: &str = "quiet";

/// Follows the first of them, reads and likes.
pub(crate) const READER: &str = "reader";

/// By which the two publish.
pub(crate) const KEY: &str = "key-of-the-busy-one";
pub(crate) const QUIET_KEY: &str = "key-of-the-quiet-one";

/// Two who have streams, somebody who reads, and a crowd.
pub(crate) struct World {
    /// Of the first of them, whom all but the other one follow.
    pub(crate) stream: StreamId,
    /// Without the reader.
    pub(crate) followers: u64,
}

impl World {
    /// Fills an empty database.
    pub(crate) async fn fill(db: &Database, followers: u64) -> Result<Self, Box<dyn Error>> {
        let crowd = Crowd::gather(db, followers).await?;
        let busy = crowd::account(db, BUSY).await?;
        let quiet = crowd::account(db, QUIET).await?;
        crowd::account(db, READER).await?;
        crowd.follow(db, busy, followers).await?;
        let stream = self::stream(db, busy, "engines", KEY).await?;
        self::stream(db, quiet, "silence", QUIET_KEY).await?;
        crowd::settle(db).await?;
        Ok(Self { stream, followers })
    }
}

async fn stream(
    db: &Database,
    owner: UserId,
    name: &str,
    key: &str,
) -> Result<StreamId, Box<dyn Error>> {
    let stream = NewStream {
        owner,
        name: &name.parse()?,
        takeover: TakeoverPolicy::Takeover,
    };
    let stream = streams::create(db, stream, &key.parse()?, SystemClock.now()).await?;
    Ok(stream.id)
}
