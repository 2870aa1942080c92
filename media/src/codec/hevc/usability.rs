//! The way through a sequence parameter set (H.265 7.3.2.2.1) to its video usability
//! information, which stands almost at its end.

use super::{BitReader, read_picture_size, read_sub_layers, without_emulation_prevention};
use crate::codec::aspect;

/// `EXTENDED_SAR`.
const EXTENDED: u32 = 255;

/// The shape of a pixel, width to height, of a set with its NAL unit header.
pub(super) fn sample_aspect(sps: &[u8]) -> Option<(u32, u32)> {
    let payload = without_emulation_prevention(sps.get(2..)?);
    let mut bits = BitReader::new(&payload);
    skip_to_usability(&mut bits)?;
    // vui_parameters_present_flag, aspect_ratio_info_present_flag
    if bits.read(2)? != 3 {
        return None;
    }
    match bits.read(8)? {
        EXTENDED => Some((bits.read(16)?, bits.read(16)?)),
        index => aspect::of_index(index),
    }
    .filter(|&(across, down)| across > 0 && down > 0)
}

fn skip_to_usability(bits: &mut BitReader<'_>) -> Option<()> {
    let sub_layers = read_sub_layers(bits)?;
    read_picture_size(bits)?;
    skip_golombs(bits, 2)?; // bit depths
    let order_count_bits = 4 + bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
    // sps_sub_layer_ordering_info_present_flag
    let told = if bits.read(1)? == 1 {
        1 + sub_layers
    } else {
        1
    };
    skip_golombs(bits, 3 * told)?;
    skip_golombs(bits, 6)?; // sizes of blocks, depths of the transform's hierarchy
    // scaling_list_enabled_flag, sps_scaling_list_data_present_flag
    if bits.read(1)? == 1 && bits.read(1)? == 1 {
        skip_scaling_lists(bits)?;
    }
    bits.read(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    // pcm_enabled_flag
    if bits.read(1)? == 1 {
        bits.read(8)?;
        skip_golombs(bits, 2)?;
        bits.read(1)?;
    }
    skip_short_term_sets(bits)?;
    // long_term_ref_pics_present_flag
    if bits.read(1)? == 1 {
        let count = at_most(32, bits.golomb()?)?;
        for _ in 0..count {
            bits.skip(order_count_bits as usize + 1)?;
        }
    }
    bits.read(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    Some(())
}

fn skip_golombs(bits: &mut BitReader<'_>, count: u32) -> Option<()> {
    (0..count).try_for_each(|_| bits.golomb().map(drop))
}

fn at_most(limit: u32, number: u32) -> Option<u32> {
    (number <= limit).then_some(number)
}

/// `scaling_list_data( )` (H.265 7.3.4).
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4_u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            // scaling_list_pred_mode_flag
            let numbers = match bits.read(1)? {
                0 => 1,
                _ => 64.min(1 << (4 + 2 * size)) + u32::from(size > 1),
            };
            skip_golombs(bits, numbers)?;
        }
    }
    Some(())
}

/// Every `st_ref_pic_set( )` (H.265 7.3.7).
fn skip_short_term_sets(bits: &mut BitReader<'_>) -> Option<()> {
    let count = at_most(64, bits.golomb()?)?;
    // Pictures of the set before.
    let mut pictures = 0;
    for index in 0..count {
        // inter_ref_pic_set_prediction_flag
        pictures = if index > 0 && bits.read(1)? == 1 {
            bits.read(1)?; // delta_rps_sign
            bits.golomb()?; // abs_delta_rps_minus1
            let mut kept = 0;
            for _ in 0..=pictures {
                // used_by_curr_pic_flag, use_delta_flag
                kept += u32::from(bits.read(1)? == 1 || bits.read(1)? == 1);
            }
            kept
        } else {
            let earlier = at_most(16, bits.golomb()?)?;
            let later = at_most(16, bits.golomb()?)?;
            for _ in 0..earlier + later {
                bits.golomb()?; // delta_poc_minus1
                bits.read(1)?; // used_by_curr_pic_flag
            }
            earlier + later
        };
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::HevcConfig;

    /// 720x576 with pixels of 64:45, from x265.
    const ANAMORPHIC: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5a, 0xf0, 0x00,
        0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01,
        0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x5a, 0x95, 0x94, 0x09, 0x21, 0x00, 0x01, 0x00, 0x2f, 0x42, 0x01, 0x01,
        0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x05, 0xa2, 0x00, 0x90, 0x59, 0x65, 0x65, 0x4a, 0x4c, 0x2f, 0xff, 0x00, 0x40, 0x00,
        0x2d, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40, 0x22,
        0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
    ];

    #[test]
    fn the_shape_of_a_pixel_is_read() {
        let hevc = HevcConfig::parse(Bytes::from_static(ANAMORPHIC)).unwrap();
        assert_eq!((hevc.width, hevc.height), (720, 576));
        assert_eq!(hevc.sample_aspect(), Some((64, 45)));
    }

    #[test]
    fn a_set_that_ends_too_early_has_none() {
        // The sequence parameter set is 47 bytes, 56 bytes into the record.
        let set = &ANAMORPHIC[57..57 + 47];
        assert_eq!(super::sample_aspect(set), Some((64, 45)));
        for length in 0..34 {
            assert_eq!(super::sample_aspect(&set[..length]), None, "{length}");
        }
    }
}
