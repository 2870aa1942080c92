//! What keeps the indexes current: a consumer of the outbox, and a walk over what was there
//! before them.
//!
//! An event says only which row to look at: what is indexed is what the row says then, under
//! the lock of the index. So events may come twice or late, and a process may die at any point:
//! whoever comes next writes the same. What an index has already is not written again.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::Clock;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::outbox::{self, Deliver, DeliverFuture, OutboxEvent, Relay, Start};
use super::super::{Database, RowError};
use super::documents;
use super::index::{ALL, Index, Kind};
use super::writing::{Age, Writing};
use crate::events::Subject;

/// The outbox's consumer.
pub const CONSUMER: &str = "search";

/// Rows that one step of [`catch_up`] reads: one transaction.
pub const ROWS_AT_ONCE: u32 = 100;

/// Rows of a batch that one transaction indexes. What is committed is not written again when the
/// batch comes again, so a batch ends that takes longer than the relay waits.
const ROWS_AT_A_COMMIT: usize = 16;

/// The pause after the rows have failed.
const ROWS_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the indexes current until `shutdown`, on as many nodes as there are: one is given the
/// events at a time, and those that catch up take turns. What fails is tried again.
pub async fn run(db: Database, clock: Arc<dyn Clock>, shutdown: CancellationToken) {
    let beginning = register(&db, &*clock);
    if shutdown.run_until_cancelled(beginning).await.is_none() {
        return;
    }
    let indexer = Arc::new(Indexer::new(db.clone()));
    let relay = Relay::new(db.clone(), clock, CONSUMER, Start::Oldest, indexer);
    let walk = shutdown.run_until_cancelled(catch_up_with_all(&db));
    tokio::join!(relay.run(shutdown.clone()), walk);
}

/// What happens from here on comes as an event, and all else is found by the walk.
async fn register(db: &Database, clock: &dyn Clock) {
    while let Err(error) = outbox::register(db, CONSUMER, Start::Oldest, clock.now()).await {
        failed(&error).await;
    }
}

async fn catch_up_with_all(db: &Database) {
    loop {
        match catch_up(db).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => failed(&error).await,
        }
    }
}

async fn failed(error: &RowError) {
    tracing::warn!(%error, "search was not kept current");
    sleep(ROWS_PAUSE).await;
}

/// Indexes some more of what was there before the indexes, the newest first: [`ROWS_AT_ONCE`]
/// rows. Whether there is more.
pub async fn catch_up(db: &Database) -> Result<bool, RowError> {
    for index in ALL {
        if super::index::state(db, index).await?.is_caught_up {
            continue;
        }
        let mut writing = Writing::begin(db, index).await?;
        if writing.state.is_caught_up {
            continue;
        }
        let from = writing.state.caught_up_to;
        let ids = documents::older(&mut writing.transaction, index, from, ROWS_AT_ONCE).await?;
        let mut found = documents::load(db, &mut writing.transaction, index, &ids).await?;
        found.sort_unstable_by_key(|document| Reverse(document.id));
        for document in found {
            writing.put(document.id, document.words, Age::Old).await?;
        }
        writing.state.caught_up_to = ids.last().copied().or(from);
        writing.state.is_caught_up = ids.len() < ROWS_AT_ONCE as usize;
        writing.commit().await?;
        return Ok(true);
    }
    Ok(false)
}

/// Has everything indexed that is not: after rows have come that no event told of.
pub(in crate::rows) async fn begin_again(db: &Database) -> Result<(), RowError> {
    for index in ALL {
        let mut writing = Writing::begin(db, index).await?;
        writing.state.caught_up_to = None;
        writing.state.is_caught_up = false;
        writing.commit().await?;
    }
    Ok(())
}

/// The rows that events were about, by index.
type Touched = [BTreeSet<Uuid>; ALL.len()];

/// The consumer: collects what events are about, and indexes it once for a batch. For one relay.
#[derive(Debug)]
pub struct Indexer {
    db: Database,
    touched: Mutex<Touched>,
}

impl Indexer {
    /// Of that database.
    pub fn new(db: Database) -> Self {
        Self {
            db,
            touched: Mutex::default(),
        }
    }

    fn touched(&self) -> std::sync::MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn index(&self, touched: Touched) -> Result<(), RowError> {
        for (index, ids) in ALL.into_iter().zip(touched) {
            let ids: Vec<Uuid> = ids.into_iter().collect();
            for ids in ids.chunks(ROWS_AT_A_COMMIT) {
                refresh(&self.db, index, ids).await?;
            }
        }
        Ok(())
    }
}

impl Deliver for Indexer {
    fn deliver<'a>(&'a self, event: &'a OutboxEvent) -> DeliverFuture<'a> {
        if let Some((place, id)) = about(&event.subject) {
            self.touched()[place].insert(id);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn confirm(&self) -> DeliverFuture<'_> {
        let touched = take(&mut *self.touched());
        Box::pin(async move { Ok(self.index(touched).await?) })
    }
}

/// What an event is about that changes what is found: the place of an index in [`ALL`], and a
/// row. What this version does not know changes nothing.
fn about(subject: &Subject) -> Option<(usize, Uuid)> {
    let mut words = subject.as_str().split('.');
    let (area, id, what) = (words.next()?, words.next()?, words.next()?);
    let kind = match (area, what) {
        ("post", "created" | "edited" | "deleted") => Kind::Posts,
        ("profile", "changed") | ("account", "deleted") => Kind::Users,
        ("stream", "created" | "changed" | "deleted") => Kind::Streams,
        _ => return None,
    };
    let place = ALL.iter().position(|index| index.kind == kind)?;
    Some((place, id.parse().ok()?))
}

/// Indexes rows as they are now, in their order: one transaction.
async fn refresh(db: &Database, index: &'static Index, ids: &[Uuid]) -> Result<(), RowError> {
    let mut writing = Writing::begin(db, index).await?;
    let mut found = documents::load(db, &mut writing.transaction, index, ids).await?;
    found.sort_unstable_by_key(|document| document.id);
    let there: BTreeSet<Uuid> = found.iter().map(|document| document.id).collect();
    for document in found {
        writing.put(document.id, document.words, Age::New).await?;
    }
    for id in ids {
        if !there.contains(id) {
            writing.remove(*id).await?;
        }
    }
    writing.commit().await
}
