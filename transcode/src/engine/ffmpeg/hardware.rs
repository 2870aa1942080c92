//! Encoders in hardware, by libavcodec's names for them.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::{codec, ffi, format, frame};

use super::encoder::{self, VideoEncoder, VideoSettings};
use super::{picture, step};
use crate::engine::EngineError;
use crate::{Device, FakeDevice};

/// A device's encoder, and what it is told.
struct Known {
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
}

/// Key frames only on request and IDR pictures all, a constant rate, nothing held back.
fn known(device: Device) -> Known {
    match device {
        Device::Vaapi => Known {
            name: "h264_vaapi",
            options: &[("rc_mode", "CBR"), ("async_depth", "1")],
        },
        Device::Nvenc => Known {
            name: "h264_nvenc",
            options: &[
                ("rc", "cbr"),
                ("tune", "ull"),
                ("zerolatency", "1"),
                ("delay", "0"),
                ("forced-idr", "1"),
                ("no-scenecut", "1"),
            ],
        },
        Device::Qsv => Known {
            name: "h264_qsv",
            options: &[("async_depth", "1"), ("forced_idr", "1")],
        },
        Device::V4l2 => Known {
            name: "h264_v4l2m2m",
            options: &[],
        },
    }
}

/// The encoder for `device`, if libavcodec was built with it.
pub(super) fn name(device: Device) -> Option<&'static str> {
    let name = known(device).name;
    ffmpeg::encoder::find_by_name(name).map(|_| name)
}

/// Opens the encoder of `device`. Its parameter sets come with its key frames.
pub(super) fn open(
    device: Device,
    fake: Option<FakeDevice>,
    settings: &VideoSettings,
) -> Result<VideoEncoder, EngineError> {
    if let Some(fake) = fake {
        return open_fake(fake, settings);
    }
    let Known {
        name,
        options: told,
    } = known(device);
    let what = || format!("{name} {}x{}", settings.width, settings.height);
    let found = ffmpeg::encoder::find_by_name(name)
        .ok_or(ffmpeg::Error::EncoderNotFound)
        .map_err(step(what()))?;
    let mut context = codec::Context::new_with_codec(found);
    let frames = match device {
        Device::Vaapi => Some(DeviceFrames::vaapi(settings).map_err(step(what()))?),
        Device::Nvenc | Device::Qsv | Device::V4l2 => None,
    };
    if let Some(frames) = &frames {
        frames.give_to(&mut context).map_err(step(what()))?;
    }
    let mut encoder = context.encoder().video().map_err(step(what()))?;
    let mut options = ffmpeg::Dictionary::new();
    encoder::apply(settings, &mut encoder, &mut options);
    encoder.set_format(match frames {
        Some(_) => format::Pixel::VAAPI,
        None => format::Pixel::NV12,
    });
    encoder.set_bit_rate(settings.bit_rate as usize);
    encoder.set_max_b_frames(0);
    for (option, value) in told {
        options.set(option, value);
    }
    let encoder = encoder.open_with(options).map_err(step(what()))?;
    Ok(VideoEncoder::of_device(name, encoder, Upload { frames }))
}

/// Software that makes other parameter sets than the rung's own, as a device would, and
/// fails as one may.
fn open_fake(fake: FakeDevice, settings: &VideoSettings) -> Result<VideoEncoder, EngineError> {
    match fake {
        FakeDevice::FailsAtOpen => Err(EngineError::Step {
            what: "fake device".to_owned(),
            why: "cannot be opened".to_owned(),
        }),
        FakeDevice::FailsAfter(pictures) => VideoEncoder::open_to_fail(settings, pictures),
    }
}

/// Brings pictures to where a device takes them.
pub(super) struct Upload {
    frames: Option<DeviceFrames>,
}

impl Upload {
    /// `picture`, of three planes in ordinary memory, as the device takes it.
    pub(super) fn bring(&self, picture: &frame::Video) -> Result<frame::Video, EngineError> {
        let mut taken = interleaved(picture)?;
        if let Some(frames) = &self.frames {
            taken = frames.upload(&taken).map_err(step("picture upload"))?;
        }
        taken.set_pts(picture.pts());
        taken.set_kind(picture.kind());
        Ok(taken)
    }
}

/// The picture with its chroma in one plane (NV12), which every device takes.
fn interleaved(from: &frame::Video) -> Result<frame::Video, EngineError> {
    let (width, height) = (from.width() as usize, from.height() as usize);
    let mut to = picture::allocate_as(format::Pixel::NV12, from.width(), from.height())?;
    let (stride, to_stride) = (from.stride(0), to.stride(0));
    let luma = from.data(0).chunks(stride.max(1));
    for (row, to_row) in luma
        .zip(to.data_mut(0).chunks_mut(to_stride.max(1)))
        .take(height)
    {
        to_row[..width].copy_from_slice(&row[..width]);
    }
    let (across, down) = (width.div_ceil(2), height.div_ceil(2));
    let to_stride = to.stride(1);
    let blue = from.data(1).chunks(from.stride(1).max(1));
    let red = from.data(2).chunks(from.stride(2).max(1));
    let rows = to.data_mut(1).chunks_mut(to_stride.max(1));
    for ((blue, red), to_row) in blue.zip(red).zip(rows).take(down) {
        let pairs = to_row.chunks_exact_mut(2).take(across);
        for ((pair, blue), red) in pairs.zip(blue).zip(red) {
            (pair[0], pair[1]) = (*blue, *red);
        }
    }
    Ok(to)
}

