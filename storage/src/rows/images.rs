//! Pictures of posts: whose they are, which post has them, and which nobody is shown any more.
//!
//! A picture has an object of each [`Size`], under keys that have its id. The objects come first,
//! and the row is their proof:
//!
//! 1. [`intend`] enqueues a job for the id, before the objects are put.
//! 2. The objects are put.
//! 3. [`insert`] makes the row. The picture is its owner's, and on no post yet.
//!
//! The job of 1 comes long after 3 could have been, and deletes the objects unless the row is
//! there: an upload that ended half-way leaves nothing.
//!
//! A picture that is on no post for long, or whose post is deleted, is *let go*, which is final:
//! nobody is shown it, and no post can take it. So [`sweep`] needs no lock to delete the objects
//! of what was let go, and then the rows.

mod sweeping;

use std::num::NonZeroU32;

use media::{ImageId, Micros, PostId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::jobs::{self, Attempt, HandlerError, NewJob};
use super::posts::uuids;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
pub use super::words::InvalidWord;
use super::words::words;
use super::{Database, Entity, RowError, Transaction, users};
use crate::objects::ObjectStore;

pub use sweeping::{SweepError, sweep};
pub(super) use sweeping::{let_go_of, let_go_unposted_of};

/// The queue of the jobs that look after uploads.
pub const QUEUE: &str = "drop-image";

/// What the keys of all pictures begin with.
pub const FOLDER: &str = "images/";

/// How long after [`intend`] a picture may still get its row.
pub const INSERTED_WITHIN: Micros = Micros::from_secs(30 * 60);

/// How long after [`intend`] it is looked at whether the row is there.
pub const SETTLED_AFTER: Micros = Micros::from_secs(60 * 60);

/// How long a picture may be on no post.
pub const UNPOSTED_FOR: Micros = Micros::from_secs(24 * 60 * 60);

/// Pictures that one person has on no post. The oldest gives way to the next.
pub const UNPOSTED_AT_MOST: u64 = 20;

/// Pictures of one post.
pub const IMAGES_AT_MOST: usize = 4;

/// The longest description that is kept, in bytes: a guard. What people may write is less, and
/// is checked before.
pub const DESCRIPTION_BYTES_AT_MOST: usize = 8 * 1024;

/// With so many failures a job is dead, after about a day.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(100).expect("100 is not 0");

words! {
    /// What the files of a picture are, as `Content-Type` has it.
    MediaType, "image/png or image/jpeg":
    /// PNG.
    Png = "image/png",
    /// JPEG.
    Jpeg = "image/jpeg"
}

impl MediaType {
    /// How the names of its files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }

    /// That of files whose names end so.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let all = [Self::Png, Self::Jpeg];
        all.into_iter().find(|one| one.extension() == extension)
    }
}

/// What a picture's objects are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Size {
    /// As large as it is kept.
    Full,
    /// Small, for lists.
    Preview,
}

impl Size {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Full, Self::Preview];

    /// How the names of its files begin.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Preview => "preview",
        }
    }
}

/// The folder of a picture's objects.
pub fn folder(id: ImageId) -> String {
    format!("{FOLDER}{id}/")
}

/// The key of an object of a picture.
pub fn key(id: ImageId, size: Size, media_type: MediaType) -> String {
    let (stem, extension) = (size.stem(), media_type.extension());
    format!("{FOLDER}{id}/{stem}.{extension}")
}

/// A picture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageRow {
    /// Id, which its objects and URLs have.
    pub id: ImageId,
    /// Whose it is.
    pub owner: UserId,
    /// The post that has it.
    pub post: Option<PostId>,
    /// Its place among those of the post, from 0.
    pub position: Option<u64>,
    /// What its objects are.
    pub media_type: MediaType,
    /// Pixels of a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes of all its objects.
    pub size: u64,
    /// What is seen on it, for those who do not see it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nobody is shown it.
    pub let_go_at: Option<Timestamp>,
}

impl FromRow for ImageRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            owner: row.get("owner_id")?,
            post: row.get("post_id")?,
            position: row.get("position")?,
            media_type: row.parsed("media_type")?,
            width: row.get("width")?,
            height: row.get("height")?,
            size: row.get("size")?,
            description: row.get("description")?,
            created_at: row.get("created_at")?,
            let_go_at: row.get("let_go_at")?,
        })
    }
}

