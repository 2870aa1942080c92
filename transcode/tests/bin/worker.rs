//! A worker process for the tests: what `nova worker` does, and on request one whose
//! hardware encoder is a fake that fails.

use std::process::ExitCode;

use transcode::FakeDevice;

fn main() -> ExitCode {
    let Some(argument) = std::env::args().nth(1) else {
        return transcode::worker::main();
    };
    let fake = match argument.strip_prefix("--device-fails-after=") {
        Some(pictures) => pictures.parse().ok().map(FakeDevice::FailsAfter),
        None if argument == "--device-fails-at-open" => Some(FakeDevice::FailsAtOpen),
        None => None,
    };
    match fake {
        Some(fake) => transcode::worker::main_with_fake_device(fake),
        None => {
            eprintln!("unknown argument {argument}");
            ExitCode::FAILURE
        }
    }
}
