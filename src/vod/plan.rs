//! What is made of a file: found out once, kept with the video.

use std::cmp::Ordering;

use bytes::Bytes;
use media::{
    AacConfig, AvcConfig, Codec, Micros, Rendition, RenditionName, SegmentNumber, Timestamp,
    TrackKind, VideoShape,
};
use serde::{Deserialize, Serialize};
use storage::rows::videos::imports::ChunkRow;
use transcode::vod::{CutConfig, Cuts, Cutter, Demuxed, Demuxer, FileInfo, Packet};
use transcode::{LadderConfig, LadderSource, Latency, Rotation, Rung, Unfit, VideoSource};

use super::fault::Fault;

/// Grows with every change of the document.
const VERSION: u32 = 2;
/// Segments of a chunk: half a minute, as a rule.
const CHUNK_SEGMENTS: u32 = 8;
/// x264's constant rate factor.
const CRF: u8 = 23;
/// Media time of the first picture: sound may begin before it.
pub(super) const START: Timestamp = Timestamp::from_micros(10_000_000);

/// What is made of a file. Kept as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    version: u32,
    /// What a worker decodes; `None`: there are no pictures.
    pub(super) video: Option<VideoSource>,
    /// What a worker encodes.
    pub(super) rungs: Vec<Rung>,
    /// Whether the pictures are taken as they are, too.
    pub(super) passthrough: bool,
    /// Bits per second of its pictures.
    pub(super) bit_rate: u32,
    /// `AudioSpecificConfig` of the sound.
    pub(super) aac: Option<Bytes>,
    /// Where segments start.
    pub(super) cuts: Cuts,
}

impl Plan {
    /// Reads a whole file.
    pub(super) async fn of(scan: Demuxer) -> Result<Self, Fault> {
        let scanned = Scanned::read(scan).await?;
        let config = CutConfig::default();
        let aac = scanned.aac()?;
        let sound = aac.as_ref().zip(scanned.sound).map(|(aac, (start, last))| {
            let frame = frame_duration(aac);
            (start, last + frame, frame)
        });
        let cuts = match (scanned.cutter, sound) {
            (Some(cutter), None) => cutter.finish(),
            (Some(cutter), Some((_, end, _))) => cutter
                .finish()
                .and_then(|cuts| cuts.with_sound_until(end, &config)),
            (None, Some((start, end, frame))) => Cuts::of_sound(start, end, frame, &config),
            (None, None) => return Err(Fault::Refused("there is nothing in it".into())),
        };
        let cuts = cuts.map_err(refused)?;
        let seconds = cuts.duration_of_pictures().as_secs_f64().max(0.1);
        let bit_rate = scanned.picture_bytes as f64 * 8.0 / seconds;
        let mut plan = Self {
            version: VERSION,
            video: scanned.info.video,
            rungs: Vec::new(),
            passthrough: false,
            // The cast keeps to what there may be.
            bit_rate: bit_rate as u32,
            aac: aac.map(|aac| aac.config),
            cuts,
        };
        plan.choose_renditions();
        Ok(plan)
    }

    fn choose_renditions(&mut self) {
        let Some(source) = &self.video else { return };
        let (width, height) = source.upright();
        let ladder = transcode::plan_source(
            LadderSource {
                shape: VideoShape { width, height },
                bit_rate: self.bit_rate,
                frame_duration: self.cuts.frame_duration,
                unfit: unfit(source, &self.cuts),
            },
            &LadderConfig::default(),
        );
        self.passthrough = ladder.passthrough;
        self.rungs = ladder
            .rungs
            .into_iter()
            .map(|rung| {
                let (width, height) = (rung.width, rung.height);
                let shape = VideoShape { width, height };
                Rung {
                    // Pictures come out in the order in which they went in.
                    latency: Latency::None,
                    frame_step: rung.frame_step,
                    ..Rung::on_demand(rung.name, shape, rung.bit_rate, CRF)
                }
            })
            .collect();
    }

