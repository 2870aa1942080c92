//! A low-latency player: asks for what comes next, and is held until it is there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::{MediaPlaylist, Rendition, Stream};

/// The player. Each request waits for the next segment of one rendition, and what it lists is
/// fetched.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Followed>,
}

/// What a follower was given.
#[derive(Clone, Default, Debug)]
pub(crate) struct Followed {
    /// The newest segment that it has, which is no gap.
    pub(crate) newest: u64,
    /// Segments that it has.
    pub(crate) segments: usize,
    /// Answers that are no success.
    pub(crate) faults: Vec<String>,
}

impl Follower {
    /// Follows `rendition` of `stream`, which has segments.
    pub(crate) fn start(stream: &Stream, rendition: &Rendition) -> Self {
        let shared = Arc::<Shared>::default();
        let thread = thread::spawn({
            let (stream, path, shared) =
                (stream.clone(), rendition.playlist.clone(), shared.clone());
            move || {
                let mut next = None;
                while !shared.stop.load(Ordering::Relaxed) {
                    shared.step(&stream, &path, &mut next);
                }
            }
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// What it was given until now.
    pub(crate) fn seen(&self) -> Followed {
        self.shared.seen().clone()
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Followed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for segment `next`, and fetches what has come.
    fn step(&self, stream: &Stream, path: &str, next: &mut Option<u64>) {
        let held = match next {
            Some(number) => format!("{path}?_HLS_msn={number}"),
            None => path.to_owned(),
        };
        let answer = stream.http.fetch(&held);
        let playlist = answer.and_then(|answer| MediaPlaylist::parse(path, &answer.text()));
        let playlist = match playlist {
            Ok(playlist) => playlist,
            Err(error) => return self.seen().faults.push(error),
        };
        for segment in &playlist.segments {
            if segment.gap || segment.number <= self.seen().newest {
                continue;
            }
            match stream.http.fetch(&segment.uri) {
                Ok(_) => {
                    let mut seen = self.seen();
                    seen.newest = segment.number;
                    seen.segments += 1;
                }
                Err(error) => self.seen().faults.push(error),
            }
        }
        *next = Some(playlist.open_number());
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the follower panicked"
            );
        }
    }
}
