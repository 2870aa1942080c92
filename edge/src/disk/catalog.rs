//! Which files the tier has, which are given up for others, and which come in at all.
//!
//! Out goes what was not used for longest. In comes, once there is no room, only what was
//! asked for more often lately than each of those that would have to go. So what is asked
//! for once does not turn the disk over, and what no longer is gives way all the same, since
//! the counts are halved again and again. What an operator wants there comes in all the same.

use std::collections::HashMap;

use super::journal::Entry;
use super::sketch::Sketch;

const NONE: u32 = u32::MAX;
/// A file system gives space in blocks of this size.
const BLOCK: u64 = 4_096;
/// Places that are looked at for something expired whenever a file comes in.
const SWEPT_AT_ONCE: usize = 4;
/// A use is worth a record when the last is so long ago.
const USED_PRECISION_SECONDS: u32 = 600;

/// What the tier may take up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// Why a file does not come in: it is larger than the tier, or those that are there were
/// asked for as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unwanted;

/// How a file comes in where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// In the place of what was asked for less often.
    Contested,
    /// In the place of whatever was not used for longest: somebody has said so.
    Certain,
}

/// The files, by name and by last use.
#[derive(Debug)]
pub(super) struct Catalog {
    room: Room,
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// The first node of each name.
    names: HashMap<u64, u32>,
    coldest: u32,
    hottest: u32,
    files: u64,
    bytes: u64,
    /// Room of files that are being written.
    reserved_files: u64,
    reserved_bytes: u64,
    sketch: Sketch,
    /// Where the search for what has expired goes on.
    hand: usize,
}

#[cfg(test)]
pub(super) const NODE_BYTES: usize = size_of::<Node>();

/// 48 bytes, and about as many in `names`.
#[derive(Debug, Clone, Copy)]
struct Node {
    entry: Entry,
    colder: u32,
    hotter: u32,
    /// Another of the same name.
    sibling: u32,
}

/// The space that a file of so many bytes takes.
fn space(bytes: u32) -> u64 {
    u64::from(bytes).div_ceil(BLOCK) * BLOCK
}

