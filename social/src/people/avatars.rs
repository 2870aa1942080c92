//! Pictures of people.

use std::fmt::Write;
use std::future::ready;

use bytes::Bytes;
use media::UserId;
use sha2::{Digest, Sha256};
use storage::rows::avatars;
use storage::rows::images::MediaType;
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::leases;
use storage::rows::users::{self, UserRow};
use storage::{ObjectError, RowError};
use tokio_util::sync::CancellationToken;

use crate::caller::Caller;
use crate::limits::Key;
use crate::model::Me;
use crate::operation::Operation;
use crate::pictures::{Place, Remade, put, received, remake, unstored};
use crate::{ServiceError, Services};

/// How long a process that was killed keeps its jobs.
const SILENCE: media::Micros = media::Micros::from_secs(30);

/// Bytes of the content's hash in a name: the same picture has the same.
const HASH: usize = 16;

/// Random bytes in a name: no object's name is that of another, before or after it.
const NONCE: usize = 8;

impl Services {
    /// A place for a picture that somebody is about to send: whoever is known. It counts as one
    /// from here on, whatever comes of it.
    pub(crate) fn place_picture(&self, caller: &Caller) -> Result<Place, ServiceError> {
        let user = caller.user().ok_or(ServiceError::Unauthenticated)?;
        // Where there is none, nothing is counted.
        let place = self.pictures.place(user)?;
        let pictures = &self.limiter.pictures;
        pictures.take(Key::User(user), &caller.standings)?;
        Ok(place)
    }

    /// Shows another picture of the caller. `begin` gives the place that it has and the picture,
    /// which is sent when all else is known to be right: whoever may not sends it in vain.
    pub(crate) async fn set_avatar<E: From<ServiceError>, P>(
        &self,
        caller: &Caller,
        begin: impl FnOnce() -> Result<(Place, P), E>,
    ) -> Result<Me, E>
    where
        P: Future<Output = Result<Bytes, E>>,
    {
        let actor = self.begin_known(caller, Operation::SetAvatar)?;
        let (_place, picture) = begin()?;
        let given = received(picture).await?;
        let remade = self.pictures.remake(given, remake).await?;
        // That took a while, in which the login may have ended.
        self.check_revoked(&caller.identity)?;
        let row = self.show_avatar(actor.user, remade).await?;
        Ok(self.describe_me(&row).await?)
    }

    /// The same with a picture of which all is there.
    pub async fn set_whole_avatar(
        &self,
        caller: &Caller,
        picture: Bytes,
    ) -> Result<Me, ServiceError> {
        let begin = || Ok((self.place_picture(caller)?, ready(Ok(picture))));
        self.set_avatar(caller, begin).await
    }

    /// Shows no picture of the caller any more.
    pub async fn remove_avatar(&self, caller: &Caller) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RemoveAvatar)?;
        let mut transaction = self.db.write().await?;
        avatars::remove(&self.db, &mut transaction, actor.user, self.now()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes pictures that nobody shows any more, until `shutdown`.
    pub async fn drop_avatars(self, shutdown: CancellationToken) {
        let options = Options {
            queue: avatars::QUEUE,
            worker: leases::this_process(),
            concurrency: std::num::NonZeroUsize::MIN,
            ttl: SILENCE,
        };
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let handler = move |attempt: Attempt| {
            let services = self.clone();
            async move { avatars::settle(&services.db, &*services.objects, &attempt).await }
        };
        jobs::run(db, clock, options, handler, shutdown).await;
    }

    async fn show_avatar(&self, user: UserId, made: Remade) -> Result<UserRow, ServiceError> {
        let shown = users::by_id(&self.db, user).await?;
        let shown = shown.filter(UserRow::is_active);
        let shown = shown.ok_or(ServiceError::Unauthenticated)?;
        let name = AvatarName::of(user, &made)?;
        if self.is_shown(&shown, &name).await? {
            return Ok(shown);
        }
        let (key, intended_at) = (name.key(), self.now());
        let mut transaction = self.db.write().await?;
        avatars::intend(&self.db, &mut transaction, user, &key, intended_at).await?;
        transaction.commit().await?;
        put(&*self.objects, &key, made.data, made.media_type).await?;
        let (mut transaction, now) = (self.db.write().await?, self.now());
        let row = avatars::show(&self.db, &mut transaction, user, &key, intended_at, now).await;
        let row = row.map_err(|error| match error {
            // Suspended or deleted meanwhile.
            RowError::NotFound(_) => ServiceError::Unauthenticated,
            error => error.into(),
        })?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Whether the same picture is shown already, and is there.
    async fn is_shown(&self, row: &UserRow, new: &AvatarName) -> Result<bool, ServiceError> {
        let shown = row.avatar_key.as_deref().and_then(AvatarName::of_key);
        let shown = shown.filter(|shown| shown.content() == new.content());
        let Some(shown) = shown else {
            return Ok(false);
        };
        match self.objects.head(&shown.key()).await {
            Ok(_) => Ok(true),
            Err(ObjectError::NotFound(_)) => Ok(false),
            Err(error) => Err(unstored(error)),
        }
    }
}

/// Where a user's picture is, for whoever asks this server. Nobody is told while the user is kept
/// out.
pub(crate) fn avatar_url(row: &UserRow) -> Option<String> {
    let key = row.avatar_key.as_ref().filter(|_| row.is_active());
    key.map(|key| format!("/{key}"))
}

/// What names a picture, in its object's key and in its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AvatarName {
    user: UserId,
    /// In hexadecimal digits, of the content's hash and then a random number.
    stem: String,
    pub(crate) media_type: MediaType,
}

