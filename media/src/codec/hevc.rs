//! HEVC decoder configurations.

mod usability;

use bytes::Bytes;

use super::{CodecError, MAX_SIDE};

/// HEVC decoder configuration (ISO/IEC 14496-15 8.3.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HevcConfig {
    /// The `HEVCDecoderConfigurationRecord`, the payload of `hvcC`.
    pub record: Bytes,
    /// Picture width in pixels after cropping.
    pub width: u32,
    /// Picture height in pixels after cropping.
    pub height: u32,
    /// Bytes of a NAL unit's length prefix: 1, 2 or 4.
    pub nal_length_size: u8,
}

/// Bytes of a record before its parameter sets.
const FIXED: usize = 23;

const SEQUENCE_PARAMETER_SET: u8 = 33;

impl HevcConfig {
    /// Reads an `HEVCDecoderConfigurationRecord` and its first sequence parameter set.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        if record.len() < FIXED || record[0] != 1 {
            return Err(CodecError::Hevc("not a decoder configuration record"));
        }
        let nal_length_size = match record[21] & 3 {
            0 => 1,
            1 => 2,
            3 => 4,
            _ => {
                return Err(CodecError::Hevc(
                    "lengthSizeMinusOne is 2, expected 0, 1 or 3",
                ));
            }
        };
        let sps = parameter_sets(&record)?
            .into_iter()
            .find(|(kind, _)| *kind == SEQUENCE_PARAMETER_SET)
            .map(|(_, set)| set)
            .ok_or(CodecError::Hevc("no sequence parameter set in it"))?;
        let (width, height) =
            picture_size(sps).ok_or(CodecError::Hevc("an unreadable sequence parameter set"))?;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(CodecError::Hevc("a picture side outside 1 to 16384 pixels"));
        }
        Ok(Self {
            record,
            width,
            height,
            nal_length_size,
        })
    }

    /// The shape of a pixel, width to height, where the sequence parameter set has it.
    pub(super) fn sample_aspect(&self) -> Option<(u32, u32)> {
        let sets = parameter_sets(&self.record).ok()?;
        let (_, sps) = sets
            .into_iter()
            .find(|(kind, _)| *kind == SEQUENCE_PARAMETER_SET)?;
        usability::sample_aspect(sps)
    }

    /// The `codecs` parameter (ISO/IEC 14496-15 E.3). `hvc1`, because parameter sets are
    /// in the record only.
    pub(super) fn rfc6381(&self) -> String {
        // The constructor has seen FIXED bytes.
        let byte = |at: usize| self.record.get(at).copied().unwrap_or(0);
        let space = ["", "A", "B", "C"][usize::from(byte(1) >> 6)];
        let tier = if byte(1) & 0x20 == 0 { 'L' } else { 'H' };
        let profile = byte(1) & 0x1f;
        let compatibility = u32::from_be_bytes([byte(2), byte(3), byte(4), byte(5)]).reverse_bits();
        let level = byte(12);
        let constraints: Vec<u8> = (6..12).map(byte).collect();
        let end = constraints.iter().rposition(|&byte| byte != 0);
        let constraints: String = constraints[..end.map_or(0, |last| last + 1)]
            .iter()
            .map(|byte| format!(".{byte:X}"))
            .collect();
        format!("hvc1.{space}{profile}.{compatibility:X}.{tier}{level}{constraints}")
    }
}

/// The parameter sets of a record with their NAL unit types.
fn parameter_sets(record: &[u8]) -> Result<Vec<(u8, &[u8])>, CodecError> {
    const SHORT: CodecError = CodecError::Hevc("ends too early");
    let mut rest = record.get(FIXED..).ok_or(SHORT)?;
    let mut sets = Vec::new();
    for _ in 0..record[FIXED - 1] {
        let (&[kind, high, low], sets_of_kind) = rest.split_first_chunk::<3>().ok_or(SHORT)?;
        rest = sets_of_kind;
        for _ in 0..u16::from_be_bytes([high, low]) {
            let (length, after) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
            let (set, after) = after
                .split_at_checked(usize::from(u16::from_be_bytes(*length)))
                .ok_or(SHORT)?;
            sets.push((kind & 0x3f, set));
            rest = after;
        }
    }
    Ok(sets)
}