impl Catalog {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            nodes: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            coldest: NONE,
            hottest: NONE,
            files: 0,
            bytes: 0,
            reserved_files: 0,
            reserved_bytes: 0,
            // Of what is asked for more is counted than is there.
            sketch: Sketch::new(room.files.min(room.bytes / (16 << 10))),
            hand: 0,
        }
    }

    pub(super) fn files(&self) -> u64 {
        self.files
    }

    /// Space that the files take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts that `name` was asked for.
    pub(super) fn asked_for(&mut self, name: u64) {
        self.sketch.record(name);
    }

    pub(super) fn has(&self, name: u64) -> bool {
        self.names.contains_key(&name)
    }

    /// All of `name`, the newest first.
    pub(super) fn of(&self, name: u64) -> Vec<Entry> {
        let mut entries: Vec<_> = self.chain(name).map(|(_, entry)| entry).collect();
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
        entries
    }

    fn chain(&self, name: u64) -> impl Iterator<Item = (u32, Entry)> {
        let mut at = self.names.get(&name).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let node = self.nodes.get(at as usize)?;
            let found = (at, node.entry);
            at = node.sibling;
            Some(found)
        })
    }

    fn find(&self, name: u64, id: u64) -> Option<u32> {
        self.chain(name)
            .find(|(_, entry)| entry.id == id)
            .map(|(at, _)| at)
    }

    /// All of `name` are used at `now`. Those whose last use should be written down.
    pub(super) fn touch(&mut self, name: u64, now: u32) -> Vec<u64> {
        let used: Vec<u32> = self.chain(name).map(|(at, _)| at).collect();
        let mut noted = Vec::new();
        for at in used {
            self.unlink(at);
            self.link_hottest(at);
            let entry = &mut self.nodes[at as usize].entry;
            if now.saturating_sub(entry.used) >= USED_PRECISION_SECONDS {
                entry.used = now;
                noted.push(entry.id);
            }
        }
        noted
    }

    /// Makes room for a file of `bytes`, and keeps it until [`Catalog::insert`] or
    /// [`Catalog::release`]. Those that had to go are added to `out`.
    pub(super) fn reserve(
        &mut self,
        name: u64,
        bytes: u32,
        now: u32,
        admission: Admission,
        out: &mut Vec<Entry>,
    ) -> Result<(), Unwanted> {
        self.sweep(now, out);
        let needed = space(bytes);
        let wanted = self.sketch.estimate(name);
        // Looked at before any of them goes.
        let (mut freed, mut gone) = (0, 0);
        let mut victims = Vec::new();
        let mut at = self.coldest;
        while !self.fits(needed, freed, gone) {
            let Some(node) = self.nodes.get(at as usize) else {
                return Err(Unwanted);
            };
            let victim = node.entry;
            let lives = victim.expires > now && victim.name != name;
            if lives
                && admission == Admission::Contested
                && self.sketch.estimate(victim.name) >= wanted
            {
                return Err(Unwanted);
            }
            freed += space(victim.bytes);
            gone += 1;
            victims.push(at);
            at = node.hotter;
        }
        out.extend(victims.into_iter().map(|at| self.take(at)));
        self.reserved_bytes += needed;
        self.reserved_files += 1;
        Ok(())
    }

    fn fits(&self, needed: u64, freed: u64, gone: u64) -> bool {
        self.bytes + self.reserved_bytes + needed <= self.room.bytes + freed
            && self.files + self.reserved_files < self.room.files + gone
    }

    /// Gives reserved room back.
    pub(super) fn release(&mut self, bytes: u32) {
        self.reserved_bytes -= space(bytes);
        self.reserved_files -= 1;
    }

    /// Adds what room was reserved for. Of each variant of a name the newest stays, whichever
    /// was written first, and of each name no more than `most`. Those that had to go are
    /// added to `out`.
    pub(super) fn insert(&mut self, entry: Entry, most: usize, out: &mut Vec<Entry>) {
        self.release(entry.bytes);
        self.add(entry);
        let same = self.of(entry.name).into_iter();
        let same = same.filter(|other| other.variant == entry.variant);
        for older in same.skip(1) {
            out.extend(self.remove(older.name, older.id));
        }
        for older in self.of(entry.name).into_iter().skip(most.max(1)) {
            out.extend(self.remove(older.name, older.id));
        }
    }

    /// Adds what the journal knows; the hottest comes last.
    pub(super) fn restore(&mut self, entry: Entry) {
        self.add(entry);
    }

    /// What must go because the tier is smaller than it was.
    pub(super) fn shrink(&mut self) -> Vec<Entry> {
        let mut out = Vec::new();
        while self.bytes > self.room.bytes || self.files > self.room.files {
            match self.coldest {
                NONE => break,
                at => out.push(self.take(at)),
            }
        }
        out
    }

    pub(super) fn remove(&mut self, name: u64, id: u64) -> Option<Entry> {
        self.find(name, id).map(|at| self.take(at))
    }

    pub(super) fn remove_all(&mut self, name: u64) -> Vec<Entry> {
        let all: Vec<u32> = self.chain(name).map(|(at, _)| at).collect();
        all.into_iter().map(|at| self.take(at)).collect()
    }

    /// Forgets all files, but not what was asked for how often.
    pub(super) fn clear(&mut self) {
        self.nodes = Vec::new();
        self.free = Vec::new();
        self.names = HashMap::new();
        (self.coldest, self.hottest) = (NONE, NONE);
        (self.files, self.bytes, self.hand) = (0, 0, 0);
    }

    /// Up to `most` entries from place `at` on, and where to go on; None at the end.
    pub(super) fn page(&self, at: usize, most: usize) -> (Vec<Entry>, Option<usize>) {
        let end = at.saturating_add(most).min(self.nodes.len());
        let there = self.nodes.get(at..end).unwrap_or_default();
        let entries = there.iter().map(|node| node.entry);
        (
            entries.filter(|entry| entry.id != 0).collect(),
            (end < self.nodes.len()).then_some(end),
        )
    }

    /// Takes out what has expired of a few places.
    fn sweep(&mut self, now: u32, out: &mut Vec<Entry>) {
        for _ in 0..SWEPT_AT_ONCE.min(self.nodes.len()) {
            self.hand = (self.hand + 1) % self.nodes.len();
            let entry = self.nodes[self.hand].entry;
            if entry.id != 0 && entry.expires <= now {
                // It is an index of `nodes`, of which there are fewer than 2^32.
                out.push(self.take(self.hand as u32));
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        let sibling = self.names.get(&entry.name).copied().unwrap_or(NONE);
        let node = Node {
            entry,
            colder: NONE,
            hotter: NONE,
            sibling,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                // `files` of the room is less than 2^32.
                (self.nodes.len() - 1) as u32
            }
        };
        self.names.insert(entry.name, at);
        self.link_hottest(at);
        self.files += 1;
        self.bytes += space(entry.bytes);
    }

    fn take(&mut self, at: u32) -> Entry {
        let Node { entry, sibling, .. } = self.nodes[at as usize];
        if self.names.get(&entry.name) == Some(&at) {
            match sibling {
                NONE => self.names.remove(&entry.name),
                sibling => self.names.insert(entry.name, sibling),
            };
        } else {
            let before = self
                .chain(entry.name)
                .find(|(other, _)| self.nodes[*other as usize].sibling == at);
            if let Some((before, _)) = before {
                self.nodes[before as usize].sibling = sibling;
            }
        }
        self.unlink(at);
        self.nodes[at as usize].entry.id = 0;
        self.free.push(at);
        self.files -= 1;
        self.bytes -= space(entry.bytes);
        entry
    }

    fn unlink(&mut self, at: u32) {
        let Node { colder, hotter, .. } = self.nodes[at as usize];
        match colder {
            NONE => self.coldest = hotter,
            colder => self.nodes[colder as usize].hotter = hotter,
        }
        match hotter {
            NONE => self.hottest = colder,
            hotter => self.nodes[hotter as usize].colder = colder,
        }
    }

    fn link_hottest(&mut self, at: u32) {
        let before = self.hottest;
        let node = &mut self.nodes[at as usize];
        (node.colder, node.hotter) = (before, NONE);
        match before {
            NONE => self.coldest = at,
            before => self.nodes[before as usize].hotter = at,
        }
        self.hottest = at;
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