/// The columns of an [`ImageRow`].
macro_rules! image_columns {
    () => {
        "id, owner_id, post_id, position, media_type, width, height, size, description,
         created_at, let_go_at"
    };
}

/// A picture whose objects were put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewImage<'a> {
    /// Id.
    pub id: ImageId,
    /// Whose it is.
    pub owner: UserId,
    /// What its objects are.
    pub media_type: MediaType,
    /// Pixels of a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Bytes of all its objects.
    pub size: u64,
    /// What is seen on it.
    pub description: &'a str,
}

/// What a job's payload says, as JSON.
#[derive(Serialize, Deserialize)]
struct Payload {
    image: String,
}

/// Says that objects of a new picture are about to be put.
pub async fn intend(
    db: &Database,
    transaction: &mut Transaction,
    id: ImageId,
    now: Timestamp,
) -> Result<(), RowError> {
    let image = id.to_string();
    let payload = Payload {
        image: image.clone(),
    };
    let job = NewJob {
        queue: QUEUE,
        unique_key: Some(&image),
        payload: serde_json::json!(payload).to_string().into(),
        run_at: now + SETTLED_AFTER,
        max_attempts: ATTEMPTS,
    };
    jobs::enqueue(db, transaction, &job, now).await?;
    Ok(())
}

/// Whether objects of a picture that has no row may be there: it is being uploaded, or was not
/// long ago.
pub async fn is_intended(db: &Database, id: ImageId) -> Result<bool, RowError> {
    let job = jobs::unfinished(db, QUEUE, &id.to_string()).await?;
    Ok(job.is_some())
}

/// Runs a job of [`QUEUE`]: deletes the objects unless there is a row. The transaction that it
/// returns ends the job.
pub async fn settle(
    db: &Database,
    objects: &dyn ObjectStore,
    attempt: &Attempt,
) -> Result<Transaction, HandlerError> {
    let payload: Payload = serde_json::from_slice(&attempt.job.payload)?;
    let id: ImageId = payload.image.parse()?;
    let has_row = query("SELECT 1 FROM images WHERE id = $1")
        .bind(id)
        .exists(db)
        .await?;
    if !has_row {
        objects.delete_prefix(&folder(id)).await?;
    }
    Ok(db.write().await?)
}

/// Makes the row of a picture whose objects were put since `intended_at`. Of what its owner has on
/// no post, the oldest is let go where that is too much.
///
/// [`RowError::Busy`] when that took too long: the objects may be deleted by now.
/// [`RowError::NotFound`] of an owner who is suspended or deleted.
pub async fn insert(
    transaction: &mut Transaction,
    new: &NewImage<'_>,
    intended_at: Timestamp,
    now: Timestamp,
) -> Result<ImageRow, RowError> {
    super::error::check_size(
        "description of a picture",
        new.description.len(),
        DESCRIPTION_BYTES_AT_MOST,
    )?;
    if now > intended_at + INSERTED_WITHIN {
        return Err(RowError::Busy);
    }
    // Those of one person are counted one after the other; and whoever erases the account sees it.
    let owner = users::lock(transaction, new.owner).await?.user;
    if !owner.is_active() {
        return Err(RowError::NotFound(Entity::User));
    }
    sweeping::make_room(transaction, new.owner, now).await?;
    query(concat!(
        "INSERT INTO images (id, owner_id, media_type, width, height, size, description,
                             created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         RETURNING ",
        image_columns!()
    ))
    .bind(new.id)
    .bind(new.owner)
    .bind(new.media_type.to_string())
    .bind(new.width)
    .bind(new.height)
    .bind(new.size)
    .bind(new.description)
    .bind(now)
    .one(transaction)
    .await
}

