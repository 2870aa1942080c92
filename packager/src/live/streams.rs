//! All live streams of this process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use media::StreamName;

use super::LiveStream;

/// Live streams by name.
#[derive(Debug, Default)]
pub struct LiveStreams(RwLock<HashMap<StreamName, Arc<LiveStream>>>);

impl LiveStreams {
    /// No streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a stream known, in place of one with the same name.
    pub fn insert(&self, stream: LiveStream) -> Arc<LiveStream> {
        let stream = Arc::new(stream);
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream.name().clone(), Arc::clone(&stream));
        stream
    }

    /// The stream of that name.
    pub fn get(&self, name: &StreamName) -> Option<Arc<LiveStream>> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(name).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<LiveStream>> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        streams.values().cloned().collect()
    }

    /// Forgets this stream, unless another one has taken its name.
    pub fn remove(&self, stream: &Arc<LiveStream>) {
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if streams
            .get(stream.name())
            .is_some_and(|known| Arc::ptr_eq(known, stream))
        {
            streams.remove(stream.name());
        }
    }
}
