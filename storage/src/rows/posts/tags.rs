//! Whom posts mention, and their hashtags.

use media::{PostId, UserId};

use super::super::error::check_size;
use super::super::sql::{AssertSqlSafe, query};
use super::super::users::uuids as user_uuids;
use super::super::{Database, RowError, Transaction};
use super::{HASHTAG_BYTES_AT_MOST, uuids};

/// The most users that a post mentions.
pub const MENTIONS_AT_MOST: usize = 50;

/// The most hashtags of a post.
pub const HASHTAGS_AT_MOST: usize = 30;

/// Makes these, which were checked, the post's mentions and hashtags. Who is not there is not
/// mentioned.
pub(super) async fn replace(
    db: &Database,
    transaction: &mut Transaction,
    post: PostId,
    mentions: &[UserId],
    hashtags: &[String],
) -> Result<(), RowError> {
    forget(db, transaction, &[post]).await?;
    if !mentions.is_empty() {
        let text = format!(
            "INSERT INTO post_mentions (post_id, user_id)
             SELECT p.id, u.id FROM posts p, users u
             WHERE p.id = $1 AND u.suspended_at IS NULL AND u.deleted_at IS NULL AND u.id {}",
            db.engine().one_of("$2")
        );
        query(AssertSqlSafe(text))
            .bind(post)
            .bind(user_uuids(mentions))
            .execute(&mut *transaction)
            .await?;
    }
    for hashtag in hashtags {
        query(
            "INSERT INTO post_hashtags (hashtag, post_id) VALUES ($1, $2)
             ON CONFLICT (hashtag, post_id) DO NOTHING",
        )
        .bind(hashtag)
        .bind(post)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// [`RowError::TooMany`] or [`RowError::TooLarge`] when a post cannot have these.
pub(super) fn check(mentions: &[UserId], hashtags: &[String]) -> Result<(), RowError> {
    for (what, there, most) in [
        ("mentions of a post", mentions.len(), MENTIONS_AT_MOST),
        ("hashtags of a post", hashtags.len(), HASHTAGS_AT_MOST),
    ] {
        if there > most {
            let limit = most as u64;
            return Err(RowError::TooMany { what, limit });
        }
    }
    for hashtag in hashtags {
        check_size("hashtag", hashtag.len(), HASHTAG_BYTES_AT_MOST)?;
    }
    Ok(())
}

/// Takes all mentions and hashtags off these posts.
pub(super) async fn forget(
    db: &Database,
    transaction: &mut Transaction,
    posts: &[PostId],
) -> Result<(), RowError> {
    for table in ["post_mentions", "post_hashtags"] {
        let is_one = db.engine().one_of("$1");
        let text = format!("DELETE FROM {table} WHERE post_id {is_one}");
        query(AssertSqlSafe(text))
            .bind(uuids(posts))
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

/// Whom these posts mention: posts and users. Whoever shows it has been given the posts for
/// its viewer.
pub async fn mentions_of(
    db: &Database,
    posts: &[PostId],
) -> Result<Vec<(PostId, UserId)>, RowError> {
    let text = format!(
        "SELECT post_id, user_id FROM post_mentions
         WHERE post_id {}
         ORDER BY post_id, user_id",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}

/// The hashtags of these posts: posts and hashtags.
pub async fn hashtags_of(
    db: &Database,
    posts: &[PostId],
) -> Result<Vec<(PostId, String)>, RowError> {
    let text = format!(
        "SELECT post_id, hashtag FROM post_hashtags
         WHERE post_id {}
         ORDER BY post_id, hashtag",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}
