//! What has to be known of a JPEG before it is decoded, by its markers (ITU-T T.81 B.1).

use super::Unusable;

/// What the markers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline {
    /// Components of which every coefficient is collected before any pixel is made: all of them,
    /// unless the first scan of a sequential picture has all of them.
    pub(super) collected: u8,
    /// Whether its end is there. Decoders show what they have of a picture that was cut off.
    pub(super) has_end: bool,
}

impl Outline {
    /// Reads the markers up to the end of the picture; what follows it is none of its own.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Unusable> {
        let (collected, scans) = head(bytes)?;
        Ok(Self {
            collected,
            has_end: has_end(scans),
        })
    }
}

/// The most segments before the first scan: decoders compare those of some kinds with all that
/// came before. A profile may have 255, and metadata of 16 MiB as many.
const MAX_SEGMENTS: usize = 512;

/// Before the length of `APP0`, which is two bytes itself: with four more a decoder passes over
/// five.
const MISREAD: usize = 6;

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const APP0: u8 = 0xe0;
const TEMPORARY: u8 = 0x01;
const RESTART_FIRST: u8 = 0xd0;
const RESTART_LAST: u8 = 0xd7;
const SOF0: u8 = 0xc0;
const SOF1: u8 = 0xc1;
const SOF15: u8 = 0xcf;
/// Among the frames' markers, but none of them: tables, and what is reserved.
const NO_FRAMES: [u8; 3] = [0xc4, 0xc8, 0xcc];

/// Reads the segments up to the first scan, and gives how many components are collected and what
/// follows. Strict: a decoder that passes over what is no segment, or takes what stands alone
/// for one, would see others than are seen here.
fn head(bytes: &[u8]) -> Result<(u8, &[u8]), Unusable> {
    let mut frame = None;
    let mut rest = bytes.strip_prefix(&[0xff, START]).ok_or_else(cut_off)?;
    for _ in 0..MAX_SEGMENTS {
        let (marker, data, after) = segment(rest)?;
        rest = after;
        match marker {
            SCAN => {
                let (kind, components) = frame.ok_or_else(|| broken("its scan has no frame"))?;
                let in_scan = *data.first().ok_or_else(cut_off)?;
                let is_sequential = matches!(kind, SOF0 | SOF1);
                let is_whole = is_sequential && in_scan == components;
                return Ok((if is_whole { 0 } else { components }, rest));
            }
            SOF0..=SOF15 if !NO_FRAMES.contains(&marker) => {
                // Precision, lines and their length come first: T.81 B.2.2.
                frame = Some((marker, *data.get(5).ok_or_else(cut_off)?));
            }
            APP0 if data.len() + 2 == MISREAD => return Err(broken("its APP0 has 6 bytes")),
            _ => {}
        }
    }
    let message = format!("it has more than {MAX_SEGMENTS} segments before its first scan");
    Err(broken(&message))
}

/// The segment that begins here: its marker, what it holds, and what follows it.
fn segment(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Unusable> {
    let after_fill = bytes.iter().position(|byte| *byte != 0xff);
    let at = after_fill.ok_or_else(cut_off)?;
    let marker = bytes[at];
    let stands_alone = matches!(
        marker,
        0x00 | TEMPORARY | START | END | RESTART_FIRST..=RESTART_LAST
    );
    if at == 0 || stands_alone {
        return Err(broken("what is between its markers is no segment"));
    }
    let rest = &bytes[at + 1..];
    let length = rest.first_chunk().ok_or_else(cut_off)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length < 2 {
        return Err(broken("a segment is shorter than its length"));
    }
    let data = rest.get(2..length).ok_or_else(cut_off)?;
    Ok((marker, data, &rest[length..]))
}

/// Whether the end comes, after coded data and the segments of other scans.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((marker, after)) = next_marker(rest) {
        rest = match marker {
            END => return true,
            // They stand alone.
            START | TEMPORARY | RESTART_FIRST..=RESTART_LAST => after,
            _ => {
                let length = after
                    .first_chunk()
                    .map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
                after.get(length.max(2)..).unwrap_or_default()
            }
        };
    }
    false
}

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

fn broken(why: &str) -> Unusable {
    Unusable::Broken(why.to_owned())
}

