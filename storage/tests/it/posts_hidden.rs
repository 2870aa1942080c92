//! Pages of lists of which the reader may see next to nothing: each looks at so many posts and no
//! more, and the next goes on behind them.

use media::{PostId, UserId};
use storage::rows::posts::{self, AuthorPosts, PostPage, Visibility};
use storage::rows::{LOOKED_AT_MOST, Transaction, feed, mutes, sql};
use storage::{Database, RowError};

use crate::fixtures::TestDatabase;
use crate::people::block;
use crate::post_pages::ids;
use crate::posts::post;
use crate::users::{at, write};

on_both_engines! {
    s01_a_page_that_may_show_nothing_is_short_and_goes_on,
    a_page_is_filled_from_what_is_behind_the_hidden,
}

/// More than a page looks at, and not twice as many.
const HIDDEN: u32 = LOOKED_AT_MOST + 50;

/// A post as a row.
#[derive(Clone, Copy)]
struct New {
    author: UserId,
    parent: Option<PostId>,
    quote_of: Option<PostId>,
    visibility: Visibility,
}

async fn insert(transaction: &mut Transaction, new: New) -> PostId {
    let id = PostId::new();
    sql::query(
        "INSERT INTO posts (id, author_id, parent_id, root_id, quote_of_id, visibility, body,
                            created_at)
         VALUES ($1, $2, $3, $3, $4, $5, 'Hello', 0)",
    )
    .bind(id)
    .bind(new.author)
    .bind(new.parent)
    .bind(new.quote_of)
    .bind(new.visibility.to_string())
    .execute(&mut *transaction)
    .await
    .unwrap();
    if new.quote_of.is_some() {
        sql::query("INSERT INTO post_hashtags (hashtag, post_id) VALUES ('rust', $1)")
            .bind(id)
            .execute(transaction)
            .await
            .unwrap();
    }
    id
}

/// What can be read page by page.
#[derive(Clone, Copy, PartialEq, Debug)]
enum List {
    Discover,
    Hashtag,
    Quotes,
    Comments,
    Thread,
    Author(AuthorPosts),
}

const LISTS: [List; 7] = [
    List::Discover,
    List::Hashtag,
    List::Quotes,
    List::Comments,
    List::Thread,
    List::Author(AuthorPosts::WithoutComments),
    List::Author(AuthorPosts::All),
];

struct World {
    viewer: UserId,
    /// Who writes mostly for followers.
    carl: UserId,
    root: PostId,
    /// Of ada, with the hashtag; many of eve, whom the viewer blocks, are between them.
    quotes: [PostId; 2],
    /// The same.
    comments: [PostId; 2],
    /// Of carl, for everybody; many for his followers are between them.
    of_carl: [PostId; 2],
}

impl World {
    async fn new(test: &TestDatabase, hidden: u32) -> Self {
        let (ada, eve) = (test.user("ada").await, test.user("eve").await);
        let (carl, viewer) = (test.user("carl").await, test.user("viewer").await);
        block(test, viewer, eve).await;
        let root = post(test, ada).await;
        let quote = |author| New {
            author,
            parent: None,
            quote_of: Some(root),
            visibility: Visibility::Public,
        };
        let comment = |author| New {
            parent: Some(root),
            quote_of: None,
            ..quote(author)
        };
        let of_carl = |visibility| New {
            quote_of: None,
            visibility,
            ..quote(carl)
        };
        let mut transaction = write(test).await;
        // What is not looked for under his name is of the others.
        mutes::mute(&mut transaction, viewer, carl, at(0))
            .await
            .unwrap();
        let mut between = async |shown, hides| {
            let first = insert(&mut transaction, shown).await;
            for _ in 0..hidden {
                insert(&mut transaction, hides).await;
            }
            [first, insert(&mut transaction, shown).await]
        };
        let quotes = between(quote(ada), quote(eve)).await;
        let comments = between(comment(ada), comment(eve)).await;
        let (shown, hides) = (of_carl(Visibility::Public), of_carl(Visibility::Followers));
        let of_carl = between(shown, hides).await;
        transaction.commit().await.unwrap();
        Self {
            viewer,
            carl,
            root,
            quotes,
            comments,
            of_carl,
        }
    }

    async fn read(
        &self,
        db: &Database,
        list: List,
        after: Option<PostId>,
        limit: u32,
    ) -> Result<PostPage, RowError> {
        let (root, viewer) = (self.root, Some(self.viewer));
        match list {
            List::Discover => feed::discover(db, viewer, after, limit).await,
            List::Hashtag => posts::with_hashtag(db, "rust", viewer, after, limit).await,
            List::Quotes => posts::quotes_of(db, root, viewer, after, limit).await,
            List::Comments => posts::comments_of(db, root, viewer, after, limit).await,
            List::Thread => posts::thread(db, root, viewer, after, limit).await,
            List::Author(which) => {
                posts::of_author(db, self.carl, which, viewer, after, limit).await
            }
        }
    }

    /// What is shown of a list, in its order.
    fn shown(&self, list: List) -> Vec<PostId> {
        let newest_first = |[first, last]: [PostId; 2]| vec![last, first];
        match list {
            List::Discover => [newest_first(self.quotes), vec![self.root]].concat(),
            List::Hashtag | List::Quotes => newest_first(self.quotes),
            List::Comments => newest_first(self.comments),
            List::Thread => self.comments.to_vec(),
            List::Author(_) => newest_first(self.of_carl),
        }
    }
}

async fn s01_a_page_that_may_show_nothing_is_short_and_goes_on(test: TestDatabase) {
    let world = World::new(&test, HIDDEN).await;
    for list in LISTS {
        let shown = world.shown(list);
        for limit in [1, 5] {
            let (mut seen, mut after, mut short) = (Vec::new(), None, 0);
            loop {
                let page = world.read(&test.db, list, after, limit).await.unwrap();
                assert!(page.rows.len() <= limit as usize);
                seen.extend(ids(&page.rows));
                let is_full = page.rows.len() == limit as usize;
                assert!(!is_full || page.next.is_none(), "{list:?}");
                short += u32::from(page.next.is_some());
                let last = seen.last().copied().filter(|_| is_full);
                after = page.next.or(last);
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, shown, "{list:?} in pages of {limit}");
            assert_eq!(short, 1, "{list:?} in pages of {limit}");
        }
    }
}

async fn a_page_is_filled_from_what_is_behind_the_hidden(test: TestDatabase) {
    let world = World::new(&test, 60).await;
    for list in LISTS {
        let shown = world.shown(list);
        for limit in [1, 2, 7] {
            let page = world.read(&test.db, list, None, limit).await.unwrap();
            let first = shown.len().min(limit as usize);
            assert_eq!(ids(&page.rows), shown[..first], "{list:?}, {limit}");
            assert_eq!(page.next, None, "{list:?}, {limit}");
        }
        // Nothing is looked at for a page of nothing.
        let nothing = world.read(&test.db, list, None, 0).await.unwrap();
        assert_eq!(nothing, PostPage::default(), "{list:?}");
    }
}