/// These pictures as they are, in no order, locked until the end of the transaction.
pub async fn lock(
    db: &Database,
    transaction: &mut Transaction,
    ids: &[ImageId],
) -> Result<Vec<ImageRow>, RowError> {
    let text = format!(
        concat!(
            "UPDATE images SET size = size WHERE id {} RETURNING ",
            image_columns!()
        ),
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(of_ids(ids))
        .all(transaction)
        .await
}

/// [`RowError::TooMany`] when a post cannot have so many.
pub(super) fn check(images: &[ImageId]) -> Result<(), RowError> {
    match images.len() > IMAGES_AT_MOST {
        true => Err(RowError::TooMany {
            what: "pictures of a post",
            limit: IMAGES_AT_MOST as u64,
        }),
        false => Ok(()),
    }
}

/// Puts pictures on a new post of their owner's, in this order.
pub(super) async fn attach(
    transaction: &mut Transaction,
    owner: UserId,
    post: PostId,
    images: &[ImageId],
) -> Result<(), RowError> {
    for (position, image) in (0_u64..).zip(images) {
        let taken = query(
            "UPDATE images SET post_id = $3, position = $4
             WHERE id = $1 AND owner_id = $2 AND post_id IS NULL AND let_go_at IS NULL",
        )
        .bind(*image)
        .bind(owner)
        .bind(post)
        .bind(position)
        .execute(&mut *transaction)
        .await?;
        if taken == 0 {
            return Err(RowError::NotFound(Entity::Image));
        }
    }
    Ok(())
}

/// The pictures of these posts, by post and then in their order. Whoever shows them has been
/// given the posts for its viewer.
pub async fn of_posts(db: &Database, posts: &[PostId]) -> Result<Vec<ImageRow>, RowError> {
    let text = format!(
        concat!(
            "SELECT ",
            image_columns!(),
            " FROM images WHERE post_id IS NOT NULL AND post_id {} ORDER BY post_id, position"
        ),
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}

/// A picture that may be given to whoever has its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served {
    /// What its objects are.
    pub media_type: MediaType,
    /// Whether it is on a post that is for everybody.
    pub is_public: bool,
}

impl FromRow for Served {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            media_type: row.parsed("media_type")?,
            is_public: row.get("is_public")?,
        })
    }
}

/// The picture, unless it was let go or its owner is suspended or deleted.
pub async fn served(db: &Database, id: ImageId) -> Result<Option<Served>, RowError> {
    query(
        "SELECT i.media_type,
                COALESCE(r.visibility = 'public' AND NOT COALESCE(w.is_private, FALSE), FALSE)
                    AS is_public
         FROM images i
             JOIN users u ON u.id = i.owner_id
             LEFT JOIN posts p ON p.id = i.post_id
             LEFT JOIN posts r ON r.id = COALESCE(p.root_id, p.id)
             LEFT JOIN users w ON w.id = r.author_id
         WHERE i.id = $1 AND i.let_go_at IS NULL
             AND u.suspended_at IS NULL AND u.deleted_at IS NULL",
    )
    .bind(id)
    .optional(db)
    .await
}

/// The user's pictures that are not let go, by id, those after `after`, at most `limit`.
pub async fn of_owner(
    db: &Database,
    owner: UserId,
    after: Option<ImageId>,
    limit: u32,
) -> Result<Vec<ImageRow>, RowError> {
    query(concat!(
        "SELECT ",
        image_columns!(),
        " FROM images
         WHERE owner_id = $1 AND let_go_at IS NULL AND id > $2
         ORDER BY id LIMIT $3"
    ))
    .bind(owner)
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// All pictures, those that were let go too, by id, those after `after`, at most `limit`: for
/// comparing rows and objects.
pub async fn list(
    db: &Database,
    after: Option<ImageId>,
    limit: u32,
) -> Result<Vec<ImageRow>, RowError> {
    query(concat!(
        "SELECT ",
        image_columns!(),
        " FROM images WHERE id > $1 ORDER BY id LIMIT $2"
    ))
    .bind(after.map_or(Uuid::nil(), |after| after.as_uuid()))
    .bind(limit)
    .all(db)
    .await
}

/// Those of these pictures that there are, let go or not, in no order.
pub async fn by_ids(db: &Database, ids: &[ImageId]) -> Result<Vec<ImageRow>, RowError> {
    let text = format!(
        concat!("SELECT ", image_columns!(), " FROM images WHERE id {}"),
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(of_ids(ids)).all(db).await
}

fn of_ids(ids: &[ImageId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}
