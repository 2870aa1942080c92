//! Where the media of live streams and of videos are kept in the object store.

use media::{EpochNumber, RenditionName, SegmentNumber, StreamId, VideoId};

/// What the keys of an epoch's objects begin with: `live/{stream}/{epoch}/`.
pub fn epoch(stream: StreamId, epoch: EpochNumber) -> String {
    format!("live/{stream}/{epoch}/")
}

/// The key of an init segment: `live/{stream}/{epoch}/{rendition}/init.mp4`.
pub fn init(stream: StreamId, epoch: EpochNumber, rendition: &RenditionName) -> String {
    format!("live/{stream}/{epoch}/{rendition}/init.mp4")
}

/// The key of a segment: `live/{stream}/{epoch}/{rendition}/{n}.m4s`.
pub fn segment(
    stream: StreamId,
    epoch: EpochNumber,
    rendition: &RenditionName,
    number: SegmentNumber,
) -> String {
    format!("live/{stream}/{epoch}/{rendition}/{number}.m4s")
}

/// What the keys of an imported video's objects begin with: `vod/{video}/`.
pub fn video(video: VideoId) -> String {
    format!("vod/{video}/")
}

/// The key of an imported file as it came: `vod/{video}/original`.
pub fn video_original(video: VideoId) -> String {
    format!("vod/{video}/original")
}

/// The key of an imported video's init segment: `vod/{video}/{epoch}/{rendition}/init.mp4`.
pub fn video_init(video: VideoId, epoch: EpochNumber, rendition: &RenditionName) -> String {
    format!("vod/{video}/{epoch}/{rendition}/init.mp4")
}

/// The key of an imported video's segment: `vod/{video}/{epoch}/{rendition}/{n}.m4s`.
pub fn video_segment(
    video: VideoId,
    epoch: EpochNumber,
    rendition: &RenditionName,
    number: SegmentNumber,
) -> String {
    format!("vod/{video}/{epoch}/{rendition}/{number}.m4s")
}

/// What a key of a live stream's object names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectName {
    /// The stream.
    pub stream: StreamId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// The rendition.
    pub rendition: RenditionName,
    /// `None`: the init segment.
    pub number: Option<SegmentNumber>,
}

impl ObjectName {
    /// Its key.
    pub fn key(&self) -> String {
        match self.number {
            Some(number) => segment(self.stream, self.epoch, &self.rendition, number),
            None => init(self.stream, self.epoch, &self.rendition),
        }
    }

    /// `None`: nothing of ours has this key.
    pub fn parse(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix("live/")?.split('/');
        let name = Self {
            stream: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
            rendition: parts.next()?.parse().ok()?,
            number: match parts.next()? {
                "init.mp4" => None,
                file => Some(file.strip_suffix(".m4s")?.parse().ok()?),
            },
        };
        // Numbers can be spelled in several ways; keys are not.
        (name.key() == key).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_made() {
        let stream = StreamId::new();
        for number in [None, Some(SegmentNumber(0)), Some(SegmentNumber(12_345))] {
            let name = ObjectName {
                stream,
                epoch: EpochNumber(7),
                rendition: RenditionName::SOURCE,
                number,
            };
            assert_eq!(ObjectName::parse(&name.key()), Some(name));
        }
        for not_ours in [
            "doctor/probe".to_owned(),
            "live/garden/0/source/1.m4s".to_owned(),
            format!("live/{stream}/0/source/01.m4s"),
            format!("live/{stream}/+0/source/1.m4s"),
            format!("live/{stream}/0/source/1.mp4"),
            format!("live/{stream}/0/source"),
            format!("live/{stream}/0/source/1.m4s/x"),
        ] {
            assert_eq!(ObjectName::parse(&not_ours), None, "{not_ours}");
        }
    }
}
