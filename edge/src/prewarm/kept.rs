//! Whether what was fetched is stored where it is to be: on disk, if there is a disk tier.

use std::sync::Arc;

use tokio::time::timeout;

use super::Inner;
use super::fetch::Fault;
use super::wanted::Wanting;
use crate::body::Behind;
use crate::disk_tier::DiskTier;
use crate::freshness::NoStoreReason;
use crate::large::slices_of;
use crate::request::Asked;
use crate::store::Stored;

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Memory,
    /// In memory as well, maybe.
    Disk,
}

/// A write that is dropped because many wait is tried so often.
const WRITES: u32 = 3;

impl Inner {
    /// Where is the answer to `asked` stored, whose body is through and had this behind it? What
    /// is in memory only gets to the disk as well.
    pub(super) async fn check_kept(
        &self,
        asked: &Asked,
        wanting: &Wanting,
        behind: &Behind,
    ) -> Result<Tier, Fault> {
        match behind.storage() {
            Some(Err(NoStoreReason::Invalidated)) => return Err(Fault::Purged),
            Some(Err(NoStoreReason::FillMemory)) => {
                return Err(Fault::Full(NoStoreReason::FillMemory.as_str()));
            }
            Some(Err(reason)) => return Err(Fault::NotStored(reason.as_str())),
            Some(Ok(())) | None => {}
        }
        let Some(tier) = &self.shared.disk else {
            return match self.in_memory(asked) {
                Some(_) => Ok(Tier::Memory),
                None => Err(Fault::NotKept("the cache is too small")),
            };
        };
        for left in (0..=WRITES).rev() {
            if timeout(self.config.patience, wanting.written())
                .await
                .is_err()
            {
                return Err(Fault::Stalled);
            }
            let stored = self.in_memory(asked);
            if self.is_on_disk(tier, asked, stored.as_deref(), behind) {
                return Ok(Tier::Disk);
            }
            let Some(stored) = stored else {
                return Err(Fault::NotKept("it is neither in memory nor on disk"));
            };
            let now = self.shared.clock.now();
            if !tier.disk.lasts(&stored, self.shared.config.origin, now) {
                // It is not for the disk.
                return Ok(Tier::Memory);
            }
            if tier.disk.status(now).is_paused {
                return Err(Fault::NotKept("the disk fails, and is left alone"));
            }
            if behind.large().is_some() && tier.disk.has(&asked.key) {
                return Err(Fault::NotKept("some of its slices are not on disk"));
            }
            if left == 0 {
                break;
            }
            self.give_way().await?;
            let era = stored.checked.era();
            self.shared.write_to_disk(&asked.key, &stored, era);
        }
        Err(Fault::NotKept("the disk does not take it"))
    }

    /// What is on disk need not be in memory before somebody asks for it, if that is so full
    /// that it takes the place of what viewers want.
    pub(super) fn spare_memory(&self, asked: &Asked) {
        let shared = &self.shared;
        if shared.store.bytes() > shared.config.memory_bytes / 4 * 3 {
            shared.store.remove(&asked.key);
        }
    }

    fn in_memory(&self, asked: &Asked) -> Option<Arc<Stored>> {
        self.shared.store.settle();
        self.shared.look_up(asked).answer().cloned()
    }

    /// It counts as used then.
    fn is_on_disk(
        &self,
        tier: &DiskTier,
        asked: &Asked,
        stored: Option<&Stored>,
        behind: &Behind,
    ) -> bool {
        let (kind, now) = (self.shared.config.origin, self.shared.clock.now());
        let has_slices = behind.large().is_none_or(|object| {
            let slices = slices_of(&(0..object.whole));
            tier.disk.keeps_slices(object.id, slices, now)
        });
        has_slices && tier.disk.keeps(&asked.key, stored, kind, now)
    }
}
