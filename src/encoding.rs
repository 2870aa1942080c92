//! What ladders are encoded with: the operator's choices, held against what this machine has.

mod found;

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use media::StreamName;
use storage::rows::streams::StoredEncoding;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transcode::{Encoder, EncoderChoice, EngineName, Job, WorkerCommand};

use self::found::{Finding, Found};
use crate::config::Transcode;

/// How long an epoch waits for what is not known yet: its frames wait with it. The first
/// scan of GStreamer's plugins takes longer, and so does a driver that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// The engine and the encoder of a ladder.
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

/// An engine and an encoder, as the operator asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    engine: EngineName,
    encoder: EncoderChoice,
}

impl Choice {
    /// With what a stream has of its own.
    fn but(self, engine: Option<EngineName>, encoder: Option<EncoderChoice>) -> Self {
        Self {
            engine: engine.unwrap_or(self.engine),
            encoder: encoder.unwrap_or(self.encoder),
        }
    }
}

/// What a stream's row says, if that is known here: another version may have written it.
fn own<T>(text: &Option<String>, unknown: impl FnOnce(&dyn Display)) -> Option<T>
where
    T: FromStr<Err: Display>,
{
    let read = text.as_deref()?.parse();
    read.map_err(|error| unknown(&error)).ok()
}

/// What streams are encoded with. What an engine has, and whether a device works, is found
/// out once in the life of a process.
#[derive(Debug)]
pub struct Encodings {
    command: WorkerCommand,
    configured: Choice,
    /// What that comes to; `None`: there is no ladder as it is configured.
    usual: Option<Encoding>,
    found: Arc<Found>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Encodings {
    /// Finds out what the configuration comes to. A machine that cannot do what is
    /// configured serves the source all the same.
    pub async fn start(config: &Transcode, command: WorkerCommand) -> Self {
        let configured = Choice {
            engine: config.engine,
            encoder: config.encoder,
        };
        let found = Arc::new(Found::new(command.clone()));
        let usual = match found.encoding(configured).await {
            Ok(Finding { encoding, lacks }) => {
                if let Some(lacks) = lacks {
                    tracing::warn!("transcode.encoder = {lacks}");
                }
                match encoding.encoder {
                    Encoder::Device(device) => tracing::info!("the ladder is encoded by {device}"),
                    _ if config.encoder == EncoderChoice::Auto => tracing::info!(
                        "no hardware encoder works here: the ladder is encoded by software"
                    ),
                    _ => {}
                }
                Some(encoding)
            }
            Err(reason) => {
                tracing::error!("no ladder: transcode.engine = {}: {reason}", config.engine);
                None
            }
        };
        Self {
            command,
            configured,
            usual,
            found,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Finds out in the background what streams have asked for, so that their epochs need
    /// not wait for it.
    pub fn prepare(&self, asked_for: Vec<StoredEncoding>) {
        let (found, shutdown) = (self.found.clone(), self.shutdown.clone());
        let configured = self.configured;
        self.tasks.spawn(async move {
            let all = async {
                for stored in asked_for {
                    // What is wrong with it, the streams tell when they begin.
                    let choice =
                        configured.but(own(&stored.engine, |_| ()), own(&stored.encoder, |_| ()));
                    found.nearest(choice, configured).await;
                }
            };
            shutdown.run_until_cancelled(all).await;
        });
    }

    /// How its workers are started.
    pub fn command(&self) -> &WorkerCommand {
        &self.command
    }

    /// What an epoch of `stream` is encoded with, within [`PATIENCE`]: what its row asks
    /// for, as far as this machine has it, else what is configured. `None`: there is no
    /// ladder. What is not as it was asked for is a warning.
    pub async fn of(&self, stream: &StreamName, stored: &StoredEncoding) -> Option<Encoding> {
        let unknown = |error: &dyn Display| {
            tracing::warn!(%stream, "{error}: what is configured takes its place");
        };
        let (engine, encoder) = (own(&stored.engine, unknown), own(&stored.encoder, unknown));
        let choice = self.configured.but(engine, encoder);
        if choice == self.configured {
            return self.usual;
        }
        let (found, configured) = (self.found.clone(), self.configured);
        let shutdown = self.shutdown.clone();
        // A task: it goes on where an epoch does not wait for it.
        let search = self.tasks.spawn(async move {
            let search = found.nearest(choice, configured);
            shutdown.run_until_cancelled(search).await
        });
        let Choice { engine, encoder } = choice;
        match timeout(PATIENCE, search).await {
            Ok(Ok(Some((encoding, lacks)))) => {
                for lacks in lacks {
                    tracing::warn!(%stream, "{lacks}");
                }
                encoding
            }
            // The server stops.
            Ok(Ok(None)) => self.usual,
            Ok(Err(error)) => {
                tracing::error!(%stream, %error, "looking for {engine} and {encoder} failed");
                self.usual
            }
            Err(_) => {
                tracing::warn!(
                    %stream,
                    "whether {engine} and {encoder} work is not known after {} s: what is \
                     configured takes their place in this epoch",
                    PATIENCE.as_secs()
                );
                self.usual
            }
        }
    }

    /// Ends what is still looked for, so that nobody waits for it.
    pub fn give_up(&self) {
        self.shutdown.cancel();
    }

    /// Ends what is still looked for, and waits for its end.
    pub async fn stop(&self) {
        self.give_up();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use transcode::STALL_LIMIT;

    use super::*;

    /// A server's start on a machine where `found` is all that is known.
    fn encodings(found: Found, usual: Option<Encoding>) -> Encodings {
        Encodings {
            command: found.command().clone(),
            configured: Choice {
                engine: EngineName::Ffmpeg,
                encoder: EncoderChoice::Software,
            },
            usual,
            found: Arc::new(found),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    fn stored(engine: Option<&str>, encoder: Option<&str>) -> StoredEncoding {
        StoredEncoding {
            engine: engine.map(str::to_owned),
            encoder: encoder.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn an_epoch_begins_though_nobody_says_what_there_is() {
        let found = Found::new(WorkerCommand {
            program: "/bin/sleep".into(),
            args: vec!["600".into()],
            stall_limit: STALL_LIMIT,
            memory_limit: None,
            nice: 0,
        });
        let usual = Some(Encoding::default());
        let encodings = encodings(found, usual);
        let name: StreamName = "garden".parse().unwrap();
        let (gstreamer, none) = (stored(Some("gstreamer"), None), stored(None, None));
        encodings.prepare(vec![gstreamer.clone()]);
        let began = std::time::Instant::now();
        assert_eq!(encodings.of(&name, &none).await, usual);
        // Another version's words are no reason to look.
        let unknown = stored(Some("libav"), Some("cuda"));
        assert_eq!(encodings.of(&name, &unknown).await, usual);
        assert_eq!(
            encodings.tasks.len(),
            1,
            "only what was prepared is looked for"
        );
        assert_eq!(encodings.of(&name, &gstreamer).await, usual);
        // The program sleeps for ten minutes.
        assert!(began.elapsed() < 10 * PATIENCE, "{:?}", began.elapsed());
        encodings.stop().await;
        assert!(began.elapsed() < 20 * PATIENCE, "{:?}", began.elapsed());
    }
}