impl AvatarName {
    /// A new one.
    fn of(user: UserId, made: &Remade) -> Result<Self, ServiceError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)
            .map_err(|error| ServiceError::internal("random numbers", error))?;
        let hash = Sha256::digest(&made.data);
        let bytes = hash.iter().take(HASH).chain(&nonce);
        let stem = bytes.fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self {
            user,
            stem,
            media_type: made.media_type,
        })
    }

    /// That of a URL's last two segments; nothing else is one, so that no other object is named.
    pub(crate) fn parse(user: &str, file: &str) -> Option<Self> {
        let parsed: UserId = user.parse().ok()?;
        let (stem, extension) = file.split_once('.')?;
        let media_type = MediaType::of_extension(extension)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_stem = stem.len() == 2 * (HASH + NONCE) && stem.bytes().all(is_hex);
        (is_stem && parsed.to_string() == user).then(|| Self {
            user: parsed,
            stem: stem.to_owned(),
            media_type,
        })
    }

    /// The name that has this key.
    fn of_key(key: &str) -> Option<Self> {
        let (folder, file) = key.rsplit_once('/')?;
        let (_, user) = folder.rsplit_once('/')?;
        Self::parse(user, file).filter(|name| name.key() == key)
    }

    /// What is the same of two names of the same picture.
    fn content(&self) -> (MediaType, &str) {
        (self.media_type, &self.stem[..2 * HASH])
    }

    /// The object's key.
    pub(crate) fn key(&self) -> String {
        let folder = avatars::folder(self.user);
        format!("{folder}{}.{}", self.stem, self.media_type.extension())
    }

    /// What tells it from all others.
    pub(crate) fn stem(&self) -> &str {
        &self.stem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_pictures_and_nothing_else() {
        let user = UserId::new();
        let made = Remade {
            data: Bytes::from_static(b"x"),
            media_type: MediaType::Jpeg,
        };
        let name = AvatarName::of(user, &made).unwrap();
        let key = name.key();
        let [folder, of, file] = key.split('/').collect::<Vec<_>>()[..] else {
            panic!("{key}");
        };
        assert_eq!((folder, of), ("avatars", user.to_string().as_str()));
        assert_eq!(AvatarName::parse(of, file), Some(name.clone()));
        assert_eq!(AvatarName::of_key(&key), Some(name.clone()));
        assert_eq!(AvatarName::of_key(&format!("x{key}")), None);
        let another = AvatarName::of(user, &made).unwrap();
        assert_eq!(another.content(), name.content());
        assert_ne!(another.key(), key);
        let upper = file.to_ascii_uppercase();
        let longer = format!("0{file}");
        for bad in [
            &file[1..],
            &upper,
            &longer,
            &file.replace(".jpg", ".gif"),
            &file.replace(".jpg", ".jpg.png"),
            &file.replace(".jpg", ""),
            "..",
            "",
        ] {
            assert_eq!(AvatarName::parse(of, bad), None, "{bad}");
        }
        for bad in ["..", "", &of.to_uppercase(), &of.replace('-', "")] {
            assert_eq!(AvatarName::parse(bad, file), None, "{bad}");
        }
    }
}
