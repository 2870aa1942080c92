//! How a source's pictures are meant to be seen: colours and the shape of a pixel.
//! Every rung says the same, or colours would change when a player switches.

#[cfg(feature = "ffmpeg")]
use std::ffi::c_int;

#[cfg(feature = "ffmpeg")]
use ffmpeg_next as ffmpeg;
use h264_reader::avcc::AvcDecoderConfigurationRecord;
use h264_reader::nal::sps::SeqParameterSet;
use media::AvcConfig;

use crate::{ColourDescription, Rung, VideoSource};

/// Code points of ISO/IEC 23091-2.
mod point {
    /// `MatrixCoefficients`: red, green and blue.
    pub(super) const IDENTITY: u8 = 0;
    pub(super) const BT709: u8 = 1;
    /// Of all three.
    pub(super) const UNSPECIFIED: u8 = 2;
    /// BT.601 with 525 lines.
    pub(super) const SMPTE170M: u8 = 6;
}

/// The part of the video usability information (H.264 Annex E) that stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Signal {
    /// Width and height of a sample; (1, 1) is square.
    aspect: (u32, u32),
    colour: ColourDescription,
}

impl Signal {
    /// Square samples in the colours of high definition.
    #[cfg(any(feature = "ffmpeg", test))]
    pub(crate) const BT709: Self = Self {
        aspect: (1, 1),
        colour: ColourDescription {
            primaries: point::BT709,
            transfer: point::BT709,
            matrix: point::BT709,
            full_range: Some(false),
        },
    };

    /// As `rung` shows it: the picture's shape stays where its sides were scaled
    /// differently on purpose; rounding to even numbers is not.
    pub(super) fn scaled(self, source: &VideoSource, rung: &Rung) -> Self {
        if self.aspect == (1, 1) {
            return self;
        }
        let (width, height) = source.upright();
        let aspect = if source.rotation.swaps_sides() {
            (self.aspect.1, self.aspect.0)
        } else {
            self.aspect
        };
        let across = u64::from(aspect.0) * u64::from(width) * u64::from(rung.height);
        let down = u64::from(aspect.1) * u64::from(height) * u64::from(rung.width);
        Self {
            aspect: reduced(across, down),
            ..self
        }
    }

    /// Whether luma goes from 0 to 255, not from 16 to 235.
    pub(super) fn full_range(&self) -> bool {
        self.colour.full_range == Some(true)
    }

    /// `MatrixCoefficients`.
    #[cfg(feature = "ffmpeg")]
    pub(super) fn matrix(&self) -> u8 {
        self.colour.matrix
    }

    /// Width and height of a sample.
    pub(super) fn aspect(self) -> (u32, u32) {
        self.aspect
    }

    /// The colours, everything decided.
    #[cfg(feature = "gstreamer")]
    pub(super) fn colour(self) -> ColourDescription {
        self.colour
    }

    /// Tells an encoder that is about to be opened. The colours go by number, because
    /// a source may have any.
    #[cfg(feature = "ffmpeg")]
    pub(super) fn apply(
        self,
        encoder: &mut ffmpeg::encoder::video::Video,
        options: &mut ffmpeg::Dictionary<'_>,
    ) {
        let colour = self.colour;
        // AVCOL_RANGE_JPEG and AVCOL_RANGE_MPEG.
        let range = if self.full_range() { 2 } else { 1 };
        for (name, number) in [
            ("color_primaries", colour.primaries),
            ("color_trc", colour.transfer),
            ("colorspace", colour.matrix),
            ("color_range", range),
        ] {
            options.set(name, &number.to_string());
        }
        let part = |number| i32::try_from(number).unwrap_or(1);
        encoder.set_aspect_ratio((part(self.aspect.0), part(self.aspect.1)));
    }
}

/// What a decoder or a parameter set says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) aspect: Option<(u32, u32)>,
    pub(super) colour: ColourDescription,
}

/// What is said of the source: by its bitstream, else by its container, else by nobody.
/// A player guesses the colours of a source that says nothing by its height, so that
/// guess is written down. So is it for numbers that mean nothing: encoders refuse them.
pub(super) fn read(source: &VideoSource, decoder: Told) -> Signal {
    let bitstream = with_parameter_set(source, told).unwrap_or(decoder);
    let said = assigned(bitstream.colour);
    let container = assigned(source.colour);
    let either = |of: fn(&ColourDescription) -> u8| match of(&said) {
        point::UNSPECIFIED => of(&container),
        said => said,
    };
    let mut colour = ColourDescription {
        primaries: either(|colour| colour.primaries),
        transfer: either(|colour| colour.transfer),
        matrix: either(|colour| colour.matrix),
        full_range: said.full_range.or(container.full_range),
    };
    if colour.matrix == point::UNSPECIFIED {
        let guess = if source.width.min(source.height) >= 720 {
            point::BT709
        } else {
            point::SMPTE170M
        };
        colour = ColourDescription {
            primaries: guess,
            transfer: guess,
            matrix: guess,
            ..colour
        };
    }
    if colour.matrix == point::IDENTITY {
        // A rung is luma and chroma, by the matrix of high definition.
        colour.matrix = point::BT709;
        colour.full_range = Some(false);
    }
    let aspect = source
        .sample_aspect
        .or(bitstream.aspect)
        .filter(|&(across, down)| across > 0 && down > 0)
        .map_or((1, 1), |(across, down)| reduced(across.into(), down.into()));
    Signal { aspect, colour }
}