    /// As it is kept.
    pub(super) fn to_document(&self) -> Result<Bytes, Fault> {
        let document = serde_json::to_vec(self);
        document
            .map(Bytes::from)
            .map_err(|error| Fault::Refused(format!("its plan cannot be kept: {error}")))
    }

    /// Reads what was kept.
    pub(super) fn from_document(document: &[u8]) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let unreadable = |error| Fault::Refused(format!("its plan cannot be read: {error}"));
        let Head { version } = serde_json::from_slice(document).map_err(unreadable)?;
        match version.cmp(&VERSION) {
            Ordering::Equal => serde_json::from_slice(document).map_err(unreadable),
            Ordering::Less => Err(Fault::Refused(
                "an older version of Nova began to transcode it: cancel it and import it again"
                    .into(),
            )),
            // While servers are replaced one by one, a newer one takes it up.
            Ordering::Greater => Err(Fault::Newer),
        }
    }

    /// The names of the renditions of its pictures.
    pub(super) fn video_renditions(&self) -> Vec<RenditionName> {
        let source = self.passthrough.then_some(RenditionName::SOURCE);
        let rungs = self.rungs.iter().map(|rung| rung.name.clone());
        source.into_iter().chain(rungs).collect()
    }

    /// The pictures that are taken as they are.
    pub(super) fn source_rendition(&self) -> Result<Option<Rendition>, Fault> {
        let Some(source) = self.video.as_ref().filter(|_| self.passthrough) else {
            return Ok(None);
        };
        let avc = AvcConfig::parse(source.record.clone()).map_err(refused)?;
        let frame = self.cuts.frame_duration;
        let codec = Codec::Avc(avc);
        Ok(Some(Rendition::new(
            RenditionName::SOURCE,
            codec,
            self.bit_rate,
            frame,
        )))
    }

    /// The sound.
    pub(super) fn audio_rendition(&self) -> Result<Option<Rendition>, Fault> {
        let Some(config) = &self.aac else {
            return Ok(None);
        };
        let aac = AacConfig::parse(config.clone()).map_err(refused)?;
        let frame = frame_duration(&aac);
        // Nothing declares it: segments will tell.
        Ok(Some(Rendition::new(
            RenditionName::AUDIO,
            Codec::Aac(aac),
            0,
            frame,
        )))
    }

    /// What workers do: chunks of the pictures, then all of the sound.
    pub(super) fn chunks(&self) -> Vec<ChunkRow> {
        let mut rows: Vec<_> = match &self.video {
            Some(_) => self.cuts.chunks(CHUNK_SEGMENTS),
            None => Vec::new(),
        }
        .into_iter()
        .map(|chunk| ChunkRow {
            number: chunk.number,
            first_segment: SegmentNumber(chunk.first.into()),
            segments: chunk.count,
        })
        .collect();
        if self.aac.is_some() {
            rows.push(ChunkRow {
                number: u32::try_from(rows.len()).unwrap_or(u32::MAX),
                first_segment: SegmentNumber(0),
                segments: u32::try_from(self.sound_segments()).unwrap_or(u32::MAX),
            });
        }
        rows
    }

    /// What a chunk is of: the sound's comes behind those of the pictures.
    pub(super) fn kind_of(&self, chunk: &ChunkRow) -> TrackKind {
        let segments = self.video.as_ref().map_or(0, |_| self.cuts.marks.len());
        let pictures = segments.div_ceil(CHUNK_SEGMENTS as usize);
        match chunk.number as usize >= pictures {
            true => TrackKind::Audio,
            false => TrackKind::Video,
        }
    }

    /// Segments of all renditions.
    pub(super) fn segments(&self) -> u64 {
        let pictures = self.cuts.marks.len() * self.video_renditions().len();
        let sound = self.aac.as_ref().map_or(0, |_| self.sound_segments());
        (pictures + sound) as u64
    }

    fn sound_segments(&self) -> usize {
        self.cuts.marks.len() + self.cuts.tail.len()
    }

    /// Media time of what the file shows at `time`.
    pub(super) fn media_time(&self, time: Micros) -> Timestamp {
        let origin = self.cuts.marks.first().map_or(time, |first| first.at);
        START + (time - origin)
    }

    /// Where the file's pictures begin, or its sound if it has none.
    pub(super) fn first_time(&self) -> Micros {
        self.cuts.marks.first().map_or(Micros::ZERO, |mark| mark.at)
    }

    /// How long before its presentation the first key frame is decoded: the same for all
    /// of the file, however it is cut into chunks.
    pub(super) fn reorder_delay(&self) -> Micros {
        let first = self.cuts.marks.first();
        first.map_or(Micros::ZERO, |mark| {
            (mark.from - mark.seek).max(Micros::ZERO)
        })
    }
}

