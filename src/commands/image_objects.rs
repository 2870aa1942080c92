//! Whether the objects of pictures of posts and their rows say the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::io;

use futures_util::TryStreamExt;
use media::ImageId;
use storage::rows::Database;
use storage::rows::images::{self, FOLDER, ImageRow, Size};
use storage::{ObjectError, ObjectStore};

use super::objects::{Compared, ObjectFault, sizes};

/// Rows that are read at a time.
const ROWS: u32 = 500;

/// Compares every object of pictures with the rows and every row with its objects, page by page,
/// while both may change.
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
    let mut after = None;
    loop {
        let page = images::list(database, after, ROWS).await?;
        after = page.last().map(|row| row.id);
        compared.rows += page.len() as u64;
        // What was let go is being deleted.
        let kept = page.iter().filter(|row| row.let_go_at.is_none());
        let asked = kept.flat_map(|row| keys_of(row).map(|key| (key, row)));
        let mut answers = sizes(objects, asked);
        let mut found: HashMap<ImageId, u64> = HashMap::new();
        let mut incomplete = BTreeSet::new();
        while let Some((key, row, object)) = answers.try_next().await? {
            match object {
                Some(bytes) => *found.entry(row.id).or_default() += bytes,
                None => {
                    incomplete.insert(row.id);
                    if is_kept(database, row.id).await? {
                        fault(compared, ObjectFault::Missing(key))?;
                    }
                }
            }
        }
        // A row says how many bytes all of them have.
        for row in page.iter().filter(|row| !incomplete.contains(&row.id)) {
            match found.get(&row.id) {
                Some(&object) if object != row.size => {
                    let (key, row) = (images::folder(row.id), row.size);
                    fault(compared, ObjectFault::Size { key, row, object })?;
                }
                _ => {}
            }
        }
        if after.is_none() {
            break;
        }
    }
    let mut cursor = None;
    loop {
        let page = objects.list(FOLDER, cursor.as_deref()).await?;
        compared.objects += page.keys.len() as u64;
        let mut by_image: BTreeMap<ImageId, Vec<String>> = BTreeMap::new();
        for key in page.keys {
            match owner_of(&key) {
                Some(image) => by_image.entry(image).or_default().push(key),
                None => fault(compared, ObjectFault::Orphan(key))?,
            }
        }
        for (image, keys) in by_image {
            // Asked in this order: the row comes before the job ends.
            let is_intended = images::is_intended(database, image).await?;
            let row = images::by_ids(database, &[image]).await?.pop();
            for key in keys {
                let is_its = |row: &ImageRow| keys_of(row).contains(&key);
                match &row {
                    // What was let go is being deleted, whatever it is.
                    Some(row) if row.let_go_at.is_some() || is_its(row) => {}
                    None if is_intended => compared.unsettled += 1,
                    // Both may have gone since they were listed.
                    _ => match objects.head(&key).await {
                        Err(ObjectError::NotFound(_)) => {}
                        Err(error) => return Err(error.into()),
                        Ok(_) => fault(compared, ObjectFault::Orphan(key))?,
                    },
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The keys that a row says there are objects under.
fn keys_of(row: &ImageRow) -> [String; 2] {
    Size::ALL.map(|size| images::key(row.id, size, row.media_type))
}

/// Whether the row is still there and kept: it may have been let go meanwhile.
async fn is_kept(database: &Database, image: ImageId) -> Result<bool, Box<dyn Error>> {
    let row = images::by_ids(database, &[image]).await?.pop();
    Ok(row.is_some_and(|row| row.let_go_at.is_none()))
}

/// The picture in whose folder a key is. `None`: nothing of ours has this key.
fn owner_of(key: &str) -> Option<ImageId> {
    let (image, _) = key.strip_prefix(FOLDER)?.split_once('/')?;
    let parsed: ImageId = image.parse().ok()?;
    (parsed.to_string() == image).then_some(parsed)
}
