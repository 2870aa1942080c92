//! Interlaced pictures are made progressive, turned ones upright, before they are scaled.

use std::collections::VecDeque;
use std::ffi::c_int;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{Rescale, filter, frame};

use super::step;
use crate::Rotation;
use crate::engine::{EngineError, threads};

/// Times of decoded pictures are microseconds.
const TIME_BASE: ffmpeg::Rational = ffmpeg::Rational(1, 1_000_000);

/// Passes progressive, upright pictures through as they are. Others go through
/// libavfilter, which holds one picture back while it looks at its neighbours.
pub(super) struct Upright {
    rotation: Rotation,
    graph: Option<Graph>,
    ready: VecDeque<frame::Video>,
}

impl Upright {
    pub(super) fn new(rotation: Rotation) -> Self {
        Self {
            rotation,
            graph: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next picture in.
    pub(super) fn push(&mut self, picture: frame::Video) -> Result<(), EngineError> {
        let form = Form::of(&picture);
        if let Some(graph) = &mut self.graph {
            // Once interlaced, a stream stays in the filter: it passes the progressive
            // pictures among the others.
            let changed = Form {
                interlaced: graph.form.interlaced,
                ..form
            } != graph.form;
            let begins = form.interlaced && !graph.form.interlaced;
            if changed || begins {
                graph.finish(&mut self.ready)?;
                self.graph = None;
            }
        }
        if self.graph.is_none() {
            if !form.interlaced && self.rotation == Rotation::None {
                self.ready.push_back(picture);
                return Ok(());
            }
            self.graph = Some(Graph::new(form, self.rotation)?);
        }
        match &mut self.graph {
            Some(graph) => graph.run(&picture, &mut self.ready),
            None => Ok(()),
        }
    }

    /// No more pictures.
    pub(super) fn finish(&mut self) -> Result<(), EngineError> {
        match self.graph.take() {
            Some(mut graph) => graph.finish(&mut self.ready),
            None => Ok(()),
        }
    }

    /// The pictures in it are not needed.
    pub(super) fn clear(&mut self) {
        self.graph = None;
        self.ready.clear();
    }

    /// The next picture, if one is ready.
    pub(super) fn pop(&mut self) -> Option<frame::Video> {
        self.ready.pop_front()
    }
}

/// What a filter graph is made for.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Form {
    format: Pixel,
    width: u32,
    height: u32,
    interlaced: bool,
}

impl Form {
    fn of(picture: &frame::Video) -> Self {
        Self {
            format: picture.format(),
            width: picture.width(),
            height: picture.height(),
            interlaced: picture.is_interlaced(),
        }
    }
}

struct Graph {
    form: Form,
    graph: filter::Graph,
}

const SOURCE: &str = "in";
const SINK: &str = "out";

impl Graph {
    fn new(form: Form, rotation: Rotation) -> Result<Self, EngineError> {
        let what = || "picture filter";
        let named = |name| {
            filter::find(name)
                .ok_or(ffmpeg::Error::FilterNotFound)
                .map_err(step(format!("filter {name}")))
        };
        let format = form
            .format
            .descriptor()
            .ok_or(ffmpeg::Error::InvalidData)
            .map_err(step(what()))?
            .name();
        let input = format!(
            "video_size={}x{}:pix_fmt={format}:time_base=1/1000000",
            form.width, form.height
        );
        let mut graph = filter::Graph::new();
        // Otherwise each filter has one for every core, and a stack for each of them.
        let threads = threads::for_decoding() as c_int;
        // SAFETY: writes a field of a graph that is owned and has no filters yet.
        unsafe { (*graph.as_mut_ptr()).nb_threads = threads };
        graph
            .add(&named("buffer")?, SOURCE, &input)
            .map_err(step(what()))?;
        graph
            .add(&named("buffersink")?, SINK, "")
            .map_err(step(what()))?;
        graph
            .output(SOURCE, 0)
            .and_then(|parser| parser.input(SINK, 0))
            .and_then(|parser| parser.parse(&chain(form.interlaced, rotation)))
            .map_err(step(what()))?;
        graph.validate().map_err(step(what()))?;
        Ok(Self { form, graph })
    }

    fn run(
        &mut self,
        picture: &frame::Video,
        ready: &mut VecDeque<frame::Video>,
    ) -> Result<(), EngineError> {
        if let Some(mut source) = self.graph.get(SOURCE) {
            source
                .source()
                .add(picture)
                .map_err(step("picture filter"))?;
        }
        self.drain(ready)
    }

    fn finish(&mut self, ready: &mut VecDeque<frame::Video>) -> Result<(), EngineError> {
        if let Some(mut source) = self.graph.get(SOURCE) {
            source.source().flush().map_err(step("picture filter"))?;
        }
        self.drain(ready)
    }