/// What speaks against taking the file's pictures as they are.
fn unfit(source: &VideoSource, cuts: &Cuts) -> Option<Unfit> {
    if source.codec.as_str() != "h264" || source.rotation != Rotation::None {
        return Some(Unfit::Form);
    }
    let Ok(avc) = AvcConfig::parse(source.record.clone()) else {
        return Some(Unfit::Form);
    };
    if !cuts.are_key_frames() {
        return Some(Unfit::Gop);
    }
    let profile = Unfit::of_profile(&avc);
    // A player goes by the bitstream: a container that says otherwise is right.
    let coded = Codec::Avc(avc).sample_aspect();
    match source.sample_aspect {
        Some(told) if !is_same_ratio(coded, told) => Some(Unfit::Form),
        _ => profile,
    }
}

fn is_same_ratio((across, down): (u32, u32), other: (u32, u32)) -> bool {
    u64::from(across) * u64::from(other.1) == u64::from(down) * u64::from(other.0)
}

fn refused(error: impl std::error::Error) -> Fault {
    Fault::Refused(error.to_string())
}

fn frame_duration(aac: &AacConfig) -> Micros {
    Micros::from_ticks(aac.frame_length.into(), aac.sample_rate)
}

/// What a scan found.
struct Scanned {
    info: FileInfo,
    /// `None`: there are no pictures.
    cutter: Option<Cutter>,
    /// What they take.
    picture_bytes: u64,
    /// Presentation times of the first and the last frame of the sound.
    sound: Option<(Micros, Micros)>,
}

impl Scanned {
    async fn read(mut scan: Demuxer) -> Result<Self, Fault> {
        let Some(Demuxed::Info(info)) = scan.next().await? else {
            return Err(Fault::Refused("the demuxer did not describe it".into()));
        };
        let cutter = info
            .video
            .as_ref()
            .map(|_| Cutter::new(CutConfig::default()));
        let mut scanned = Self {
            info,
            cutter,
            picture_bytes: 0,
            sound: None,
        };
        while let Some(demuxed) = scan.next().await? {
            if let Demuxed::Packet(track, packet) = demuxed {
                scanned.take(track, packet)?;
            }
        }
        Ok(scanned)
    }

    fn take(&mut self, track: TrackKind, packet: Packet) -> Result<(), Fault> {
        match (track, &mut self.cutter) {
            (TrackKind::Video, Some(cutter)) => {
                self.picture_bytes += u64::from(packet.size);
                cutter.push(packet).map_err(refused)
            }
            (TrackKind::Audio, _) if packet.hidden => Ok(()),
            (TrackKind::Audio, _) => {
                let (first, last) = self.sound.unwrap_or((packet.pts, packet.pts));
                self.sound = Some((first.min(packet.pts), last.max(packet.pts)));
                Ok(())
            }
            (TrackKind::Video, None) => Ok(()),
        }
    }

    fn aac(&self) -> Result<Option<AacConfig>, Fault> {
        let heard = self.info.aac.clone().filter(|_| self.sound.is_some());
        heard.map(AacConfig::parse).transpose().map_err(refused)
    }
}

#[cfg(test)]
mod tests;
