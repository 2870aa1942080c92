//! `access.keys_file`, read again when it changes: keys are replaced while requests are under
//! way.

use std::time::Duration;

use edge::access::{Gate, KeyRing};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cdn::SigningKeys;
use crate::config::Config;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Who has the keys of this process.
#[derive(Debug, Clone)]
pub struct KeyHolders {
    /// What verifies with them, where this is an edge.
    pub gate: Option<Gate>,
    /// What signs with them.
    pub signing: SigningKeys,
}

/// What is in the file now, or why it cannot be read.
type Content = Result<String, String>;

impl KeyHolders {
    /// Follows the file until `shutdown`. One that cannot be used changes nothing: the log says
    /// why.
    pub async fn follow(self, config: Config, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last: Option<Content> = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let read = tokio::fs::read_to_string(&config.access.keys_file).await;
            let content = read.map_err(|error| error.to_string());
            if last.as_ref() != Some(&content) {
                self.take(&config, &content, last.is_none());
                last = Some(content);
            }
        }
    }

    fn take(&self, config: &Config, content: &Content, is_first: bool) {
        let file = config.access.keys_file.display();
        // Once for each holder: keys are not copied.
        let read = keys(config, content).and_then(|ring| Ok((ring, keys(config, content)?)));
        let result = match read {
            Ok((verifying, signing)) => {
                if !is_first {
                    tracing::info!(%file, "the keys of signed URLs were read again");
                }
                if let Some(gate) = &self.gate {
                    gate.set_keys(verifying);
                }
                self.signing.set(signing);
                "ok"
            }
            Err(error) => {
                tracing::error!(%file, error, "access.keys_file cannot be used: the keys stay as they were");
                "refused"
            }
        };
        // Those of the start are no change.
        if !is_first {
            metrics::counter!("nova_edge_access_key_reloads_total", "result" => result)
                .increment(1);
        }
    }
}

fn keys(config: &Config, content: &Content) -> Result<KeyRing, String> {
    let text = content.as_ref().map_err(Clone::clone)?;
    let keys = config.access_keys_with(Some(text.as_str()));
    keys.map_err(|error| error.to_string())
}
