//! Whether objects and their rows say the same: those of live streams here, then those of
//! videos and of pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use media::StreamId;
use packager::object_key::ObjectName;
use storage::rows::{Database, inventory};
use storage::{ObjectError, ObjectStore};

use super::{image_objects, video_objects};

/// Rows that are read at a time.
const ROWS: u32 = 500;
/// Objects that are asked for at once.
const REQUESTS: usize = 16;
/// Where the objects of live streams are.
const LIVE: &str = "live/";

/// Something that objects and rows do not say alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectFault {
    /// A row's object is not there.
    Missing(String),
    /// An object is not as long as its row says.
    Size {
        /// Its key.
        key: String,
        /// Bytes, as the row says.
        row: u64,
        /// Bytes that it has.
        object: u64,
    },
    /// No row says that this object is there.
    Orphan(String),
}

impl fmt::Display for ObjectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key) => write!(f, "object {key} is missing: a row says it is there"),
            Self::Size { key, row, object } => {
                write!(f, "object {key} has {object} bytes: its row says {row}")
            }
            Self::Orphan(key) => write!(f, "object {key} is an orphan: no row says it is there"),
        }
    }
}

/// What a comparison went through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// Rows that say that there is an object.
    pub rows: u64,
    /// Objects.
    pub objects: u64,
    /// What was wrong.
    pub faults: u64,
    /// Objects without a row, of broadcasts that are going on or were not settled after
    /// their end, of videos that are not finished, and of pictures that are being sent: there an
    /// object comes before its row.
    pub unsettled: u64,
}

/// Compares every object with the rows and every row with its object, page by page, while
/// both may change.
pub async fn compare(
    database: &Database,
    objects: &dyn ObjectStore,
    mut tell: impl FnMut(ObjectFault) -> io::Result<()>,
) -> Result<Compared, Box<dyn Error>> {
    let mut comparison = Comparison {
        database,
        objects,
        tell: &mut tell,
        compared: Compared::default(),
    };
    comparison.segments().await?;
    comparison.renditions().await?;
    comparison.stored().await?;
    let mut compared = comparison.compared;
    video_objects::compare(database, objects, &mut compared, &mut tell).await?;
    image_objects::compare(database, objects, &mut compared, &mut tell).await?;
    Ok(compared)
}

/// A key, the row that tells of it, and how many bytes its object has; `None`: there is none.
type Asked<T> = (String, T, Option<u64>);

/// Asks for the objects that rows tell of, several at once.
pub(super) fn sizes<'a, T: Send + 'a>(
    objects: &'a dyn ObjectStore,
    rows: impl Iterator<Item = (String, T)> + Send + 'a,
) -> BoxStream<'a, Result<Asked<T>, ObjectError>> {
    let asked = stream::iter(rows).map(move |(key, row)| async move {
        match objects.head(&key).await {
            Ok(head) => Ok((key, row, Some(head.size))),
            Err(ObjectError::NotFound(_)) => Ok((key, row, None)),
            Err(error) => Err(error),
        }
    });
    asked.buffered(REQUESTS).boxed()
}

struct Comparison<'a, T> {
    database: &'a Database,
    objects: &'a dyn ObjectStore,
    tell: T,
    compared: Compared,
}

