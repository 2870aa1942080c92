//! Likes: the one reaction there is. What is liked of a share is what it shares.

use media::{PostId, Timestamp, UserId};

use super::looked::{self, Order, people_looked_at};
use super::post_events::{PostChange, PostEvent};
use super::posts::{self, uuids, viewer_id, visible};
use super::sql::{AssertSqlSafe, query};
use super::users::{UserPage, user_shown};
use super::{Database, RowError, Transaction};

/// Likes a post; false when it was liked already. [`RowError::NotFound`] when the user may not
/// see it.
pub async fn like(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    post: PostId,
    now: Timestamp,
) -> Result<bool, RowError> {
    posts::check_active(transaction, user).await?;
    let post = posts::target(transaction, user, post).await?.id;
    let made = query(
        "INSERT INTO likes (post_id, user_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (post_id, user_id) DO NOTHING",
    )
    .bind(post)
    .bind(user)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    if made == 0 {
        return Ok(false);
    }
    let event = PostEvent {
        change: PostChange::Liked,
        post,
        user,
    };
    event.tell(db, transaction, now).await?;
    Ok(true)
}

/// Likes a post no more; whether it was liked. Also one that the user may not see any more.
pub async fn unlike(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    post: PostId,
    now: Timestamp,
) -> Result<bool, RowError> {
    let ended: Option<(PostId,)> = query(
        "DELETE FROM likes
         WHERE user_id = $1
             AND post_id = COALESCE((SELECT share_of_id FROM posts WHERE id = $2), $2)
         RETURNING post_id",
    )
    .bind(user)
    .bind(post)
    .optional(&mut *transaction)
    .await?;
    let Some((post,)) = ended else {
        return Ok(false);
    };
    let event = PostEvent {
        change: PostChange::Unliked,
        post,
        user,
    };
    event.tell(db, transaction, now).await?;
    Ok(true)
}

/// The post is looked up once, so that the rest is read in the order of the primary key.
pub(super) const LIKERS: &str = people_looked_at!(
    concat!(
        "l.user_id AS place FROM likes l
         WHERE l.post_id = (
                 SELECT COALESCE(p.share_of_id, p.id) FROM posts p WHERE p.id = $2 AND ",
        visible!(),
        ") AND l.user_id < $3"
    );
    user_shown!();
    "l.user_id DESC", "$4"
);

/// Who likes a post, as `viewer` may see them, the newest account first, those before `after`,
/// at most `limit`. Nobody likes what the viewer may not see.
pub async fn likers(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
    after: Option<UserId>,
    limit: u32,
) -> Result<UserPage, RowError> {
    let order = Order::NewestFirst;
    looked::page(db, order, after, limit, |after, at_once| {
        query(LIKERS)
            .bind(viewer_id(viewer))
            .bind(post)
            .bind(after.map_or(order.begin(), |after| after.as_uuid()))
            .bind(at_once)
    })
    .await
}

/// Which of these posts `user` likes, in no order.
pub async fn liked_among(
    db: &Database,
    user: UserId,
    posts: &[PostId],
) -> Result<Vec<PostId>, RowError> {
    let text = format!(
        "SELECT post_id FROM likes WHERE user_id = $1 AND post_id {}",
        db.engine().one_of("$2")
    );
    let rows: Vec<(PostId,)> = query(AssertSqlSafe(text))
        .bind(user)
        .bind(uuids(posts))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(post,)| post).collect())
}
