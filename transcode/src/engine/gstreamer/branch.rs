//! A rung and who encodes it: the job's device, or software, or software in the place of
//! a device that has failed.

use std::sync::Arc;

use media::{FrameRate, Timestamp};

use super::pipe::Entry;
use super::rung::{Giving, Picture, RungPipe};
use super::{device, encoder};
use crate::engine::signal::Signal;
use crate::engine::{EngineError, Sink, byte_stream};
use crate::wire::Reply;
use crate::{Device, Encoder, FakeDevice, Job, Rung};

/// What every branch of a job is made with.
pub(super) struct Setting<'a> {
    pub(super) job: &'a Job,
    pub(super) signal: Signal,
    pub(super) rate: FrameRate,
    pub(super) sink: &'a Arc<dyn Sink>,
    pub(super) fake: Option<FakeDevice>,
}

/// One rung.
pub(super) struct Branch {
    index: u8,
    rung: Rung,
    encoder: Encoder,
    rate: FrameRate,
    /// The source's size, and its colours.
    size: (u32, u32),
    source: Signal,
    /// The rung's.
    signal: Signal,
    sink: Arc<dyn Sink>,
    start: Timestamp,
    entry: Arc<Entry>,
    /// `None` while nothing encodes: from a device's failure to the next segment start.
    pipe: Option<RungPipe>,
    on_device: bool,
}

impl Branch {
    /// Tries the encoders with a picture, announces the rung, and starts it.
    pub(super) fn open(setting: &Setting<'_>, index: u8, rung: &Rung) -> Result<Self, EngineError> {
        let job = setting.job;
        let mut branch = Self {
            index,
            rung: rung.clone(),
            encoder: job.encoder,
            rate: rung.frame_rate(setting.rate),
            size: job.source.upright(),
            source: setting.signal,
            signal: setting.signal.scaled(&job.source, rung),
            sink: Arc::clone(setting.sink),
            start: job.start,
            entry: Arc::default(),
            pipe: None,
            on_device: false,
        };
        let device = job.encoder.device_for(rung.codec, rung.latency);
        let mut stream = Vec::new();
        if let Some(device) = device {
            match branch.try_device(device, setting.fake) {
                Ok(sets) => {
                    stream = sets;
                    branch.on_device = true;
                }
                Err(error) => branch.device_failed(error)?,
            }
        }
        if !matches!(job.encoder, Encoder::Trial(_)) {
            stream.extend(branch.software()?.tried()?);
        }
        branch.sink.emit(Reply::Track {
            rung: index,
            record: byte_stream::configuration(rung.codec, &stream)?,
        })?;
        if let Some(device) = device.filter(|_| branch.on_device) {
            let prepared = branch.device(device, setting.fake);
            match prepared.and_then(|prepared| branch.run(prepared)) {
                Ok(()) => return Ok(branch),
                Err(error) => branch.device_failed(error)?,
            }
        }
        let prepared = branch.software()?;
        branch.run(prepared)?;
        Ok(branch)
    }

    /// What wakes up whoever waits in [`Branch::take`].
    pub(super) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The next picture. Blocks while the rung is behind.
    pub(super) fn take(&mut self, picture: &Picture<'_>) -> Result<(), EngineError> {
        if self.pipe.is_none() && picture.starts.is_some() {
            let prepared = self.software()?;
            self.run(prepared)?;
        }
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        match pipe.push(picture) {
            Err(error) if self.on_device && !matches!(error, EngineError::Output(_)) => {
                self.device_failed(error)?;
                // The picture that starts a segment is software's first.
                match picture.starts {
                    Some(_) => self.take(picture),
                    None => Ok(()),
                }
            }
            outcome => outcome,
        }
    }

    /// No more pictures: returns when all have been given.
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        match self.pipe.as_ref().map(RungPipe::finish) {
            Some(Err(error)) if self.on_device && !matches!(error, EngineError::Output(_)) => {
                self.device_failed(error)
            }
            Some(outcome) => outcome,
            None => Ok(()),
        }
    }

    fn software(&self) -> Result<encoder::Prepared, EngineError> {
        let number = self.encoder.software_parameter_set();
        encoder::software(&self.rung, self.rate, self.signal, number)
    }

    fn device(
        &self,
        device: Device,
        fake: Option<FakeDevice>,
    ) -> Result<encoder::Prepared, EngineError> {
        device::prepare(device, fake, &self.rung, self.rate, self.signal)
    }

    /// The device's parameter sets, if it works and they can stand beside software's.
    fn try_device(&self, device: Device, fake: Option<FakeDevice>) -> Result<Vec<u8>, EngineError> {
        let sets = self.device(device, fake)?.tried()?;
        let reserved = self.encoder.software_parameter_set();
        byte_stream::check_of_device(device, self.rung.codec, &sets, reserved)?;
        Ok(sets)
    }

    fn run(&mut self, prepared: encoder::Prepared) -> Result<(), EngineError> {
        let giving = Giving::new(self.index, &self.rung, self.start, Arc::clone(&self.sink));
        let entry = Arc::clone(&self.entry);
        self.pipe = Some(RungPipe::start(
            &self.rung,
            (self.size, self.source),
            self.rate,
            prepared,
            Arc::new(giving),
            entry,
        )?);
        Ok(())
    }

    /// Ends the device's pipeline, and says what it has cost.
    fn device_failed(&mut self, error: EngineError) -> Result<(), EngineError> {
        self.pipe = None;
        self.on_device = false;
        self.entry.reset();
        if matches!(self.encoder, Encoder::Trial(_)) {
            return Err(error);
        }
        self.sink.emit(Reply::DeviceFailed {
            rung: self.index,
            reason: error.to_string(),
        })?;
        Ok(())
    }
}
