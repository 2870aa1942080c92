//! What a worker may take of the machine, and what ends it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use media::SourceFit;
use tokio::time::timeout;
use transcode::{Output, Worker, WorkerCommand, WorkerError, WorkerInput, WorkerOutput};

use crate::rig::{DEADLINE, Recording, send_signal, start, stream, until_gone, worker_command};

/// Sends `recording` again and again, and reads, until the worker is no more.
async fn until_error(
    recording: &Recording,
    mut input: WorkerInput,
    mut output: WorkerOutput,
) -> WorkerError {
    let sending = async {
        loop {
            for frame in &recording.frames {
                if input.send(frame).await.is_err() {
                    return std::future::pending().await;
                }
            }
        }
    };
    let reading = async {
        loop {
            match output.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end"),
                Err(error) => return error,
            }
        }
    };
    let both = async {
        tokio::select! {
            error = reading => error,
            () = sending => unreachable!("it sends for ever"),
        }
    };
    timeout(DEADLINE, both).await.unwrap()
}

/// A new worker does the same job.
async fn assert_the_next_works(recording: &Recording) {
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    for frame in &recording.frames {
        input.send(frame).await.unwrap();
    }
    input.finish().await.unwrap();
    let mut frames = 0;
    while let Some(next) = timeout(DEADLINE, output.next()).await.unwrap().unwrap() {
        frames += usize::from(matches!(next, Output::Frame { .. }));
    }
    assert_eq!(frames, 2 * recording.frames.len());
}

fn misbehaving(how: &str, memory_limit: Option<u64>) -> WorkerCommand {
    WorkerCommand {
        args: vec![how.into()],
        memory_limit,
        ..worker_command()
    }
}

#[tokio::test]
async fn a_worker_that_leaks_ends_at_its_limit() {
    let recording = Recording::of_test_picture(30, 30).marked_every(30);
    let command = misbehaving("leak", Some(400 << 20));
    let job = recording.job(SourceFit::Passthrough);
    let (input, output) = Worker::start(&command, &stream(), &job).unwrap();
    let pid = output.pid().unwrap();
    let error = until_error(&recording, input, output).await;
    // Whoever asks for memory next, Rust or a C library, says so in its own way.
    let told = error.to_string();
    assert!(
        told.contains("memory allocation") || told.contains("annot allocate memory"),
        "{told}"
    );
    until_gone(pid).await;
    assert_the_next_works(&recording).await;
}

#[tokio::test]
async fn a_worker_that_aborts_is_an_error_with_its_last_words() {
    let recording = Recording::of_test_picture(30, 30).marked_every(30);
    let job = recording.job(SourceFit::Passthrough);
    let (input, output) = Worker::start(&misbehaving("abort", None), &stream(), &job).unwrap();
    let error = until_error(&recording, input, output).await;
    let WorkerError::Ended { status, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert!(error.to_string().contains("Assertion `mb_type"), "{error}");
    assert_the_next_works(&recording).await;
}

#[tokio::test]
async fn a_stopped_worker_is_killed_by_the_watchdog() {
    let recording = Recording::of_test_picture(30, 30).marked_every(30);
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    let pid = output.pid().unwrap();
    input.send(&recording.frames[0]).await.unwrap();
    while !matches!(
        timeout(DEADLINE, output.next()).await.unwrap().unwrap(),
        Some(Output::Frame { .. })
    ) {}
    send_signal(pid, "STOP");
    let error = until_error(&recording, input, output).await;
    assert!(matches!(error, WorkerError::Stalled { .. }), "{error:?}");
    until_gone(pid).await;
    assert_the_next_works(&recording).await;
}

#[tokio::test]
async fn a_worker_gives_way_to_the_server() {
    let recording = Recording::of_test_picture(30, 30).marked_every(30);
    let job = recording.job(SourceFit::Passthrough);
    let command = WorkerCommand {
        memory_limit: Some(777 << 20),
        ..worker_command()
    };
    let (mut input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
    input.send(&recording.frames[0]).await.unwrap();
    timeout(DEADLINE, output.next()).await.unwrap().unwrap();
    let of = |name: &str| {
        let path = format!("/proc/{}/{name}", output.pid().unwrap());
        std::fs::read_to_string(path).unwrap()
    };
    let stat = of("stat");
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    // proc_pid_stat(5): fields 19 and 41, counted from the third.
    let parents = std::fs::read_to_string("/proc/self/stat").unwrap();
    let parents: Vec<_> = parents
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let nice = |fields: &[&str]| fields[16].parse::<i32>().unwrap();
    assert_eq!(nice(&fields), (nice(&parents) + 7).min(19));
    assert_eq!(fields[38], libc::SCHED_BATCH.to_string());
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let expected = (own + 500).min(1_000).to_string();
    assert_eq!(of("oom_score_adj").trim(), expected);
    let limits = of("limits");
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let words: Vec<_> = line
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        words[0].clone()
    };
    assert_eq!(limit("Max data size"), (777_u64 << 20).to_string());
    assert_eq!(limit("Max core file size"), "0");
}

/// How much memory the limit that is sized to the job leaves.
#[tokio::test]
async fn the_sized_limit_is_far_from_what_a_job_takes() {
    let recording = Recording::of_test_picture(90, 30).marked_every(30);
    let (mut input, mut output) = start(&recording.job(SourceFit::GopTooLong));
    let pid = output.pid().unwrap();
    for frame in &recording.frames {
        input.send(frame).await.unwrap();
    }
    let mut frames = 0;
    while frames < 200 {
        let next = timeout(DEADLINE, output.next()).await.unwrap().unwrap();
        frames += usize::from(matches!(next, Some(Output::Frame { .. })));
    }
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let status = file("status");
    let used = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let used: u64 = used
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let limits = file("limits");
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max data size"));
    let limit: u64 = limit
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();
    println!("{used} KiB used of {} KiB", limit >> 10);
    assert!(
        used * 3 < 2 * (limit >> 10),
        "{used} KiB of {} KiB",
        limit >> 10
    );
    drop(input);
}

/// Between [`Duration`]s of the watchdog, what matters is that it is short enough for a
/// rung to return within five seconds.
#[test]
fn the_watchdog_is_quick() {
    assert!(transcode::STALL_LIMIT <= Duration::from_secs(2));
}
