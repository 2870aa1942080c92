//! Standard output. In place of the standard library's macros, which panic when whoever reads
//! has read enough, as `head` has: a command then does its work and says no more. On a full disk
//! it does its work, says so once, and fails.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

macro_rules! print {
    ($($text:tt)*) => {
        crate::output::write(format_args!($($text)*))
    };
}

macro_rules! println {
    () => {
        crate::output::write(format_args!("\n"))
    };
    ($($text:tt)*) => {
        crate::output::write(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Whether something could not be written, though somebody reads.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output, if anybody reads it.
pub(crate) fn write(text: Arguments<'_>) {
    note(io::stdout().write_fmt(text));
}

/// Whether all that somebody reads could be written.
pub(crate) fn is_whole() -> bool {
    note(io::stdout().flush());
    !FAILED.load(Ordering::Relaxed)
}

fn note(outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != ErrorKind::BrokenPipe
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        eprintln!("nova: standard output: {error}");
    }
}
