//! How an edge follows the purges: it obeys those that have come, tells so, and notes how far
//! what it has stored is swept of them.
//!
//! A shield that has not obeyed yet gives what was purged to an edge that has. So an edge with
//! shields obeys at once, and once more when they have, and only then tells so.

use std::collections::VecDeque;
use std::sync::Arc;

use edge::{EdgeControl, Obeyed, OriginKind, PurgeRule, Selector};
use media::Clock;
use storage::rows::edge_nodes::Registration;
use storage::rows::purges::{self, News, PurgeRow, Seen};
use storage::rows::{Database, RowError, edge_assets};

use super::assets::Assets;
use super::place::Place;
use crate::data_dir::DirectoryError;

/// Purges that are read at a time.
const PAGE: u32 = 256;
/// With more than so many missed at the start, what is stored is given up: most of it will
/// have been purged, and the edge would give it up anyway.
const MOST_MISSED: u64 = 512;

/// What obeys the purges, and how far it has.
pub(super) struct PurgeFollower {
    database: Database,
    clock: Arc<dyn Clock>,
    control: EdgeControl,
    assets: Assets,
    place: Place,
    has_shields: bool,
    /// The last purge that the edge has obeyed.
    seen: Seen,
    /// The last one that it has told of.
    acknowledged: Seen,
    /// With shields: what has been obeyed once since.
    again: Vec<PurgeRule>,
    /// What the edge said of the last one since.
    obeyed: Option<Obeyed>,
    /// The configuration that it has read.
    configuration: u64,
    /// Purges that are not yet known to have been swept of all that is stored: the first and
    /// the last.
    unswept: VecDeque<(Obeyed, Seen)>,
}

impl PurgeFollower {
    /// One that is as far as what `place` says.
    pub(super) fn new(
        database: Database,
        clock: Arc<dyn Clock>,
        control: EdgeControl,
        assets: Assets,
        place: Place,
        has_shields: bool,
    ) -> Result<Self, DirectoryError> {
        let seen = place.seen()?;
        Ok(Self {
            database,
            clock,
            control,
            assets,
            place,
            has_shields,
            seen,
            acknowledged: seen,
            again: Vec::new(),
            obeyed: None,
            configuration: 0,
            unswept: VecDeque::new(),
        })
    }

    /// The position of the last purge that it has told of.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.position
    }

    /// The configuration that it has read.
    pub(super) fn configuration(&self) -> u64 {
        self.configuration
    }

    /// It has obeyed once, and does so again when its shields have.
    pub(super) fn awaits_shields(&self) -> bool {
        self.has_shields && self.seen != self.acknowledged
    }

    /// Tries again what could not be made of assets.
    pub(super) fn mend_assets(&mut self) {
        self.assets.mend();
    }

    /// At the start: obeys what was missed.
    pub(super) async fn begin(&mut self, node: &Registration) -> Result<(), RowError> {
        self.catch_up().await?;
        self.obey_new(node).await
    }

    /// At the start: gives up what is stored if too much was missed since.
    async fn catch_up(&mut self) -> Result<(), RowError> {
        if let News::Purges(_, last) = purges::since(&self.database, self.seen, 1).await?
            && last - self.seen.position > MOST_MISSED
        {
            let unknown = Seen {
                position: last,
                id: None,
            };
            self.give_up(unknown);
        }
        Ok(())
    }

    /// Reads the configuration, if it is another.
    async fn configure(&mut self) -> Result<(), RowError> {
        let generation = edge_assets::generation(&self.database).await?;
        if generation != self.configuration {
            let (generation, assets) = edge_assets::all(&self.database).await?;
            self.assets.apply(&assets);
            let tagged = assets
                .into_iter()
                .filter(|asset| !asset.rules.tags.is_empty())
                .map(|asset| (asset.rules.path_prefix, asset.rules.tags));
            self.control.tag_prefixes(tagged);
            self.configuration = generation;
        }
        Ok(())
    }

    /// Obeys the purges that have come, and tells so once it cannot get back what was purged.
    pub(super) async fn obey_new(&mut self, node: &Registration) -> Result<(), RowError> {
        loop {
            let news = purges::since(&self.database, self.seen, PAGE).await?;
            // After the purges were read: a tag is that of all assets that had it by then.
            self.configure().await?;
            match news {
                News::Purges(new, last) => {
                    for purge in &new {
                        self.obey(purge);
                    }
                    if new.is_empty() || self.seen.position >= last {
                        break;
                    }
                }
                News::Lost(seen) => {
                    tracing::warn!("purges may have been missed: nothing that is stored is used");
                    self.give_up(seen);
                }
            }
        }
        if self.seen == self.acknowledged {
            return Ok(());
        }
        let (position, now) = (self.seen.position, self.clock.now());
        if self.has_shields {
            if purges::awaits_shields(&self.database, position, now).await? {
                return Ok(());
            }
            for rule in std::mem::take(&mut self.again) {
                self.obeyed = Some(self.control.purge(&rule));
            }
        }
        if let Some(obeyed) = self.obeyed.take() {
            if self.unswept.len() > 1 {
                self.unswept.pop_back();
            }
            self.unswept.push_back((obeyed, self.seen));
        }
        purges::acknowledge(&self.database, node, position, now).await?;
        self.acknowledged = self.seen;
        Ok(())
    }

    fn obey(&mut self, purge: &PurgeRow) {
        let selector = Selector::parse(OriginKind::Media, &purge.kind, &purge.subject)
            .unwrap_or_else(|error| {
                // A newer version may know more. Less must not be purged than was asked for.
                tracing::error!(%error, id = %purge.id, "a purge is not understood: all is purged");
                Selector::Everything
            });
        tracing::info!(id = %purge.id, ?selector, soft = purge.soft, "purged");
        let rule = PurgeRule {
            selector,
            soft: purge.soft,
        };
        self.apply(rule, Seen::from(purge));
    }

    fn give_up(&mut self, seen: Seen) {
        let rule = PurgeRule {
            selector: Selector::Everything,
            soft: false,
        };
        self.again.clear();
        self.apply(rule, seen);
    }

    fn apply(&mut self, rule: PurgeRule, seen: Seen) {
        self.seen = seen;
        self.obeyed = Some(self.control.purge(&rule));
        if !self.has_shields {
            return;
        }
        self.again.push(rule);
        if self.again.len() as u64 > MOST_MISSED {
            self.again = vec![PurgeRule {
                selector: Selector::Everything,
                soft: false,
            }];
        }
    }

    /// Writes down how far what is stored has been swept: from there on the next process
    /// on this directory has to obey again.
    pub(super) async fn write_seen(&mut self) {
        let mut swept = None;
        while let Some(&(obeyed, seen)) = self.unswept.front()
            && self.control.has_swept(obeyed)
        {
            swept = Some(seen);
            self.unswept.pop_front();
        }
        if let Some(seen) = swept
            && let Err(error) = self.place.write_seen(seen).await
        {
            tracing::warn!(%error, "how far purges were obeyed was not written down");
        }
    }
}
