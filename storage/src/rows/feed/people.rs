//! How many people stand behind the comments and the quotes of posts: whoever writes ten is one.

use std::collections::HashMap;

use media::PostId;

use super::super::post_counts::PostCounts;
use super::super::posts::uuids;
use super::super::sql::{AssertSqlSafe, Engine, query};
use super::super::{Database, RowError};

/// The newest comments of a post, and its newest quotes, whose authors are counted.
pub(super) const LOOKED_AT: u32 = 1_000;

/// `$1`: posts, `$2`: [`LOOKED_AT`].
pub(super) fn people_text(engine: Engine) -> String {
    format!(
        "SELECT p.id,
                (SELECT COUNT(DISTINCT n.author_id)
                 FROM (SELECT c.author_id FROM posts c
                       WHERE c.parent_id = p.id AND c.deleted_at IS NULL
                       ORDER BY c.id DESC LIMIT $2) AS n) AS commenters,
                (SELECT COUNT(DISTINCT n.author_id)
                 FROM (SELECT q.author_id FROM posts q
                       WHERE q.quote_of_id = p.id AND q.deleted_at IS NULL
                       ORDER BY q.id DESC LIMIT $2) AS n) AS quoters
         FROM posts p WHERE p.id {}",
        engine.one_of("$1")
    )
}

/// The counts of a post, of which those of comments and quotes are to be counts of people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    counts: PostCounts,
    /// Otherwise there may be fewer people.
    pub(super) are_of_people: bool,
}

impl Counts {
    /// Before anybody looked: no more people than there are comments and quotes.
    pub(super) fn new(counts: PostCounts) -> Self {
        let most = |count: u64| count.min(LOOKED_AT.into());
        Self {
            are_of_people: counts.comments <= 1 && counts.quotes <= 1,
            counts: PostCounts {
                comments: most(counts.comments),
                quotes: most(counts.quotes),
                ..counts
            },
        }
    }

    /// As they are known now.
    pub(super) fn known(&self) -> &PostCounts {
        &self.counts
    }
}

/// Counts the people of posts.
pub(super) async fn look(
    db: &Database,
    posts: impl Iterator<Item = &mut Counts>,
) -> Result<(), RowError> {
    let mut posts: HashMap<PostId, &mut Counts> =
        posts.map(|post| (post.counts.post, post)).collect();
    let ids: Vec<PostId> = posts.keys().copied().collect();
    let found: Vec<(PostId, u64, u64)> = query(AssertSqlSafe(people_text(db.engine())))
        .bind(uuids(&ids))
        .bind(LOOKED_AT)
        .all(db)
        .await?;
    for (post, commenters, quoters) in found {
        if let Some(of) = posts.get_mut(&post) {
            of.counts.comments = commenters;
            of.counts.quotes = quoters;
        }
    }
    for of in posts.into_values() {
        of.are_of_people = true;
    }
    Ok(())
}
