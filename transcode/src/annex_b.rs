//! From the byte stream format of H.264 and HEVC Annex B, which encoders and MPEG-TS use, to
//! the length-prefixed format of ISO/IEC 14496-15, which everything here uses.

pub(crate) mod hevc;

use bytes::{BufMut, Bytes, BytesMut};

/// The NAL units of a byte stream, without start codes.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let unit = rest?;
        let (unit, next) = match start_code(unit) {
            Some(at) => (&unit[..at], after_start_code(&unit[at..])),
            None => (unit, None),
        };
        rest = next;
        Some(without_trailing_zeros(unit))
    })
    .filter(|unit| !unit.is_empty())
}

fn start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|three| three == [0, 0, 1])
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    start_code(bytes).map(|at| &bytes[at + 3..])
}

/// `trailing_zero_8bits`, and the first byte of a four-byte start code.
fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|&byte| byte != 0);
    &unit[..end.map_or(0, |last| last + 1)]
}

/// Whether `bytes` begin with a start code.
#[cfg(feature = "ffmpeg")]
pub(crate) fn is_byte_stream(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0, 0, 1]) || bytes.starts_with(&[0, 0, 0, 1])
}

const SEQUENCE_PARAMETER_SET: u8 = 7;
const PICTURE_PARAMETER_SET: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte & 0x1f)
}

/// An access unit with four-byte length prefixes. Parameter sets are left out, because
/// they stand in the decoder configuration, and so are access unit delimiters.
pub(crate) fn to_length_prefixed(stream: &[u8]) -> Bytes {
    prefixed(stream, |unit| {
        !matches!(
            kind(unit),
            SEQUENCE_PARAMETER_SET | PICTURE_PARAMETER_SET | ACCESS_UNIT_DELIMITER
        )
    })
}

/// The NAL units that stay, each behind its length in four bytes.
fn prefixed(stream: &[u8], stays: impl Fn(&[u8]) -> bool) -> Bytes {
    let mut out = BytesMut::with_capacity(stream.len() + 8);
    for unit in nal_units(stream).filter(|unit| stays(unit)) {
        out.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
        out.put_slice(unit);
    }
    out.freeze()
}

/// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3.1) for the parameter
/// sets in a byte stream. `None` if there is no sequence or no picture parameter set,
/// if there are too many or too long ones, or if they do not go together.
pub(crate) fn decoder_configuration(stream: &[u8]) -> Option<Bytes> {
    let sets = |wanted| -> Vec<&[u8]> {
        let mut sets = Vec::new();
        for unit in nal_units(stream).filter(|unit| kind(unit) == wanted) {
            if !sets.contains(&unit) {
                sets.push(unit);
            }
        }
        sets
    };
    let sps = sets(SEQUENCE_PARAMETER_SET);
    let pps = sets(PICTURE_PARAMETER_SET);
    if sps.is_empty() || pps.is_empty() || sps.len() > 31 || pps.len() > 255 {
        return None;
    }
    // What holds for all of them: 5.3.3.1.2.
    let (mut profile, mut constraints, mut level) = (0, 0xff, 0);
    for set in &sps {
        let &[_, its_profile, its_constraints, its_level, ..] = *set else {
            return None;
        };
        profile = profile.max(its_profile);
        constraints &= its_constraints;
        level = level.max(its_level);
    }
    let mut record = BytesMut::new();
    // configurationVersion, then lengthSizeMinusOne under six set bits.
    record.put_slice(&[1, profile, constraints, level, 0xff]);
    record.put_u8(0xe0 | u8::try_from(sps.len()).ok()?);
    put_sets(&mut record, &sps)?;
    record.put_u8(u8::try_from(pps.len()).ok()?);
    put_sets(&mut record, &pps)?;
    if matches!(profile, 100 | 110 | 122 | 144) {
        let mut formats = sps.iter().map(|set| sample_format(set));
        let format = formats.next()?;
        if formats.any(|other| other != format) {
            return None;
        }
        let (chroma, luma_depth, chroma_depth) = format?;
        record.put_slice(&[0xfc | chroma, 0xf8 | luma_depth, 0xf8 | chroma_depth, 0]);
    }
    Some(record.freeze())
}

fn put_sets(record: &mut BytesMut, sets: &[&[u8]]) -> Option<()> {
    for set in sets {
        record.put_u16(u16::try_from(set.len()).ok()?);
        record.put_slice(set);
    }
    Some(())
}

/// The numbers of the sequence parameter sets in a byte stream.
pub(crate) fn parameter_set_numbers(stream: &[u8]) -> impl Iterator<Item = u32> {
    nal_units(stream)
        .filter(|unit| kind(unit) == SEQUENCE_PARAMETER_SET)
        .filter_map(|unit| {
            let bytes = unit.get(4..)?;
            ExpGolomb { bytes, at: 0 }.read()
        })
}

