//! Whether the objects of imported videos and their rows say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;

use futures_util::TryStreamExt;
use media::{RenditionName, SegmentNumber, VideoId};
use packager::object_key;
use storage::rows::Database;
use storage::rows::videos::inventory::{self, VideoObject};
use storage::rows::videos::playback::IMPORT_EPOCH;
use storage::rows::videos::{self, VideoState};
use storage::{ObjectStore, RowError};

use super::objects::{Compared, ObjectFault, sizes};

/// Rows that are read at a time.
const ROWS: u32 = 500;
/// Where the objects of videos are.
const VOD: &str = "vod/";

/// Compares every object of imported videos with the rows and every row with its object,
/// page by page, while both may change.
pub(super) async fn compare(
    database: &Database,
    objects: &dyn ObjectStore,
    compared: &mut Compared,
    mut tell: impl FnMut(ObjectFault) -> io::Result<()>,
) -> Result<(), Box<dyn Error>> {
    let mut fault = |compared: &mut Compared, fault| {
        compared.faults += 1;
        tell(fault)
    };
    for is_init in [false, true] {
        let mut after: Option<VideoObject> = None;
        loop {
            let page = match is_init {
                false => inventory::segments(database, after.as_ref(), ROWS).await?,
                true => inventory::renditions(database, after.as_ref(), ROWS).await?,
            };
            compared.rows += page.len() as u64;
            after = page.last().cloned();
            let asked = page.into_iter().map(|row| (key_of(&row), row));
            let mut answers = sizes(objects, asked);
            while let Some((key, row, object)) = answers.try_next().await? {
                match (row.size, object) {
                    (Some(row), Some(object)) if row != object => {
                        fault(compared, ObjectFault::Size { key, row, object })?;
                    }
                    (_, Some(_)) => {}
                    (_, None) => {
                        // It may have been cancelled, and have gone, meanwhile.
                        let state = import_state(database, row.video).await?;
                        if !matches!(state, None | Some(VideoState::Cancelled)) {
                            fault(compared, ObjectFault::Missing(key))?;
                        }
                    }
                }
            }
            if after.is_none() {
                break;
            }
        }
    }
    let mut cursor = None;
    loop {
        let page = objects.list(VOD, cursor.as_deref()).await?;
        compared.objects += page.keys.len() as u64;
        let mut by_video: BTreeMap<VideoId, Vec<(String, Name)>> = BTreeMap::new();
        for key in page.keys {
            match parse(&key) {
                Some((video, name)) => by_video.entry(video).or_default().push((key, name)),
                None => fault(compared, ObjectFault::Orphan(key))?,
            }
        }
        for (video, names) in by_video {
            let numbers = names.iter().filter_map(|(_, name)| name.number());
            let numbers = numbers.collect();
            // Read after the listing, and the state before the rows: when a video is ready,
            // all its rows are there.
            let state = import_state(database, video).await?;
            let rows = inventory::objects_of(database, video, numbers).await?;
            let rows: BTreeSet<_> = rows
                .into_iter()
                .map(|row| Name::Media(row.rendition, row.number))
                .collect();
            for (key, name) in names {
                match state {
                    _ if rows.contains(&name) => {}
                    Some(_) if name == Name::Original => {}
                    Some(VideoState::Cancelled) => {}
                    // An attempt that ended put it and did not come to its row. What is
                    // left of a failed video goes with it.
                    Some(VideoState::Transcoding | VideoState::Failed) => {
                        compared.unsettled += 1;
                    }
                    _ => fault(compared, ObjectFault::Orphan(key))?,
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The key that a row says there is an object under.
fn key_of(row: &VideoObject) -> String {
    let (video, rendition) = (row.video, &row.rendition);
    match row.number {
        Some(number) => object_key::video_segment(video, IMPORT_EPOCH, rendition, number),
        None => object_key::video_init(video, IMPORT_EPOCH, rendition),
    }
}

/// Where an imported video is; `None`: there is no such video, or it is a recording.
async fn import_state(database: &Database, video: VideoId) -> Result<Option<VideoState>, RowError> {
    let found = videos::get(database, video).await?;
    Ok(found
        .filter(|video| video.session.is_none())
        .map(|video| video.state))
}

/// What a key names within its video.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Name {
    Original,
    Media(RenditionName, Option<SegmentNumber>),
}

impl Name {
    fn number(&self) -> Option<i64> {
        match self {
            Self::Media(_, Some(number)) => i64::try_from(number.0).ok(),
            _ => None,
        }
    }
}

/// `None`: nothing of ours has this key.
fn parse(key: &str) -> Option<(VideoId, Name)> {
    let (video, rest) = key.strip_prefix(VOD)?.split_once('/')?;
    let video: VideoId = video.parse().ok()?;
    if rest == "original" {
        return Some((video, Name::Original));
    }
    let mut parts = rest.strip_prefix("0/")?.split('/');
    let rendition: RenditionName = parts.next()?.parse().ok()?;
    let file = parts.next()?;
    let number = match file {
        "init.mp4" => None,
        file => Some(file.strip_suffix(".m4s")?.parse().ok()?),
    };
    let made = match number {
        Some(number) => object_key::video_segment(video, IMPORT_EPOCH, &rendition, number),
        None => object_key::video_init(video, IMPORT_EPOCH, &rendition),
    };
    // Numbers can be spelled in several ways; keys are not.
    (made == key).then_some((video, Name::Media(rendition, number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_made() {
        let video = VideoId::new();
        let source = RenditionName::SOURCE;
        let media = |number| Some((video, Name::Media(source.clone(), number)));
        let key = object_key::video_segment(video, IMPORT_EPOCH, &source, SegmentNumber(12));
        assert_eq!(parse(&key), media(Some(SegmentNumber(12))));
        let key = object_key::video_init(video, IMPORT_EPOCH, &source);
        assert_eq!(parse(&key), media(None));
        let key = object_key::video_original(video);
        assert_eq!(parse(&key), Some((video, Name::Original)));
        for not_ours in [
            "vod/x/original".to_owned(),
            format!("vod/{video}/0/source/012.m4s"),
            format!("vod/{video}/1/source/12.m4s"),
            format!("vod/{video}/0/source"),
        ] {
            assert_eq!(parse(&not_ours), None, "{not_ours}");
        }
    }
}
