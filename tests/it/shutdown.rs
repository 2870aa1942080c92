//! SIGTERM while streams are live.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{
    Encoder, Gate, Signal, Site, Stream, Watcher, cmaf, is_running, wait_for, wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Every file under `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Checks every object, and counts the segments.
#[track_caller]
fn assert_objects_are_whole(data_dir: &Path) -> usize {
    let mut segments = 0;
    for path in files(&data_dir.join("objects")) {
        let bytes = fs::read(&path).expect("a readable file");
        let extension = path.extension().and_then(|extension| extension.to_str());
        let whole = match extension {
            Some("m4s") => {
                segments += 1;
                cmaf::check_segment(&bytes).map(drop)
            }
            Some("mp4") => cmaf::check_init(&bytes),
            // The store's own, empty.
            Some("lock") if bytes.is_empty() => Ok(()),
            _ => Err("nothing that belongs here".to_owned()),
        };
        assert_eq!(whole, Ok(()), "{}", path.display());
    }
    segments
}

#[test]
fn sigterm_leaves_whole_segments_and_no_process() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let mut publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    let renditions = stream.wait_live(&["source", "360p", "audio"], 3);
    let watcher = Watcher::start(&stream, &renditions);
    watcher.head(LIMIT);
    let workers = nova.workers("garden");
    assert_eq!(workers.len(), 1);

    let stopped = Instant::now();
    nova.signal(Signal::Term);
    let status = nova.wait_exit();
    println!("stopped after {:.1} s", stopped.elapsed().as_secs_f64());
    assert_eq!(status.code(), Some(0));
    assert!(stopped.elapsed() <= Duration::from_secs(10));
    assert!(!is_running(workers[0]), "the worker outlived the server");
    assert!(!publisher.wait_exit(LIMIT).success());

    // Everything that was ever listed is on the disk, and all of it is whole.
    let segments = assert_objects_are_whole(site.data_dir());
    println!("{segments} segments on the disk");
    let kept = files(&site.data_dir().join("objects"));
    for (name, seen) in &watcher.finish().renditions {
        for segment in seen.segments.values().filter(|segment| !segment.gap) {
            let ours = Path::new(name).join(format!("{}.m4s", segment.number));
            assert!(
                kept.iter().any(|path| path.ends_with(&ours)),
                "{}",
                ours.display()
            );
        }
    }
}

#[test]
fn sigkill_leaves_whole_segments_and_no_worker() {
    let site = Site::new();
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let _publisher = Encoder::default().publish(&nova.rtmp_url(&key));
    let stream = Stream::new(nova.http(), "garden");
    stream.wait_live(&["source", "360p", "audio"], 2);
    let workers = nova.workers("garden");
    assert_eq!(workers.len(), 1);

    nova.signal(Signal::Kill);
    nova.wait_exit();
    wait_until("the worker's end", LIMIT, || !is_running(workers[0]));

    // What was half-written is gone when the server is there again.
    let nova = nova.again().start();
    assert!(assert_objects_are_whole(site.data_dir()) > 0);
    drop(nova);
}

#[test]
fn sigterm_of_the_demo_takes_its_publisher_along() {
    let site = Site::new();
    let mut nova = site.serve().argument("--demo").start();
    let stream = Stream::new(nova.http(), "demo");
    let children = wait_for("the demo on the air", LIMIT, || {
        stream.renditions()?;
        let children = children_of(nova.pid());
        (!children.is_empty())
            .then_some(children)
            .ok_or("no child".to_owned())
    });
    let stopped = Instant::now();
    nova.signal(Signal::Term);
    assert_eq!(nova.wait_exit().code(), Some(0));
    assert!(stopped.elapsed() <= Duration::from_secs(10));
    for child in children {
        wait_until("the end of a child", LIMIT, || !is_running(child));
    }
}

/// The processes whose parent is `pid`.
fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.map(|pid| pid.parse().expect("a process id")).collect()
}

#[test]
fn sigterm_is_obeyed_while_the_database_is_away() {
    let database = peers::postgres::database();
    let (gate, url) = Gate::before(&database.url());
    let site = Site::on_database(&url);
    let key = site.create_stream("garden");
    let mut nova = site.serve().start();
    let _publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Stream::new(nova.http(), "garden").wait_live(&["source", "audio"], 2);
    gate.close();
    nova.wait_degraded(1);

    let stopped = Instant::now();
    nova.signal(Signal::Term);
    let status = nova.wait_exit();
    println!("stopped after {:.1} s", stopped.elapsed().as_secs_f64());
    assert_eq!(status.code(), Some(0));
    // The contract of a stop.
    assert!(stopped.elapsed() <= Duration::from_secs(10));
}
