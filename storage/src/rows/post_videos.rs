//! Videos of posts.

use media::{Micros, PostId, StreamName, UserId, VideoId};

use super::posts::{uuids, viewer_id};
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::streams::{Visibility, stream_shown};
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
    /// Whose it is.
    pub owner: UserId,
    /// Whom it is for: of a recording, whom its stream is for.
    pub visibility: Visibility,
    /// The stream that it is a recording of; `None`: imported.
    pub stream: Option<StreamName>,
}

impl FromRow for ShownVideo {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        let of_stream: Option<String> = row.get("visibility")?;
        Ok(Self {
            post: row.get("post_id")?,
            id: row.get("id")?,
            title: row.get("title")?,
            duration: row.get("duration")?,
            owner: row.get("owner_id")?,
            visibility: match of_stream {
                None => Visibility::Public,
                Some(_) => row.parsed("visibility")?,
            },
            stream: row.get("stream")?,
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
/// `viewer`; of recordings, they are those whose streams `viewer` may see.
pub async fn of_posts(
    db: &Database,
    posts: &[PostId],
    viewer: Option<UserId>,
) -> Result<Vec<ShownVideo>, RowError> {
    let text = format!(
        concat!(
            "SELECT p.post_id, v.id, v.title, v.duration, v.owner_id, s.visibility,
                    s.name AS stream
             FROM post_videos p JOIN videos v ON v.id = p.video_id
                 LEFT JOIN live_sessions l ON l.id = v.live_session_id
                 LEFT JOIN streams s ON s.id = l.stream_id
             WHERE v.state = 'ready' AND p.post_id {} AND (v.live_session_id IS NULL OR ",
            stream_shown!("s"),
            ") ORDER BY p.post_id, p.position"
        ),
        db.engine().one_of("$2")
    );
    query(AssertSqlSafe(text))
        .bind(viewer_id(viewer))
        .bind(uuids(posts))
        .all(db)
        .await
}