/// A pool of pictures in a device's memory.
struct DeviceFrames(*mut ffi::AVBufferRef);

// SAFETY: an AVBufferRef's count is atomic, and the pool behind it locks for itself
// (libavutil/buffer.h).
unsafe impl Send for DeviceFrames {}

/// Pictures of the pool; one is encoded at a time.
const POOL_SIZE: i32 = 4;

impl DeviceFrames {
    /// On the VA-API device that is the default.
    fn vaapi(settings: &VideoSettings) -> Result<Self, ffmpeg::Error> {
        let side = |pixels| i32::try_from(pixels).map_err(|_| ffmpeg::Error::InvalidData);
        let (width, height) = (side(settings.width)?, side(settings.height)?);
        // SAFETY: the device context is referenced by the pool's before its own reference
        // is given back; `data` of what av_hwframe_ctx_alloc returns is an
        // AVHWFramesContext, whose fields are written before av_hwframe_ctx_init as
        // hwcontext.h has it. `Self` gives the pool back.
        unsafe {
            let mut device = std::ptr::null_mut();
            let opened = ffi::av_hwdevice_ctx_create(
                &mut device,
                ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI,
                std::ptr::null(),
                std::ptr::null_mut(),
                0,
            );
            if opened < 0 {
                return Err(ffmpeg::Error::from(opened));
            }
            let pool = Self(ffi::av_hwframe_ctx_alloc(device));
            ffi::av_buffer_unref(&mut device);
            let Some(reference) = pool.0.as_ref() else {
                return Err(out_of_memory());
            };
            let fields = reference.data.cast::<ffi::AVHWFramesContext>();
            (*fields).format = ffi::AVPixelFormat::AV_PIX_FMT_VAAPI;
            (*fields).sw_format = ffi::AVPixelFormat::AV_PIX_FMT_NV12;
            (*fields).width = width;
            (*fields).height = height;
            (*fields).initial_pool_size = POOL_SIZE;
            let ready = ffi::av_hwframe_ctx_init(pool.0);
            if ready < 0 {
                return Err(ffmpeg::Error::from(ready));
            }
            Ok(pool)
        }
    }

    /// Tells an encoder that is not open yet where its pictures are.
    fn give_to(&self, context: &mut codec::Context) -> Result<(), ffmpeg::Error> {
        // SAFETY: the pool is alive; the new reference passes to the context, which gives
        // it back.
        unsafe {
            let reference = ffi::av_buffer_ref(self.0);
            if reference.is_null() {
                return Err(out_of_memory());
            }
            (*context.as_mut_ptr()).hw_frames_ctx = reference;
        }
        Ok(())
    }

    fn upload(&self, picture: &frame::Video) -> Result<frame::Video, ffmpeg::Error> {
        let mut uploaded = frame::Video::empty();
        // SAFETY: both frames are alive and borrowed; the first is empty, as
        // av_hwframe_get_buffer asks.
        unsafe {
            let got = ffi::av_hwframe_get_buffer(self.0, uploaded.as_mut_ptr(), 0);
            if got < 0 {
                return Err(ffmpeg::Error::from(got));
            }
            let done = ffi::av_hwframe_transfer_data(uploaded.as_mut_ptr(), picture.as_ptr(), 0);
            if done < 0 {
                return Err(ffmpeg::Error::from(done));
            }
        }
        Ok(uploaded)
    }
}

impl Drop for DeviceFrames {
    fn drop(&mut self) {
        // SAFETY: this reference is this value's own; null is allowed.
        unsafe { ffi::av_buffer_unref(&mut self.0) };
    }
}

fn out_of_memory() -> ffmpeg::Error {
    ffmpeg::Error::Other {
        errno: ffmpeg::error::ENOMEM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chroma_is_interleaved() {
        let mut picture = picture::allocate_as(format::Pixel::YUV420P, 6, 4).unwrap();
        for plane in 0..3 {
            let stride = picture.stride(plane);
            for (y, row) in picture.data_mut(plane).chunks_mut(stride).enumerate() {
                for (x, sample) in row.iter_mut().enumerate() {
                    *sample = (plane * 100 + y * 10 + x) as u8;
                }
            }
        }
        let taken = interleaved(&picture).unwrap();
        assert_eq!(taken.format(), format::Pixel::NV12);
        assert_eq!(
            taken.data(0)[taken.stride(0)..][..6],
            [10, 11, 12, 13, 14, 15]
        );
        let second = &taken.data(1)[taken.stride(1)..][..6];
        assert_eq!(second, [110, 210, 111, 211, 112, 212]);
    }
}
