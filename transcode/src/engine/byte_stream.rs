//! What encoders give, byte streams (Annex B), as packagers want it.

use bytes::Bytes;

use super::EngineError;
use crate::{Device, RungCodec, annex_b};

/// An access unit with four-byte length prefixes.
pub(super) fn to_length_prefixed(codec: RungCodec, stream: &[u8]) -> Bytes {
    match codec {
        RungCodec::H264 => annex_b::to_length_prefixed(stream),
        RungCodec::Hevc => annex_b::hevc::to_length_prefixed(stream),
    }
}

/// The decoder configuration record for the parameter sets in a byte stream.
pub(super) fn configuration(codec: RungCodec, stream: &[u8]) -> Result<Bytes, EngineError> {
    let record = match codec {
        RungCodec::H264 => annex_b::decoder_configuration(stream),
        RungCodec::Hevc => annex_b::hevc::decoder_configuration(stream),
    };
    record.ok_or_else(|| EngineError::Step {
        what: "parameter sets".to_owned(),
        why: "are missing, or do not go together".to_owned(),
    })
}

/// Whether a device's parameter sets can stand beside those of the software that would
/// replace it, which have the number `reserved`.
pub(super) fn check_of_device(
    device: Device,
    codec: RungCodec,
    sets: &[u8],
    reserved: u8,
) -> Result<(), EngineError> {
    if annex_b::parameter_set_numbers(sets).any(|number| number == u32::from(reserved)) {
        return Err(EngineError::Step {
            what: device.to_string(),
            why: format!("uses parameter set {reserved}, which is kept for software"),
        });
    }
    configuration(codec, sets).map(drop)
}
