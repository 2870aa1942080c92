//! Listing folders in the byte order of keys.

use std::fs;
use std::io;
use std::path::Path;

use super::is_absent;
use crate::objects::keys::{check_folder, is_key};
use crate::objects::{ObjectError, PAGE_KEYS, Page};

pub(super) fn list(root: &Path, prefix: &str, cursor: Option<&str>) -> Result<Page, ObjectError> {
    check_folder(prefix)?;
    let path = root.join(prefix);
    let mut walk = Walk {
        cursor,
        keys: Vec::new(),
    };
    walk.folder(&path, prefix)
        .map_err(|source| ObjectError::disk("list", &path, source))?;
    let mut keys = walk.keys;
    let more = keys.len() > PAGE_KEYS;
    keys.truncate(PAGE_KEYS);
    let next = keys.last().filter(|_| more).cloned();
    Ok(Page { keys, next })
}

struct Walk<'a> {
    cursor: Option<&'a str>,
    keys: Vec<String>,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.keys.len() > PAGE_KEYS
    }

    /// Adds the keys of the folder at `path`, each beginning with `prefix`, until there
    /// is one more than a page holds.
    fn folder(&mut self, path: &Path, prefix: &str) -> io::Result<()> {
        for name in names_in_key_order(path)? {
            if self.is_full() {
                break;
            }
            let key = format!("{prefix}{name}");
            if key.ends_with('/') {
                // A folder lies wholly before the cursor unless the cursor is inside it.
                if self
                    .cursor
                    .is_none_or(|c| key.as_str() > c || c.starts_with(&key))
                {
                    self.folder(&path.join(&name), &key)?;
                }
            } else if self.cursor.is_none_or(|c| key.as_str() > c) {
                self.keys.push(key);
            }
        }
        Ok(())
    }
}

/// The names in a folder, a folder's with its `/`: sorted, they give keys in byte order.
fn names_in_key_order(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(mut name) = entry.file_name().into_string() else {
            continue;
        };
        // What somebody else put here, under a name that is no key, is none of ours.
        if !is_key(&name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            name.push('/');
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}
