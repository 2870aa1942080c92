//! What an edge has on disk to be known by: the folder `edge` of its data directory.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use media::NodeId;
use storage::rows::purges::Seen;

use crate::data_dir::{DirectoryError, DirectoryLock};

/// The file that says how far purges were obeyed.
const SEEN: &str = "purges-seen";

/// The folder, locked until this is dropped: two edges with one id would answer for each other.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    id: NodeId,
    _lock: DirectoryLock,
}

impl Place {
    /// Makes the folder if there is none.
    pub fn take(data_dir: &Path) -> Result<Self, DirectoryError> {
        let directory = data_dir.join("edge");
        fs::create_dir_all(&directory).map_err(|source| DirectoryError::File {
            file: directory.clone(),
            source,
        })?;
        let lock = DirectoryLock::take(&directory)?;
        Ok(Self {
            id: lock.node_id()?,
            directory,
            _lock: lock,
        })
    }

    /// The node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The last purge that all that is stored here is known to be free of. What cannot be
    /// read is none: then more is obeyed again than need be.
    pub fn seen(&self) -> Result<Seen, DirectoryError> {
        let file = self.directory.join(SEEN);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(parse(&text).unwrap_or_else(|| {
                tracing::warn!(file = %file.display(), "the file is damaged: all purges are obeyed anew");
                Seen::default()
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Seen::default()),
            Err(source) => Err(DirectoryError::File { file, source }),
        }
    }

    /// Whole, or as it was.
    pub async fn write_seen(&self, seen: Seen) -> io::Result<()> {
        let file = self.directory.join(SEEN);
        let unfinished = self.directory.join("purges-seen.new");
        let id = seen.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let text = format!("{} {id}\n", seen.position);
        let written = tokio::task::spawn_blocking(move || {
            let mut new = fs::File::create(&unfinished)?;
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            fs::rename(unfinished, file)
        });
        written.await.map_err(io::Error::other)?
    }
}

fn parse(text: &str) -> Option<Seen> {
    let (position, id) = text.strip_suffix('\n')?.split_once(' ')?;
    Some(Seen {
        position: position.parse().ok()?,
        id: match id {
            "-" => None,
            id => Some(id.parse().ok()?),
        },
    })
}

#[cfg(test)]
mod tests {
    use media::PurgeId;

    use super::*;

    #[tokio::test]
    async fn how_far_purges_were_obeyed_is_read_back_or_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::take(directory.path()).unwrap();
        assert_eq!(place.seen().unwrap(), Seen::default());
        for id in [None, Some(PurgeId::new())] {
            let seen = Seen { position: 7, id };
            place.write_seen(seen).await.unwrap();
            assert_eq!(place.seen().unwrap(), seen);
        }
        for damaged in ["", "7", "7 x\n", "-1 -\n", "7 -"] {
            fs::write(directory.path().join("edge").join(SEEN), damaged).unwrap();
            assert_eq!(place.seen().unwrap(), Seen::default(), "{damaged:?}");
        }
        let second = Place::take(directory.path()).unwrap_err().to_string();
        assert!(second.contains("another nova process"), "{second}");
        let id = place.id();
        drop(place);
        assert_eq!(Place::take(directory.path()).unwrap().id(), id);
    }
}
