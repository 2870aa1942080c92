//! What has to be known of a WebP before it is decoded, by its chunks (RFC 9649 2.3).

/// What the chunks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline<'a> {
    /// The picture, without what follows it: readers may take that for chunks of it.
    pub(super) picture: &'a [u8],
    /// Pixels of a line, and lines, of the lossy picture that it has. It is decoded before anybody
    /// sees whether they are those of the file.
    pub(super) lossy: Option<(u32, u32)>,
    /// Bytes of chunks that are coded without loss: whole pictures, and alpha channels.
    pub(super) lossless: u64,
    /// Whether it has frames, or says so. Readers look for metadata in them, of any length.
    pub(super) is_animated: bool,
}

impl<'a> Outline<'a> {
    /// Reads the chunks. None: some of them is not there, or not whole. Readers make room for as
    /// much as a chunk says that it has.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let picture = bytes.get(..number(bytes, 4)?.checked_add(8)?)?;
        let mut lossy = None;
        let mut lossless = 0;
        let mut is_animated = false;
        let mut at = 12;
        while let Some(name) = picture.get(at..at + 4) {
            let length = number(picture, at + 4)?;
            let data = picture.get(at + 8..)?.get(..length)?;
            match name {
                b"VP8 " if lossy.is_none() => {
                    // A frame tag and a start code, three bytes each (RFC 6386 9.1).
                    lossy = Some((side(data, 6)?, side(data, 8)?));
                }
                b"VP8L" | b"ALPH" => lossless += length as u64,
                b"ANIM" | b"ANMF" => is_animated = true,
                _ => {}
            }
            at += 8 + length + length % 2;
        }
        Some(Self {
            picture,
            lossy,
            lossless,
            is_animated,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

/// Two bits say how it is shown.
fn side(data: &[u8], at: usize) -> Option<u32> {
    let side = data.get(at..)?.first_chunk()?;
    Some(u32::from(u16::from_le_bytes(*side) & 0x3fff))
}
