//! Uploads in parts: a folder for each, which outlives the process.
//!
//! `.uploads/{id}/key` holds the key, and its age is the upload's; `.uploads/{id}/{number}`
//! is a part. Folders and parts appear whole, by a rename.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use media::Timestamp;
use uuid::Uuid;

use super::folders::sync_folder;
use super::{Durability, Inner, etag, is_absent, modified};
use crate::objects::keys::is_key;
use crate::objects::parts::{check_part, check_parts, check_stored};
use crate::objects::{
    ObjectError, PAGE_KEYS, Upload, UploadId, UploadPage, UploadedPart, check_key,
};

const KEY: &str = "key";

impl Inner {
    pub(super) fn create_upload(&self, key: &str) -> Result<UploadId, ObjectError> {
        check_key(key)?;
        let id = Uuid::now_v7().to_string();
        let folder = self.uploads.join(&id);
        let create = || {
            let _room = self.room(key.len() as u64)?;
            let made = self.temporary_path()?;
            fs::create_dir(&made)?;
            let filled = self.fill_upload(key, &made, &folder);
            if filled.is_err() {
                // The first failure is the one to tell; an open removes what stays.
                let _ = fs::remove_dir_all(&made);
            }
            filled
        };
        match create() {
            Ok(()) => Ok(UploadId(id)),
            Err(source) => Err(ObjectError::disk("create an upload in", &folder, source)),
        }
    }

    fn fill_upload(&self, key: &str, made: &Path, folder: &Path) -> io::Result<()> {
        let mut temporary = self.temporary()?;
        temporary.write(key.as_bytes())?;
        self.name_part(temporary, &made.join(KEY))?;
        fs::rename(made, folder)?;
        match self.durability {
            Durability::Name => sync_folder(&self.uploads),
            Durability::Process | Durability::Content => Ok(()),
        }
    }

