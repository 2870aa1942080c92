//! Inner parts for the benchmarks, which are measured and not public.

use bytes::BytesMut;
use media::Frame;

use crate::engine::EngineError;
use crate::engine::ffmpeg::bench;
use crate::wire::{self, Request};

/// Frames from one side of a worker's pipe to the other, without the pipe.
#[derive(Debug, Default)]
pub struct Framing {
    buffer: BytesMut,
}

impl Framing {
    /// Writes and reads a frame.
    pub fn round_trip(&mut self, frame: &Frame) -> Option<Frame> {
        let message = Request::Frame(frame.clone()).encode().ok()?;
        // What the kernel does.
        self.buffer.extend_from_slice(&message.head);
        self.buffer.extend_from_slice(&message.data);
        self.read()
    }

    fn read(&mut self) -> Option<Frame> {
        let (kind, body) = wire::split(&mut self.buffer).ok()??;
        match Request::decode(kind, body).ok()? {
            Request::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    /// How often a frame's bytes are copied on the way, without what the kernel does.
    pub fn copies(&mut self, frame: &Frame) -> usize {
        let Ok(message) = Request::Frame(frame.clone()).encode() else {
            return 0;
        };
        let written = usize::from(message.data.as_ptr() != frame.data.as_ptr());
        self.buffer.extend_from_slice(&message.head);
        self.buffer.extend_from_slice(&message.data);
        let memory = self.buffer.as_ptr_range();
        let read = self.read();
        let read = read.is_some_and(|frame| !memory.contains(&frame.data.as_ptr()));
        written + usize::from(read)
    }
}

/// One picture scaled as the engine scales it.
pub struct Scaling(bench::Scaling);

impl Scaling {
    /// From a picture of `source` to pictures of all `sizes`.
    pub fn new(source: (u32, u32), sizes: &[(u32, u32)]) -> Result<Self, String> {
        bench::Scaling::new(source, sizes)
            .map(Self)
            .map_err(|error: EngineError| error.to_string())
    }

    /// Scales the picture to all sizes.
    pub fn run(&mut self) -> Result<(), String> {
        self.0.run().map_err(|error| error.to_string())
    }
}
