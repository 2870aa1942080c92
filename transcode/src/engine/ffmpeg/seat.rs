//! Who encodes a rung: the job's device, or software, or software in the place of a
//! device that has failed.

use std::sync::Arc;

use ffmpeg_next::frame;
use media::Micros;

use super::encoder::{Encoded, VideoEncoder, VideoSettings};
use super::{hardware, picture};
use crate::engine::{EngineError, Sink, byte_stream};
use crate::wire::Reply;
use crate::{Device, Encoder, FakeDevice};

/// One rung's encoder.
pub(super) struct Seat {
    index: u8,
    settings: VideoSettings,
    asked: Encoder,
    sink: Arc<dyn Sink>,
    /// `None` while nothing encodes: from a device's failure to the next segment start.
    encoder: Option<VideoEncoder>,
    on_device: bool,
}

impl Seat {
    /// Opens the encoder, a device after it has encoded a picture, and announces the rung.
    pub(super) fn open(
        index: u8,
        settings: VideoSettings,
        asked: Encoder,
        fake: Option<FakeDevice>,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, EngineError> {
        let mut seat = Self {
            index,
            settings: VideoSettings {
                parameter_set: asked.software_parameter_set(),
                ..settings
            },
            asked,
            sink,
            encoder: None,
            on_device: false,
        };
        let mut stream = Vec::new();
        if let Some(device) = asked.device_for(seat.settings.codec, seat.settings.latency) {
            match seat.try_device(device, fake) {
                Ok((sets, encoder)) => {
                    stream = sets;
                    seat.encoder = Some(encoder);
                    seat.on_device = true;
                }
                Err(error) => seat.device_failed(error)?,
            }
        }
        if !matches!(asked, Encoder::Trial(_)) {
            let software = VideoEncoder::open(&seat.settings)?;
            stream.extend_from_slice(software.parameter_sets());
            seat.encoder.get_or_insert(software);
        }
        seat.sink.emit(Reply::Track {
            rung: index,
            record: byte_stream::configuration(seat.settings.codec, &stream)?,
        })?;
        Ok(seat)
    }

    /// The device's parameter sets, if it works and they can stand beside software's, and
    /// an encoder of it that has encoded nothing.
    fn try_device(
        &self,
        device: Device,
        fake: Option<FakeDevice>,
    ) -> Result<(Vec<u8>, VideoEncoder), EngineError> {
        let mut grey = picture::allocate(self.settings.width, self.settings.height)?;
        for plane in 0..grey.planes() {
            grey.data_mut(plane).fill(128);
        }
        let mut trial = hardware::open(device, fake, &self.settings)?;
        trial.send(&mut grey, Micros::ZERO, true)?;
        trial.finish()?;
        let sets = trial.receive_raw()?.unwrap_or_default();
        // One at a time: some devices have room for one encoder.
        drop(trial);
        let VideoSettings {
            codec,
            parameter_set,
            ..
        } = self.settings;
        byte_stream::check_of_device(device, codec, &sets, parameter_set)?;
        Ok((sets, hardware::open(device, fake, &self.settings)?))
    }

    /// Whether a picture can be sent: software is seated where a segment starts.
    pub(super) fn is_taken(&mut self, starts: bool) -> Result<bool, EngineError> {
        if self.encoder.is_none() && starts {
            self.encoder = Some(VideoEncoder::open(&self.settings)?);
        }
        Ok(self.encoder.is_some())
    }

    /// See [`VideoEncoder::send`].
    pub(super) fn send(
        &mut self,
        picture: &mut frame::Video,
        pts: Micros,
        key: bool,
    ) -> Result<(), EngineError> {
        match &mut self.encoder {
            Some(encoder) => encoder.send(picture, pts, key),
            None => Ok(()),
        }
    }

    /// See [`VideoEncoder::receive`].
    pub(super) fn receive(&mut self) -> Result<Option<Encoded>, EngineError> {
        match &mut self.encoder {
            Some(encoder) => encoder.receive(),
            None => Ok(None),
        }
    }

    /// See [`VideoEncoder::finish`].
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        match &mut self.encoder {
            Some(encoder) => encoder.finish(),
            None => Ok(()),
        }
    }

    /// The encoder's name, for errors.
    pub(super) fn name(&self) -> &'static str {
        self.encoder
            .as_ref()
            .map_or("no encoder", VideoEncoder::name)
    }

    /// Whether `error` is of the device, and not of whoever reads what it gives.
    pub(super) fn is_the_devices(&self, error: &EngineError) -> bool {
        self.on_device && !matches!(error, EngineError::Output(_))
    }

    /// Ends the device's encoder, and says what it has cost.
    pub(super) fn device_failed(&mut self, error: EngineError) -> Result<(), EngineError> {
        self.encoder = None;
        self.on_device = false;
        if matches!(self.asked, Encoder::Trial(_)) {
            return Err(error);
        }
        self.sink.emit(Reply::DeviceFailed {
            rung: self.index,
            reason: error.to_string(),
        })?;
        Ok(())
    }
}
