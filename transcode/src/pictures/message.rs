//! What is said to the pictures process and what it says: messages as of a worker, a
//! length, a kind and a body, integers big-endian. Pure.

use bytes::{Buf, BufMut, Bytes};
use media::VideoShape;

use crate::wire::{Encoded, VERSION, WireError, check_size, cut_reason, get_reason};
use crate::{MAX_FRAME, VideoSource};

/// The most tiles of a sheet.
const MAX_TILES: usize = 64;
/// The most pixels of a sheet.
const MAX_PIXELS: usize = 4 << 20;
/// The largest description of a source, in bytes: a record is spelled out in it, a number a
/// byte.
const MAX_SOURCE: usize = 128 << 10;

/// To the process. A sheet is its layout, then tiles, each behind the source it is of unless
/// that is the one before, then [`Request::Draw`], which is answered.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Request {
    Layout(Layout),
    Source(VideoSource),
    Tile { index: u16, data: Bytes },
    Draw,
}

/// From the process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// The first message.
    Hello { version: u16 },
    /// A tile stays black, and why. Comes before its sheet.
    Undecodable { index: u16, reason: String },
    /// The sheet, as a JPEG.
    Sheet { jpeg: Bytes },
    /// There is no sheet, and why.
    Failed { reason: String },
}

/// Tiles in rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) columns: u16,
    pub(crate) rows: u16,
    pub(crate) tile: VideoShape,
}

impl Layout {
    /// Fails on what is over a limit, or empty.
    pub(super) fn check(self) -> Result<Self, WireError> {
        let tiles = usize::from(self.columns) * usize::from(self.rows);
        let pixels = u64::from(self.tile.width)
            .saturating_mul(self.tile.height.into())
            .saturating_mul(tiles as u64);
        if pixels == 0 {
            return Err(WireError::Body("layout"));
        }
        check_size("a sheet's tiles", tiles, MAX_TILES)?;
        let pixels = usize::try_from(pixels).unwrap_or(usize::MAX);
        check_size("a sheet's pixels", pixels, MAX_PIXELS)?;
        Ok(self)
    }

    pub(crate) fn tiles(self) -> u16 {
        self.columns.saturating_mul(self.rows)
    }
}

mod kind {
    pub(super) const LAYOUT: u8 = 80;
    pub(super) const SOURCE: u8 = 81;
    pub(super) const TILE: u8 = 82;
    pub(super) const DRAW: u8 = 83;
    pub(super) const HELLO: u8 = 96;
    pub(super) const UNDECODABLE: u8 = 97;
    pub(super) const SHEET: u8 = 98;
    pub(super) const FAILED: u8 = 99;
}

impl Request {
    /// Fails on what is over a limit.
    pub(super) fn encode(&self) -> Result<Encoded, WireError> {
        Ok(match self {
            Self::Layout(layout) => {
                let Layout {
                    columns,
                    rows,
                    tile,
                } = layout.check()?;
                let mut fixed = Vec::with_capacity(LAYOUT);
                fixed.put_u16(columns);
                fixed.put_u16(rows);
                fixed.put_u32(tile.width);
                fixed.put_u32(tile.height);
                Encoded::new(kind::LAYOUT, &fixed, Bytes::new())
            }
            Self::Source(source) => {
                let document = serde_json::to_vec(source)?;
                check_size("a source", document.len(), MAX_SOURCE)?;
                Encoded::new(kind::SOURCE, &[], document.into())
            }
            Self::Tile { index, data } => {
                check_size("a key frame", data.len(), MAX_FRAME)?;
                Encoded::new(kind::TILE, &index.to_be_bytes(), data.clone())
            }
            Self::Draw => Encoded::new(kind::DRAW, &[], Bytes::new()),
        })
    }

    #[cfg_attr(not(feature = "ffmpeg"), expect(dead_code, reason = "the process's"))]
    pub(super) fn decode(kind: u8, mut body: Bytes) -> Result<Self, WireError> {
        match kind {
            kind::LAYOUT if body.len() == LAYOUT => {
                let layout = Layout {
                    columns: body.get_u16(),
                    rows: body.get_u16(),
                    tile: VideoShape {
                        width: body.get_u32(),
                        height: body.get_u32(),
                    },
                };
                layout.check().map(Self::Layout)
            }
            kind::SOURCE => {
                check_size("a source", body.len(), MAX_SOURCE)?;
                Ok(Self::Source(serde_json::from_slice(&body)?))
            }
            kind::TILE => {
                let index = body.try_get_u16().map_err(|_| WireError::Body("tile"))?;
                check_size("a key frame", body.len(), MAX_FRAME)?;
                Ok(Self::Tile { index, data: body })
            }
            kind::DRAW if body.is_empty() => Ok(Self::Draw),
            kind::LAYOUT | kind::DRAW => Err(WireError::Body("sheet")),
            kind => Err(WireError::Kind(kind)),
        }
    }
}

