//! Init segments: `ftyp` and `moov`, from `mp4-atom`'s boxes.

use bytes::Bytes;
use h264_reader::avcc::{AvcDecoderConfigurationRecord, ParamSetError};
use h264_reader::nal::sps::ChromaFormat;
use media::{AacConfig, AvcConfig, Codec, HevcConfig, Rendition};
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor};
use mp4_atom::{
    Atom, Audio, Avc1, Avcc, AvccExt, Dinf, Dref, Encode, Esds, FixedPoint, FourCC, Ftyp, Hdlr,
    Hvc1, Hvcc, Mdhd, Mdia, Minf, Moov, Mp4a, Mvex, Mvhd, Pasp, Smhd, Stbl, Stco, Stsd, Tkhd, Trak,
    Trex, Url, Visual, Vmhd,
};

use super::{SampleDefaults, TRACK_ID};

/// Why no init segment can be written for a rendition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitSegmentError {
    /// The decoder configuration record does not hold what `avcC` needs.
    #[error("H.264 decoder configuration of {rendition}: {what}")]
    Avc {
        /// The rendition's name.
        rendition: String,
        /// What is wrong.
        what: String,
    },
    /// The decoder configuration record does not hold what `hvcC` needs.
    #[error("HEVC decoder configuration of {rendition}: {what}")]
    Hevc {
        /// The rendition's name.
        rendition: String,
        /// What is wrong.
        what: String,
    },
    /// A value does not fit its box.
    #[error("init segment of {rendition}: {what}")]
    Box {
        /// The rendition's name.
        rendition: String,
        /// What is wrong.
        what: String,
    },
}

/// The `ftyp` and `moov` of a rendition: one track with id 1 in the codec's timescale,
/// no samples, `trex` with what `SampleDefaults` says.
pub fn init_segment(rendition: &Rendition) -> Result<Bytes, InitSegmentError> {
    let pasp = pixel_aspect(&rendition.codec);
    let (sample_entry, size, handler) = match &rendition.codec {
        Codec::Avc(avc) => {
            let entry = video_entry(avc, pasp).map_err(|what| InitSegmentError::Avc {
                rendition: rendition.name.to_string(),
                what,
            })?;
            (entry, Some((avc.width, avc.height)), b"vide")
        }
        Codec::Hevc(hevc) => {
            let entry = hevc_entry(hevc, pasp).map_err(|what| InitSegmentError::Hevc {
                rendition: rendition.name.to_string(),
                what,
            })?;
            (entry, Some((hevc.width, hevc.height)), b"vide")
        }
        Codec::Aac(aac) => (audio_entry(aac, rendition.bit_rate), None, b"soun"),
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: 1_000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK_ID + 1,
            ..Default::default()
        },
        trak: vec![track(rendition, sample_entry, size, handler)],
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![track_defaults(rendition)],
        }),
        ..Default::default()
    };
    let mut out = Vec::with_capacity(1_024);
    file_type()
        .encode(&mut out)
        .and_then(|()| moov.encode(&mut out))
        .map_err(|error| InitSegmentError::Box {
            rendition: rendition.name.to_string(),
            what: error.to_string(),
        })?;
    Ok(Bytes::from(out))
}

fn file_type() -> Ftyp {
    Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].map(FourCC::new).to_vec(),
    }
}

fn track(
    rendition: &Rendition,
    sample_entry: mp4_atom::Codec,
    size: Option<(u32, u32)>,
    handler: &[u8; 4],
) -> Trak {
    let (width, height) = size.unwrap_or_default();
    let video = size.is_some();
    Trak {
        tkhd: Tkhd {
            track_id: TRACK_ID,
            enabled: true,
            in_movie: true,
            volume: u8::from(!video).into(),
            width: display_width(&rendition.codec, width),
            height: side(height).into(),
            ..Default::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: rendition.codec.timescale(),
                language: "und".into(),
                ..Default::default()
            },
            hdlr: Hdlr {
                handler: FourCC::new(handler),
                name: if video { "Video" } else { "Audio" }.into(),
            },
            minf: Minf {
                vmhd: video.then(Vmhd::default),
                smhd: (!video).then(Smhd::default),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![Url::default().into()],
                    },
                },
                stbl: Stbl {
                    stsd: Stsd {
                        codecs: vec![sample_entry],
                    },
                    stco: Some(Stco::default()),
                    ..Default::default()
                },
                ..Default::default()
            },
        },
        ..Default::default()
    }
}

fn track_defaults(rendition: &Rendition) -> Trex {
    let defaults = SampleDefaults::of(rendition);
    Trex {
        track_id: TRACK_ID,
        default_sample_description_index: 1,
        default_sample_duration: defaults.duration,
        default_sample_size: 0,
        default_sample_flags: defaults.flags,
    }
}

/// `AvcConfig` bounds the sides at 16384.
fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

