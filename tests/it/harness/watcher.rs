//! A client that polls every playlist of a stream throughout a test, and remembers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::history::hash;
use super::{History, MediaPlaylist, Rendition, Seen, Stream, cmaf, wait_for};

/// Time between two rounds.
const ROUND: Duration = Duration::from_millis(150);

/// The polling client.
pub(crate) struct Watcher {
    history: Arc<Mutex<History>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches `renditions` of `stream`: reads every playlist again and again, and every
    /// segment once. A request that fails is made again; the server may be restarting.
    pub(crate) fn start(stream: &Stream, renditions: &[Rendition]) -> Self {
        let history = Arc::<Mutex<History>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let (stream, renditions) = (stream.clone(), renditions.to_vec());
            let (history, stop) = (history.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    for rendition in &renditions {
                        look(&stream, rendition, &history);
                    }
                    thread::park_timeout(ROUND);
                }
            }
        });
        Self {
            history,
            stop,
            thread: Some(thread),
        }
    }

    /// What was seen until now.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        lock(&self.history)
    }

    /// Waits until `condition` has an answer for what was seen.
    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&History) -> Result<T, String>,
    ) -> T {
        wait_for(what, limit, || condition(&self.history()))
    }

    /// Waits until every rendition has media, not a gap, of a number after `number`.
    #[track_caller]
    pub(crate) fn wait_media_after(&self, number: u64, limit: Duration) {
        let what = format!("media after segment {number} of every rendition");
        self.wait_for(&what, limit, |history| {
            for (name, seen) in &history.renditions {
                let newer = seen.segments.range(number + 1..);
                if !newer.clone().any(|(_, segment)| !segment.gap) {
                    return Err(format!("{name} is at {:?}", seen.head()));
                }
            }
            Ok(())
        });
    }

    /// The newest number of all renditions.
    #[track_caller]
    pub(crate) fn head(&self, limit: Duration) -> u64 {
        self.wait_for("any segment", limit, |history| {
            let heads = history.renditions.values().filter_map(Seen::head);
            heads.max().ok_or_else(|| "there is none".to_owned())
        })
    }

    /// Stops, and tells what was seen after checking that nothing of it was a fault.
    #[track_caller]
    pub(crate) fn finish(mut self) -> History {
        self.stop();
        let history = std::mem::take(&mut *self.history());
        assert!(history.faults.is_empty(), "{:#?}", history.faults);
        for (name, seen) in &history.renditions {
            assert!(seen.is_contiguous(), "{name}: {:?}", seen.segments.keys());
        }
        history
    }

    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the watcher panicked");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One look at one rendition. The lock is not held over a request.
fn look(stream: &Stream, rendition: &Rendition, history: &Mutex<History>) {
    let playlist = match stream.http.get(&rendition.playlist) {
        Ok(response) if response.status == 200 => {
            MediaPlaylist::parse(&rendition.playlist, &response.text())
        }
        _ => return,
    };
    let wanted = {
        let mut history = lock(history);
        let mut faults = Vec::new();
        let seen = history
            .renditions
            .entry(rendition.name.clone())
            .or_default();
        match playlist {
            Ok(playlist) => seen.learn(playlist, &mut faults),
            Err(error) => faults.push(error),
        }
        let listed = seen.last.as_ref().map_or(&[][..], |last| &last.segments);
        let media = listed.iter().filter(|segment| !segment.gap);
        let uris = media.flat_map(|segment| segment.map.iter().chain([&segment.uri]));
        let wanted: Vec<_> = uris.cloned().collect();
        let faults = faults
            .iter()
            .map(|fault| format!("{}: {fault}", rendition.name));
        history.faults.extend(faults);
        wanted
            .into_iter()
            .filter(|uri| !history.bytes.contains_key(uri))
            .collect::<Vec<_>>()
    };
    for uri in wanted {
        let Ok(response) = stream.http.get(&uri) else {
            continue;
        };
        let whole = match response.status {
            200 if uri.ends_with(".mp4") => cmaf::check_init(&response.body),
            200 => cmaf::check_segment(&response.body).map(drop),
            status => Err(format!("answered {status}")),
        };
        let mut history = lock(history);
        match whole {
            Ok(()) => {
                history.bytes.insert(uri, hash(&response.body));
            }
            Err(error) => history.faults.push(format!("{uri}: {error}")),
        }
    }
}