/// `chroma_format_idc`, `bit_depth_luma_minus8` and `bit_depth_chroma_minus8` of a
/// sequence parameter set of the High profiles (H.264 7.3.2.1.1).
fn sample_format(sps: &[u8]) -> Option<(u8, u8, u8)> {
    if !matches!(sps.get(1)?, 100 | 110 | 122 | 144) {
        return Some((1, 0, 0)); // 7.4.2.1.1: inferred
    }
    // The fields lie within the first bytes, where an emulation prevention byte could
    // only follow two zero bytes: level_idc is never zero, so the first candidate is
    // after the fields.
    let mut bits = ExpGolomb {
        bytes: sps.get(4..)?,
        at: 0,
    };
    let _seq_parameter_set_id = bits.read()?;
    let chroma = bits.read()?;
    if chroma == 3 {
        bits.bit()?; // separate_colour_plane_flag
    }
    let luma_depth = bits.read()?;
    let chroma_depth = bits.read()?;
    let fits = chroma <= 3 && luma_depth <= 7 && chroma_depth <= 7;
    fits.then_some((chroma as u8, luma_depth as u8, chroma_depth as u8))
}

/// Reads `ue(v)` (H.264 9.1).
struct ExpGolomb<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl ExpGolomb<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    fn read(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 15 {
                return None;
            }
        }
        let mut value = 1;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use media::AvcConfig;
    use proptest::prelude::*;

    use super::*;

    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
        0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    fn stream(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&[0, 0, 0, 1], *unit].concat())
            .collect()
    }

    #[test]
    fn builds_what_x264_builds() {
        let record = decoder_configuration(&stream(&[SPS, PPS])).unwrap();
        let mut expected = vec![1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26];
        expected.extend_from_slice(SPS);
        expected.extend_from_slice(&[1, 0, 6]);
        expected.extend_from_slice(PPS);
        expected.extend_from_slice(&[0xfd, 0xf8, 0xf8, 0]);
        assert_eq!(record, expected);
        let avc = AvcConfig::parse(record).unwrap();
        assert_eq!((avc.width, avc.height), (1280, 720));
    }

    #[test]
    fn parameter_sets_leave_the_access_unit() {
        let idr: &[u8] = &[0x65, 1, 2, 3];
        let stream = stream(&[&[9, 0xf0], SPS, PPS, &[6, 5], idr]);
        assert_eq!(
            to_length_prefixed(&stream),
            Bytes::from_static(&[0, 0, 0, 2, 6, 5, 0, 0, 0, 4, 0x65, 1, 2, 3])
        );
    }

    #[test]
    fn needs_both_parameter_sets() {
        assert_eq!(decoder_configuration(&stream(&[SPS])), None);
        assert_eq!(decoder_configuration(&stream(&[PPS])), None);
        assert_eq!(decoder_configuration(&[]), None);
    }

    /// The parameter sets above, with `seq_parameter_set_id` and
    /// `pic_parameter_set_id` 1 and another level.
    const OTHER_SPS: &[u8] = &[0x67, 0x64, 0x00, 0x28, 0x4b, 0x65, 0x80];
    const OTHER_PPS: &[u8] = &[0x68, 0x5a, 0xf8];

    #[test]
    fn two_encoders_make_one_record() {
        let both = stream(&[SPS, PPS, OTHER_SPS, OTHER_PPS, SPS, PPS]);
        assert_eq!(parameter_set_numbers(&both).collect::<Vec<_>>(), [0, 1, 0]);
        let record = decoder_configuration(&both).unwrap();
        assert_eq!(record[..6], [1, 0x64, 0, 0x28, 0xff, 0xe2]);
        let mut expected = vec![0, 26];
        expected.extend_from_slice(SPS);
        expected.extend_from_slice(&[0, 7]);
        expected.extend_from_slice(OTHER_SPS);
        expected.extend_from_slice(&[2, 0, 6]);
        expected.extend_from_slice(PPS);
        expected.extend_from_slice(&[0, 3]);
        expected.extend_from_slice(OTHER_PPS);
        assert_eq!(record[6..record.len() - 4], expected);
    }

    #[test]
    fn sets_of_other_samples_do_not_go_together() {
        // High 4:2:2 with chroma_format_idc 2.
        let other: &[u8] = &[0x67, 0x7a, 0x00, 0x28, 0xbc, 0x9f];
        assert_eq!(decoder_configuration(&stream(&[SPS, other, PPS])), None);
    }

    proptest! {
        #[test]
        fn units_come_back(
            units in proptest::collection::vec(proptest::collection::vec(2..=255_u8, 1..50), 0..10),
            long in any::<bool>(),
        ) {
            let code: &[u8] = if long { &[0, 0, 0, 1] } else { &[0, 0, 1] };
            let stream: Vec<u8> = units.iter().flat_map(|unit| [code, unit].concat()).collect();
            prop_assert_eq!(nal_units(&stream).collect::<Vec<_>>(), units);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(0..4_u8, 0..200)) {
            let _ = to_length_prefixed(&bytes);
            let _ = decoder_configuration(&bytes);
        }
    }
}
