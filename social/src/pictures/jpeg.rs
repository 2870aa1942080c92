//! What has to be known of a JPEG before it is decoded, by its markers (ITU-T T.81 B.1).

/// What the markers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outline {
    /// Whether it is sent in scans over the whole picture, which are collected.
    pub(super) is_progressive: bool,
    /// Whether its end is there. Decoders show what they have of a picture that was cut off.
    pub(super) has_end: bool,
}

impl Outline {
    /// Reads the markers up to the end of the picture; what follows it is none of its own.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut outline = Self::default();
        let mut rest = bytes;
        while let Some((marker, after)) = next_marker(rest) {
            rest = match marker {
                END => {
                    outline.has_end = true;
                    return outline;
                }
                // They stand alone.
                START | TEMPORARY | RESTART_FIRST..=RESTART_LAST => after,
                _ => {
                    outline.is_progressive |= matches!(marker, SOF2 | SOF6 | SOF10 | SOF14);
                    let length = after
                        .first_chunk()
                        .map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
                    after.get(length.max(2)..).unwrap_or_default()
                }
            };
        }
        outline
    }
}

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const TEMPORARY: u8 = 0x01;
const RESTART_FIRST: u8 = 0xd0;
const RESTART_LAST: u8 = 0xd7;
const SOF2: u8 = 0xc2;
const SOF6: u8 = 0xc6;
const SOF10: u8 = 0xca;
const SOF14: u8 = 0xce;

/// The next marker and what follows it. Coded data is passed over: in it, 0xff is followed by
/// 0; between segments, by more of it.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|byte| *byte == 0xff)?;
        rest = &rest[at + 1..];
        match rest.first()? {
            0x00 | 0xff => {}
            marker => return Some((*marker, &rest[1..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_that_of_the_picture() {
        // A thumbnail in the metadata has an end of its own; what follows the end is passed over.
        let thumbnail: &[u8] = &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let scan: &[u8] = &[0xff, 0xda, 0, 4, 1, 2, 7, 0xff, 0x00, 8, 0xff, 0xd0, 9];
        let end: &[u8] = &[0xff, 0xff, 0xd9];
        let whole = [&[0xff, 0xd8], thumbnail, scan, end, &[1, 2, 3]].concat();
        let outline = Outline::of(&whole);
        assert!(outline.has_end && !outline.is_progressive);
        for length in 0..whole.len() - 3 {
            assert!(!Outline::of(&whole[..length]).has_end, "{length}");
        }
        let progressive = [&[0xff, 0xd8, 0xff, 0xc2, 0, 3, 8], end].concat();
        assert!(Outline::of(&progressive).is_progressive);
    }
}