/// Bytes of a layout.
const LAYOUT: usize = 2 + 2 + 4 + 4;

impl Reply {
    /// The first message of this build.
    #[cfg_attr(not(feature = "ffmpeg"), expect(dead_code, reason = "the process's"))]
    pub(super) const HELLO: Self = Self::Hello { version: VERSION };

    /// Fails on what is over a limit.
    #[cfg_attr(not(feature = "ffmpeg"), expect(dead_code, reason = "the process's"))]
    pub(super) fn encode(&self) -> Result<Encoded, WireError> {
        Ok(match self {
            Self::Hello { version } => {
                Encoded::new(kind::HELLO, &version.to_be_bytes(), Bytes::new())
            }
            Self::Undecodable { index, reason } => {
                Encoded::new(kind::UNDECODABLE, &index.to_be_bytes(), cut_reason(reason))
            }
            Self::Sheet { jpeg } => {
                check_size("a sheet", jpeg.len(), MAX_FRAME)?;
                Encoded::new(kind::SHEET, &[], jpeg.clone())
            }
            Self::Failed { reason } => Encoded::new(kind::FAILED, &[], cut_reason(reason)),
        })
    }

    pub(super) fn decode(kind: u8, mut body: Bytes) -> Result<Self, WireError> {
        match kind {
            kind::HELLO if body.len() == 2 => Ok(Self::Hello {
                version: body.get_u16(),
            }),
            kind::UNDECODABLE => {
                let index = body.try_get_u16().map_err(|_| WireError::Body("tile"))?;
                let reason = get_reason(&body)?;
                Ok(Self::Undecodable { index, reason })
            }
            kind::SHEET if !body.is_empty() => Ok(Self::Sheet { jpeg: body }),
            kind::FAILED => Ok(Self::Failed {
                reason: get_reason(&body)?,
            }),
            kind::HELLO | kind::SHEET => Err(WireError::Body("sheet")),
            kind => Err(WireError::Kind(kind)),
        }
    }
}

#[cfg(all(test, feature = "ffmpeg"))]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::{SourceCodec, wire};

    const LAYOUT: Layout = Layout {
        columns: 5,
        rows: 5,
        tile: VideoShape {
            width: 160,
            height: 90,
        },
    };

    fn sent(message: Encoded) -> (u8, Bytes) {
        let mut bytes = BytesMut::from(&message.head[..]);
        bytes.extend_from_slice(&message.data);
        let message = wire::split(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        message
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        let record = Bytes::from_static(b"record");
        for request in [
            Request::Layout(LAYOUT),
            Request::Source(VideoSource::plain(SourceCodec::hevc(), record, (640, 360))),
            Request::Tile {
                index: 24,
                data: Bytes::from_static(b"picture"),
            },
            Request::Draw,
        ] {
            let (kind, body) = sent(request.encode().unwrap());
            assert_eq!(Request::decode(kind, body).unwrap(), request);
        }
        for reply in [
            Reply::HELLO,
            Reply::Undecodable {
                index: 7,
                reason: "torn".to_owned(),
            },
            Reply::Sheet {
                jpeg: Bytes::from_static(b"jpeg"),
            },
            Reply::Failed {
                reason: "no".to_owned(),
            },
        ] {
            let (kind, body) = sent(reply.encode().unwrap());
            assert_eq!(Reply::decode(kind, body).unwrap(), reply);
        }
    }

    #[test]
    fn a_sheet_has_limits() {
        let tile = |width, height| VideoShape { width, height };
        for (columns, rows, shape, fits) in [
            (5, 5, tile(160, 160), true),
            (1, 1, tile(1_280, 720), true),
            (0, 5, tile(160, 90), false),
            (5, 5, tile(0, 90), false),
            (9, 9, tile(2, 2), false),
            (5, 5, tile(1_280, 720), false),
            (u16::MAX, u16::MAX, tile(u32::MAX, u32::MAX), false),
        ] {
            let layout = Layout {
                columns,
                rows,
                tile: shape,
            };
            let request = Request::Layout(layout).encode();
            assert_eq!(request.is_ok(), fits, "{layout:?}");
        }
    }

    proptest! {
        #[test]
        fn nonsense_is_an_error_and_no_panic(kind in 70_u8..110, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Request::decode(kind, body.clone().into());
            let _ = Reply::decode(kind, body.into());
        }
    }
}
