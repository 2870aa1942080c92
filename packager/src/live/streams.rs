//! All live streams of this process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use media::StreamName;
use tokio::sync::watch;

use super::LiveStream;

/// Live streams by name.
#[derive(Debug, Default)]
pub struct LiveStreams {
    known: RwLock<HashMap<StreamName, Arc<LiveStream>>>,
    /// Those that may be known in a moment. The sender is gone when that is decided.
    coming: RwLock<HashMap<StreamName, watch::Receiver<()>>>,
}

/// A stream that may be known in a moment, until this is dropped: others may hear that it is here
/// before it can be.
#[derive(Debug)]
#[must_use = "nobody waits for the stream once this is dropped"]
pub struct Coming {
    streams: Arc<LiveStreams>,
    name: StreamName,
    _decided: watch::Sender<()>,
}

impl Drop for Coming {
    fn drop(&mut self) {
        let coming = self.streams.coming.write();
        let mut coming = coming.unwrap_or_else(PoisonError::into_inner);
        coming.remove(&self.name);
    }
}

impl LiveStreams {
    /// No streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a stream known, in place of one with the same name.
    pub fn insert(&self, stream: LiveStream) -> Arc<LiveStream> {
        let stream = Arc::new(stream);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(stream.name().clone(), Arc::clone(&stream));
        stream
    }

    /// Whoever asks an origin for the stream waits until it is known or what this returns is dropped.
    pub fn expect(self: &Arc<Self>, name: &StreamName) -> Coming {
        let (decided, is_decided) = watch::channel(());
        let mut coming = self.coming.write().unwrap_or_else(PoisonError::into_inner);
        coming.insert(name.clone(), is_decided);
        Coming {
            streams: Arc::clone(self),
            name: name.clone(),
            _decided: decided,
        }
    }

    /// The stream of that name.
    pub fn get(&self, name: &StreamName) -> Option<Arc<LiveStream>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned()
    }

    /// Is closed once it is decided whether the stream of that name is known. `None`: it is not coming.
    pub(crate) fn coming(&self, name: &StreamName) -> Option<watch::Receiver<()>> {
        let coming = self.coming.read().unwrap_or_else(PoisonError::into_inner);
        coming.get(name).cloned()
    }

    /// All of them, in no order.
    pub fn all(&self) -> Vec<Arc<LiveStream>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// Forgets this stream, unless another one has taken its name.
    pub fn remove(&self, stream: &Arc<LiveStream>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known
            .get(stream.name())
            .is_some_and(|known| Arc::ptr_eq(known, stream))
        {
            known.remove(stream.name());
        }
    }
}
