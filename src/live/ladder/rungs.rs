//! What a ladder's worker makes, on its way into the window and the archive.

use std::collections::{HashMap, HashSet};

use media::{Codec, Frame, Rendition, RenditionName};

use crate::live::packaged::{Outlet, Packaged};

/// The renditions that a ladder's workers make, one after the other.
pub(super) struct Rungs {
    outlet: Outlet,
    packaged: HashMap<RenditionName, Packaged>,
    /// Their workers made something else than the epoch's init segment says.
    refused: HashSet<RenditionName>,
    /// Not made for now. What still comes of them is dropped.
    shed: HashSet<RenditionName>,
    /// To be taken again from the next segment start on.
    returning: HashSet<RenditionName>,
    /// A hardware encoder has failed in this epoch.
    device_failed: bool,
}

/// Whether a player that has `announced` can decode what needs `made`. A worker that was
/// to use a device announces its software's parameter sets as well, one that replaces it
/// announces only those.
fn can_decode(announced: &Codec, made: &Codec) -> bool {
    match (announced, made) {
        (Codec::Avc(announced), Codec::Avc(made)) => announced.includes(made),
        _ => announced == made,
    }
}

impl Rungs {
    pub(super) fn new(outlet: Outlet) -> Self {
        Self {
            outlet,
            packaged: HashMap::new(),
            refused: HashSet::new(),
            shed: HashSet::new(),
            returning: HashSet::new(),
            device_failed: false,
        }
    }

    pub(super) fn announce(&mut self, rendition: Rendition) {
        if let Some(known) = self.packaged.get(&rendition.name) {
            if !can_decode(&known.rendition().codec, &rendition.codec) {
                // Its frames would not play with the epoch's init segment.
                tracing::error!(rendition = %rendition.name, "worker changed its configuration");
                self.lose(&rendition.name);
                self.refused.insert(rendition.name);
            }
            return;
        }
        if let Err(error) = self.outlet.window.add_rendition(rendition.clone()) {
            tracing::error!(rendition = %rendition.name, %error, "rendition refused");
            return;
        }
        let packaged = Packaged::start(&self.outlet, rendition);
        self.packaged.insert(packaged.name().clone(), packaged);
    }

    pub(super) fn push(&mut self, rung: &RenditionName, frame: Frame) {
        if self.refused.contains(rung) || self.shed.contains(rung) {
            return;
        }
        if frame.starts.is_some() {
            self.returning.remove(rung);
        } else if self.returning.contains(rung) {
            return;
        }
        if let Some(packaged) = self.packaged.get_mut(rung) {
            packaged.push(frame);
        }
    }

    /// Its open segment becomes a gap, and so does each after it until a frame comes.
    pub(super) fn lose(&mut self, rung: &RenditionName) {
        if let Some(packaged) = self.packaged.get_mut(rung) {
            packaged.abandon();
        }
        self.outlet.window.lose(rung);
        self.outlet.meter.lost(rung);
    }

    /// Its hardware encoder has failed: software begins with its next segment.
    pub(super) fn lose_device(&mut self, rung: &RenditionName) {
        self.device_failed = true;
        self.lose(rung);
    }

    /// Whether a hardware encoder has failed.
    pub(super) fn has_lost_device(&self) -> bool {
        self.device_failed
    }

    /// It is not made for a while.
    pub(super) fn shed(&mut self, rung: &RenditionName, reason: &str) {
        self.lose(rung);
        self.shed.insert(rung.clone());
        self.outlet.meter.shed(rung, reason);
    }

    /// It is made again.
    pub(super) fn restore(&mut self, rung: &RenditionName) {
        if self.shed.remove(rung) {
            self.returning.insert(rung.clone());
            self.outlet.meter.restored(rung);
        }
    }

    /// No more frames: what is open ends.
    pub(super) fn finish(&mut self) {
        for packaged in self.packaged.values_mut() {
            packaged.finish();
        }
    }
}
