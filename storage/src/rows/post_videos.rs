//! Videos of posts.

use media::{Micros, PostId, UserId, VideoId};

use super::posts::uuids;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::{Database, Entity, RowError, Transaction};

/// A video that a post shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownVideo {
    /// The post.
    pub post: PostId,
    /// The video's id, which its URLs have.
    pub id: VideoId,
    /// What it is called.
    pub title: String,
    /// `None`: of a recording, which gets less while the stream lets go of it.
    pub duration: Option<Micros>,
}

impl FromRow for ShownVideo {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            post: row.get("post_id")?,
            id: row.get("id")?,
            title: row.get("title")?,
            duration: row.get("duration")?,
        })
    }
}

/// Puts a video that plays on a new post of its owner's.
pub(super) async fn attach(
    transaction: &mut Transaction,
    owner: UserId,
    post: PostId,
    video: VideoId,
) -> Result<(), RowError> {
    let taken = query(
        "INSERT INTO post_videos (post_id, position, video_id)
         SELECT $1, 0, v.id FROM videos v
         WHERE v.id = $2 AND v.owner_id = $3 AND v.state = 'ready'",
    )
    .bind(post)
    .bind(video)
    .bind(owner)
    .execute(transaction)
    .await?;
    match taken {
        0 => Err(RowError::NotFound(Entity::Video)),
        _ => Ok(()),
    }
}

/// The videos of these posts that play, by post. Whoever shows them has been given the posts for
/// its viewer.
pub async fn of_posts(db: &Database, posts: &[PostId]) -> Result<Vec<ShownVideo>, RowError> {
    let text = format!(
        "SELECT s.post_id, v.id, v.title, v.duration
         FROM post_videos s JOIN videos v ON v.id = s.video_id
         WHERE v.state = 'ready' AND s.post_id {}
         ORDER BY s.post_id, s.position",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}
