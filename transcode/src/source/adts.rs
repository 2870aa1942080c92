//! AAC as MPEG-TS carries it: every frame with an ADTS header (ISO/IEC 13818-7 6.2).

use bytes::Bytes;

/// An ADTS header's fields that matter here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    profile: u8,
    sampling_frequency_index: u8,
    channel_configuration: u8,
    length: usize,
}

impl Header {
    /// The header that `frame` begins with.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let &[sync, b1, b2, b3, ..] = frame.first_chunk::<7>()?;
        if sync != 0xff || b1 & 0xf6 != 0xf0 {
            return None;
        }
        let protection_absent = b1 & 1 == 1;
        Some(Self {
            profile: b2 >> 6,
            sampling_frequency_index: b2 >> 2 & 0xf,
            channel_configuration: (b2 & 1) << 2 | b3 >> 6,
            length: if protection_absent { 7 } else { 9 },
        })
    }

    /// The `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1) that says the same.
    pub(crate) fn config(self) -> Bytes {
        let object_type = self.profile + 1;
        Bytes::copy_from_slice(&[
            object_type << 3 | self.sampling_frequency_index >> 1,
            self.sampling_frequency_index << 7 | self.channel_configuration << 3,
        ])
    }
}

/// `frame` without its header, if it has one.
pub(crate) fn strip(frame: &[u8]) -> &[u8] {
    Header::read(frame)
        .and_then(|header| frame.get(header.length..))
        .unwrap_or(frame)
}

#[cfg(test)]
mod tests {
    use media::AacConfig;

    use super::*;

    #[test]
    fn reads_what_ffmpeg_writes() {
        // AAC-LC, 48 kHz, stereo, from `ffmpeg -f adts`.
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x2e, 0x3f, 0xfc, 0xde, 0x02];
        let config = AacConfig::parse(Header::read(&frame).unwrap().config()).unwrap();
        assert_eq!(
            (config.object_type, config.sample_rate, config.channels),
            (2, 48_000, 2)
        );
        assert_eq!(strip(&frame), [0xde, 0x02]);
        assert_eq!(strip(&[0x21, 0x10]), [0x21, 0x10]);
    }
}
