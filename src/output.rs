//! Standard output. In place of the standard library's macros, which panic when whoever reads
//! has read enough, as `head` has: a command then does its work and says no more.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

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

/// Writes to standard output, if anybody reads it.
pub(crate) fn write(text: Arguments<'_>) {
    match io::stdout().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("nova: standard output: {error}");
        }
        _ => {}
    }
}
