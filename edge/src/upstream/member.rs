//! One of several that an edge may ask.

use std::fmt;

/// What a member of a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    /// An edge that other edges ask. What is asked is chosen by hash, so that shields share
    /// the cache between them.
    Shield,
    /// What makes the answers, or keeps them.
    Origin,
}

/// An origin or a shield, as the configuration or the registry of nodes has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Tells it from others and stays with it: its address. It is in the log and a label of
    /// metrics, so it must hold no secret.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// The lowest group that has enough members to ask is asked; the others stand in.
    pub group: u32,
    /// Its share of the requests of its group; 0 counts as 1.
    pub weight: u32,
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shield => "shield",
            Self::Origin => "origin",
        })
    }
}