/// Without the code points that ISO/IEC 23091-2 (H.273) has not assigned in 8.1, 8.2
/// and 8.3: they are unspecified.
fn assigned(colour: ColourDescription) -> ColourDescription {
    let or_unspecified = |number: u8, is_assigned: bool| {
        if is_assigned {
            number
        } else {
            point::UNSPECIFIED
        }
    };
    let ColourDescription {
        primaries,
        transfer,
        matrix,
        full_range,
    } = colour;
    ColourDescription {
        primaries: or_unspecified(primaries, matches!(primaries, 1 | 4..=12 | 22)),
        transfer: or_unspecified(transfer, matches!(transfer, 1 | 4..=18)),
        matrix: or_unspecified(matrix, matches!(matrix, 0 | 1 | 4..=14)),
        full_range,
    }
}

impl Told {
    /// Nothing: the source has to know.
    #[cfg(any(feature = "gstreamer", test))]
    pub(super) const NOTHING: Self = Self {
        aspect: None,
        colour: ColourDescription::UNSPECIFIED,
    };
}

/// What an opened decoder says of the record it was given.
#[cfg(feature = "ffmpeg")]
pub(super) fn of_decoder(decoder: &ffmpeg::codec::Context) -> Told {
    // SAFETY: the pointers lead to fields of a context that is borrowed. The colours are
    // C enumerations, which are read as the numbers they are: a decoder may leave one in
    // them that the bindings do not name.
    let (aspect, numbers) = unsafe {
        let context = decoder.as_ptr();
        let number = |field: *const c_int| field.read();
        let colour = [
            number((&raw const (*context).color_primaries).cast()),
            number((&raw const (*context).color_trc).cast()),
            number((&raw const (*context).colorspace).cast()),
            number((&raw const (*context).color_range).cast()),
        ];
        ((*context).sample_aspect_ratio, colour)
    };
    let [primaries, transfer, matrix, range] = numbers;
    let part = |number: i32| u32::try_from(number).ok();
    let code = |number: i32| u8::try_from(number).unwrap_or(point::UNSPECIFIED);
    Told {
        aspect: part(aspect.num)
            .zip(part(aspect.den))
            .filter(|&(across, down)| across > 0 && down > 0),
        colour: ColourDescription {
            primaries: code(primaries),
            transfer: code(transfer),
            matrix: code(matrix),
            // AVCOL_RANGE_MPEG and AVCOL_RANGE_JPEG.
            full_range: match range {
                1 => Some(false),
                2 => Some(true),
                _ => None,
            },
        },
    }
}

fn with_parameter_set<T>(source: &VideoSource, read: impl Fn(&SeqParameterSet) -> T) -> Option<T> {
    if source.codec.as_str() != "h264" {
        return None;
    }
    // It refuses the records that the parser would panic over.
    let avc = AvcConfig::parse(source.record.clone()).ok()?;
    let record = AvcDecoderConfigurationRecord::try_from(&avc.record[..]).ok()?;
    let context = record.create_context().ok()?;
    context.sps().next().map(read)
}

/// The video usability information of H.264, which libavcodec reads with the first
/// access unit only.
fn told(sps: &SeqParameterSet) -> Told {
    let usability = sps.vui_parameters.as_ref();
    let signal = usability.and_then(|usability| usability.video_signal_type.as_ref());
    let colours = signal.and_then(|signal| signal.colour_description.as_ref());
    Told {
        aspect: usability
            .and_then(|usability| usability.aspect_ratio_info.as_ref())
            .and_then(|info| info.get())
            .map(|(across, down)| (across.into(), down.into())),
        colour: ColourDescription {
            primaries: colours.map_or(point::UNSPECIFIED, |c| c.colour_primaries),
            transfer: colours.map_or(point::UNSPECIFIED, |c| c.transfer_characteristics),
            matrix: colours.map_or(point::UNSPECIFIED, |c| c.matrix_coefficients),
            full_range: signal.map(|signal| signal.video_full_range_flag),
        },
    }
}

