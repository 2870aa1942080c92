//! The pages that are made.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use media::UserId;
use serde::Serialize;
use social::Services;
use social::caller::{Caller, Identity, LoginSessionId, Role};
use social::paging::{DEFAULT_FIRST, PageRequest, Paged};
use social::posts::SeenPost;
use storage::rows::search::SearchQuery;
use storage::rows::{Database, RowError, feed, search, streams};

use crate::world::Readers;

/// Rows that a page asks for: one more tells whether there is another page. Search knows by itself.
const LIMIT: u32 = DEFAULT_FIRST + 1;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    what: What,
    viewer: UserId,
    caller: Caller,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Home,
    Discover,
    TrendingPosts,
    TrendingHashtags,
    TrendingStreams,
    Live,
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
            ("live now", What::Live),
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
            .map(|(name, what, viewer)| Self {
                name,
                what,
                viewer,
                caller: logged_in(viewer),
            })
            .collect()
    }

    /// Makes it as the API does, to the JSON that is sent; how many items it has.
    pub(crate) async fn show(&self, services: &Services) -> Result<usize, Box<dyn Error>> {
        let (caller, page) = (&self.caller, PageRequest::new(None, None)?);
        match self.what {
            What::Home => {
                let posts = services.list_home(caller, page).await?;
                self.show_posts(services, posts).await
            }
            What::Discover => {
                let posts = services.list_discover(caller, page).await?;
                self.show_posts(services, posts).await
            }
            What::TrendingPosts => {
                let posts = services.list_trending_posts(caller, page).await?;
                self.show_posts(services, posts).await
            }
            What::TrendingHashtags => {
                sent(&items(services.list_trending_hashtags(caller, page).await?))
            }
            What::TrendingStreams => {
                sent(&items(services.list_trending_streams(caller, page).await?))
            }
            What::Live => sent(&items(services.list_live(caller, page).await?)),
            What::Posts(text) => {
                let posts = services.search_posts(caller, text, page).await?;
                self.show_posts(services, posts).await
            }
            What::People(text) => {
                let people = items(services.search_users(caller, text, page).await?);
                sent(&services.describe(caller, people).await?)
            }
            What::Streams(text) => sent(&items(services.search_streams(caller, text, page).await?)),
        }
    }

    async fn show_posts(
        &self,
        services: &Services,
        posts: Paged<SeenPost>,
    ) -> Result<usize, Box<dyn Error>> {
        sent(&services.show_posts(&self.caller, items(posts)).await?)
    }

    /// Reads its rows and nothing that is shown with them; how many there are.
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
            What::Live => streams::live(db, viewer, None, LIMIT).await?.rows.len(),
            What::Posts(text) => {
                let words = words(text);
                let found = search::posts(db, &words, viewer, None, DEFAULT_FIRST);
                found.await?.items.len()
            }
            What::People(text) => {
                let words = words(text);
                let found = search::users(db, &words, viewer, None, DEFAULT_FIRST);
                found.await?.items.len()
            }
            What::Streams(text) => {
                let words = words(text);
                let found = search::streams(db, &words, viewer, None, DEFAULT_FIRST);
                found.await?.items.len()
            }
        })
    }
}

fn logged_in(user: UserId) -> Caller {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    Caller::anonymous(address, "").with_identity(Identity::Session {
        user,
        session: LoginSessionId::new(),
        role: Role::User,
    })
}

fn items<T>(page: Paged<T>) -> Vec<T> {
    page.items.into_iter().map(|(_, item)| item).collect()
}

fn sent(items: &[impl Serialize]) -> Result<usize, Box<dyn Error>> {
    std::hint::black_box(serde_json::to_vec(items)?);
    Ok(items.len())
}