impl<T: FnMut(ObjectFault) -> io::Result<()>> Comparison<'_, T> {
    fn fault(&mut self, fault: ObjectFault) -> io::Result<()> {
        self.compared.faults += 1;
        (self.tell)(fault)
    }

    async fn segments(&mut self) -> Result<(), Box<dyn Error>> {
        let mut after = None;
        loop {
            let page = inventory::segments(self.database, after.as_ref(), ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let name = |segment: &inventory::StoredSegment| ObjectName {
                stream: segment.stream,
                epoch: segment.row.epoch,
                rendition: segment.row.rendition.clone(),
                number: Some(segment.row.segment.number),
            };
            let expected = page.iter().map(|s| (name(s), Some(s.row.segment.size)));
            self.ask_for(expected.collect()).await?;
        }
    }

    async fn renditions(&mut self) -> Result<(), Box<dyn Error>> {
        let mut after = None;
        loop {
            let page = inventory::renditions(self.database, after.as_ref(), ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            let name = |rendition: &inventory::StoredRendition| ObjectName {
                stream: rendition.stream,
                epoch: rendition.epoch,
                rendition: rendition.name.clone(),
                number: None,
            };
            // A row does not say how long an init segment is.
            let expected = page.iter().map(|rendition| (name(rendition), None));
            self.ask_for(expected.collect()).await?;
        }
    }

    /// Whether these objects are there, each with its bytes.
    async fn ask_for(
        &mut self,
        expected: Vec<(ObjectName, Option<u64>)>,
    ) -> Result<(), Box<dyn Error>> {
        self.compared.rows += expected.len() as u64;
        let asked = expected.into_iter().map(|row| (row.0.key(), row));
        let mut answers = sizes(self.objects, asked);
        while let Some((key, (name, row), object)) = answers.try_next().await? {
            match (row, object) {
                (Some(row), Some(object)) if row != object => {
                    self.fault(ObjectFault::Size { key, row, object })?;
                }
                (_, Some(_)) => {}
                (_, None) => {
                    if self.is_still_expected(&name).await? {
                        self.fault(ObjectFault::Missing(key))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the row is still there: it may have been deleted with its object.
    async fn is_still_expected(&self, name: &ObjectName) -> Result<bool, Box<dyn Error>> {
        let Some(number) = name.number else {
            let epochs = vec![name.epoch.0.into()];
            let found = inventory::renditions_of(self.database, name.stream, epochs).await?;
            let mut found = found.iter();
            return Ok(found.any(|found| found.name == name.rendition && found.is_kept));
        };
        let Some(state) = inventory::stream_state(self.database, name.stream).await? else {
            return Ok(false);
        };
        let numbers = i64::try_from(number.0).into_iter().collect();
        let rows = inventory::segments_numbered(self.database, name.stream, numbers).await?;
        let is_there = rows.iter().any(|row| row.rendition == name.rendition);
        Ok(is_there && number >= state.kept_from)
    }

    /// Whether rows say that what is stored is there.
    async fn stored(&mut self) -> Result<(), Box<dyn Error>> {
        let mut cursor = None;
        loop {
            let page = self.objects.list(LIVE, cursor.as_deref()).await?;
            self.compared.objects += page.keys.len() as u64;
            let mut by_stream: BTreeMap<StreamId, Vec<ObjectName>> = BTreeMap::new();
            for key in page.keys {
                match ObjectName::parse(&key) {
                    Some(name) => by_stream.entry(name.stream).or_default().push(name),
                    None => self.fault(ObjectFault::Orphan(key))?,
                }
            }
            for (stream, names) in by_stream {
                self.stored_of(stream, names).await?;
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// As [`Self::stored`], of one stream and at most one page.
    async fn stored_of(
        &mut self,
        stream: StreamId,
        names: Vec<ObjectName>,
    ) -> Result<(), Box<dyn Error>> {
        // Read after the listing: what was deleted since is below the floor now.
        let Some(state) = inventory::stream_state(self.database, stream).await? else {
            for name in names {
                self.fault(ObjectFault::Orphan(name.key()))?;
            }
            return Ok(());
        };
        let numbers: BTreeSet<i64> = names
            .iter()
            .filter_map(|name| i64::try_from(name.number?.0).ok())
            .collect();
        let epochs: BTreeSet<i64> = names.iter().map(|name| name.epoch.0.into()).collect();
        let numbers = numbers.into_iter().collect();
        let segments = inventory::segments_numbered(self.database, stream, numbers).await?;
        let segments: BTreeSet<_> = segments
            .into_iter()
            .filter(|row| !row.segment.is_gap())
            .map(|row| (row.epoch, row.rendition, Some(row.segment.number)))
            .collect();
        let epochs = epochs.into_iter().collect();
        let renditions = inventory::renditions_of(self.database, stream, epochs).await?;
        let renditions: BTreeSet<_> = renditions
            .into_iter()
            .map(|row| (row.epoch, row.name, None))
            .collect();
        // Epochs that have no row are of a session that has just begun, if there is one.
        let known: BTreeSet<_> = renditions.iter().map(|(epoch, ..)| *epoch).collect();
        for name in names {
            let (key, epoch) = (name.key(), name.epoch);
            let is_below = name.number.is_some_and(|number| number < state.kept_from);
            let this = (epoch, name.rendition, name.number);
            if is_below || segments.contains(&this) || renditions.contains(&this) {
                continue;
            }
            let is_new = state.is_unsettled && !known.contains(&epoch);
            if is_new || state.unsettled.contains(&epoch) {
                self.compared.unsettled += 1;
            } else {
                self.fault(ObjectFault::Orphan(key))?;
            }
        }
        Ok(())
    }
}
