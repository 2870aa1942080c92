//! Posts as somebody sees them. In every text `$1` is the viewer.

use media::{PostId, Timestamp, UserId};

use super::super::looked::{self, Order, posts_looked_at};
use super::super::sql::{AssertSqlSafe, Bind, Engine, FromRow, Row, query};
use super::super::{Database, RowError};
use super::{
    PostPage, PostRow, audience, author_open, author_shown, not_muted, post_columns, uuids,
    viewer_id, visible, visible_alone,
};

/// A page of posts that `$source` gives as `place`, with `$2` and `$3`: `$4` are looked at.
macro_rules! page {
    ($($source:expr),+; $($shown:expr),+; $order:literal) => {
        posts_looked_at!(concat!($($source),+); $($shown),+; $order, "$4")
    };
}

/// Of an author of whom the viewer sees nothing there is nobody to look for.
pub(super) const OF_AUTHOR: &str = page!(
    "n.id AS place FROM posts n
     WHERE n.author_id = (SELECT y.id FROM users y WHERE y.id = $2 AND ",
    author_shown!("y.id"),
    " AND ",
    author_open!("y.id"),
    ") AND n.parent_id IS NULL AND n.id < $3";
    "TRUE";
    "n.id DESC"
);
pub(super) const OF_AUTHOR_WITH_COMMENTS: &str = page!(
    "n.id AS place FROM posts n
     WHERE n.author_id = (SELECT y.id FROM users y WHERE y.id = $2 AND ",
    author_shown!("y.id"),
    ") AND n.id < $3";
    "(p.parent_id IS NOT NULL OR ",
    author_open!("$2"),
    ")";
    "n.id DESC"
);
pub(super) const THREAD: &str = page!(
    "n.id AS place FROM posts n WHERE n.root_id = $2 AND n.id > $3";
    "(p.author_id = $1 OR ",
    audience!("$2"),
    ")";
    "n.id"
);
pub(super) const COMMENTS: &str = page!(
    "n.id AS place FROM posts n WHERE n.parent_id = $2 AND n.id < $3";
    "(p.author_id = $1 OR ",
    audience!("(SELECT COALESCE(h.root_id, h.id) FROM posts h WHERE h.id = $2)"),
    ")";
    "n.id DESC"
);
pub(super) const QUOTES: &str = page!(
    "n.id AS place FROM posts n WHERE n.quote_of_id = $2 AND n.id < $3";
    "TRUE";
    "n.id DESC"
);
/// A feed: without the muted.
pub(super) const WITH_HASHTAG: &str = page!(
    "t.post_id AS place FROM post_hashtags t WHERE t.hashtag = $2 AND t.post_id < $3";
    not_muted!("p.author_id");
    "t.post_id DESC"
);
pub(super) const REVISIONS: &str = concat!(
    "SELECT v.number, v.body, v.created_at
     FROM posts p JOIN post_revisions v ON v.post_id = p.id
     WHERE p.id = $2 AND v.number < $3 AND ",
    visible_alone!("p"),
    " ORDER BY v.number DESC LIMIT $4"
);

/// One that `p` answers, or whose thread it is in.
pub(super) const EMPTIED: &str = concat!(
    "SELECT ",
    post_columns!(e),
    " FROM posts e
     WHERE e.id = $2 AND e.deleted_at IS NOT NULL
         AND (EXISTS (SELECT 1 FROM posts p WHERE p.parent_id = e.id AND ",
    visible!(),
    ") OR EXISTS (SELECT 1 FROM posts p WHERE p.root_id = e.id AND ",
    visible!(),
    "))"
);

pub(super) fn by_ids_text(engine: Engine) -> String {
    let is_one = engine.one_of("$2");
    format!(
        concat!(
            "SELECT ",
            post_columns!(p),
            " FROM posts p WHERE p.id {} AND ",
            visible!()
        ),
        is_one
    )
}

/// The post with that id, if `viewer` may see it; `None`: somebody who is not logged in.
pub async fn find(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
) -> Result<Option<PostRow>, RowError> {
    Ok(by_ids(db, &[post], viewer).await?.pop())
}

/// The empty row of a post that was deleted, if something answers it that `viewer` may see: what
/// is left of a thread's place.
pub async fn find_emptied(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
) -> Result<Option<PostRow>, RowError> {
    query(EMPTIED)
        .bind(viewer_id(viewer))
        .bind(post)
        .optional(db)
        .await
}

/// These posts as they are, in no order, whoever may see them; deleted ones too. For who
/// answers for all of them.
pub async fn all_by_ids(db: &Database, posts: &[PostId]) -> Result<Vec<PostRow>, RowError> {
    let text = format!(
        concat!("SELECT ", post_columns!(), " FROM posts WHERE id {}"),
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(posts)).all(db).await
}

/// Those of these posts that `viewer` may see, in no order.
pub async fn by_ids(
    db: &Database,
    posts: &[PostId],
    viewer: Option<UserId>,
) -> Result<Vec<PostRow>, RowError> {
    query(AssertSqlSafe(by_ids_text(db.engine())))
        .bind(viewer_id(viewer))
        .bind(uuids(posts))
        .all(db)
        .await
}

async fn page(
    db: &Database,
    text: &'static str,
    order: Order,
    viewer: Option<UserId>,
    of: impl Bind + Clone,
    after: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    looked::page(db, order, after, limit, |after, at_once| {
        query(text)
            .bind(viewer_id(viewer))
            .bind(of.clone())
            .bind(after.map_or(order.begin(), |after| after.as_uuid()))
            .bind(at_once)
    })
    .await
}

/// What of an author's is on a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthorPosts {
    /// Posts, shares and quotes.
    WithoutComments,
    /// Comments too.
    All,
}

/// What an author wrote and shared, the newest first, those before `before`, at most `limit`,
/// as `viewer` may see it.
pub async fn of_author(
    db: &Database,
    author: UserId,
    which: AuthorPosts,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    let text = match which {
        AuthorPosts::WithoutComments => OF_AUTHOR,
        AuthorPosts::All => OF_AUTHOR_WITH_COMMENTS,
    };
    page(db, text, Order::NewestFirst, viewer, author, before, limit).await
}

/// The comments of a thread, whatever they answer, the oldest first, those after `after`, at
/// most `limit`, as `viewer` may see them. A comment can answer one that is not among them.
pub async fn thread(
    db: &Database,
    root: PostId,
    viewer: Option<UserId>,
    after: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    page(db, THREAD, Order::OldestFirst, viewer, root, after, limit).await
}

/// What answers a post, the newest first, those before `before`, at most `limit`, as `viewer`
/// may see it.
pub async fn comments_of(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    page(
        db,
        COMMENTS,
        Order::NewestFirst,
        viewer,
        post,
        before,
        limit,
    )
    .await
}

/// What quotes a post, the newest first, those before `before`, at most `limit`, as `viewer`
/// may see it.
pub async fn quotes_of(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    page(db, QUOTES, Order::NewestFirst, viewer, post, before, limit).await
}

/// Posts with a hashtag, which is folded, the newest first, those before `before`, at most
/// `limit`, as `viewer` may and wants to see them: without those whom they mute.
pub async fn with_hashtag(
    db: &Database,
    hashtag: &str,
    viewer: Option<UserId>,
    before: Option<PostId>,
    limit: u32,
) -> Result<PostPage, RowError> {
    page(
        db,
        WITH_HASHTAG,
        Order::NewestFirst,
        viewer,
        hashtag,
        before,
        limit,
    )
    .await
}

/// Which of these posts `user` shares, in no order.
pub async fn shared_among(
    db: &Database,
    user: UserId,
    posts: &[PostId],
) -> Result<Vec<PostId>, RowError> {
    let text = format!(
        "SELECT share_of_id FROM posts
         WHERE author_id = $1 AND share_of_id IS NOT NULL AND share_of_id {}",
        db.engine().one_of("$2")
    );
    let rows: Vec<(PostId,)> = query(AssertSqlSafe(text))
        .bind(user)
        .bind(uuids(posts))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|(post,)| post).collect())
}

/// What a post said before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevisionRow {
    /// Its number: how often the post had been edited then.
    pub number: u64,
    /// What it said.
    pub body: String,
    /// When that was written.
    pub created_at: Timestamp,
}

impl FromRow for RevisionRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            number: row.get("number")?,
            body: row.get("body")?,
            created_at: row.get("created_at")?,
        })
    }
}

/// What a post said before it was edited, the newest first, those before the number `before`,
/// at most `limit`. Nothing when `viewer` may not see the post.
pub async fn revisions(
    db: &Database,
    post: PostId,
    viewer: Option<UserId>,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<RevisionRow>, RowError> {
    query(REVISIONS)
        .bind(viewer_id(viewer))
        .bind(post)
        .bind(before.unwrap_or(u64::from(u32::MAX)))
        .bind(limit)
        .all(db)
        .await
}