/// A fraction whose parts fit `sar_width` and `sar_height`, 16 bits each.
fn reduced(across: u64, down: u64) -> (u32, u32) {
    let (mut a, mut b) = (across, down);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (mut across, mut down) = (across / a.max(1), down / a.max(1));
    while across > 0xffff || down > 0xffff {
        (across, down) = (across / 2, down / 2);
    }
    let part = |number: u64| u32::try_from(number.max(1)).unwrap_or(1);
    (part(across), part(down))
}

#[cfg(test)]
mod tests {
    use media::VideoShape;

    use super::*;
    use crate::{Rotation, SourceCodec};

    fn source(width: u32, height: u32) -> VideoSource {
        VideoSource {
            codec: SourceCodec::h264(),
            record: bytes::Bytes::new(),
            width,
            height,
            sample_aspect: None,
            rotation: Rotation::None,
            reorder: 0,
            colour: ColourDescription::UNSPECIFIED,
            tag: 0,
        }
    }

    fn rung(width: u32, height: u32) -> Rung {
        let shape = VideoShape { width, height };
        Rung::live("360p".parse().unwrap(), shape, 500_000)
    }

    #[test]
    fn anamorphic_pictures_keep_their_shape() {
        let mut source = source(720, 576);
        let wide = Signal {
            aspect: (64, 45),
            ..Signal::BT709
        };
        assert_eq!(wide.scaled(&source, &rung(450, 360)).aspect, (64, 45));
        assert_eq!(
            Signal::BT709.scaled(&source, &rung(450, 360)).aspect,
            (1, 1)
        );
        source.rotation = Rotation::Left;
        assert_eq!(wide.scaled(&source, &rung(288, 360)).aspect, (45, 64));
        assert_eq!(reduced(1 << 40, 3 << 40), (1, 3));
        assert_eq!(reduced(0xffff_ffff, 1), (0xffff, 1));
    }

    #[test]
    fn what_nobody_says_is_guessed_by_the_size() {
        assert_eq!(read(&source(1920, 1080), Told::NOTHING).colour.matrix, 1);
        assert_eq!(read(&source(854, 480), Told::NOTHING).colour.matrix, 6);
    }

    #[test]
    fn the_bitstream_goes_before_the_container() {
        let mut source = source(1920, 1080);
        let hlg = ColourDescription {
            primaries: 9,
            transfer: 18,
            matrix: 9,
            full_range: Some(true),
        };
        source.colour = hlg;
        assert_eq!(read(&source, Told::NOTHING).colour, hlg);
        let bitstream = Told {
            aspect: Some((4, 3)),
            colour: ColourDescription {
                matrix: 5,
                full_range: Some(false),
                ..ColourDescription::UNSPECIFIED
            },
        };
        let signal = read(&source, bitstream);
        assert_eq!(signal.aspect, (4, 3));
        assert_eq!(signal.colour.matrix, 5);
        assert_eq!(signal.colour.full_range, Some(false));
        assert_eq!(signal.colour.transfer, 18);
        source.sample_aspect = Some((8, 8));
        assert_eq!(read(&source, bitstream).aspect, (1, 1));
    }

    #[test]
    fn numbers_that_mean_nothing_are_unspecified() {
        let mut source = source(854, 480);
        let all = |number| ColourDescription {
            primaries: number,
            transfer: number,
            matrix: number,
            full_range: Some(true),
        };
        for number in [3, 15, 21, 255] {
            let told = Told {
                aspect: None,
                colour: all(number),
            };
            let guess = all(point::SMPTE170M);
            let kept = ColourDescription {
                transfer: if number == 15 { 15 } else { 2 },
                ..all(2)
            };
            assert_eq!(assigned(told.colour), kept, "{number}");
            assert_eq!(read(&source, told).colour, guess, "{number}");
            source.colour = all(number);
            assert_eq!(read(&source, Told::NOTHING).colour, guess, "{number}");
            source.colour = all(9);
            assert_eq!(
                read(&source, told).colour.primaries,
                9,
                "the container's word"
            );
            source.colour = ColourDescription::UNSPECIFIED;
        }
        // 0 is a matrix, and nothing else.
        assert_eq!(
            assigned(all(0)),
            ColourDescription {
                matrix: 0,
                ..all(2)
            }
        );
        let every = ColourDescription {
            primaries: 22,
            transfer: 18,
            matrix: 14,
            full_range: None,
        };
        assert_eq!(assigned(every), every);
    }

    #[test]
    fn red_green_and_blue_become_high_definition() {
        let mut source = source(640, 360);
        source.colour = ColourDescription {
            primaries: 1,
            transfer: 13,
            matrix: 0,
            full_range: Some(true),
        };
        let colour = read(&source, Told::NOTHING).colour;
        assert_eq!((colour.matrix, colour.full_range), (1, Some(false)));
        assert_eq!(colour.transfer, 13);
    }
}
