//! How a source's pictures are meant to be seen: colours and the shape of a pixel.
//! Every rung says the same, or colours would change when a player switches.

use crate::{Rung, VideoSource};
use ffmpeg_next as ffmpeg;
use ffmpeg_next::color;
use h264_reader::avcc::AvcDecoderConfigurationRecord;
use h264_reader::nal::sps::{ColourDescription, SeqParameterSet};

/// The part of the video usability information (H.264 Annex E) that stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Signal {
    /// Width and height of a sample; (1, 1) is square.
    aspect: (u32, u32),
    matrix: Matrix,
}

/// Colour primaries, transfer characteristics and matrix (H.264 E.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Matrix {
    Bt601Pal,
    Bt601Ntsc,
    Bt709,
    Bt2020,
    /// Rare or HDR: taken over by their numbers would be wrong for 8 bits.
    Other,
}

impl Signal {
    /// Square samples in the colours of high definition.
    pub(crate) const BT709: Self = Self {
        aspect: (1, 1),
        matrix: Matrix::Bt709,
    };

    /// As `rung` shows it: the picture's shape stays where its sides were scaled
    /// differently on purpose; rounding to even numbers is not.
    pub(super) fn scaled(self, source: &VideoSource, rung: &Rung) -> Self {
        if self.aspect == (1, 1) {
            return self;
        }
        let across = u64::from(self.aspect.0) * u64::from(source.width) * u64::from(rung.height);
        let down = u64::from(self.aspect.1) * u64::from(source.height) * u64::from(rung.width);
        Self {
            aspect: reduced(across, down),
            ..self
        }
    }

    pub(super) fn apply(self, encoder: &mut ffmpeg::encoder::video::Video) {
        use color::{Primaries, Space, TransferCharacteristic};
        let (primaries, transfer, space) = match self.matrix {
            Matrix::Bt601Pal => (
                Primaries::BT470BG,
                TransferCharacteristic::GAMMA28,
                Space::BT470BG,
            ),
            Matrix::Bt601Ntsc => (
                Primaries::SMPTE170M,
                TransferCharacteristic::SMPTE170M,
                Space::SMPTE170M,
            ),
            Matrix::Bt709 => (
                Primaries::BT709,
                TransferCharacteristic::BT709,
                Space::BT709,
            ),
            Matrix::Bt2020 => (
                Primaries::BT2020,
                TransferCharacteristic::BT2020_10,
                Space::BT2020NCL,
            ),
            Matrix::Other => (
                Primaries::Unspecified,
                TransferCharacteristic::Unspecified,
                Space::Unspecified,
            ),
        };
        encoder.set_color_primaries(primaries);
        encoder.set_color_transfer_characteristic(transfer);
        encoder.set_colorspace(space);
        encoder.set_color_range(color::Range::MPEG);
        let part = |number| i32::try_from(number).unwrap_or(1);
        encoder.set_aspect_ratio((part(self.aspect.0), part(self.aspect.1)));
    }
}

/// What the source's sequence parameter set says. A player guesses the colours of a
/// source that says nothing by its height, so that guess is written down.
pub(super) fn read(source: &VideoSource) -> Signal {
    let guess = Signal {
        aspect: (1, 1),
        matrix: if source.width.min(source.height) >= 720 {
            Matrix::Bt709
        } else {
            Matrix::Bt601Ntsc
        },
    };
    with_parameter_set(source, |sps| {
        let Some(usability) = &sps.vui_parameters else {
            return guess;
        };
        let aspect = usability
            .aspect_ratio_info
            .as_ref()
            .and_then(|info| info.get())
            .filter(|&(across, down)| across > 0 && down > 0)
            .map_or((1, 1), |(across, down)| {
                reduced(u64::from(across), u64::from(down))
            });
        let matrix = usability
            .video_signal_type
            .as_ref()
            .and_then(|signal| signal.colour_description.as_ref())
            .and_then(matrix)
            .unwrap_or(guess.matrix);
        Signal { aspect, matrix }
    })
    .unwrap_or(guess)
}

fn with_parameter_set<T>(source: &VideoSource, read: impl Fn(&SeqParameterSet) -> T) -> Option<T> {
    let record = AvcDecoderConfigurationRecord::try_from(&source.record[..]).ok()?;
    let context = record.create_context().ok()?;
    context.sps().next().map(read)
}

/// `None` where the matrix is unspecified (H.264 table E-5).
fn matrix(colours: &ColourDescription) -> Option<Matrix> {
    match colours.matrix_coefficients {
        1 => Some(Matrix::Bt709),
        2 => None,
        5 => Some(Matrix::Bt601Pal),
        6 => Some(Matrix::Bt601Ntsc),
        9 => Some(Matrix::Bt2020),
        _ => Some(Matrix::Other),
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
    use crate::{ColourDescription, Rotation, SourceCodec};

    fn source(width: u32, height: u32) -> VideoSource {
        VideoSource {
            codec: SourceCodec::h264(),
            record: bytes::Bytes::new(),
            width,
            height,
            sample_aspect: None,
            rotation: Rotation::None,
            colour: ColourDescription::UNSPECIFIED,
            tag: 0,
        }
    }

    #[test]
    fn anamorphic_pictures_keep_their_shape() {
        let source = source(720, 576);
        let shape = VideoShape {
            width: 450,
            height: 360,
        };
        let rung = Rung::live("360p".parse().unwrap(), shape, 500_000);
        let wide = Signal {
            aspect: (64, 45),
            matrix: Matrix::Bt601Pal,
        };
        assert_eq!(wide.scaled(&source, &rung).aspect, (64, 45));
        assert_eq!(Signal::BT709.scaled(&source, &rung).aspect, (1, 1));
        assert_eq!(reduced(1 << 40, 3 << 40), (1, 3));
        assert_eq!(reduced(0xffff_ffff, 1), (0xffff, 1));
    }

    #[test]
    fn what_the_source_does_not_say_is_guessed_by_its_size() {
        assert_eq!(read(&source(1920, 1080)), Signal::BT709);
        assert_eq!(read(&source(854, 480)).matrix, Matrix::Bt601Ntsc);
    }
}