/// Pixels that are not square (ISO/IEC 14496-12 12.1.4).
fn pixel_aspect(codec: &Codec) -> Option<Pasp> {
    match codec.sample_aspect() {
        (1, 1) => None,
        (h_spacing, v_spacing) => Some(Pasp {
            h_spacing,
            v_spacing,
        }),
    }
}

/// The width at which the track is shown: in square pixels (ISO/IEC 14496-12 8.3.2).
fn display_width(codec: &Codec, width: u32) -> FixedPoint<u16> {
    let (across, down) = codec.sample_aspect();
    // 16.16, from 14 bits and twice 16.
    let width = (u64::from(width) << 16) * u64::from(across) / u64::from(down.max(1));
    let width = u32::try_from(width).unwrap_or(u32::MAX);
    FixedPoint::new((width >> 16) as u16, width as u16)
}

fn video_entry(avc: &AvcConfig, pasp: Option<Pasp>) -> Result<mp4_atom::Codec, String> {
    Ok(Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width: side(avc.width),
            height: side(avc.height),
            ..Default::default()
        },
        avcc: avcc(avc)?,
        pasp,
        ..Default::default()
    }
    .into())
}

/// `hvc1`: parameter sets stand in `hvcC` only (ISO/IEC 14496-15 8.4.1.1).
fn hevc_entry(hevc: &HevcConfig, pasp: Option<Pasp>) -> Result<mp4_atom::Codec, String> {
    let hvcc = Hvcc::decode_body(&mut &hevc.record[..]).map_err(|error| error.to_string())?;
    Ok(Hvc1 {
        visual: Visual {
            data_reference_index: 1,
            width: side(hevc.width),
            height: side(hevc.height),
            ..Default::default()
        },
        hvcc,
        pasp,
        ..Default::default()
    }
    .into())
}

/// The record as `avcC`. Encoders leave out the fields that the High profiles add
/// (ISO/IEC 14496-15 5.3.3.1.2), and some decoders refuse that: the sequence parameter
/// set knows them.
fn avcc(avc: &AvcConfig) -> Result<Avcc, String> {
    let record = AvcDecoderConfigurationRecord::try_from(&avc.record[..])
        .map_err(|error| format!("{error:?}"))?;
    let ext = match record.chroma_format() {
        Some(chroma_format) => Some(AvccExt {
            chroma_format,
            bit_depth_luma: 8 + record.bit_depth_luma_minus8().unwrap_or(0),
            bit_depth_chroma: 8 + record.bit_depth_chroma_minus8().unwrap_or(0),
            sequence_parameter_sets_ext: nal_units(
                &mut record.sequence_parameter_set_extensions(),
            )?,
        }),
        None if record.avc_profile_indication().has_chroma_info() => {
            Some(extension_from_sps(&record)?)
        }
        None => None,
    };
    Ok(Avcc {
        configuration_version: 1,
        avc_profile_indication: avc.profile,
        profile_compatibility: avc.constraints,
        avc_level_indication: avc.level,
        length_size: avc.nal_length_size,
        sequence_parameter_sets: nal_units(record.sequence_parameter_sets())?,
        picture_parameter_sets: nal_units(record.picture_parameter_sets())?,
        ext,
    })
}

fn nal_units<'a>(
    units: impl Iterator<Item = Result<&'a [u8], ParamSetError>>,
) -> Result<Vec<Vec<u8>>, String> {
    let mut copies = Vec::new();
    for unit in units {
        match unit {
            Ok(unit) => copies.push(unit.to_vec()),
            Err(error) => return Err(format!("{error:?}")),
        }
    }
    Ok(copies)
}

fn extension_from_sps(record: &AvcDecoderConfigurationRecord<'_>) -> Result<AvccExt, String> {
    let context = record
        .create_context()
        .map_err(|error| format!("{error:?}"))?;
    let sps = context.sps().next().ok_or("no sequence parameter set")?;
    Ok(AvccExt {
        chroma_format: match sps.chroma_info.chroma_format {
            ChromaFormat::Monochrome => 0,
            ChromaFormat::YUV420 => 1,
            ChromaFormat::YUV422 => 2,
            ChromaFormat::YUV444 => 3,
            ChromaFormat::Invalid(value) => return Err(format!("chroma_format_idc {value}")),
        },
        bit_depth_luma: 8 + sps.chroma_info.bit_depth_luma_minus8,
        bit_depth_chroma: 8 + sps.chroma_info.bit_depth_chroma_minus8,
        sequence_parameter_sets_ext: Vec::new(),
    })
}