/// Width and height after cropping, of a sequence parameter set (H.265 7.3.2.2) with its
/// NAL unit header.
fn picture_size(sps: &[u8]) -> Option<(u32, u32)> {
    let payload = without_emulation_prevention(sps.get(2..)?);
    let mut bits = BitReader::new(&payload);
    read_sub_layers(&mut bits)?;
    read_picture_size(&mut bits)
}

/// The set's beginning, of which `sps_max_sub_layers_minus1` matters.
fn read_sub_layers(bits: &mut BitReader<'_>) -> Option<u32> {
    bits.read(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.read(3)?;
    bits.read(1)?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(bits, sub_layers)?;
    bits.golomb()?; // sps_seq_parameter_set_id
    Some(sub_layers)
}

/// What follows, up to the conformance window.
fn read_picture_size(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    let chroma = bits.golomb()?; // chroma_format_idc
    if chroma == 3 {
        bits.read(1)?; // separate_colour_plane_flag
    }
    let width = bits.golomb()?;
    let height = bits.golomb()?;
    // conformance_window_flag
    if bits.read(1)? == 0 {
        return Some((width, height));
    }
    let (across, down) = match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut edges = || {
        let sum = u64::from(bits.golomb()?) + u64::from(bits.golomb()?);
        u32::try_from(sum).ok()
    };
    let (columns, rows) = (edges()?, edges()?);
    Some((
        width.checked_sub(columns.checked_mul(across)?)?,
        height.checked_sub(rows.checked_mul(down)?)?,
    ))
}

/// `profile_tier_level( 1, sub_layers )` (H.265 7.3.3).
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    bits.skip(88 + 8)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.read(1)?, bits.read(1)?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize))?;
    }
    for (profile, level) in present {
        bits.skip(88 * profile as usize + 8 * level as usize)?;
    }
    Some(())
}

/// The bytes of a NAL unit without `emulation_prevention_three_byte` (H.265 7.3.1.1).
fn without_emulation_prevention(unit: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    payload
}

/// Reads bits, most significant first. `None` at the end.
struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Up to 32 bits.
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn skip(&mut self, bits: usize) -> Option<()> {
        self.at += bits;
        (self.at <= 8 * self.bytes.len()).then_some(())
    }

    /// `ue(v)` (H.265 9.2).
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.read(1)? == 0 {
            zeros += 1;
            if zeros > 30 {
                return None;
            }
        }
        Some((1 << zeros | self.read(zeros)?) - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Codec;

    /// 320x180 (coded as 320x184) Main 2.0 from x265.
    const HVCC: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00,
        0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01,
        0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09, 0xa1, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01,
        0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c,
        0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00,
        0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x40, 0xa2, 0x00, 0x01, 0x00, 0x07,
        0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40,
    ];

    #[test]
    fn p07_reads_hvcc() {
        let hevc = HevcConfig::parse(Bytes::from_static(HVCC)).unwrap();
        assert_eq!(
            (hevc.width, hevc.height, hevc.nal_length_size),
            (320, 180, 4)
        );
        assert_eq!(Codec::Hevc(hevc).rfc6381(), "hvc1.1.6.L60.90");
    }

    #[test]
    fn a_record_is_complete() {
        for length in 0..HVCC.len() {
            let record = Bytes::from_static(&HVCC[..length]);
            // The picture parameter set comes last and is not needed for the size.
            assert!(HevcConfig::parse(record).is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = HevcConfig::parse(Bytes::from(bytes));
        }

        #[test]
        fn damaged_hvcc_never_panics(at in 0..HVCC.len(), to in any::<u8>()) {
            let mut bytes = HVCC.to_vec();
            bytes[at] = to;
            if let Ok(hevc) = HevcConfig::parse(Bytes::from(bytes)) {
                let _ = hevc.rfc6381();
                let _ = hevc.sample_aspect();
            }
        }
    }
}
