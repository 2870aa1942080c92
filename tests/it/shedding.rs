//! A machine that cannot make all rungs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::harness::{
    Encoder, Nova, Signal, Site, Stream, Watcher, is_running, processor_time, wait_for, wait_until,
};

const LIMIT: Duration = Duration::from_secs(120);

/// A worker that has the processor for a part of the time only, as on a machine that is
/// too small.
struct Brake {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Brake {
    /// Lets `worker` run `run` and stand `stand`, again and again.
    fn on(worker: u32, run: Duration, stand: Duration) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                while !stop.load(Ordering::Relaxed) && is_running(worker) {
                    Signal::Stop.send(worker);
                    thread::park_timeout(stand);
                    Signal::Continue.send(worker);
                    thread::park_timeout(run);
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the brake broke");
        }
    }
}

/// How long a worker that is braked stands at a time: shorter than what passes for a worker
/// that hangs.
const STAND: Duration = Duration::from_millis(270);

/// How long it may run in between to get `part` of what it takes when nothing stops it, on
/// all the processors that it may have at once.
fn run_for(worker: u32, watcher: &Watcher, part: f64) -> Duration {
    let (began, before) = (Instant::now(), processor_time(worker));
    watcher.wait_media_after(watcher.head(LIMIT) + 2, LIMIT);
    let taken = (processor_time(worker) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let processors = thread::available_parallelism().map_or(1, usize::from) as f64;
    let share = taken * part / processors;
    STAND.mul_f64(share / (1.0 - share))
}

/// What the log says of rungs: shed or restored, and which.
fn told(nova: &Nova, message: &str) -> Vec<String> {
    let rung = |event: &serde_json::Value| event["rung"].as_str().unwrap_or_default().to_owned();
    nova.events(message).iter().map(rung).collect()
}

#[test]
fn a_slow_worker_sheds_from_the_top_and_restores() {
    let site = Site::new();
    let key = site.create_stream("garden");
    site.nova(&[
        "stream",
        "set",
        "garden",
        "--ladder",
        "540p:1500k,360p:600k",
    ])
    .succeeded();
    let mut nova = site.serve().start();
    let encoder = Encoder {
        size: (1280, 720),
        video_kbit: 2_000,
        ..Encoder::default()
    };
    let _publisher = encoder.publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "540p", "360p", "audio"], 2);
    let watcher = Watcher::start(&stream, &renditions);
    let [worker] = nova.workers("garden")[..] else {
        panic!("one worker was expected");
    };

    let brake = Brake::on(worker, run_for(worker, &watcher, 0.4), STAND);
    wait_until("a rung that is shed", LIMIT, || {
        !told(&nova, "rung shed").is_empty()
    });
    assert_eq!(told(&nova, "rung shed")[0], "540p", "the top goes first");
    watcher.wait_for("two gaps of it", LIMIT, |history| {
        let rung = history.renditions.get("540p").ok_or("nothing of it yet")?;
        let gaps = rung.gaps();
        (gaps.len() >= 2).then_some(()).ok_or(format!("{gaps:?}"))
    });
    let ready = nova.admin().get("/readyz").expect("it answers").text();
    assert!(ready.contains("renditions are not made"), "{ready}");
    drop(brake);

    let shed = nova.metric("nova_live_rungs_shed");
    assert!(shed.is_ok_and(|shed| shed >= 1.0));
    wait_for("all rungs", LIMIT, || {
        let shed = nova.metric("nova_live_rungs_shed")?;
        (shed == 0.0)
            .then_some(())
            .ok_or(format!("{shed} are shed"))
    });
    let head = watcher.head(LIMIT);
    watcher.wait_media_after(head, LIMIT);
    let history = watcher.finish();
    for (name, seen) in &history.renditions {
        assert_eq!(seen.discontinuities(), [0; 0], "{name}");
        if !["540p", "360p"].contains(&name.as_str()) {
            assert_eq!(seen.gaps(), [0; 0], "{name}: real time throughout");
        }
        println!("{name}: gaps at {:?}", seen.gaps());
    }
    // The same init segment and the same instants before and after.
    let (rung, source) = (&history.renditions["540p"], &history.renditions["source"]);
    let media = rung.segments.values().filter(|segment| !segment.gap);
    let maps: std::collections::BTreeSet<_> = media.clone().map(|segment| &segment.map).collect();
    assert_eq!(maps.len(), 1);
    for segment in media {
        let Some(theirs) = source.segments.get(&segment.number) else {
            continue;
        };
        let apart = segment.start.unwrap() - theirs.start.unwrap();
        assert!(apart.abs() < 0.002, "{}: {apart} s", segment.number);
    }
    assert_eq!(
        nova.workers("garden").len(),
        1,
        "no worker had to die for it"
    );
    assert!(nova.is_running());
    for event in nova.events("rung shed") {
        assert_eq!(event["stream"], "garden");
        let reason = event["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("behind"), "{event}");
    }
    let (shed, restored) = (told(&nova, "rung shed"), told(&nova, "rung restored"));
    assert_eq!(shed.len(), restored.len(), "{shed:?} {restored:?}");
    assert!(!restored.is_empty());
}

/// More streams than the machine can carry.
#[test]
fn long_more_streams_than_the_machine_carries_play_in_real_time_with_fewer_rungs() {
    const STREAMS: [&str; 4] = ["north", "south", "east", "west"];
    let site = Site::new();
    let mut keys = Vec::new();
    for name in STREAMS {
        keys.push(site.create_stream(name));
        // Slow on purpose, so that four of them are more than a small machine carries.
        site.nova(&["stream", "set", name, "--ladder", "quality"])
            .succeeded();
    }
    let nova = site.serve().start();
    let encoder = Encoder {
        size: (1920, 1080),
        video_kbit: 4_000,
        gop: 60,
        ..Encoder::default()
    };
    // Encoded once: the machine is to be short for its ladders, not for its broadcasters.
    let clip = encoder.recorded(60);
    let mut publishers = Vec::new();
    for key in &keys {
        publishers.push(clip.publish(&nova.rtmp_url(key)));
    }
    let watchers: Vec<_> = STREAMS
        .iter()
        .map(|name| {
            let stream = Stream::new(nova.http(), name);
            let renditions = stream.wait_live_among(&["source", "audio"], 2);
            Watcher::start(&stream, &renditions)
        })
        .collect();
    wait_until("rungs that are shed", LIMIT, || {
        told(&nova, "rung shed").len() >= STREAMS.len()
    });
    let heads: Vec<_> = watchers.iter().map(|watcher| watcher.head(LIMIT)).collect();
    for (watcher, head) in watchers.iter().zip(heads) {
        watcher.wait_media_after(head + 5, LIMIT);
    }
    let reasons = nova.events("rung shed");
    let machine = |event: &serde_json::Value| {
        let reason = event["reason"].as_str().unwrap_or_default();
        reason.contains("the machine is fully used")
    };
    assert!(reasons.iter().any(machine), "{reasons:?}");
    // All but one leave: what is left can be carried.
    let kept = publishers.pop();
    drop(publishers);
    wait_until("a rung that is restored", LIMIT, || {
        !told(&nova, "rung restored").is_empty()
    });
    drop(kept);
    for (name, watcher) in STREAMS.iter().zip(watchers) {
        let history = watcher.finish();
        for rendition in ["source", "audio"] {
            let seen = &history.renditions[rendition];
            assert_eq!(seen.gaps(), [0; 0], "{name} {rendition}");
            assert_eq!(seen.discontinuities(), [0; 0], "{name} {rendition}");
        }
    }
}
