//! The demuxing process: reads a stranger's file, and can be killed for it. One thread.

mod blame;
mod describe;
mod reader;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::packet::Ref;
use ffmpeg_next::ffi;
use media::{Frame, Micros, Timestamp, TrackKind};

use super::Packet;
use super::message::{Demuxed, Message, Task};
use crate::engine::ffmpeg::initialize;
use crate::wire::Encoded;
use crate::worker;
use crate::{AudioError, AudioTranscoder};
use reader::Reader;

/// The entry of the demuxing process: does the task that `request` says, as JSON, and ends
/// when it is done or nobody reads.
pub fn demux_main(request: &str) -> ExitCode {
    worker::limits::apply();
    if let Err(error) = worker::exit_with_parent() {
        eprintln!("demuxer: cannot start: {error}");
        return ExitCode::FAILURE;
    }
    let mut output = Output {
        pipe: io::BufWriter::with_capacity(256 << 10, io::stdout().lock()),
        flushed: Instant::now(),
    };
    let outcome = match serde_json::from_str(request) {
        Ok(task) => run(&task, &mut output),
        Err(error) => Err(Fault::Refused(format!("a task that is none: {error}"))),
    };
    let last = match outcome {
        Ok(()) => Message::End,
        Err(Fault::Refused(reason)) => Message::Failed(reason),
        Err(Fault::Hindered(how)) => Message::Hindered(how),
        Err(Fault::Output(error)) => {
            eprintln!("demuxer: nobody reads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match (output.send(&last), output.flush()) {
        (Ok(()), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

enum Fault {
    /// The file's.
    Refused(String),
    /// The machine's.
    Hindered(String),
    /// Nobody's: whoever reads has gone.
    Output(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn refuse(reason: impl Into<String>) -> Fault {
    Fault::Refused(reason.into())
}

struct Output<W: Write> {
    pipe: W,
    flushed: Instant,
}

/// Whoever reads must not take a file that is slow to read for a process that hangs.
const SILENT_FOR: Duration = Duration::from_secs(1);

impl<W: Write> Output<W> {
    /// A message over a limit is the file's fault.
    fn send(&mut self, message: &Message) -> Result<(), Fault> {
        let Encoded { head, data } = message
            .encode()
            .map_err(|error| refuse(error.to_string()))?;
        self.pipe.write_all(&head)?;
        self.pipe.write_all(&data)?;
        if self.flushed.elapsed() >= SILENT_FOR {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.pipe.flush()
    }
}

fn run<W: Write>(task: &Task, output: &mut Output<W>) -> Result<(), Fault> {
    initialize();
    ffmpeg::log::set_level(ffmpeg::log::Level::Fatal);
    match task {
        Task::Scan { file } => scan(file, output),
        Task::Read {
            file,
            track,
            from_us,
        } => {
            let from = from_us.map(|(pts, dts)| (Micros::new(pts), Micros::new(dts)));
            read(file, *track, from, output)
        }
        Task::Sound { file, from_us } => sound(file, Micros::new(*from_us), output),
    }
}

fn scan<W: Write>(name: &str, output: &mut Output<W>) -> Result<(), Fault> {
    let mut reader = Reader::open(name)?;
    let info = describe::describe(&reader, name)?;
    output.send(&Message::Demuxed(Demuxed::Info(info)))?;
    let tracks = [TrackKind::Video, TrackKind::Audio];
    let tracks = tracks.map(|kind| Some((kind, reader.stream(kind)?.index())));
    reader.count_back(tracks[0].map(|(_, index)| index))?;
    while let Some(packet) = reader.next()? {
        let found = tracks
            .iter()
            .flatten()
            .find(|(_, at)| *at == packet.stream());
        let Some((kind, _)) = found else { continue };
        if packet.size() == 0 {
            continue;
        }
        let (dts, pts) = reader.times(&packet)?;
        let key = packet.is_key();
        let hidden = is_hidden(&packet);
        let packet = Packet {
            dts,
            pts,
            key,
            hidden,
            size: u32::try_from(packet.size()).unwrap_or(u32::MAX),
        };
        output.send(&Message::Demuxed(Demuxed::Packet(*kind, packet)))?;
    }
    Ok(())
}

/// Whether an edit list leaves it out.
fn is_hidden(packet: &ffmpeg::Packet) -> bool {
    // SAFETY: a plain field of a packet that is borrowed.
    let flags = unsafe { (*packet.as_ptr()).flags };
    flags & ffi::AV_PKT_FLAG_DISCARD != 0
}

fn read<W: Write>(
    name: &str,
    track: TrackKind,
    from: Option<(Micros, Micros)>,
    output: &mut Output<W>,
) -> Result<(), Fault> {
    let mut reader = Reader::open(name)?;
    let mut first = None;
    if let Some((pts, dts)) = from {
        // Where the container can be sought in, that is quick; where what is found is not
        // what was meant, the file is read from its beginning.
        if reader
            .input
            .seek(dts.as_micros(), ..dts.as_micros())
            .is_ok()
        {
            first = reader.skip_to(track, pts)?;
        }
        if first.is_none() {
            reader = Reader::open(name)?;
            first = reader.skip_to(track, pts)?;
        }
        if first.is_none() {
            return Err(refuse("a key frame that was there is not found again"));
        }
    } else {
        let index = reader.index_of(track)?;
        reader.count_back(Some(index))?;
    }
    let index = reader.index_of(track)?;
    let wrapping = reader.wrapping(track)?;
    let mut pending = first;
    loop {
        let packet = match pending.take() {
            Some(packet) => packet,
            None => match reader.next()? {
                Some(packet) => packet,
                None => return Ok(()),
            },
        };
        let data = packet.data().unwrap_or_default();
        if packet.stream() != index || data.is_empty() {
            continue;
        }
        let (dts, pts) = reader.times(&packet)?;
        let zero = Timestamp::default();
        let frame = Frame {
            track,
            dts: zero + dts,
            pts: zero + pts,
            duration: None,
            key: packet.is_key(),
            starts: None,
            data: wrapping.unwrap(data),
        };
        output.send(&Message::Demuxed(Demuxed::Frame(frame)))?;
    }
}

/// AAC goes out as it is, all else is encoded again.
fn sound<W: Write>(name: &str, from: Micros, output: &mut Output<W>) -> Result<(), Fault> {
    let mut reader = Reader::open(name)?;
    let index = reader.index_of(TrackKind::Audio)?;
    let zero = Timestamp::default();
    let Some(source) = describe::encoded_sound(&reader)? else {
        return read(name, TrackKind::Audio, None, output);
    };
    let mut transcoder = AudioTranscoder::open(&source, zero + from).map_err(refuse_sound)?;
    reader.count_back(Some(index))?;
    // What cannot be sent is told after the call that it came from.
    let mut outcome = Ok(());
    while let Some(packet) = reader.next()? {
        let data = packet.data().unwrap_or_default();
        if packet.stream() != index || data.is_empty() {
            continue;
        }
        let (_, pts) = reader.times(&packet)?;
        let mut out = |frame| send_next(output, &mut outcome, frame);
        transcoder
            .push(zero + pts, data, &mut out)
            .map_err(refuse_sound)?;
        std::mem::replace(&mut outcome, Ok(()))?;
    }
    let mut out = |frame| send_next(output, &mut outcome, frame);
    transcoder.finish(&mut out).map_err(refuse_sound)?;
    outcome
}

fn send_next<W: Write>(output: &mut Output<W>, outcome: &mut Result<(), Fault>, frame: Frame) {
    if outcome.is_ok() {
        *outcome = output.send(&Message::Demuxed(Demuxed::Frame(frame)));
    }
}

fn refuse_sound(error: AudioError) -> Fault {
    refuse(format!("its {error}"))
}
