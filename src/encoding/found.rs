//! What engines have and which devices work, found out once each by worker processes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use transcode::{
    Device, Encoder, EncoderChoice, EngineName, EngineReport, WorkerCommand, WorkerError,
};

use super::{Choice, Encoding};

/// What is known of this machine. An answer stays, a bad one too: what is mended is found
/// at the next start. That there was none does not.
#[derive(Debug)]
pub(super) struct Found {
    command: WorkerCommand,
    engines: Cells<EngineName, Result<EngineReport, String>>,
    devices: Cells<(EngineName, Device), Result<(), String>>,
}

/// What a choice comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) encoding: Encoding,
    /// Why it is software's work, though a device was asked for: a sentence that begins
    /// with the device.
    pub(super) lacks: Option<String>,
}

impl Found {
    pub(super) fn new(command: WorkerCommand) -> Self {
        Self {
            command,
            engines: Cells::default(),
            devices: Cells::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn command(&self) -> &WorkerCommand {
        &self.command
    }

    /// What `choice` comes to. The error says why its engine cannot be used.
    pub(super) async fn encoding(&self, choice: Choice) -> Result<Finding, String> {
        let report = self.report(choice.engine).await?;
        let (encoder, lacks) = match choice.encoder {
            EncoderChoice::Software => (Encoder::Software, None),
            EncoderChoice::Auto => (self.first_that_works(&report).await, None),
            EncoderChoice::Device(device) => match self.asked_for(device, &report).await {
                Ok(()) => (Encoder::Device(device), None),
                Err(why) => {
                    let lacks =
                        format!("{device} does not work, and software does its work: {why}");
                    (Encoder::Software, Some(lacks))
                }
            },
        };
        let engine = choice.engine;
        Ok(Finding {
            encoding: Encoding { engine, encoder },
            lacks,
        })
    }

    /// What `choice` comes to, with the engine of `configured` where its own cannot be used,
    /// and what is not as it was chosen. `None`: nothing encodes.
    pub(super) async fn nearest(
        &self,
        choice: Choice,
        configured: Choice,
    ) -> (Option<Encoding>, Vec<String>) {
        let engine = choice.engine;
        let why = match self.encoding(choice).await {
            Ok(found) => return (Some(found.encoding), found.lacks.into_iter().collect()),
            Err(why) => why,
        };
        let other = configured.engine;
        if other == engine {
            return (
                None,
                vec![format!(
                    "{engine} cannot be used, there is no ladder: {why}"
                )],
            );
        }
        let choice = Choice {
            engine: other,
            ..choice
        };
        match self.encoding(choice).await {
            Ok(found) => {
                let lacks = format!("{engine} cannot be used, and {other} does its work: {why}");
                let lacks = [lacks].into_iter().chain(found.lacks);
                (Some(found.encoding), lacks.collect())
            }
            Err(too) => {
                let lacks = format!(
                    "neither {engine} nor {other} can be used, there is no ladder: {why}; {too}"
                );
                (None, vec![lacks])
            }
        }
    }

    async fn report(&self, engine: EngineName) -> Result<EngineReport, String> {
        let cell = self.engines.cell(engine);
        let report = cell.get_or_try_init(|| async move {
            let report = match transcode::survey(&self.command, engine).await {
                Err(error @ (WorkerError::Start { .. } | WorkerError::Stalled { .. })) => {
                    return Err(error.to_string());
                }
                report => report.map_err(|error| error.to_string()),
            };
            let known = report.and_then(|report| match missing(&report) {
                Some(missing) => Err(missing),
                None => Ok(report),
            });
            match &known {
                Ok(_) => tracing::info!("the engine {engine} can be used"),
                Err(why) => tracing::info!("the engine {engine} cannot be used: {why}"),
            }
            Ok(known)
        });
        report.await?.clone()
    }

    async fn first_that_works(&self, report: &EngineReport) -> Encoder {
        for &(device, _) in &report.devices {
            if self.asked_for(device, report).await.is_ok() {
                return Encoder::Device(device);
            }
        }
        Encoder::Software
    }

    async fn asked_for(&self, device: Device, report: &EngineReport) -> Result<(), String> {
        let engine = report.name;
        let Some((_, name)) = report.devices.iter().find(|(found, _)| *found == device) else {
            return Err(format!("the engine {engine} has no encoder for it"));
        };
        let cell = self.devices.cell((engine, device));
        let tried = cell.get_or_try_init(|| async move {
            let tried = match transcode::try_device(&self.command, engine, device).await {
                Err(error @ WorkerError::Start { .. }) => return Err(error.to_string()),
                tried => tried,
            };
            match &tried {
                Ok(()) => tracing::info!("{engine}: {device} ({name}) works"),
                Err(error) => tracing::info!("{engine}: {device} ({name}) fails: {error}"),
            }
            Ok(tried.map_err(|error| error.to_string()))
        });
        tried.await?.clone()
    }
}

/// What an engine lacks, and what brings it.
fn missing(report: &EngineReport) -> Option<String> {
    let missing: Vec<_> = report
        .missing()
        .map(|codec| {
            let (name, purpose, package) = (&codec.name, &codec.purpose, &codec.package);
            format!("{name} ({purpose}) is missing: install {package}")
        })
        .collect();
    (!missing.is_empty()).then(|| missing.join("; "))
}

/// A value for each key, found out once. There are as many as there are keys.
#[derive(Debug)]
struct Cells<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Cells<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Cells<K, V> {
    fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        // Nothing that can panic runs under this lock.
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use transcode::{CodecReport, STALL_LIMIT};

    use super::*;

    /// Asks `program` of what is not said here.
    fn machine(program: &str, said: &[(EngineName, Result<EngineReport, String>)]) -> Found {
        let found = Found::new(WorkerCommand {
            program: program.into(),
            args: Vec::new(),
            stall_limit: STALL_LIMIT,
            memory_limit: None,
            nice: 0,
        });
        for (engine, report) in said {
            found.engines.cell(*engine).set(report.clone()).unwrap();
        }
        found
    }

    fn report(name: EngineName, devices: &[Device]) -> (EngineName, Result<EngineReport, String>) {
        let report = EngineReport {
            name,
            libraries: Vec::new(),
            codecs: Vec::new(),
            devices: devices
                .iter()
                .map(|device| (*device, device.to_string()))
                .collect(),
        };
        (name, Ok(report))
    }

    const CONFIGURED: Choice = Choice {
        engine: EngineName::Ffmpeg,
        encoder: EncoderChoice::Software,
    };

    fn gstreamer(encoder: EncoderChoice) -> Choice {
        Choice {
            engine: EngineName::Gstreamer,
            encoder,
        }
    }

    #[tokio::test]
    async fn what_was_asked_for_is_used_where_it_works() {
        let both = [
            report(EngineName::Ffmpeg, &[]),
            report(EngineName::Gstreamer, &[Device::Qsv, Device::Vaapi]),
        ];
        let found = machine("/bin/false", &both);
        let qsv = (EngineName::Gstreamer, Device::Qsv);
        found
            .devices
            .cell(qsv)
            .set(Err("no driver".to_owned()))
            .unwrap();
        let vaapi = (EngineName::Gstreamer, Device::Vaapi);
        found.devices.cell(vaapi).set(Ok(())).unwrap();
        let vaapi = Device::Vaapi;
        for (encoder, expected, told) in [
            (EncoderChoice::Software, Encoder::Software, None),
            (EncoderChoice::Auto, Encoder::Device(vaapi), None),
            (EncoderChoice::Device(vaapi), Encoder::Device(vaapi), None),
            (
                EncoderChoice::Device(Device::Qsv),
                Encoder::Software,
                Some("qsv does not work, and software does its work: no driver"),
            ),
            (
                EncoderChoice::Device(Device::Nvenc),
                Encoder::Software,
                Some(
                    "nvenc does not work, and software does its work: the engine gstreamer has no encoder for it",
                ),
            ),
        ] {
            let (encoding, lacks) = found.nearest(gstreamer(encoder), CONFIGURED).await;
            let engine = EngineName::Gstreamer;
            let expected = Encoding {
                engine,
                encoder: expected,
            };
            assert_eq!(encoding, Some(expected), "{encoder}");
            assert_eq!(lacks, Vec::from_iter(told), "{encoder}");
        }
    }

    #[tokio::test]
    async fn the_configured_engine_does_the_work_of_one_that_lacks_something() {
        let mut lacking = report(EngineName::Gstreamer, &[]);
        lacking.1.as_mut().unwrap().codecs.push(CodecReport {
            purpose: "H.264 encoder".to_owned(),
            name: "x264enc".to_owned(),
            present: false,
            package: "gstreamer1.0-plugins-ugly".to_owned(),
        });
        let missing = missing(lacking.1.as_ref().unwrap()).unwrap();
        assert!(
            missing.contains("x264enc") && missing.contains("plugins-ugly"),
            "{missing}"
        );
        let said = [
            report(EngineName::Ffmpeg, &[]),
            (EngineName::Gstreamer, Err(missing)),
        ];
        let found = machine("/bin/false", &said);
        let (encoding, lacks) = found
            .nearest(gstreamer(EncoderChoice::Software), CONFIGURED)
            .await;
        assert_eq!(encoding, Some(Encoding::default()));
        let [told] = &lacks[..] else {
            panic!("{lacks:?}")
        };
        for word in ["gstreamer", "ffmpeg does its work", "x264enc"] {
            assert!(told.contains(word), "{told}");
        }
        // The device is looked for with the engine that is used.
        let nvenc = EncoderChoice::Device(Device::Nvenc);
        let (encoding, lacks) = found.nearest(gstreamer(nvenc), CONFIGURED).await;
        assert_eq!(encoding, Some(Encoding::default()));
        assert!(
            lacks[1].contains("the engine ffmpeg has no encoder"),
            "{lacks:?}"
        );
    }

    #[tokio::test]
    async fn without_any_engine_there_is_no_ladder() {
        let found = machine("/bin/false", &[]);
        for choice in [gstreamer(EncoderChoice::Auto), CONFIGURED] {
            let (encoding, lacks) = found.nearest(choice, CONFIGURED).await;
            assert_eq!(encoding, None);
            assert!(lacks[0].contains("there is no ladder"), "{lacks:?}");
        }
    }

    #[tokio::test]
    async fn a_worker_is_asked_once() {
        let directory = tempfile::tempdir().unwrap();
        let asked = directory.path().join("asked");
        let mut found = machine("/bin/sh", &[]);
        let script = format!("echo >> {}; exit 1", asked.display());
        found.command.args = vec!["-c".into(), script.into()];
        let choice = gstreamer(EncoderChoice::Auto);
        for _ in 0..3 {
            let (one, other) = tokio::join!(found.encoding(choice), found.encoding(choice));
            assert!(one.is_err() && one == other, "{one:?}");
        }
        assert_eq!(std::fs::read_to_string(asked).unwrap().lines().count(), 1);
    }
}
