//! One rendition on its way into the object store: an object, then its row.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use media::{Frame, Rendition, RenditionName, Segment, SegmentNumber, VideoId};
use packager::segmenter::Output;
use packager::{PartTarget, Segmenter, cmaf, object_key};
use storage::objects::MAX_OBJECT_BYTES;
use storage::rows::videos::imports::{self, Added};
use storage::rows::videos::playback::IMPORT_EPOCH;

use super::fault::Fault;
use super::job::Work;

/// Takes a rendition's frames, stores its segments.
pub(super) struct Shelf<'a> {
    work: &'a Work,
    video: VideoId,
    rendition: Rendition,
    segmenter: Segmenter,
    open: BytesMut,
    /// Numbers that are not made again.
    stored: BTreeSet<SegmentNumber>,
    /// The last number that is wanted.
    last: SegmentNumber,
}

impl<'a> Shelf<'a> {
    /// For a rendition of which `stored` is there, up to and including `last`. Its init
    /// segment is stored, or what is stored is the same.
    pub(super) async fn open(
        work: &'a Work,
        rendition: Rendition,
        stored: BTreeSet<SegmentNumber>,
        last: SegmentNumber,
    ) -> Result<Self, Fault> {
        let (database, video) = (&work.parts.database, work.video);
        let same = |known: &Rendition| known.name == rendition.name;
        let known = imports::renditions(database, video).await?;
        if let Some(known) = known.into_iter().find(same) {
            if known.codec != rendition.codec {
                let name = &rendition.name;
                return Err(Fault::Refused(format!(
                    "{name} has another decoder configuration than before: it cannot go on"
                )));
            }
        } else {
            let key = object_key::video_init(video, IMPORT_EPOCH, &rendition.name);
            let init = cmaf::init_segment(&rendition)?;
            work.parts.objects.put(&key, init).await?;
            let added = imports::insert_rendition(database, video, &rendition).await?;
            work.must_be_wanted(added, &key).await?;
        }
        let segmenter = Segmenter::new(&rendition, PartTarget::of(&rendition));
        let segmenter = match rendition.name == RenditionName::SOURCE && work.plan.passthrough {
            true => segmenter.with_reorder_delay(work.plan.reorder_delay()),
            // Pictures that are encoded here, and sound, are decoded when they are shown.
            false => segmenter,
        };
        Ok(Self {
            work,
            video,
            segmenter,
            rendition,
            open: BytesMut::new(),
            stored,
            last,
        })
    }

    /// The next frame in decoding order.
    pub(super) async fn push(&mut self, frame: Frame) -> Result<(), Fault> {
        self.segmenter.push(frame)?;
        self.deliver().await
    }

    /// No more frames.
    pub(super) async fn finish(&mut self) -> Result<(), Fault> {
        self.segmenter.finish();
        self.deliver().await
    }

    async fn deliver(&mut self) -> Result<(), Fault> {
        while let Some(output) = self.segmenter.poll() {
            match output {
                Output::Part(part) => {
                    self.open.extend_from_slice(&part.data);
                    if self.open.len() as u64 > MAX_OBJECT_BYTES {
                        let name = &self.rendition.name;
                        return Err(Fault::Refused(format!(
                            "a segment of {name} has more than {MAX_OBJECT_BYTES} bytes"
                        )));
                    }
                }
                Output::Segment(segment) => {
                    let bytes = self.open.split().freeze();
                    self.store(&segment, bytes).await?;
                }
            }
        }
        Ok(())
    }

    async fn store(&mut self, segment: &Segment, bytes: Bytes) -> Result<(), Fault> {
        let number = segment.number;
        if segment.is_gap() || number > self.last || !self.stored.insert(number) {
            return Ok(());
        }
        let name = &self.rendition.name;
        let key = object_key::video_segment(self.video, IMPORT_EPOCH, name, number);
        self.work.parts.objects.put(&key, bytes).await?;
        let database = &self.work.parts.database;
        let added = imports::insert_segment(database, self.video, name, segment).await?;
        self.work.must_be_wanted(added, &key).await?;
        if added == Added::New {
            self.work.stored_one();
        }
        Ok(())
    }
}
