//! A worker process for the tests: what `nova worker`, `nova demux` and `nova pictures` do,
//! and worse when it is told to; on request one whose hardware encoder is a fake that fails.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use transcode::FakeDevice;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (what, how) = (arguments.next(), arguments.next());
    match (what.as_deref(), how) {
        (None, _) => {}
        (Some("pictures"), _) => return transcode::pictures::pictures_main(),
        (Some("demux"), Some(task)) => return transcode::vod::demux_main(&task),
        (Some("leak"), _) => drop(thread::spawn(leak)),
        (Some("abort"), _) => drop(thread::spawn(abort)),
        (Some(argument), _) => {
            return match fake(argument) {
                Some(fake) => transcode::worker::main_with_fake_device(fake),
                None => {
                    eprintln!("unknown argument {argument}");
                    ExitCode::FAILURE
                }
            };
        }
    }
    transcode::worker::main()
}

fn fake(argument: &str) -> Option<FakeDevice> {
    match argument.strip_prefix("--device-fails-after=") {
        Some(pictures) => pictures.parse().ok().map(FakeDevice::FailsAfter),
        None => (argument == "--device-fails-at-open").then_some(FakeDevice::FailsAtOpen),
    }
}

/// Eight megabytes more each time, and all of them used.
fn leak() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![1_u8; 8 << 20]);
        thread::sleep(Duration::from_millis(5));
    }
}

/// As a failed assertion in a C library does it.
fn abort() {
    thread::sleep(Duration::from_millis(300));
    eprintln!("Assertion `mb_type >= 0' failed.");
    std::process::abort();
}
