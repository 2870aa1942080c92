//! Letting pictures go, and taking away what was let go: objects first, then rows.

use media::{ImageId, PostId, Timestamp, UserId};

use super::{UNPOSTED_AT_MOST, UNPOSTED_FOR, folder, of_ids};
use crate::objects::{ObjectError, ObjectStore};
use crate::rows::posts::uuids;
use crate::rows::sql::{AssertSqlSafe, query};
use crate::rows::{Database, RowError, Transaction};

/// Why a sweep ended before its end. The next one goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The objects did not go.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The rows did not.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// Lets go of the pictures of posts that are emptied.
pub(in crate::rows) async fn let_go_of(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
    now: Timestamp,
) -> Result<(), RowError> {
    let text = format!(
        "UPDATE images SET post_id = NULL, position = NULL, let_go_at = $2
         WHERE post_id IS NOT NULL AND post_id {}",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text))
        .bind(uuids(posts))
        .bind(now)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Lets go of what the user has on no post.
pub(in crate::rows) async fn let_go_unposted_of(
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    query(
        "UPDATE images SET let_go_at = $2
         WHERE owner_id = $1 AND post_id IS NULL AND let_go_at IS NULL",
    )
    .bind(user)
    .bind(now)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Lets go of the oldest that the user, who is locked, has on no post, so that there is room for
/// one more.
pub(super) async fn make_room(
    transaction: &mut Transaction,
    user: UserId,
    now: Timestamp,
) -> Result<(), RowError> {
    // Between being chosen and being let go, one of them may have been posted.
    query(
        "UPDATE images SET let_go_at = $3
         WHERE post_id IS NULL AND let_go_at IS NULL AND id IN (
             SELECT id FROM images
             WHERE owner_id = $1 AND post_id IS NULL AND let_go_at IS NULL
             ORDER BY id DESC LIMIT $4 OFFSET $2)",
    )
    .bind(user)
    .bind(UNPOSTED_AT_MOST - 1)
    .bind(now)
    .bind(UNPOSTED_AT_MOST)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Lets go of what has been on no post for [`UNPOSTED_FOR`], and takes away what was let go: at
/// most `limit` of each. How many pictures are gone.
pub async fn sweep(
    db: &Database,
    objects: &dyn ObjectStore,
    now: Timestamp,
    limit: u32,
) -> Result<u64, SweepError> {
    let mut transaction = db.write().await?;
    query(
        "UPDATE images SET let_go_at = $2
         WHERE post_id IS NULL AND let_go_at IS NULL AND id IN (
             SELECT id FROM images
             WHERE post_id IS NULL AND let_go_at IS NULL AND created_at <= $1
             ORDER BY created_at, id LIMIT $3)",
    )
    .bind(now - UNPOSTED_FOR)
    .bind(now)
    .bind(limit)
    .execute(&mut transaction)
    .await?;
    transaction.commit().await?;
    let gone: Vec<(ImageId,)> =
        query("SELECT id FROM images WHERE let_go_at IS NOT NULL ORDER BY id LIMIT $1")
            .bind(limit)
            .all(db)
            .await?;
    let (mut without_objects, mut outcome) = (Vec::new(), Ok(()));
    for (id,) in gone {
        // One that does not go keeps no other.
        match objects.delete_prefix(&folder(id)).await {
            Ok(()) => without_objects.push(id),
            Err(error) => outcome = Err(error),
        }
    }
    let deleted = delete(db, &without_objects).await?;
    outcome?;
    Ok(deleted)
}

async fn delete(db: &Database, images: &[ImageId]) -> Result<u64, RowError> {
    if images.is_empty() {
        return Ok(0);
    }
    let mut transaction = db.write().await?;
    let text = format!(
        "DELETE FROM images WHERE let_go_at IS NOT NULL AND id {}",
        db.engine().one_of("$1")
    );
    let deleted = query(AssertSqlSafe(text))
        .bind(of_ids(images))
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted)
}
