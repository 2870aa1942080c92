//! The same for HEVC.

use bytes::{BufMut, Bytes, BytesMut};

use super::{nal_units, prefixed, put_sets};

const VIDEO_PARAMETER_SET: u8 = 32;
const SEQUENCE_PARAMETER_SET: u8 = 33;
const PICTURE_PARAMETER_SET: u8 = 34;
const ACCESS_UNIT_DELIMITER: u8 = 35;

/// `general_profile_idc` of Main: 8 bits, 4:2:0.
const MAIN: u8 = 1;

/// `nal_unit_type` (H.265 7.3.1.2).
fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| byte >> 1 & 0x3f)
}

/// An access unit with four-byte length prefixes, without parameter sets and delimiters.
pub(crate) fn to_length_prefixed(stream: &[u8]) -> Bytes {
    prefixed(stream, |unit| {
        !(VIDEO_PARAMETER_SET..=ACCESS_UNIT_DELIMITER).contains(&kind(unit))
    })
}

/// The `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 8.3.3.1) for the parameter
/// sets in a byte stream of the Main profile. `None` if one is missing or is of another
/// profile.
pub(crate) fn decoder_configuration(stream: &[u8]) -> Option<Bytes> {
    let sets = |wanted| -> Vec<&[u8]> {
        let mut sets: Vec<_> = nal_units(stream)
            .filter(|unit| kind(unit) == wanted)
            .collect();
        sets.dedup();
        sets
    };
    let arrays = [
        VIDEO_PARAMETER_SET,
        SEQUENCE_PARAMETER_SET,
        PICTURE_PARAMETER_SET,
    ]
    .map(|kind| (kind, sets(kind)));
    if arrays.iter().any(|(_, sets)| sets.is_empty()) {
        return None;
    }
    let (sub_layers, nested, profile_tier_level) = head_of(arrays[1].1.first()?)?;
    if profile_tier_level[0] & 0x1f != MAIN {
        return None;
    }
    let mut record = BytesMut::new();
    record.put_u8(1);
    record.put_slice(&profile_tier_level);
    // min_spatial_segmentation_idc and parallelismType 0: not known. chromaFormat 1.
    record.put_slice(&[0xf0, 0, 0xfc, 0xfc | 1]);
    // Eight bits of luma and chroma, avgFrameRate not told.
    record.put_slice(&[0xf8, 0xf8, 0, 0]);
    // constantFrameRate not told, then lengthSizeMinusOne.
    record.put_u8((sub_layers + 1) << 3 | u8::from(nested) << 2 | 3);
    record.put_u8(u8::try_from(arrays.len()).ok()?);
    for (kind, sets) in &arrays {
        // array_completeness: there are none in the access units.
        record.put_u8(0x80 | kind);
        record.put_u16(u16::try_from(sets.len()).ok()?);
        put_sets(&mut record, sets)?;
    }
    Some(record.freeze())
}

/// `sps_max_sub_layers_minus1`, `sps_temporal_id_nesting_flag` and the general part of
/// `profile_tier_level` of a sequence parameter set (H.265 7.3.2.2, 7.3.3).
fn head_of(sps: &[u8]) -> Option<(u8, bool, [u8; 12])> {
    let mut payload = sps.get(2..)?.iter().copied();
    let mut zeros = 0;
    let mut next = || {
        let mut byte = payload.next()?;
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            byte = payload.next()?;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        Some(byte)
    };
    let first = next()?;
    let mut profile_tier_level = [0; 12];
    for byte in &mut profile_tier_level {
        *byte = next()?;
    }
    Some((first >> 1 & 7, first & 1 == 1, profile_tier_level))
}

#[cfg(test)]
mod tests {
    use media::HevcConfig;
    use proptest::prelude::*;

    use super::*;

    // 320x180 from x265.
    const VPS: &[u8] = &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00,
        0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09,
    ];
    const SPS: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01,
        0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x40,
    ];
    const PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];

    fn stream(units: &[&[u8]]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&[0, 0, 0, 1], *unit].concat())
            .collect()
    }

    #[test]
    fn builds_what_a_muxer_builds() {
        let record = decoder_configuration(&stream(&[VPS, SPS, PPS])).unwrap();
        let fixed = [
            1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3c, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0,
            0x0f, 3,
        ];
        assert_eq!(record[..23], fixed);
        let hevc = HevcConfig::parse(record).unwrap();
        assert_eq!(
            (hevc.width, hevc.height, hevc.nal_length_size),
            (320, 180, 4)
        );
    }

    #[test]
    fn parameter_sets_leave_the_access_unit() {
        let idr: &[u8] = &[0x26, 0x01, 2, 3];
        let stream = stream(&[&[0x46, 1, 0x50], VPS, SPS, PPS, &[0x4e, 1, 5], idr]);
        assert_eq!(
            to_length_prefixed(&stream),
            Bytes::from_static(&[0, 0, 0, 3, 0x4e, 1, 5, 0, 0, 0, 4, 0x26, 1, 2, 3])
        );
    }

    #[test]
    fn needs_all_parameter_sets_of_main() {
        for units in [[VPS, SPS], [VPS, PPS], [SPS, PPS]] {
            assert_eq!(decoder_configuration(&stream(&units)), None);
        }
        let mut main_10 = SPS.to_vec();
        main_10[3] = 2;
        assert_eq!(decoder_configuration(&stream(&[VPS, &main_10, PPS])), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = to_length_prefixed(&bytes);
            let _ = decoder_configuration(&bytes);
        }
    }
}
