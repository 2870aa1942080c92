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

/// What the looks at the file have found.
#[derive(Default)]
struct Changes {
    taken: Option<Content>,
    last: Option<Content>,
}

impl Changes {
    /// What is to be taken, now that `content` was found.
    fn found(&mut self, content: Content) -> Option<&Content> {
        let is_steady = self.last.as_ref() == Some(&content) || self.taken.is_none();
        let is_new = self.taken.as_ref() != Some(&content);
        self.last = Some(content.clone());
        if !is_steady || !is_new {
            return None;
        }
        self.taken = Some(content);
        self.taken.as_ref()
    }
}

impl KeyHolders {
    /// Follows the file until `shutdown`. A change counts once two looks have found the same: it
    /// may be written at the moment. One that cannot be used changes nothing: the log says why.
    pub async fn follow(self, config: Config, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = Changes::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let read = tokio::fs::read_to_string(&config.access.keys_file).await;
            let content = read.map_err(|error| error.to_string());
            let is_first = changes.taken.is_none();
            if let Some(content) = changes.found(content) {
                self.take(&config, content, is_first);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_it_stays_the_same() {
        let mut changes = Changes::default();
        let mut found = |text: &str| changes.found(Ok(text.to_owned())).cloned();
        let taken = |text: &str| Some(Ok(text.to_owned()));
        assert_eq!(found("a"), taken("a"));
        assert_eq!(found("a"), None);
        assert_eq!(found(""), None, "it is being written");
        assert_eq!(found("a b"), None);
        assert_eq!(found("a b"), taken("a b"));
        assert_eq!(found("a b"), None);
        // Back before anybody was told.
        assert_eq!(found("c"), None);
        assert_eq!(found("a b"), None);
        assert_eq!(found("a b"), None);
    }

    #[test]
    fn a_file_without_a_key_cannot_be_used() {
        let mut config = Config::default();
        config.access.keys_file = "some.keys".into();
        let error = keys(&config, &Ok("\n".to_owned())).unwrap_err();
        assert!(error.contains("some.keys"), "{error}");
    }
}
