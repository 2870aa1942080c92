//! From any rate, format and channels to the encoder's.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::software::resampling;
use ffmpeg_next::{ChannelLayout, ffi, format, frame};

use super::super::aac::{Channels, planar_floats};
use super::super::step;
use crate::engine::EngineError;

/// libswresample, made anew when the sound changes its form.
pub(super) struct Resampler {
    rate: u32,
    channels: Channels,
    context: Option<(Form, resampling::Context)>,
}

/// What decoded sound is.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    format: format::Sample,
    /// The channels by their places (libavutil's mask), and how many they are.
    mask: u64,
    count: u16,
    rate: u32,
}

impl Form {
    fn of(sound: &frame::Audio) -> Self {
        Self {
            format: sound.format(),
            mask: sound.channel_layout().bits(),
            count: sound.channels(),
            rate: sound.rate(),
        }
    }

    /// Without known places, the usual ones of so many channels. There are none of more
    /// than eight.
    fn layout(self, sound: &frame::Audio) -> Result<ChannelLayout, EngineError> {
        match (self.mask, self.count) {
            (0, 1..=8) => Ok(ChannelLayout::default(self.count.into())),
            (0, count) => Err(EngineError::Step {
                what: "resampler".into(),
                why: format!("{count} channels without their places; at most 8 have usual ones"),
            }),
            _ => Ok(sound.channel_layout()),
        }
    }
}

impl Resampler {
    pub(super) fn new(rate: u32, channels: Channels) -> Self {
        Self {
            rate,
            channels,
            context: None,
        }
    }

    /// What is ready of each channel. The filter holds a little back.
    pub(super) fn run(&mut self, sound: &frame::Audio) -> Result<[Vec<f32>; 2], EngineError> {
        let form = Form::of(sound);
        let mut ready = [Vec::new(), Vec::new()];
        if self.context.as_ref().is_some_and(|(of, _)| *of != form) {
            ready = self.flush()?;
        }
        let context = match &mut self.context {
            Some((_, context)) => context,
            none => {
                let context = resampling::Context::get(
                    form.format,
                    form.layout(sound)?,
                    form.rate,
                    planar_floats(),
                    self.channels.layout(),
                    self.rate,
                )
                .map_err(step("resampler"))?;
                &mut none.insert((form, context)).1
            }
        };
        convert(context, Some(sound), &mut ready)?;
        Ok(ready)
    }

    /// What the filter has held back. The next sound starts it anew.
    pub(super) fn flush(&mut self) -> Result<[Vec<f32>; 2], EngineError> {
        let mut ready = [Vec::new(), Vec::new()];
        if let Some((_, mut context)) = self.context.take() {
            convert(&mut context, None, &mut ready)?;
        }
        Ok(ready)
    }
}

fn convert(
    context: &mut resampling::Context,
    sound: Option<&frame::Audio>,
    ready: &mut [Vec<f32>; 2],
) -> Result<(), EngineError> {
    let failed = |error| step("resampler")(ffmpeg::Error::from(error));
    let samples = sound.map_or(0, frame::Audio::samples);
    let samples = i32::try_from(samples).unwrap_or(i32::MAX);
    // SAFETY: the context is valid, and this only computes.
    let room = unsafe { ffi::swr_get_out_samples(context.as_mut_ptr(), samples) };
    let room = usize::try_from(room).map_err(|_| failed(room))?;
    let mut planes = [vec![0_f32; room], vec![0_f32; room]];
    let [left, right] = &mut planes;
    let mut to = [left.as_mut_ptr().cast::<u8>(), right.as_mut_ptr().cast()];
    // SAFETY: the output planes have room for `room` samples each, of which one is not
    // touched in mono. The input planes are those of a frame of the form the context was
    // made for; null with no samples flushes it.
    let made = unsafe {
        let from = sound.map_or(std::ptr::null_mut(), |sound| {
            (*sound.as_ptr()).extended_data
        });
        ffi::swr_convert(
            context.as_mut_ptr(),
            to.as_mut_ptr().cast(),
            i32::try_from(room).unwrap_or(i32::MAX),
            from.cast(),
            samples,
        )
    };
    let made = usize::try_from(made).map_err(|_| failed(made))?;
    for (channel, plane) in ready.iter_mut().zip(&planes) {
        channel.extend_from_slice(&plane[..made]);
    }
    Ok(())
}
