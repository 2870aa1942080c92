//! The keys that are read, and what their values are.

use std::fmt;

/// A key that is read: of version 1 or 2, in request mode. `nor`, `nrr` (names of other
/// objects) and `cs` (a signature) are not: they may hold what must not be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u8);

/// What a key's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// With three digits behind the point at most, or an integer.
    Decimal,
    Flag,
    /// One of these words.
    Token(&'static [&'static str]),
    /// A text of so many bytes at most.
    Text(usize),
    /// Version 1: an integer. Version 2: an inner list of integers, of which each may have
    /// an object type as its parameter.
    Integers,
    /// An inner list of texts of so many bytes at most.
    Texts(usize),
}

const OBJECT_TYPES: &[&str] = &["a", "av", "c", "i", "k", "m", "o", "tt", "v"];

/// By name.
const KEYS: [(&str, Kind); 36] = [
    ("ab", Kind::Integers),
    ("bg", Kind::Flag),
    ("bl", Kind::Integers),
    ("br", Kind::Integers),
    ("bs", Kind::Flag),
    ("bsa", Kind::Integers),
    ("bsd", Kind::Integers),
    ("bsda", Kind::Integers),
    ("cdn", Kind::Text(128)),
    ("cid", Kind::Text(128)),
    ("d", Kind::Integer),
    ("dfa", Kind::Integer),
    ("dl", Kind::Integer),
    ("ec", Kind::Texts(64)),
    ("lab", Kind::Integers),
    ("lb", Kind::Integers),
    ("ltc", Kind::Integer),
    ("msd", Kind::Integer),
    ("mtp", Kind::Integers),
    ("nr", Kind::Flag),
    ("ot", Kind::Token(OBJECT_TYPES)),
    ("pb", Kind::Integers),
    ("pr", Kind::Decimal),
    ("pt", Kind::Integer),
    ("rtp", Kind::Integer),
    ("sf", Kind::Token(&["d", "e", "h", "o", "s"])),
    ("sid", Kind::Text(64)),
    ("sn", Kind::Integer),
    ("st", Kind::Token(&["l", "ll", "v"])),
    (
        "sta",
        Kind::Token(&["a", "d", "e", "f", "k", "p", "q", "r", "s"]),
    ),
    ("su", Kind::Flag),
    ("tab", Kind::Integers),
    ("tb", Kind::Integers),
    ("tbl", Kind::Integers),
    ("tpb", Kind::Integers),
    ("v", Kind::Integer),
];

impl Key {
    /// How many there are.
    pub const COUNT: usize = KEYS.len();

    /// The key of this name.
    pub fn named(name: &str) -> Option<Self> {
        let at = KEYS
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        u8::try_from(at).ok().map(Self)
    }

    /// All keys, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(Self::COUNT).map(Self)
    }

    /// As players spell it.
    pub fn as_str(self) -> &'static str {
        self.definition().0
    }

    pub(super) fn kind(self) -> Kind {
        self.definition().1
    }

    fn definition(self) -> &'static (&'static str, Kind) {
        // A key is made of a place in the table only.
        &KEYS[usize::from(self.0)]
    }

    /// One bit of 64.
    pub(super) fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What is asked for, `ot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectType {
    /// Audio alone.
    Audio,
    /// Audio and video.
    Muxed,
    /// A caption or subtitle.
    Caption,
    /// An init segment.
    Init,
    /// A key, licence or certificate.
    Key,
    /// A playlist or manifest.
    Manifest,
    /// Something else.
    Other,
    /// A timed text track.
    TimedText,
    /// Video alone.
    Video,
}

impl ObjectType {
    /// In the order of their tokens.
    pub const ALL: [Self; 9] = [
        Self::Audio,
        Self::Muxed,
        Self::Caption,
        Self::Init,
        Self::Key,
        Self::Manifest,
        Self::Other,
        Self::TimedText,
        Self::Video,
    ];

    /// Of a token.
    pub fn of(token: &str) -> Option<Self> {
        let at = OBJECT_TYPES.iter().position(|known| *known == token)?;
        Self::ALL.get(at).copied()
    }

    /// Its token.
    pub fn as_str(self) -> &'static str {
        OBJECT_TYPES[self as usize]
    }

    /// As metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Muxed => "muxed",
            Self::Caption => "caption",
            Self::Init => "init",
            Self::Key => "key",
            Self::Manifest => "manifest",
            Self::Other => "other",
            Self::TimedText => "timed-text",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_few() {
        assert!(KEYS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(KEYS.len() <= 64);
        for key in Key::all() {
            assert_eq!(Key::named(key.as_str()), Some(key));
            if let Kind::Token(words) = key.kind() {
                assert!(words.is_sorted());
            }
        }
        for unknown in ["", "SID", "nor", "cs", "com.example-x", "z"] {
            assert_eq!(Key::named(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn object_types_have_their_tokens() {
        for kind in ObjectType::ALL {
            assert_eq!(ObjectType::of(kind.as_str()), Some(kind));
        }
        assert_eq!(ObjectType::of("av"), Some(ObjectType::Muxed));
        assert_eq!(ObjectType::of("tt"), Some(ObjectType::TimedText));
        assert_eq!(ObjectType::of("x"), None);
    }
}
