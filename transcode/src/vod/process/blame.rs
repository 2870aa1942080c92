//! Whose fault it is that a file cannot be read: its own, or the machine's.

use std::fs::File;
use std::io;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::error::{EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC};

use super::{Fault, refuse};

/// What libavformat says of the machine.
const OF_THE_MACHINE: [i32; 5] = [EMFILE, ENFILE, ENOSPC, EAGAIN, EINTR];

/// What becomes of `error`, which came of reading the file `name`.
pub(super) fn blame(error: ffmpeg::Error, what: &str, name: &str) -> Fault {
    match error {
        ffmpeg::Error::Other { errno } if OF_THE_MACHINE.contains(&errno) => {
            Fault::Hindered(error.to_string())
        }
        // One number of a file can ask for any amount. A machine that is short of memory
        // kills, or does not start, a process.
        ffmpeg::Error::Other { errno: ENOMEM } => refuse(format!(
            "{what}: it asks for more memory than a demuxer may have, 1 GiB"
        )),
        // Some demuxers say so where a file ends too early: the disk is asked itself.
        ffmpeg::Error::Other { errno: EIO } => match read_through(name) {
            Ok(_) => refuse(format!("{what}: {error}")),
            Err(error) => Fault::Hindered(error.to_string()),
        },
        error => refuse(format!("{what}: {error}")),
    }
}

fn read_through(name: &str) -> io::Result<u64> {
    io::copy(&mut File::open(name)?, &mut io::sink())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(error: ffmpeg::Error, name: &str) -> &'static str {
        match blame(error, "it cannot be read", name) {
            Fault::Refused(_) => "the file's",
            Fault::Hindered(_) => "the machine's",
            Fault::Output(_) => "nobody's",
        }
    }

    #[test]
    fn what_the_machine_lacks_is_not_the_files_fault() {
        let good = std::env::current_exe().unwrap();
        let good = good.to_str().unwrap();
        for errno in OF_THE_MACHINE {
            assert_eq!(whose(ffmpeg::Error::Other { errno }, good), "the machine's");
        }
        for error in [
            ffmpeg::Error::InvalidData,
            ffmpeg::Error::PatchWelcome,
            ffmpeg::Error::Other {
                errno: ffmpeg::error::EINVAL,
            },
            ffmpeg::Error::Other { errno: ENOMEM },
        ] {
            assert_eq!(whose(error, good), "the file's", "{error}");
        }
        let error = ffmpeg::Error::Other { errno: EIO };
        assert_eq!(whose(error, good), "the file's", "the disk can be read");
        assert_eq!(whose(error, "/proc/self/mem"), "the machine's");
    }
}
