//! What the journal says, record by record: which files there are.
//!
//! Records are of one length and have a checksum each, so that a tear at the end, or damage
//! in the middle, costs the records it touches. A removal whose record is lost does not
//! bring anything back: its file is gone as well.

use std::collections::HashMap;

use super::file::checksum;

/// What a journal begins with.
pub(super) const FORMAT: [u8; 16] = *b"nova edge disk 1";
/// Bytes of a record.
pub(super) const RECORD_BYTES: usize = 48;
const SUMMED_BYTES: usize = RECORD_BYTES - 8;
const SEED: u64 = 0x6A6F_7572_6E61_6C31;

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it is found by.
    pub(super) name: u64,
    /// Which file it is in.
    pub(super) id: u64,
    /// Which of the answers of one name it is.
    pub(super) variant: u32,
    /// Bytes of the file.
    pub(super) bytes: u32,
    /// Unix time in seconds when it is of no more use.
    pub(super) expires: u32,
    /// Unix time in seconds of its last use that is known.
    pub(super) used: u32,
}

/// What happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    Stored(Entry),
    Removed { id: u64 },
    Used { id: u64, at: u32 },
}

impl Record {
    pub(super) fn encode(self) -> [u8; RECORD_BYTES] {
        let nothing = Entry {
            name: 0,
            id: 0,
            variant: 0,
            bytes: 0,
            expires: 0,
            used: 0,
        };
        let (kind, entry) = match self {
            Self::Stored(entry) => (1, entry),
            Self::Removed { id } => (2, Entry { id, ..nothing }),
            Self::Used { id, at } => (
                3,
                Entry {
                    id,
                    used: at,
                    ..nothing
                },
            ),
        };
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&u64::to_le_bytes(kind));
        record[8..16].copy_from_slice(&entry.name.to_le_bytes());
        record[16..24].copy_from_slice(&entry.id.to_le_bytes());
        let small = [entry.variant, entry.bytes, entry.expires, entry.used];
        for (at, number) in (24..).step_by(4).zip(small) {
            record[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(SEED, &record[..SUMMED_BYTES]);
        record[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
        record
    }

    /// None of what is damaged.
    pub(super) fn decode(record: &[u8; RECORD_BYTES]) -> Option<Self> {
        let long = |at: usize| Some(u64::from_le_bytes(record[at..at + 8].try_into().ok()?));
        let short = |at: usize| Some(u32::from_le_bytes(record[at..at + 4].try_into().ok()?));
        if long(SUMMED_BYTES)? != checksum(SEED, &record[..SUMMED_BYTES]) {
            return None;
        }
        let id = long(16)?;
        Some(match long(0)? {
            1 => Self::Stored(Entry {
                name: long(8)?,
                id,
                variant: short(24)?,
                bytes: short(28)?,
                expires: short(32)?,
                used: short(36)?,
            }),
            2 => Self::Removed { id },
            3 => Self::Used { id, at: short(36)? },
            _ => return None,
        })
    }
}

/// The state that the records of a journal lead to.
#[derive(Debug, Default)]
pub(super) struct Replay {
    entries: HashMap<u64, Entry>,
    /// Records that were read.
    pub(super) records: u64,
    /// Records that say nothing, because they are damaged.
    pub(super) damaged: u64,
    /// Records up to the last that is whole.
    pub(super) good: u64,
    /// The highest id that was ever given.
    pub(super) last_id: u64,
}

impl Replay {
    /// Takes what follows in the journal: whole records.
    pub(super) fn feed(&mut self, records: &[u8]) {
        for record in records.as_chunks::<RECORD_BYTES>().0 {
            self.records += 1;
            let Some(record) = Record::decode(record) else {
                self.damaged += 1;
                continue;
            };
            self.good = self.records;
            self.apply(record);
        }
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Stored(entry) => {
                self.last_id = self.last_id.max(entry.id);
                self.entries.insert(entry.id, entry);
            }
            Record::Removed { id } => {
                self.last_id = self.last_id.max(id);
                self.entries.remove(&id);
            }
            Record::Used { id, at } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.used = entry.used.max(at);
                }
            }
        }
    }

    /// What is there, the longest unused first.
    pub(super) fn into_entries(self) -> Vec<Entry> {
        let mut entries: Vec<_> = self.entries.into_values().collect();
        entries.sort_unstable_by_key(|entry| (entry.used, entry.id));
        entries
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(id: u64, used: u32) -> Entry {
        Entry {
            name: id * 7,
            id,
            variant: 3,
            bytes: 100,
            expires: u32::MAX,
            used,
        }
    }

    fn journal(records: &[Record]) -> Vec<u8> {
        records.iter().flat_map(|record| record.encode()).collect()
    }

    fn replayed(bytes: &[u8]) -> Replay {
        let mut replay = Replay::default();
        replay.feed(bytes);
        replay
    }

    const HISTORY: fn() -> Vec<Record> = || {
        vec![
            Record::Stored(entry(1, 10)),
            Record::Stored(entry(2, 20)),
            Record::Used { id: 1, at: 30 },
            Record::Removed { id: 9 },
            Record::Stored(entry(3, 5)),
            Record::Removed { id: 2 },
        ]
    };

    #[test]
    fn the_state_is_what_the_records_lead_to() {
        let replay = replayed(&journal(&HISTORY()));
        assert_eq!((replay.last_id, replay.damaged, replay.good), (9, 0, 6));
        assert_eq!(replay.into_entries(), [entry(3, 5), entry(1, 30)]);
    }

    #[test]
    fn a_torn_tail_costs_only_itself() {
        let whole = journal(&HISTORY());
        for cut in 0..whole.len() {
            let replay = replayed(&whole[..cut]);
            assert_eq!(
                (replay.records, replay.damaged),
                ((cut / RECORD_BYTES) as u64, 0)
            );
        }
        let mut zeroed = whole.clone();
        zeroed.resize(whole.len() + 10 * RECORD_BYTES, 0);
        let replay = replayed(&zeroed);
        assert_eq!((replay.good, replay.damaged), (6, 10));
    }

    proptest! {
        #[test]
        fn a_record_reads_back(
            kind in 0..3, name: u64, id: u64, variant: u32, bytes: u32, expires: u32, used: u32,
        ) {
            let record = match kind {
                0 => Record::Stored(Entry { name, id, variant, bytes, expires, used }),
                1 => Record::Removed { id },
                _ => Record::Used { id, at: used },
            };
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn a_flipped_bit_is_noticed(id: u64, bit in 0..RECORD_BYTES * 8) {
            let mut record = Record::Stored(entry(id % 1_000, 1)).encode();
            record[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Record::decode(&record), None);
        }
    }
}
