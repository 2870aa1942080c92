//! The pictures process: decodes strangers' key frames, and can be killed for it. One thread
//! works; another ends the process with its parent.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use ffmpeg_next as ffmpeg;

use super::message::{Reply, Request};
use crate::VideoSource;
use crate::engine::EngineError;
use crate::engine::ffmpeg::initialize;
use crate::engine::ffmpeg::still::Canvas;
use crate::wire::WireError;
use crate::worker::pipe::{self, Messages, ReadError};
use crate::worker::{self, limits};

/// The entry of the pictures process. Ends when standard input does, or when the parent
/// process is gone.
pub fn pictures_main() -> ExitCode {
    limits::apply();
    if let Err(error) = worker::exit_with_parent() {
        eprintln!("pictures: cannot start: {error}");
        return ExitCode::FAILURE;
    }
    initialize();
    // What is wrong with a picture is in the answer.
    ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
    match serve(io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("pictures: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Why the process gives up.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// No fault of the pictures: another process may draw them.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

fn serve(input: impl Read, mut output: impl Write) -> Result<(), Fault> {
    let mut requests = Messages::new(input);
    let mut say = |reply: Reply| -> Result<(), Fault> {
        pipe::write(&mut output, &reply.encode()?)?;
        Ok(output.flush()?)
    };
    say(Reply::HELLO)?;
    let mut sheet = None;
    while let Some((kind, body)) = requests.next()? {
        match Request::decode(kind, body)? {
            Request::Layout(layout) => sheet = Some(Drawing::new(Canvas::new(layout)?)),
            Request::Source(source) => open(&mut sheet, "source")?.source = Some(source),
            Request::Tile { index, data } => open(&mut sheet, "tile")?.paint(index, &data)?,
            Request::Draw => {
                let drawing = sheet.take().ok_or(WireError::Order("draw"))?;
                for reply in drawing.finish()? {
                    say(reply)?;
                }
            }
        }
    }
    Ok(())
}

fn open<'a>(
    sheet: &'a mut Option<Drawing>,
    message: &'static str,
) -> Result<&'a mut Drawing, WireError> {
    sheet.as_mut().ok_or(WireError::Order(message))
}

/// A sheet in the making. What goes wrong is told when it is done: whoever sends the sheet
/// does not read meanwhile.
struct Drawing {
    canvas: Canvas,
    source: Option<VideoSource>,
    painted: usize,
    undecodable: Vec<(u16, String)>,
}

impl Drawing {
    fn new(canvas: Canvas) -> Self {
        Self {
            canvas,
            source: None,
            painted: 0,
            undecodable: Vec::new(),
        }
    }

    fn paint(&mut self, index: u16, data: &[u8]) -> Result<(), Fault> {
        let source = self.source.as_ref().ok_or(WireError::Order("tile"))?;
        match self.canvas.paint(index, source, data) {
            Ok(()) => self.painted += 1,
            Err(error @ EngineError::Memory { .. }) => return Err(error.into()),
            Err(error) => self.undecodable.push((index, error.to_string())),
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Reply>, Fault> {
        let undecodable = self.undecodable.into_iter();
        let mut replies: Vec<_> = undecodable
            .map(|(index, reason)| Reply::Undecodable { index, reason })
            .collect();
        let failed = |reason: String| Reply::Failed { reason };
        replies.push(match self.painted {
            0 => failed("none of its pictures can be decoded".to_owned()),
            _ => match self.canvas.jpeg() {
                Ok(jpeg) => Reply::Sheet { jpeg },
                Err(error @ EngineError::Memory { .. }) => return Err(error.into()),
                Err(error) => failed(error.to_string()),
            },
        });
        Ok(replies)
    }
}
