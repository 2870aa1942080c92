//! Workers that die, hang or go mad.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use media::SourceFit;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::timeout;
use transcode::{Output, Worker, WorkerError, WorkerOutput};

use crate::rig::{DEADLINE, Recording, impostor, is_running, kill, start, stream, until_gone};

/// Reads until the error.
async fn error_of(output: &mut WorkerOutput) -> WorkerError {
    let read = async {
        loop {
            match output.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end"),
                Err(error) => return error,
            }
        }
    };
    timeout(DEADLINE, read).await.unwrap()
}

#[tokio::test]
async fn a_killed_worker_is_an_error_that_names_the_signal() {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    for frame in &recording.frames[..40] {
        input.send(frame).await.unwrap();
    }
    let mut frames = 0;
    while frames < 20 {
        if let Output::Frame { .. } = output.next().await.unwrap().unwrap() {
            frames += 1;
        }
    }
    let pid = output.pid().unwrap();
    kill(pid);
    let error = error_of(&mut output).await;
    assert!(
        matches!(&error, WorkerError::Ended { status, .. } if status.signal() == Some(9)),
        "{error:?}"
    );
    assert!(error.to_string().contains("SIGKILL"), "{error}");
    until_gone(pid).await;

    // The next one begins in the middle of the stream and cuts at the next mark.
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    let mut from_next_mark = recording.frames[30..].to_vec();
    from_next_mark.truncate(10);
    for frame in &from_next_mark {
        input.send(frame).await.unwrap();
    }
    input.finish().await.unwrap();
    let mut first = None;
    while let Some(next) = output.next().await.unwrap() {
        if let Output::Frame { frame, .. } = next {
            first = first.or(frame.starts);
        }
    }
    assert_eq!(first, recording.frames[30].starts);
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_by_the_watchdog() {
    let recording = Recording::of_test_picture(2, 30).marked_every(1);
    let limit = Duration::from_millis(300);
    // It never takes a first frame in, which may take three times as long.
    let command = impostor("sleep", &["1000"], limit / 3);
    let job = recording.job(SourceFit::Passthrough);
    let (mut input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
    let pid = output.pid().unwrap();
    assert!(is_running(pid));

    // Nothing to work on is no reason to speak.
    let idle = timeout(3 * limit, output.next()).await;
    assert!(idle.is_err(), "{idle:?}");

    input.send(&recording.frames[0]).await.unwrap();
    let error = error_of(&mut output).await;
    assert!(
        matches!(&error, WorkerError::Stalled { waiting: 1, limit: l, .. } if *l == limit),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("said nothing for 0.3 s"),
        "{error}"
    );
    until_gone(pid).await;
}

/// A caller that looks after other things meanwhile gives up its call again and again.
#[tokio::test]
async fn why_a_worker_ended_is_told_to_a_caller_that_gives_up_and_comes_again() {
    let recording = Recording::of_test_picture(2, 30).marked_every(1);
    let job = recording.job(SourceFit::Passthrough);
    let limit = Duration::from_millis(300);
    for (script, stalls) in [
        ("echo my last words >&2; exec sleep 1000", true),
        // It closes its output and stays.
        (
            "echo my last words >&2; exec >&-; exec sleep 1000 2>&-",
            false,
        ),
    ] {
        let command = impostor("sh", &["-c", script], limit / 3);
        let (mut input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
        let pid = output.pid().unwrap();
        input.send(&recording.frames[0]).await.unwrap();
        let told = async {
            loop {
                match timeout(Duration::from_millis(10), output.next()).await {
                    Ok(Ok(other)) => panic!("{other:?}"),
                    Ok(Err(error)) => return error,
                    Err(_) => {}
                }
            }
        };
        let error = timeout(DEADLINE, told).await.unwrap();
        let is_stall = matches!(error, WorkerError::Stalled { .. });
        assert_eq!(is_stall, stalls, "{error:?}");
        assert!(error.to_string().contains("my last words"), "{error}");
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_worker_that_talks_nonsense_is_an_error_with_its_last_words() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let job = recording.job(SourceFit::Passthrough);
    for speech in [
        "echo Segmentation fault",
        "head -c 100000 /dev/urandom",
        r"printf '\0\0\0\3\20\0\77'",
        r"printf '\0\0\0\1\24'",
        r"printf '\0\0\0\3\20\0\1\0\0\0\3\21\0\1'",
    ] {
        // What is killed must be what sleeps, or it would outlive the test.
        let script = format!("echo my stack is smashed >&2; sleep 0.2; {speech}; exec sleep 1000");
        let command = impostor("sh", &["-c", &script], DEADLINE);
        let (_input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
        let pid = output.pid().unwrap();
        let error = error_of(&mut output).await;
        assert!(
            matches!(error, WorkerError::Nonsense { .. }),
            "{speech}: {error:?}"
        );
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_worker_of_another_version_is_refused() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let job = recording.job(SourceFit::Passthrough);
    let command = impostor("printf", &[r"\0\0\0\3\20\0\77"], DEADLINE);
    let (_input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
    let error = error_of(&mut output).await.to_string();
    assert!(error.contains("protocol version 63, expected 5"), "{error}");
}

#[tokio::test]
async fn a_worker_that_ends_at_once_is_an_error_with_its_last_words() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let job = recording.job(SourceFit::Passthrough);
    let command = impostor("sh", &["-c", "echo no codecs today >&2; exit 3"], DEADLINE);
    let (_input, mut output) = Worker::start(&command, &stream(), &job).unwrap();
    let error = error_of(&mut output).await.to_string();
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(error.contains("no codecs today"), "{error}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let job = recording.job(SourceFit::Passthrough);
    let command = impostor("/nowhere/nova", &["worker"], DEADLINE);
    let error = Worker::start(&command, &stream(), &job).unwrap_err();
    assert!(error.to_string().contains("/nowhere/nova"), "{error}");
}

#[tokio::test]
async fn a_source_that_cannot_be_decoded_is_the_workers_own_reason() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let mut job = recording.job(SourceFit::Passthrough);
    job.rungs[0].width = 0;
    let (_input, mut output) = start(&job);
    let error = error_of(&mut output).await;
    assert!(matches!(&error, WorkerError::GaveUp { .. }), "{error:?}");
    assert!(error.to_string().contains("libx264"), "{error}");
}

#[tokio::test]
async fn the_end_of_input_ends_the_worker() {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    let (mut input, mut output) = start(&recording.job(SourceFit::Passthrough));
    let pid = output.pid().unwrap();
    for frame in &recording.frames {
        input.send(frame).await.unwrap();
    }
    drop(input);
    let error = error_of(&mut output).await;
    assert!(matches!(error, WorkerError::Ended { .. }), "{error:?}");
    until_gone(pid).await;
}

#[tokio::test]
async fn dropping_the_output_kills_the_worker() {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    let (mut input, output) = start(&recording.job(SourceFit::Passthrough));
    let pid = output.pid().unwrap();
    for frame in &recording.frames[..10] {
        input.send(frame).await.unwrap();
    }
    drop(output);
    until_gone(pid).await;
}

/// The pipes stay open, as if the codec hung and did not read the end of input.
#[tokio::test]
async fn a_worker_does_not_outlive_its_parent() {
    let worker = env!("CARGO_BIN_EXE_transcode-test-worker");
    let mut parent = tokio::process::Command::new("sh")
        // The first descriptor would be /dev/null for a background job.
        .args([
            "-c",
            "exec 3<&0; \"$0\" <&3 & echo pid $! >&2; wait",
            worker,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _stdin = parent.stdin.take().unwrap();
    let mut stdout = parent.stdout.take().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(parent.stderr.take().unwrap());
    stderr.read_line(&mut line).await.unwrap();
    let pid = line.trim().strip_prefix("pid ").unwrap().parse().unwrap();
    let mut hello = [0; 7];
    stdout.read_exact(&mut hello).await.unwrap();
    assert!(is_running(pid));
    parent.kill().await.unwrap();
    until_gone(pid).await;
}

#[tokio::test]
async fn sending_waits_for_a_worker_that_is_behind() {
    let recording = Recording::of_test_picture(1, 30).marked_every(1);
    let command = impostor("sleep", &["1000"], DEADLINE);
    let job = recording.job(SourceFit::Passthrough);
    let (mut input, _output) = Worker::start(&command, &stream(), &job).unwrap();
    let mut sent = 0;
    while timeout(Duration::from_millis(100), input.send(&recording.frames[0]))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 10_000, "an unbounded queue");
    }
    assert!(sent >= 60, "it waits after {sent} frames");
}
