//! Pictures that are to be made of key frames.

use bytes::Bytes;

use crate::{Codec, VideoShape};

/// Tiles in rows, to be made one JPEG: a storyboard's sprite, or a single picture.
#[derive(Clone, PartialEq, Debug)]
pub struct Sheet {
    /// Tiles in a row.
    pub columns: u16,
    /// Rows of tiles.
    pub rows: u16,
    /// The size of each tile in square pixels.
    pub tile: VideoShape,
    /// What is in the tiles, row by row. `None` leaves one black, and so does the end.
    pub tiles: Vec<Option<KeyFrame>>,
}

/// A picture that needs no other to be decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFrame {
    /// What decodes it.
    pub codec: Codec,
    /// The access unit.
    pub data: Bytes,
}

/// A sheet as it came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrawnSheet {
    /// The JPEG.
    pub jpeg: Bytes,
    /// The tiles that stayed black because their key frame cannot be decoded, by their
    /// place in [`Sheet::tiles`], and why.
    pub undecodable: Vec<(usize, String)>,
}