    fn drain(&mut self, ready: &mut VecDeque<frame::Video>) -> Result<(), EngineError> {
        let Some(mut sink) = self.graph.get(SINK) else {
            return Ok(());
        };
        let mut sink = sink.sink();
        loop {
            let mut picture = frame::Video::empty();
            match sink.frame(&mut picture) {
                Ok(()) => {
                    let time_base = sink.time_base();
                    let pts = picture.pts().map(|pts| pts.rescale(time_base, TIME_BASE));
                    picture.set_pts(pts);
                    ready.push_back(picture);
                }
                Err(ffmpeg::Error::Other {
                    errno: ffmpeg::error::EAGAIN,
                })
                | Err(ffmpeg::Error::Eof) => return Ok(()),
                Err(error) => return Err(step("picture filter")(error)),
            }
        }
    }
}

/// One picture for every picture, also of two fields: a rung has the source's frames.
fn chain(interlaced: bool, rotation: Rotation) -> String {
    let deinterlace = interlaced.then_some("bwdif=mode=send_frame:deint=interlaced");
    let turn = match rotation {
        Rotation::None => None,
        Rotation::Right => Some("transpose=clock"),
        Rotation::Half => Some("hflip,vflip"),
        Rotation::Left => Some("transpose=cclock"),
        Rotation::Mirrored => Some("hflip"),
        Rotation::MirroredRight => Some("hflip,transpose=clock"),
        // Alone, `vflip` only turns the lines' order in memory round.
        Rotation::MirroredHalf => Some("vflip,copy"),
        Rotation::MirroredLeft => Some("hflip,transpose=cclock"),
    };
    let filters: Vec<_> = deinterlace.into_iter().chain(turn).collect();
    filters.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with a bright corner at the upper left.
    fn picture(pts: i64) -> frame::Video {
        let mut picture = super::super::picture::allocate(64, 32).unwrap();
        for plane in 0..3 {
            picture
                .data_mut(plane)
                .fill(if plane == 0 { 16 } else { 128 });
        }
        let stride = picture.stride(0);
        for line in 0..8 {
            picture.data_mut(0)[line * stride..line * stride + 8].fill(235);
        }
        picture.set_pts(Some(pts));
        picture
    }

    /// Column and row of the bright corner: 0 is the first, 1 the last.
    fn corner(picture: &frame::Video) -> (u32, u32) {
        let at = |column: u32, row: u32| {
            let x = column * (picture.width() - 1);
            let y = row * (picture.height() - 1);
            picture.data(0)[y as usize * picture.stride(0) + x as usize]
        };
        let found: Vec<_> = [(0, 0), (1, 0), (0, 1), (1, 1)]
            .into_iter()
            .filter(|&(column, row)| at(column, row) > 200)
            .collect();
        assert_eq!(found.len(), 1);
        found[0]
    }

    #[test]
    fn upright_progressive_pictures_are_not_touched() {
        let mut upright = Upright::new(Rotation::None);
        let given = picture(5);
        let memory = given.data(0).as_ptr();
        upright.push(given).unwrap();
        assert_eq!(upright.pop().unwrap().data(0).as_ptr(), memory);
        assert!(upright.graph.is_none());
    }

    #[test]
    fn turned_pictures_come_out_upright_at_their_times() {
        for (rotation, size, expected) in [
            (Rotation::Right, (32, 64), (1, 0)),
            (Rotation::Half, (64, 32), (1, 1)),
            (Rotation::Left, (32, 64), (0, 1)),
            (Rotation::Mirrored, (64, 32), (1, 0)),
            (Rotation::MirroredRight, (32, 64), (1, 1)),
            (Rotation::MirroredHalf, (64, 32), (0, 1)),
            (Rotation::MirroredLeft, (32, 64), (0, 0)),
        ] {
            let mut upright = Upright::new(rotation);
            upright.push(picture(33_333)).unwrap();
            let turned = upright.pop().expect("no picture waits for the next");
            assert_eq!((turned.width(), turned.height()), size, "{rotation:?}");
            assert_eq!(corner(&turned), expected, "{rotation:?}");
            assert_eq!(turned.pts(), Some(33_333));
        }
    }

    #[test]
    fn a_filter_has_few_threads() {
        let mut upright = Upright::new(Rotation::Right);
        upright.push(picture(0)).unwrap();
        let graph = &upright.graph.as_ref().unwrap().graph;
        // SAFETY: reads a field of a graph that is borrowed.
        let threads = unsafe { (*graph.as_ptr()).nb_threads };
        assert!((1..=4).contains(&threads), "{threads}");
    }

    #[test]
    fn interlaced_pictures_become_as_many_progressive_ones() {
        let mut upright = Upright::new(Rotation::None);
        let times = [0, 40_000, 80_000, 160_001, 160_002];
        for (index, pts) in times.into_iter().enumerate() {
            let mut picture = picture(pts);
            set_interlaced(&mut picture, index != 3);
            upright.push(picture).unwrap();
        }
        upright.finish().unwrap();
        let mut seen = Vec::new();
        while let Some(picture) = upright.pop() {
            assert!(!picture.is_interlaced());
            seen.push(picture.pts().unwrap());
        }
        assert_eq!(seen, times);
    }

    fn set_interlaced(picture: &mut frame::Video, interlaced: bool) {
        // SAFETY: writes fields of a frame that is borrowed mutably.
        unsafe {
            let picture = &mut *picture.as_mut_ptr();
            picture.interlaced_frame = interlaced.into();
            picture.top_field_first = 1;
        }
    }
}
