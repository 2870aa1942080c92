//! Ended sessions, settled: their objects are compared with their rows.

use std::collections::{BTreeMap, BTreeSet};

use media::{EpochNumber, Micros, Rendition, RenditionName, SegmentNumber, StreamId};
use packager::object_key::{self, ObjectName};
use storage::ObjectError;
use storage::rows::leases::Lease;
use storage::rows::settling::{self, UnsettledSession};
use tokio_util::sync::CancellationToken;

use super::{SweepError, Sweeper, Swept, failed};

/// How long after its end a session is settled: what its clerk still stores would have to
/// be looked at again.
const SETTLE_AFTER: Micros = Micros::from_secs(90);
/// Sessions that are read at a time.
const SESSIONS_AT_A_TIME: u32 = 20;
/// Sessions that are looked at in a round.
const SESSIONS_AT_MOST: u32 = 200;
/// Rows that are read at a time.
const ROWS_AT_A_TIME: u32 = 1_000;

/// The objects of one rendition in one epoch.
#[derive(Debug, Default, PartialEq)]
struct Held {
    init: bool,
    /// 25 h of 2 s are 45,000 numbers, which is less than a megabyte.
    numbers: BTreeSet<SegmentNumber>,
}

impl Sweeper {
    pub(super) async fn settle(&self, lease: &Lease, stop: &CancellationToken) -> Swept {
        let before = self.shelves.clock.now() - SETTLE_AFTER;
        let mut looked_at = 0;
        let mut left = 0;
        while looked_at < SESSIONS_AT_MOST {
            let page = settling::unsettled(self.database(), before, left, SESSIONS_AT_A_TIME).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    failed("settle", &error.into());
                    return Swept::default();
                }
            };
            if page.is_empty() {
                return Swept::default();
            }
            for session in &page {
                if stop.is_cancelled() {
                    return Swept::default();
                }
                looked_at += 1;
                match self.settle_session(lease, session).await {
                    Ok(true) => {}
                    Ok(false) => left += 1,
                    Err(error) => {
                        left += 1;
                        failed("settle", &error);
                    }
                }
            }
        }
        // Those that could not be settled would keep us busy.
        Swept {
            more: left < looked_at,
        }
    }

    /// False when somebody still stored something: it is compared again in the next round.
    async fn settle_session(
        &self,
        lease: &Lease,
        session: &UnsettledSession,
    ) -> Result<bool, SweepError> {
        let rows = settling::row_count(self.database(), session).await?;
        for epoch in settling::epochs(self.database(), session).await? {
            self.settle_epoch(lease, session.stream, epoch).await?;
        }
        let mut transaction = self.write(lease).await?;
        let now = self.shelves.clock.now();
        let settled = settling::settle(&mut transaction, session, rows, now).await?;
        transaction.commit().await?;
        Ok(settled)
    }

    async fn settle_epoch(
        &self,
        lease: &Lease,
        stream: StreamId,
        epoch: EpochNumber,
    ) -> Result<(), SweepError> {
        let mut held = self.held(stream, epoch).await?;
        if held.is_empty() {
            self.must_have_nothing(stream, epoch).await?;
        }
        for rendition in settling::renditions(self.database(), stream, epoch).await? {
            let held = held.remove(&rendition.name).unwrap_or_default();
            self.settle_rendition(lease, stream, epoch, &rendition, held)
                .await?;
        }
        // Their rows were never written.
        for (name, held) in held {
            let mut keys = segment_keys(stream, epoch, &name, held.numbers);
            if held.init {
                keys.push(object_key::init(stream, epoch, &name));
            }
            self.delete_orphans(keys).await?;
        }
        Ok(())
    }

    /// Objects are stored before their rows, and an epoch's do not all get lost one by one:
    /// more likely this is not the store they are in, and rows that became gaps would stay so
    /// when it is back.
    async fn must_have_nothing(
        &self,
        stream: StreamId,
        epoch: EpochNumber,
    ) -> Result<(), SweepError> {
        let floor = settling::floor(self.database(), stream).await?;
        for rendition in settling::renditions(self.database(), stream, epoch).await? {
            let (database, name) = (self.database(), &rendition.name);
            let any = settling::stored_numbers(database, stream, epoch, name, floor, 1).await?;
            if !any.is_empty() {
                return Err(SweepError::NothingHeld { stream, epoch });
            }
        }
        Ok(())
    }

    async fn settle_rendition(
        &self,
        lease: &Lease,
        stream: StreamId,
        epoch: EpochNumber,
        rendition: &Rendition,
        mut held: Held,
    ) -> Result<(), SweepError> {
        let (database, name) = (self.database(), &rendition.name);
        if !held.init {
            // The row says all that is in it.
            let init = packager::cmaf::init_segment(rendition)?;
            let key = object_key::init(stream, epoch, name);
            self.shelves.objects.put(&key, init).await?;
            tracing::warn!(key, "an init segment was lost and made again");
        }
        // Below the floor, both go anyway.
        let floor = settling::floor(database, stream).await?;
        let mut from = floor;
        loop {
            let rows =
                settling::stored_numbers(database, stream, epoch, name, from, ROWS_AT_A_TIME)
                    .await?;
            let Some(last) = rows.last() else { break };
            from = last.next();
            let without = rows.into_iter().filter(|n| !held.numbers.remove(n));
            let lost = self
                .really_lost(stream, epoch, name, without.collect())
                .await?;
            self.make_gaps(lease, stream, name, &lost).await?;
        }
        let orphans = held.numbers.split_off(&floor);
        self.delete_orphans(segment_keys(stream, epoch, name, orphans))
            .await
    }

    /// An object may have been stored since the objects were listed.
    async fn really_lost(
        &self,
        stream: StreamId,
        epoch: EpochNumber,
        name: &RenditionName,
        numbers: Vec<SegmentNumber>,
    ) -> Result<Vec<SegmentNumber>, SweepError> {
        let mut lost = Vec::new();
        for number in numbers {
            let key = object_key::segment(stream, epoch, name, number);
            match self.shelves.objects.head(&key).await {
                Ok(_) => {}
                Err(ObjectError::NotFound(_)) => lost.push(number),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(lost)
    }

    async fn make_gaps(
        &self,
        lease: &Lease,
        stream: StreamId,
        name: &RenditionName,
        lost: &[SegmentNumber],
    ) -> Result<(), SweepError> {
        let Some(first) = lost.first() else {
            return Ok(());
        };
        let mut transaction = self.write(lease).await?;
        let made = settling::make_gaps(&mut transaction, stream, name, lost).await?;
        transaction.commit().await?;
        metrics::counter!("nova_sweeper_segments_lost_total").increment(made);
        tracing::warn!(
            %stream, rendition = %name, count = made, first = %first,
            "objects of segments are lost: they are gaps from now on"
        );
        Ok(())
    }

    async fn delete_orphans(&self, keys: Vec<String>) -> Result<(), SweepError> {
        let Some(first) = keys.first().cloned() else {
            return Ok(());
        };
        let count = keys.len() as u64;
        self.delete_objects(keys).await?;
        metrics::counter!("nova_sweeper_orphans_deleted_total").increment(count);
        tracing::info!(count, first, "objects that no row named were deleted");
        Ok(())
    }

    /// What the object store has of an epoch.
    async fn held(
        &self,
        stream: StreamId,
        epoch: EpochNumber,
    ) -> Result<BTreeMap<RenditionName, Held>, SweepError> {
        let folder = object_key::epoch(stream, epoch);
        let mut held = BTreeMap::<_, Held>::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self
                .shelves
                .objects
                .list(&folder, cursor.as_deref())
                .await?;
            for key in &page.keys {
                let Some(name) = ObjectName::parse(key) else {
                    tracing::warn!(key, "an object that is not ours");
                    continue;
                };
                let held = held.entry(name.rendition).or_default();
                match name.number {
                    Some(number) => drop(held.numbers.insert(number)),
                    None => held.init = true,
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(held);
            }
        }
    }
}

fn segment_keys(
    stream: StreamId,
    epoch: EpochNumber,
    name: &RenditionName,
    numbers: BTreeSet<SegmentNumber>,
) -> Vec<String> {
    let keys = numbers
        .into_iter()
        .map(|number| object_key::segment(stream, epoch, name, number));
    keys.collect()
}
