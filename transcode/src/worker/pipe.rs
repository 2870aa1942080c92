//! Messages on the standard input and output of a child process.

use std::io::{self, IoSlice, Read, Write};

use bytes::Bytes;

use crate::wire::{self, Encoded, WireError};

/// Why no message can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("standard input: {0}")]
    Input(#[from] io::Error),
}

/// Messages from standard input.
pub(crate) struct Messages<R>(R);

impl<R: Read> Messages<R> {
    pub(crate) fn new(input: R) -> Self {
        Self(input)
    }

    /// Kind and body of the next one; `None` at the end of input, also in the middle of a
    /// message.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, Bytes)>, ReadError> {
        let Some(length) = self.read(wire::LENGTH)? else {
            return Ok(None);
        };
        let message = self.read(wire::size(&length)?)?;
        Ok(message.map(wire::open))
    }

    /// So many bytes, in memory that is not filled with anything before.
    fn read(&mut self, size: usize) -> Result<Option<Bytes>, io::Error> {
        let mut bytes = Vec::with_capacity(size);
        let mut input = self.0.by_ref().take(size as u64);
        let read = input.read_to_end(&mut bytes)?;
        Ok((read == size).then(|| bytes.into()))
    }
}

/// Both parts of a message with one system call, where the pipe has room for them.
pub(crate) fn write(output: &mut impl Write, message: &Encoded) -> io::Result<()> {
    let Encoded { head, data } = message;
    let parts = [IoSlice::new(head), IoSlice::new(data)];
    let written = loop {
        match output.write_vectored(&parts) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => break written?,
        }
    };
    match head.get(written..) {
        Some(rest) => {
            output.write_all(rest)?;
            output.write_all(data)
        }
        None => output.write_all(data.get(written - head.len()..).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes a call, and counts the calls.
    struct Slow {
        written: Vec<u8>,
        at_once: usize,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
            self.calls += 1;
            let before = self.written.len();
            let bytes = parts.iter().flat_map(|part| part.iter());
            self.written.extend(bytes.take(self.at_once));
            Ok(self.written.len() - before)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_written_at_once_or_in_parts_but_whole() {
        for at_once in 1..=10 {
            for (head, data) in [("head", "data"), ("head", "")] {
                let mut output = Slow {
                    written: Vec::new(),
                    at_once,
                    calls: 0,
                };
                write(&mut output, &message(head, data)).unwrap();
                assert_eq!(output.written, [head, data].concat().as_bytes());
                if at_once >= 8 {
                    assert_eq!(output.calls, 1);
                }
            }
        }
        let mut full = Slow {
            written: Vec::new(),
            at_once: 0,
            calls: 0,
        };
        let error = write(&mut full, &message("head", "data")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    fn message(head: &'static str, data: &'static str) -> Encoded {
        Encoded {
            head: Bytes::from_static(head.as_bytes()),
            data: Bytes::from_static(data.as_bytes()),
        }
    }
}