    pub(super) fn upload_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u32,
        data: &[u8],
    ) -> Result<UploadedPart, ObjectError> {
        check_part(key, number, data.len() as u64)?;
        let folder = self.upload_folder(key, upload)?;
        let path = folder.join(number.to_string());
        let failed = |source| ObjectError::disk("put", &path, source);
        let _room = self.room(data.len() as u64).map_err(failed)?;
        let mut temporary = self.temporary().map_err(failed)?;
        temporary.write(data).map_err(failed)?;
        let metadata = temporary.file().metadata().map_err(failed)?;
        match self.name_part(temporary, &path) {
            // Aborted, or completed, meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(key, upload)),
            Err(source) => Err(failed(source)),
            Ok(()) => Ok(UploadedPart {
                number,
                size: metadata.len(),
                etag: etag(&metadata),
                crc32: None,
            }),
        }
    }

    pub(super) fn last_part(
        &self,
        key: &str,
        upload: &UploadId,
    ) -> Result<Option<Timestamp>, ObjectError> {
        let listed = self.listed_parts(key, upload)?;
        Ok(listed.into_iter().map(|(_, stored)| stored).max())
    }

    /// The parts by number, each with the time when it was stored.
    pub(super) fn listed_parts(
        &self,
        key: &str,
        upload: &UploadId,
    ) -> Result<Vec<(UploadedPart, Timestamp)>, ObjectError> {
        let folder = self.upload_folder(key, upload)?;
        parts_in(&folder).map_err(|source| match is_absent(&source) {
            true => not_found(key, upload),
            false => ObjectError::disk("list", &folder, source),
        })
    }

    pub(super) fn complete_upload(
        &self,
        key: &str,
        upload: &UploadId,
        parts: &[UploadedPart],
    ) -> Result<(), ObjectError> {
        check_key(key)?;
        check_parts(key, parts)?;
        let stored = self.listed_parts(key, upload)?;
        let stored: Vec<_> = stored.into_iter().map(|(part, _)| part).collect();
        check_stored(key, parts, &stored)?;
        let folder = self.upload_folder(key, upload)?;
        let path = self.root.join(key);
        self.join(&folder, parts)
            .and_then(|temporary| self.name(temporary, &path))
            .map_err(|source| ObjectError::disk("complete", &path, source))?;
        if let Err(error) = self.remove_upload(&folder) {
            tracing::warn!(key, %error, "the parts of a completed upload stay until it is stale");
        }
        Ok(())
    }

    pub(super) fn abort_upload(&self, key: &str, upload: &UploadId) -> Result<(), ObjectError> {
        let folder = match self.upload_folder(key, upload) {
            Err(ObjectError::UploadNotFound { .. }) => return Ok(()),
            folder => folder?,
        };
        match self.remove_upload(&folder) {
            Err(source) if !is_absent(&source) => Err(ObjectError::disk("abort", &folder, source)),
            _ => Ok(()),
        }
    }

    pub(super) fn list_uploads(&self, cursor: Option<&Upload>) -> Result<UploadPage, ObjectError> {
        let mut uploads = self
            .uploads_there()
            .map_err(|source| ObjectError::disk("list", &self.uploads, source))?;
        uploads.retain(|one| cursor.is_none_or(|c| (&one.key, &one.id) > (&c.key, &c.id)));
        uploads.sort_unstable_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        let more = uploads.len() > PAGE_KEYS;
        uploads.truncate(PAGE_KEYS);
        let next = uploads.last().filter(|_| more).cloned();
        Ok(UploadPage { uploads, next })
    }

    fn uploads_there(&self) -> io::Result<Vec<Upload>> {
        let mut uploads = Vec::new();
        let folders = match fs::read_dir(&self.uploads) {
            // There was no room for it yet.
            Err(error) if is_absent(&error) => return Ok(uploads),
            folders => folders?,
        };
        for entry in folders {
            let entry = entry?;
            let Ok(id) = entry.file_name().into_string() else {
                continue;
            };
            let path = entry.path().join(KEY);
            match fs::read_to_string(&path).and_then(|key| Ok((key, fs::metadata(&path)?))) {
                Ok((key, metadata)) if is_key(&key) => uploads.push(Upload {
                    key,
                    id: UploadId(id),
                    started: modified(&metadata),
                }),
                // It ended meanwhile, or it is none of ours.
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(uploads)
    }

    /// The folder of an upload that is there, and for this key.
    fn upload_folder(&self, key: &str, upload: &UploadId) -> Result<PathBuf, ObjectError> {
        check_key(key)?;
        // Anything else could be a path out of here.
        let id = Uuid::parse_str(&upload.0).map_err(|_| not_found(key, upload))?;
        let folder = self.uploads.join(id.to_string());
        match fs::read(folder.join(KEY)) {
            Ok(its) if its == key.as_bytes() => Ok(folder),
            Ok(_) => Err(not_found(key, upload)),
            Err(error) if is_absent(&error) => Err(not_found(key, upload)),
            Err(source) => Err(ObjectError::disk("read", &folder, source)),
        }
    }

    fn join(&self, folder: &Path, parts: &[UploadedPart]) -> io::Result<super::write::Temporary> {
        let _room = self.room(parts.iter().map(|part| part.size).sum())?;
        let mut joined = self.temporary()?;
        for part in parts {
            let mut file = File::open(folder.join(part.number.to_string()))?;
            if etag(&file.metadata()?) != part.etag {
                return Err(io::Error::other(
                    "a part was replaced while parts were joined",
                ));
            }
            io::copy(&mut file, joined.file())?;
        }
        Ok(joined)
    }

    /// In one step for those who look, so that nobody finds half an upload.
    fn remove_upload(&self, folder: &Path) -> io::Result<()> {
        let moved = self.temporary_path().and_then(|removed| {
            fs::rename(folder, &removed)?;
            Ok(removed)
        });
        match moved {
            Ok(removed) => fs::remove_dir_all(removed),
            // Making room needs none.
            Err(error) if error.kind() == ErrorKind::StorageFull => fs::remove_dir_all(folder),
            Err(error) => Err(error),
        }
    }
}

fn parts_in(folder: &Path) -> io::Result<Vec<(UploadedPart, Timestamp)>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let metadata = entry.metadata()?;
        let part = UploadedPart {
            number,
            size: metadata.len(),
            etag: etag(&metadata),
            crc32: None,
        };
        parts.push((part, modified(&metadata)));
    }
    parts.sort_unstable_by_key(|(part, _)| part.number);
    Ok(parts)
}

fn not_found(key: &str, upload: &UploadId) -> ObjectError {
    ObjectError::UploadNotFound {
        key: key.to_owned(),
        upload: upload.clone(),
    }
}
