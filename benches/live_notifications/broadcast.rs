//! An encoder that publishes by RTMP.

use std::error::Error;
use std::time::{Duration, Instant};

use ingest::{PublishClient, PublishUrl};
use media::{Clock, SystemClock};
use tokio::task::JoinHandle;
use transcode::source::{self, Source, TestSettings};

/// Pixels, and pictures in a second: few, because the processors are for the server.
const WIDTH: u32 = 160;
const HEIGHT: u32 = 90;
const FRAMES_PER_SECOND: u32 = 10;

/// It. Ended when it is dropped.
pub(crate) struct Broadcast {
    /// How long the server took to accept it, from the beginning of the connection.
    pub(crate) accepted_after: Duration,
    sending: JoinHandle<Result<(), String>>,
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl Broadcast {
    /// Goes live.
    pub(crate) async fn begin(url: &str) -> Result<Self, Box<dyn Error>> {
        let url: PublishUrl = url.parse()?;
        let source = source::test_picture(&TestSettings {
            bit_rate: 200_000,
            ..TestSettings::new(WIDTH, HEIGHT, FRAMES_PER_SECOND)
        })?;
        let began = Instant::now();
        let client = PublishClient::connect(&url).await?;
        let accepted_after = began.elapsed();
        let sending = async {
            send(client, source)
                .await
                .map_err(|error| error.to_string())
        };
        Ok(Self {
            accepted_after,
            sending: tokio::spawn(sending),
        })
    }

    /// Fails when it does not go on.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.sending.is_finished() {
            true => Err("the broadcast has ended before all were told".to_owned()),
            false => Ok(()),
        }
    }

    /// Ends it.
    pub(crate) fn end(self) {}
}

async fn send(
    mut client: PublishClient,
    mut source: Box<dyn Source>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for codec in source.codecs() {
        client.send_config(codec).await?;
    }
    let began = Instant::now();
    while let Some(due) = source.due() {
        tokio::time::sleep_until((began + due.to_duration()).into()).await;
        for frame in source.next(SystemClock.now())? {
            client.send(&frame).await?;
        }
    }
    Ok(())
}
