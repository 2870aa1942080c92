//! What the ladder is encoded with: the operator's choice, held against what this
//! machine has.

use std::fmt;

use transcode::{
    Device, Encoder, EncoderChoice, EngineName, EngineReport, Job, WorkerCommand, WorkerError,
};

use crate::config::Transcode;

/// The engine and the encoder of every ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Decodes, scales and encodes.
    pub engine: EngineName,
    /// Software, or a device that has encoded a picture.
    pub encoder: Encoder,
}

impl Encoding {
    /// `job`, encoded this way.
    pub fn of(self, job: Job) -> Job {
        Job {
            engine: self.engine,
            encoder: self.encoder,
            ..job
        }
    }
}

/// Why there can be no ladder as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    /// No worker says what there is.
    #[error("transcode.engine = {engine}: {source}")]
    Survey {
        /// The engine asked for.
        engine: EngineName,
        /// What the worker did instead.
        source: WorkerError,
    },
    /// It lacks something.
    #[error("transcode.engine = {engine}: {missing}")]
    Missing {
        /// The engine asked for.
        engine: EngineName,
        /// What it lacks, and what brings it.
        missing: Missing,
    },
}

/// What an engine lacks.
#[derive(Debug)]
pub struct Missing(Vec<String>);

impl Missing {
    /// `None` if `engine` has all it needs.
    pub fn of(engine: &EngineReport) -> Option<Self> {
        let missing: Vec<_> = engine
            .missing()
            .map(|codec| {
                let (name, purpose, package) = (&codec.name, &codec.purpose, &codec.package);
                format!("{name} ({purpose}) is missing: install {package}")
            })
            .collect();
        (!missing.is_empty()).then_some(Self(missing))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// What `config` comes to on this machine. An engine that lacks something is an error; a
/// device that does not work is a warning, and software does its work.
pub async fn choose(
    config: &Transcode,
    command: &WorkerCommand,
) -> Result<Encoding, EncodingError> {
    let engine = config.engine;
    let report = transcode::survey(command, engine)
        .await
        .map_err(|source| EncodingError::Survey { engine, source })?;
    if let Some(missing) = Missing::of(&report) {
        return Err(EncodingError::Missing { engine, missing });
    }
    let encoder = match config.encoder {
        EncoderChoice::Software => Encoder::Software,
        EncoderChoice::Auto => first_that_works(&report, command).await,
        EncoderChoice::Device(device) => asked_for(device, &report, command).await,
    };
    Ok(Encoding { engine, encoder })
}

async fn first_that_works(report: &EngineReport, command: &WorkerCommand) -> Encoder {
    for &(device, ref name) in &report.devices {
        match transcode::try_device(command, report.name, device).await {
            Ok(()) => {
                tracing::info!("the ladder is encoded by {device} ({name})");
                return Encoder::Device(device);
            }
            Err(error) => tracing::info!("{device} ({name}) does not work here: {error}"),
        }
    }
    tracing::info!("no hardware encoder works here: the ladder is encoded by software");
    Encoder::Software
}

async fn asked_for(device: Device, report: &EngineReport, command: &WorkerCommand) -> Encoder {
    let tried = if report.devices.iter().any(|(found, _)| *found == device) {
        transcode::try_device(command, report.name, device)
            .await
            .map_err(|error| error.to_string())
    } else {
        Err(format!("the engine {} has no encoder for it", report.name))
    };
    match tried {
        Ok(()) => Encoder::Device(device),
        Err(why) => {
            tracing::warn!(
                "transcode.encoder = {device} does not work, and software does its work: {why}"
            );
            Encoder::Software
        }
    }
}
