//! Who sees what, against a plain model: any people, and any posts between them.

use std::collections::BTreeSet;

use media::{PostId, UserId};
use proptest::prelude::*;
use storage::rows::posts::{self, AuthorPosts, PostRow, Visibility};
use storage::rows::{likes, sql};

use crate::fixtures::TestDatabase;
use crate::post_pages::{all_pages, ids};
use crate::users::write;

const PEOPLE: usize = 4;
const TAG: &str = "tag";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Active,
    Suspended,
    Deleted,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    standing: Standing,
    is_private: bool,
}

/// What is between one person and another.
#[derive(Clone, Copy, Debug, Default)]
struct Between {
    /// `Some(false)`: requested.
    follows: Option<bool>,
    blocks: bool,
    mutes: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Post,
    /// What it answers, of those before it.
    Comment(prop::sample::Index),
    Share(prop::sample::Index),
    Quote(prop::sample::Index),
}

#[derive(Clone, Copy, Debug)]
struct Written {
    author: usize,
    kind: Kind,
    is_public: bool,
    is_deleted: bool,
    /// The account is gone: of what was deleted only.
    is_orphan: bool,
}

#[derive(Clone, Debug)]
struct World {
    people: Vec<Person>,
    between: Vec<Vec<Between>>,
    written: Vec<Written>,
}

fn world() -> impl Strategy<Value = World> {
    let standing = prop_oneof![
        6 => Just(Standing::Active),
        1 => Just(Standing::Suspended),
        1 => Just(Standing::Deleted),
    ];
    let person = (standing, prop::bool::weighted(0.3)).prop_map(|(standing, is_private)| Person {
        standing,
        is_private,
    });
    let follows = prop_oneof![2 => Just(None), 1 => Just(Some(false)), 2 => Just(Some(true))];
    let between = (
        follows,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(follows, blocks, mutes)| Between {
            follows,
            blocks,
            mutes,
        });
    let kind = prop_oneof![
        3 => Just(Kind::Post),
        4 => any::<prop::sample::Index>().prop_map(Kind::Comment),
        2 => any::<prop::sample::Index>().prop_map(Kind::Share),
        1 => any::<prop::sample::Index>().prop_map(Kind::Quote),
    ];
    let written = (
        0..PEOPLE,
        kind,
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.5),
    )
        .prop_map(|(author, kind, is_public, is_deleted, is_orphan)| Written {
            author,
            kind,
            is_public,
            is_deleted,
            is_orphan: is_deleted && is_orphan,
        });
    (
        prop::collection::vec(person, PEOPLE),
        prop::collection::vec(prop::collection::vec(between, PEOPLE), PEOPLE),
        prop::collection::vec(written, 1..16),
    )
        .prop_map(|(people, between, written)| World {
            people,
            between,
            written,
        })
}

/// A post of the model, with what it refers to by place.
#[derive(Clone, Copy, Debug)]
struct Post {
    author: Option<usize>,
    parent: Option<usize>,
    root: Option<usize>,
    share_of: Option<usize>,
    quote_of: Option<usize>,
    is_public: bool,
    is_deleted: bool,
}

/// The model: the same rules, in the words of the data model.
struct Model {
    people: Vec<Person>,
    between: Vec<Vec<Between>>,
    posts: Vec<Post>,
}

impl Model {
    fn of(world: &World) -> Self {
        let mut posts: Vec<Post> = Vec::new();
        for written in &world.written {
            let mut post = Post {
                author: (!written.is_orphan).then_some(written.author),
                parent: None,
                root: None,
                share_of: None,
                quote_of: None,
                is_public: written.is_public,
                is_deleted: written.is_deleted,
            };
            let original = |index: prop::sample::Index| {
                let place = index.index(posts.len());
                posts[place].share_of.unwrap_or(place)
            };
            match written.kind {
                _ if posts.is_empty() => {}
                Kind::Post => {}
                Kind::Comment(index) => {
                    let parent = original(index);
                    let root = posts[parent].root.unwrap_or(parent);
                    post.parent = Some(parent);
                    post.root = Some(root);
                    post.is_public = posts[root].is_public;
                }
                Kind::Share(index) => {
                    let of = original(index);
                    let is_taken = posts
                        .iter()
                        .any(|other| other.share_of == Some(of) && other.author == post.author);
                    // A share that is taken back leaves nothing.
                    if !is_taken && post.author.is_some() {
                        post.share_of = Some(of);
                        post.is_deleted = false;
                    }
                }
                Kind::Quote(index) => post.quote_of = Some(original(index)),
            }
            posts.push(post);
        }
        Self {
            people: world.people.clone(),
            between: world.between.clone(),
            posts,
        }
    }

