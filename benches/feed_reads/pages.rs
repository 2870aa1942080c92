//! The pages that are read.

use media::UserId;
use storage::rows::search::SearchQuery;
use storage::rows::{Database, RowError, feed, search};

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
    TrendingStreams,
    Posts(&'static str),
    People(&'static str),
    Streams(&'static str),
}

impl Page {
    /// All of them.
    pub(crate) fn all(readers: &Readers) -> Vec<Self> {
        let active = readers.active;
        let home = [
            ("home, follows 2,000 active", active),
            ("home, follows 2,000 dormant", readers.dormant),
            ("home, follows 200, of them 100 pulled", readers.of_pulled),
        ];
        let others = [
            ("discover", What::Discover),
            ("trending posts", What::TrendingPosts),
            ("trending hashtags", What::TrendingHashtags),
            ("trending streams", What::TrendingStreams),
            ("posts: a word of a third of them", What::Posts("hello ")),
            ("posts: a beginning of most", What::Posts("wor")),
            ("posts: a word of few", What::Posts("word49321")),
            (
                "posts: a common word and a rare one",
                What::Posts("hello word9000"),
            ),
            ("posts: in nothing", What::Posts("nowhere")),
            ("posts: a word of old ones only", What::Posts("ancient ")),
            (
                "posts: two words never together",
                What::Posts("heads tails "),
            ),
            ("people: a name", What::People("user-4711")),
            ("people: the beginning of all names", What::People("user")),
            (
                "people: a word of all, and a number",
                What::People("person 17"),
            ),
            ("streams: a word of all", What::Streams("stream")),
            ("streams: of an owner", What::Streams("@user-17")),
        ];
        let home = home.map(|(name, viewer)| (name, What::Home, viewer));
        let others = others.map(|(name, what)| (name, what, active));
        home.into_iter()
            .chain(others)
            .map(|(name, what, viewer)| Self { name, what, viewer })
            .collect()
    }

    /// Reads it; how many items it has.
    pub(crate) async fn read(&self, db: &Database) -> Result<usize, RowError> {
        let viewer = Some(self.viewer);
        let words = |text| SearchQuery::parse(text).expect("has words");
        Ok(match self.what {
            What::Home => {
                let page = feed::home(db, self.viewer, None, LIMIT);
                page.await?.rows.len()
            }
            What::Discover => {
                let page = feed::discover(db, viewer, None, LIMIT);
                page.await?.rows.len()
            }
            What::TrendingPosts => feed::trending_posts(db, viewer, None, LIMIT).await?.len(),
            What::TrendingHashtags => feed::trending_hashtags(db, None, LIMIT).await?.len(),
            What::TrendingStreams => {
                let page = feed::trending_streams(db, viewer, None, LIMIT);
                page.await?.len()
            }
            What::Posts(text) => {
                let found = search::posts(db, &words(text), viewer, None, LIMIT).await?;
                found.items.len()
            }
            What::People(text) => {
                let found = search::users(db, &words(text), viewer, None, LIMIT).await?;
                found.items.len()
            }
            What::Streams(text) => {
                let found = search::streams(db, &words(text), viewer, None, LIMIT).await?;
                found.items.len()
            }
        })
    }
}
