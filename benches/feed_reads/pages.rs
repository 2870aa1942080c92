//! The pages that are read.

use media::UserId;
use storage::rows::search::SearchQuery;
use storage::rows::sql::{Bind, Value};
use storage::rows::{Database, RowError, feed, search};
use uuid::Uuid;

use crate::world::Readers;

/// Items of a page.
const LIMIT: u32 = 20;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    what: What,
    viewer: UserId,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Home,
    Discover,
    TrendingPosts,
    TrendingHashtags,
    Search(&'static str),
}

/// A text, and what is bound to it.
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Page {
    /// All of them.
    pub(crate) fn all(readers: &Readers) -> Vec<Self> {
        let page = |name, what, viewer| Self { name, what, viewer };
        let active = readers.active;
        vec![
            page("home, 2,000 active", What::Home, active),
            page("home, 2,000 dormant", What::Home, readers.dormant),
            page("discover", What::Discover, active),
            page("trending posts", What::TrendingPosts, active),
            page("trending hashtags", What::TrendingHashtags, active),
            page("search, in a third of posts", What::Search("hello"), active),
            page("search, two words", What::Search("hello word17"), active),
            page("search, a rare word", What::Search("word49321"), active),
            page("search, a beginning", What::Search("word12"), active),
            page("search, in nothing", What::Search("nowhere"), active),
        ]
    }

    /// Reads it; how many items it has.
    pub(crate) async fn read(&self, db: &Database) -> Result<usize, RowError> {
        let viewer = self.viewer;
        Ok(match self.what {
            What::Home => feed::home(db, viewer, None, LIMIT).await?.len(),
            What::Discover => {
                let page = feed::discover(db, Some(viewer), None, LIMIT);
                page.await?.posts.len()
            }
            What::TrendingPosts => {
                let page = feed::trending_posts(db, Some(viewer), None, LIMIT);
                page.await?.len()
            }
            What::TrendingHashtags => feed::trending_hashtags(db, None, LIMIT).await?.len(),
            What::Search(words) => {
                let words = SearchQuery::parse(words).expect("words");
                let found = search::posts(db, &words, Some(viewer), None, LIMIT);
                found.await?.items.len()
            }
        })
    }

    /// What it asks of the engine, where that is one statement.
    pub(crate) fn statement(&self) -> Option<Statement> {
        let viewer = self.viewer.value();
        let (last, first) = (Uuid::max().value(), Uuid::nil().value());
        let limit = LIMIT.value();
        let trending = || {
            vec![
                viewer.clone(),
                None::<u64>.value(),
                (-1_i64).value(),
                limit.clone(),
            ]
        };
        let (text, values) = match self.what {
            What::Home => (feed::HOME, vec![viewer, last, first, limit]),
            What::Discover => (feed::DISCOVER, vec![viewer, last, limit]),
            What::TrendingPosts => (feed::TRENDING_POSTS, trending()),
            What::TrendingHashtags => (feed::TRENDING_HASHTAGS, trending()),
            What::Search(_) => return None,
        };
        Some(Statement {
            text: text.to_owned(),
            values,
        })
    }
}