    fn blocked(&self, one: usize, other: usize) -> bool {
        one != other && (self.between[one][other].blocks || self.between[other][one].blocks)
    }

    fn follows(&self, one: usize, other: usize) -> bool {
        one != other && self.between[one][other].follows == Some(true)
    }

    /// Whether `viewer` may see what is under the first post of a thread.
    fn is_for(&self, root: usize, viewer: Option<usize>) -> bool {
        let root = self.posts[root];
        let Some(author) = root.author else {
            return root.is_public;
        };
        if viewer == Some(author) {
            return true;
        }
        let person = self.people[author];
        let is_there = match person.standing {
            Standing::Active => true,
            Standing::Suspended => false,
            Standing::Deleted => root.is_deleted,
        };
        let is_for_all = root.is_public && !person.is_private;
        match viewer {
            None => is_there && is_for_all,
            Some(viewer) => {
                is_there
                    && !self.blocked(viewer, author)
                    && (is_for_all || self.follows(viewer, author))
            }
        }
    }

    fn sees(&self, viewer: Option<usize>, place: usize) -> bool {
        let post = self.posts[place];
        let Some(author) = post.author else {
            return false;
        };
        if post.is_deleted || self.people[author].standing != Standing::Active {
            return false;
        }
        if viewer == Some(author) {
            return post.share_of.is_none_or(|of| self.sees(viewer, of));
        }
        !viewer.is_some_and(|viewer| self.blocked(viewer, author))
            && self.is_for(post.root.unwrap_or(place), viewer)
            && post.share_of.is_none_or(|of| self.sees(viewer, of))
    }

    fn mutes(&self, viewer: Option<usize>, place: usize) -> bool {
        match (viewer, self.posts[place].author) {
            (Some(viewer), Some(author)) => viewer != author && self.between[viewer][author].mutes,
            _ => false,
        }
    }
}

/// The world as rows, some of which no call would have made.
struct Rows {
    people: Vec<UserId>,
    posts: Vec<PostId>,
}

async fn insert(test: &TestDatabase, model: &Model) -> Rows {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(test.user(&format!("u{n}")).await);
    }
    let mut transaction = write(test).await;
    for (person, id) in model.people.iter().zip(&people) {
        sql::query(
            "UPDATE users SET is_private = $2, suspended_at = $3, deleted_at = $4 WHERE id = $1",
        )
        .bind(*id)
        .bind(person.is_private)
        .bind((person.standing == Standing::Suspended).then_some(1_i64))
        .bind((person.standing == Standing::Deleted).then_some(1_i64))
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    for (one, other) in (0..PEOPLE).flat_map(|one| (0..PEOPLE).map(move |other| (one, other))) {
        let between = model.between[one][other];
        if one == other {
            continue;
        }
        if let Some(is_accepted) = between.follows {
            sql::query("INSERT INTO follows VALUES ($1, $2, 0, $3)")
                .bind(people[one])
                .bind(people[other])
                .bind(is_accepted.then_some(0_i64))
                .execute(&mut transaction)
                .await
                .unwrap();
        }
        for (is_so, text) in [
            (between.blocks, "INSERT INTO blocks VALUES ($1, $2, 0)"),
            (between.mutes, "INSERT INTO mutes VALUES ($1, $2, 0)"),
        ] {
            if is_so {
                sql::query(text)
                    .bind(people[one])
                    .bind(people[other])
                    .execute(&mut transaction)
                    .await
                    .unwrap();
            }
        }
    }
    let mut posts: Vec<PostId> = Vec::new();
    for post in &model.posts {
        let id = PostId::new();
        let place = |place: Option<usize>| place.map(|place| posts[place].as_uuid());
        let visibility = if post.is_public {
            Visibility::Public
        } else {
            Visibility::Followers
        };
        sql::query(
            "INSERT INTO posts (id, author_id, parent_id, root_id, share_of_id, quote_of_id,
                                visibility, body, created_at, deleted_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0, $8)",
        )
        .bind(id)
        .bind(post.author.map(|author| people[author]))
        .bind(place(post.parent))
        .bind(place(post.root))
        .bind(place(post.share_of))
        .bind(place(post.quote_of))
        .bind(visibility.to_string())
        .bind(post.is_deleted.then_some(1_i64))
        .execute(&mut transaction)
        .await
        .unwrap();
        sql::query("INSERT INTO post_hashtags VALUES ($1, $2)")
            .bind(TAG)
            .bind(id)
            .execute(&mut transaction)
            .await
            .unwrap();
        posts.push(id);
    }
    transaction.commit().await.unwrap();
    Rows { people, posts }
}