fn cut_off() -> Unusable {
    broken("it ends before its end")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &[u8] = &[0xff, 0xd8];
    const SCAN_OF_ONE: &[u8] = &[0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0];
    const FINISH: &[u8] = &[0xff, 0xd9];

    /// A frame of one pixel.
    fn frame(marker: u8, components: u8) -> Vec<u8> {
        let mut frame = vec![
            0xff,
            marker,
            0,
            8 + 3 * components,
            8,
            0,
            1,
            0,
            1,
            components,
        ];
        frame.extend((1..=components).flat_map(|id| [id, 0x11, 0]));
        frame
    }

    fn collected(marker: u8, components: u8, in_scan: u8) -> u8 {
        let mut scan = vec![0xff, 0xda, 0, 6 + 2 * in_scan, in_scan];
        scan.extend((1..=in_scan).flat_map(|id| [id, 0]));
        scan.extend([0, 63, 0]);
        let file = [BEGIN, &frame(marker, components), &scan, FINISH].concat();
        Outline::of(&file).unwrap().collected
    }

    #[test]
    fn the_end_is_that_of_the_picture() {
        // A thumbnail in the metadata has an end of its own; what follows the end is passed over.
        let thumbnail: &[u8] = &[0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let coded: &[u8] = &[7, 0xff, 0x00, 8, 0xff, 0xd0, 9];
        let end: &[u8] = &[0xff, 0xff, 0xd9];
        let frame = frame(0xc0, 1);
        let parts = [
            BEGIN,
            thumbnail,
            &frame,
            SCAN_OF_ONE,
            coded,
            SCAN_OF_ONE,
            coded,
            end,
            &[1, 2, 3],
        ];
        let whole = parts.concat();
        assert!(Outline::of(&whole).unwrap().has_end);
        for length in 0..whole.len() - 3 {
            let has_end = Outline::of(&whole[..length]).is_ok_and(|outline| outline.has_end);
            assert!(!has_end, "{length}");
        }
    }

    #[test]
    fn what_a_scan_has_not_is_collected() {
        for (marker, components, in_scan, expected) in [
            (0xc0, 1, 1, 0),
            (0xc0, 3, 3, 0),
            (0xc1, 4, 4, 0),
            (0xc0, 3, 1, 3),
            (0xc1, 3, 2, 3),
            (0xc0, 4, 1, 4),
            (0xc2, 1, 1, 1),
            (0xc2, 3, 3, 3),
            (0xc2, 4, 4, 4),
        ] {
            let collected = collected(marker, components, in_scan);
            assert_eq!(collected, expected, "{marker:x} {components} {in_scan}");
        }
    }

    #[test]
    fn before_the_first_scan_there_are_segments_and_nothing_else() {
        let frame = frame(0xc2, 3);
        let file = |between: &[u8]| [BEGIN, between, &frame, SCAN_OF_ONE, FINISH].concat();
        for fine in [
            &[][..],
            &[0xff, 0xff],
            &[0xff, 0xe1, 0, 2],
            &[0xff, 0xe0, 0, 7, 1, 2, 3, 4, 5],
        ] {
            assert!(Outline::of(&file(fine)).is_ok(), "{fine:x?}");
        }
        for bad in [
            &[0][..],
            &[1, 2, 3, 4, 5],
            &[0xff, 0x00],
            &[0xff, 0xff, 0x00],
            &[0xff, 0x01],
            &[0xff, 0xd0],
            &[0xff, 0xd7],
            &[0xff, 0xd8],
            &[0xff, 0xd9],
            // Followed by what would be a length that hides the frame.
            &[0xff, 0xd3, 0, 4],
            &[0xff, 0xe1, 0, 1],
            &[0xff, 0xe1, 0xff, 0xff],
            &[0xff, 0xe0, 0, 6, 1, 2, 3, 4],
        ] {
            assert!(Outline::of(&file(bad)).is_err(), "{bad:x?}");
        }
        let no_frame = [BEGIN, SCAN_OF_ONE, FINISH].concat();
        assert!(Outline::of(&no_frame).is_err());
    }

    #[test]
    fn segments_before_the_first_scan_are_counted() {
        let (frame, empty) = (frame(0xc0, 1), [0xff, 0xe1, 0, 2]);
        for (segments, is_fine) in [(MAX_SEGMENTS - 2, true), (MAX_SEGMENTS - 1, false)] {
            let many = empty.repeat(segments);
            let file = [BEGIN, &many, &frame, SCAN_OF_ONE, FINISH].concat();
            assert_eq!(Outline::of(&file).is_ok(), is_fine, "{segments}");
        }
    }
}