fn audio_entry(aac: &AacConfig, bit_rate: u32) -> mp4_atom::Codec {
    /// ISO/IEC 14496-1 table 5: ISO/IEC 14496-3 audio.
    const MPEG4_AUDIO: u8 = 0x40;
    /// ISO/IEC 14496-1 table 6.
    const AUDIO_STREAM: u8 = 5;
    Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: u16::try_from(aac.channels).unwrap_or(0),
            sample_size: 16,
            // 16.16 cannot say 88.2 and 96 kHz; readers take the AudioSpecificConfig's.
            sample_rate: u16::try_from(aac.sample_rate).unwrap_or(0).into(),
        },
        esds: Esds {
            es_desc: EsDescriptor {
                es_id: u16::try_from(TRACK_ID).unwrap_or(1),
                dec_config: DecoderConfig {
                    object_type_indication: MPEG4_AUDIO,
                    stream_type: AUDIO_STREAM,
                    max_bitrate: bit_rate,
                    avg_bitrate: bit_rate,
                    dec_specific: Some(DecoderSpecific {
                        raw: aac.config.to_vec(),
                        ..Default::default()
                    }),
                    ..Default::default()
                },
                ..Default::default()
            },
        },
        btrt: None,
        taic: None,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use media::{Micros, RenditionName};
    use mp4_atom::Decode;

    use super::*;
    use crate::segmenter::fixture;

    fn read(bytes: &Bytes) -> Moov {
        let mut rest = &bytes[..];
        let ftyp = Ftyp::decode(&mut rest).unwrap();
        assert!(ftyp.compatible_brands.contains(&FourCC::new(b"cmfc")));
        let moov = Moov::decode(&mut rest).unwrap();
        assert!(rest.is_empty());
        moov
    }

    fn boxed_record(bytes: &Bytes) -> Vec<u8> {
        let at = bytes.windows(4).position(|kind| kind == b"avcC").unwrap();
        let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
        bytes[at + 4..at - 4 + size].to_vec()
    }

    #[test]
    fn p08_avcc_is_the_record_the_encoder_sent() {
        let rendition = fixture::video(30.0);
        let bytes = init_segment(&rendition).unwrap();
        assert_eq!(boxed_record(&bytes), fixture::AVCC_720P);
        let moov = read(&bytes);
        let track = &moov.trak[0];
        assert_eq!(track.mdia.mdhd.timescale, 90_000);
        assert_eq!((track.tkhd.track_id, track.tkhd.width.integer()), (1, 1280));
        let trex = &moov.mvex.unwrap().trex[0];
        assert_eq!(trex.default_sample_duration, 3_000);
        assert_eq!(trex.default_sample_flags, 0x0101_0000);
    }

    #[test]
    fn p08_missing_high_profile_fields_come_from_the_sps() {
        let short = &fixture::AVCC_720P[..fixture::AVCC_720P.len() - 4];
        let avc = AvcConfig::parse(Bytes::from_static(short)).unwrap();
        let rendition = Rendition {
            codec: Codec::Avc(avc),
            ..fixture::video(30.0)
        };
        let bytes = init_segment(&rendition).unwrap();
        assert_eq!(boxed_record(&bytes), fixture::AVCC_720P);
    }

    #[test]
    fn pixels_that_are_not_square_are_told() {
        let avc = AvcConfig::parse(Bytes::from_static(fixture::ANAMORPHIC_AVCC)).unwrap();
        let hevc = HevcConfig::parse(Bytes::from_static(fixture::ANAMORPHIC_HVCC)).unwrap();
        let wide = Pasp {
            h_spacing: 64,
            v_spacing: 45,
        };
        for (codec, expected) in [
            (Codec::Avc(avc), Some(&wide)),
            (Codec::Hevc(hevc), Some(&wide)),
            (fixture::video(30.0).codec, None),
        ] {
            let rendition = Rendition::new(RenditionName::SOURCE, codec, 1, Micros::new(1));
            let moov = read(&init_segment(&rendition).unwrap());
            let track = &moov.trak[0];
            let (visual, pasp) = match &track.mdia.minf.stbl.stsd.codecs[0] {
                mp4_atom::Codec::Avc1(avc1) => (&avc1.visual, &avc1.pasp),
                mp4_atom::Codec::Hvc1(hvc1) => (&hvc1.visual, &hvc1.pasp),
                other => panic!("{other:?}"),
            };
            assert_eq!(pasp.as_ref(), expected);
            let shown = (track.tkhd.width.integer(), track.tkhd.height.integer());
            if expected.is_some() {
                assert_eq!((visual.width, visual.height), (720, 576));
                assert_eq!(shown, (1024, 576));
            } else {
                assert_eq!(shown, (1280, 720));
            }
        }
    }

    #[test]
    fn audio_config_is_the_one_the_encoder_sent() {
        let moov = read(&init_segment(&fixture::audio()).unwrap());
        let track = &moov.trak[0];
        assert_eq!(track.mdia.mdhd.timescale, 48_000);
        let mp4_atom::Codec::Mp4a(mp4a) = &track.mdia.minf.stbl.stsd.codecs[0] else {
            panic!("expected mp4a");
        };
        let config = mp4a.esds.es_desc.dec_config.dec_specific.as_ref().unwrap();
        assert_eq!(config.raw, [0x11, 0x90]);
    }
}
