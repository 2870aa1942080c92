//! One GStreamer pipeline with this engine at both of its ends: buffers in, samples out.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::engine::EngineError;

/// How long a pipeline that was told the end may give nothing before it is given up.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What a pipeline is made of.
pub(super) struct Plan<'a> {
    /// Said in errors.
    pub(super) name: &'a str,
    /// What goes in, as long as samples bring no other.
    pub(super) input: Option<&'a gst::Caps>,
    /// What stands between the ends, in order.
    pub(super) elements: &'a [gst::Element],
    /// What may come out.
    pub(super) output: &'a gst::Caps,
    /// Buffers that wait at the entry at most.
    pub(super) limit: usize,
}

/// A running pipeline. Dropped, its threads have ended.
pub(super) struct Pipe {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    entry: Arc<Entry>,
    limit: usize,
}

impl Pipe {
    /// Starts the pipeline. `take` is called on its last thread with what comes out; an
    /// error of it ends the pipeline.
    pub(super) fn start(
        plan: &Plan<'_>,
        entry: Arc<Entry>,
        take: impl FnMut(gst::Sample) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let failed = |why: String| EngineError::Step {
            what: plan.name.to_owned(),
            why,
        };
        // The entry bounds the queue: an appsrc that blocks would not wake up when
        // something behind it fails.
        let source = gst_app::AppSrc::builder()
            .format(gst::Format::Time)
            .max_buffers(0)
            .max_bytes(0)
            .block(false)
            .build();
        source.set_caps(plan.input);
        let sink = gst_app::AppSink::builder()
            .caps(plan.output)
            .sync(false)
            .async_(false)
            .qos(false)
            .enable_last_sample(false)
            .build();
        sink.set_callbacks(callbacks(&entry, take));
        let pipeline = gst::Pipeline::with_name(plan.name);
        let mut chain: Vec<gst::Element> = vec![source.clone().upcast()];
        chain.extend_from_slice(plan.elements);
        chain.push(sink.upcast());
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(|error| failed(error.to_string()))?;
        let leaving = Arc::clone(&entry);
        source
            .static_pad("src")
            .and_then(|pad| {
                pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                    leaving.left();
                    gst::PadProbeReturn::Ok
                })
            })
            .ok_or_else(|| failed("its entry has no pad".to_owned()))?;
        let pipe = Self {
            pipeline,
            source,
            entry,
            limit: plan.limit,
        };
        pipe.listen();
        if pipe.pipeline.set_state(gst::State::Playing).is_err() {
            // An element that cannot start has said why on the bus.
            return Err(pipe
                .entry
                .failure()
                .unwrap_or_else(|| failed("did not start".to_owned())));
        }
        Ok(pipe)
    }

    /// Errors of elements fail the entry; nothing is left on the bus.
    fn listen(&self) {
        let Some(bus) = self.pipeline.bus() else {
            return;
        };
        let entry = Arc::clone(&self.entry);
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Error(error) => {
                    entry.break_down(told(message, &error.error(), error.debug()));
                }
                gst::MessageView::Warning(warning) => {
                    let told = told(message, &warning.error(), warning.debug());
                    // Standard error is the supervisor's log.
                    eprintln!("{told}");
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
    }

    /// One more buffer. Blocks while too many wait.
    pub(super) fn push(&self, sample: &gst::Sample) -> Result<(), EngineError> {
        self.entry.enter(self.limit)?;
        match self.source.push_sample(sample) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.entry.failure().unwrap_or_else(|| EngineError::Step {
                what: self.pipeline.name().to_string(),
                why: format!("takes no more: {error}"),
            })),
        }
    }

    /// No more buffers: returns when all has come out.
    pub(super) fn finish(&self) -> Result<(), EngineError> {
        // A pipeline that has failed refuses it; the entry knows why it failed.
        let _ = self.source.end_of_stream();
        self.entry.until_ended(&self.pipeline.name())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            eprintln!("{}: did not stop", self.pipeline.name());
        }
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
    }
}

fn callbacks(
    entry: &Arc<Entry>,
    mut take: impl FnMut(gst::Sample) -> Result<(), EngineError> + Send + 'static,
) -> gst_app::AppSinkCallbacks {
    let (giving, ending) = (Arc::clone(entry), Arc::clone(entry));
    gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            giving.gave();
            take(sample).map_err(|error| {
                giving.fail(error);
                gst::FlowError::Error
            })?;
            Ok(gst::FlowSuccess::Ok)
        })
        .eos(move |_| ending.ended())
        .build()
}