async fn compare(test: TestDatabase, world: World) {
    let model = Model::of(&world);
    let rows = insert(&test, &model).await;
    for viewer in (0..PEOPLE).map(Some).chain([None]) {
        let who = viewer.map(|viewer| rows.people[viewer]);
        let expected = |of: &dyn Fn(usize) -> bool| -> Vec<PostId> {
            (0..model.posts.len())
                .filter(|place| of(*place) && model.sees(viewer, *place))
                .map(|place| rows.posts[place])
                .collect()
        };
        let newest_first = |of: &dyn Fn(usize) -> bool| -> Vec<PostId> {
            expected(of).into_iter().rev().collect()
        };
        let seen = posts::by_ids(&test.db, &rows.posts, who).await.unwrap();
        let seen: BTreeSet<_> = ids(&seen).into_iter().collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected(&|_| true));

        let tagged = all_pages(3, async |before, limit| {
            let page = posts::with_hashtag(&test.db, TAG, who, before, limit).await;
            page.unwrap()
        });
        let wanted = newest_first(&|place| !model.mutes(viewer, place));
        assert_eq!(tagged.await, wanted);

        for (author, id) in rows.people.iter().enumerate() {
            let theirs = all_pages(2, async |before, limit| {
                let which = AuthorPosts::WithoutComments;
                let page = posts::of_author(&test.db, *id, which, who, before, limit).await;
                page.unwrap()
            });
            let wanted = newest_first(&|place| {
                let post = model.posts[place];
                post.author == Some(author) && post.parent.is_none()
            });
            assert_eq!(theirs.await, wanted);
        }
        for (of, id) in rows.posts.iter().enumerate() {
            let pages: [(Vec<PostRow>, Vec<PostId>); 3] = [
                (
                    posts::thread(&test.db, *id, who, None, 99)
                        .await
                        .unwrap()
                        .rows,
                    expected(&|place| model.posts[place].root == Some(of)),
                ),
                (
                    posts::comments_of(&test.db, *id, who, None, 99)
                        .await
                        .unwrap()
                        .rows,
                    newest_first(&|place| model.posts[place].parent == Some(of)),
                ),
                (
                    posts::quotes_of(&test.db, *id, who, None, 99)
                        .await
                        .unwrap()
                        .rows,
                    newest_first(&|place| model.posts[place].quote_of == Some(of)),
                ),
            ];
            for (seen, wanted) in pages {
                assert_eq!(ids(&seen), wanted);
            }
        }
        liking_is_seeing(&test, &model, &rows, viewer).await;
    }
}

/// Who sees a post can like it, unless they are suspended or deleted, and nobody else.
async fn liking_is_seeing(test: &TestDatabase, model: &Model, rows: &Rows, viewer: Option<usize>) {
    let Some(viewer) = viewer else { return };
    for (place, post) in rows.posts.iter().enumerate() {
        // Not kept: the next viewer has the same world.
        let mut transaction = write(test).await;
        let now = crate::fixtures::NOW;
        let user = rows.people[viewer];
        let liked = likes::like(&test.db, &mut transaction, user, *post, now).await;
        let may = model.people[viewer].standing == Standing::Active;
        assert_eq!(liked.is_ok(), may && model.sees(Some(viewer), place));
    }
}

/// Any world. On PostgreSQL fewer: a database takes longer to make there.
fn everybody_sees_what_they_may(cases: u32, database: impl AsyncFn() -> TestDatabase) {
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    proptest!(config, |(world in world())| {
        runtime.block_on(async { compare(database().await, world).await });
    });
}

#[test]
fn everybody_sees_what_they_may_on_sqlite() {
    everybody_sees_what_they_may(32, TestDatabase::new);
}

#[test]
fn everybody_sees_what_they_may_on_postgres() {
    everybody_sees_what_they_may(8, TestDatabase::on_postgres);
}