/// An element's own words.
fn told(
    message: &gst::MessageRef,
    error: &gst::glib::Error,
    debug: Option<gst::glib::GString>,
) -> EngineError {
    let what = message
        .src()
        .map_or_else(|| "gstreamer".into(), |source| source.name().to_string());
    // The first line of the details is the place in GStreamer's source.
    let details = debug.as_deref().and_then(|debug| {
        debug
            .lines()
            .skip(1)
            .map(str::trim)
            .find(|line| !line.is_empty())
    });
    EngineError::Step {
        what,
        why: match details {
            Some(details) => format!("{error} ({details})"),
            None => error.to_string(),
        },
    }
}

/// Counts what waits at a pipeline's entry, and knows how the pipeline is. Outlives the
/// pipeline, and may serve another after it.
#[derive(Debug, Default)]
pub(super) struct Entry {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    given: u64,
    ended: bool,
    failure: Option<EngineError>,
    /// There was a failure, whoever took it.
    failed: bool,
    /// It was an element's.
    broken: bool,
    /// Nobody is to wait any more.
    closed: bool,
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, limit: usize) -> Result<(), EngineError> {
        let mut state = self.state();
        loop {
            if state.failed || state.closed {
                return Err(state.reason());
            }
            if state.waiting < limit {
                state.waiting += 1;
                return Ok(());
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn left(&self) {
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        self.changed.notify_all();
    }

    fn gave(&self) {
        self.state().given += 1;
    }

    fn ended(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// What comes out cannot be taken.
    pub(super) fn fail(&self, error: EngineError) {
        self.end(error, false);
    }

    /// An element cannot go on.
    fn break_down(&self, error: EngineError) {
        self.end(error, true);
    }

    /// The first failure counts: others follow from it.
    fn end(&self, error: EngineError, broken: bool) {
        let mut state = self.state();
        if !state.failed {
            state.failed = true;
            state.broken = broken;
            state.failure = Some(error);
        }
        self.changed.notify_all();
    }

    fn failure(&self) -> Option<EngineError> {
        self.state().failure.take()
    }

    /// Whether there was a failure.
    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// Whether it was an element's.
    pub(super) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// Lets go of whoever waits, for good.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// The pipeline is gone, and another takes its place.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        let closed = state.closed;
        *state = State {
            closed,
            ..State::default()
        };
    }

    fn until_ended(&self, name: &str) -> Result<(), EngineError> {
        let mut state = self.state();
        let (mut given, mut since) = (state.given, Instant::now());
        loop {
            if state.failed || state.closed {
                return Err(state.reason());
            }
            if state.ended {
                return Ok(());
            }
            if state.given != given {
                (given, since) = (state.given, Instant::now());
            }
            let Some(left) = DRAIN_LIMIT.checked_sub(since.elapsed()) else {
                return Err(EngineError::Step {
                    what: name.to_owned(),
                    why: format!("gave nothing for {} s at its end", DRAIN_LIMIT.as_secs()),
                });
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl State {
    fn reason(&mut self) -> EngineError {
        self.failure.take().unwrap_or_else(|| EngineError::Step {
            what: "gstreamer".to_owned(),
            why: "has stopped".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn error(why: &str) -> EngineError {
        EngineError::Step {
            what: "x".to_owned(),
            why: why.to_owned(),
        }
    }

    #[test]
    fn who_waits_at_a_gate_is_told_of_a_failure() {
        let entry = Arc::new(Entry::default());
        entry.enter(1).unwrap();
        let waiting = thread::spawn({
            let entry = Arc::clone(&entry);
            move || entry.enter(1)
        });
        entry.fail(error("first"));
        entry.fail(error("second"));
        let why = waiting.join().unwrap().unwrap_err().to_string();
        assert_eq!(why, "x: first");
        assert!(entry.enter(1).is_err(), "it stays failed");
        entry.reset();
        assert!(entry.enter(1).is_ok());
    }

    #[test]
    fn a_buffer_that_leaves_lets_another_in() {
        let entry = Arc::new(Entry::default());
        entry.enter(1).unwrap();
        let waiting = thread::spawn({
            let entry = Arc::clone(&entry);
            move || entry.enter(1)
        });
        entry.left();
        waiting.join().unwrap().unwrap();
        entry.close();
        entry.reset();
        assert!(entry.enter(9).is_err(), "closed is for good");
    }

    #[test]
    fn an_end_is_waited_for() {
        let entry = Arc::new(Entry::default());
        let waiting = thread::spawn({
            let entry = Arc::clone(&entry);
            move || entry.until_ended("x")
        });
        entry.gave();
        entry.ended();
        waiting.join().unwrap().unwrap();
    }
}
