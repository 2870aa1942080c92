//! How many statements a request makes: no more for a longer page, and a post no more for more
//! followers.

use media::{Clock, UserId};
use serde_json::{Value, json};
use social::streams::create_stream;
use storage::Database;
use storage::rows::posts::{self, NewPost, Shows, Visibility};
use storage::rows::sql::{Statement, query, recorded};
use storage::rows::users;

use crate::app::{Person, TestApp};

// What is wanted at once is looked up at once there, however slow the machine is.
on_both_engines! {
    on one thread:
    a_longer_page_makes_no_more_statements,
    s02_a_post_makes_the_same_statements_however_many_follow,
}

/// Posts of a page.
const FEW: usize = 3;
const MANY: usize = 30;

/// What a page of posts has of each, all that is looked up beside the post included.
const WHOLE: &str = "id parts { text mention } counts { likes comments } viewer { likes shares }
    author { name links { label } followersCount followingCount viewer { follows blocks } }
    stream { name isLive } images { url } video { id }";

/// What looks that up.
const LOADERS: usize = 10;

/// So many new accounts, which nobody logs in to.
async fn people(app: &TestApp, prefix: &str, count: usize) -> Vec<UserId> {
    let mut transaction = app.database.write().await.unwrap();
    let mut people = Vec::new();
    for n in 0..count {
        let id = UserId::new();
        query(
            "INSERT INTO users (id, name, email, password_hash, created_at)
             VALUES ($1, $2, $2, '', 0)",
        )
        .bind(id)
        .bind(format!("{prefix}{n}"))
        .execute(&mut transaction)
        .await
        .unwrap();
        people.push(id);
    }
    transaction.commit().await.unwrap();
    people
}

/// A post of somebody who has a stream, which it shows.
async fn post_of(app: &TestApp, author: UserId, stream: &str) {
    let (db, clock) = (&app.database, &*app.clock);
    let name = stream.parse().unwrap();
    let (stream, _) = create_stream(db, clock, author, &name).await.unwrap();
    let new = NewPost {
        author,
        parent: None,
        quote_of: None,
        shows: Shows::Stream(stream.id),
        visibility: Visibility::Public,
        body: "Hello @ada",
        mentions: &[user(app, "ada").await],
        hashtags: &[],
    };
    let mut transaction = db.write().await.unwrap();
    let made = posts::create(db, &mut transaction, &new, clock.now()).await;
    made.unwrap();
    transaction.commit().await.unwrap();
}

async fn user(app: &TestApp, name: &str) -> UserId {
    let user = users::find_by_name(&app.database, name).await.unwrap();
    user.unwrap().id
}

/// In some order: what is looked up at once has none.
fn texts(statements: Vec<Statement>) -> Vec<String> {
    let texts = statements.into_iter().map(|statement| statement.text);
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

/// A page of so many posts by GraphQL, and the statements that it made.
async fn by_graphql(ada: &Person<'_>, first: usize, fields: &str) -> (Value, Vec<String>) {
    let document = format!("{{ discover(first: {first}) {{ nodes {{ {fields} }} }} }}");
    let (data, statements) = recorded(ada.data(&document)).await;
    (data["discover"]["nodes"].clone(), texts(statements))
}

/// The same by REST.
async fn by_rest(ada: &Person<'_>, first: usize) -> (Value, Vec<String>) {
    let path = format!("/api/v1/feeds/discover?first={first}");
    let (answer, statements) = recorded(ada.get(&path)).await;
    (answer.ok(200)["items"].clone(), texts(statements))
}

/// Each post has what is looked up.
#[track_caller]
fn assert_whole(page: &Value, count: usize) {
    let posts = page.as_array().unwrap();
    assert_eq!(posts.len(), count);
    for (n, post) in posts.iter().rev().enumerate() {
        let n = MANY - count + n;
        assert_eq!(post["author"]["name"], format!("author{n}"), "{post}");
        assert_eq!(post["stream"]["name"], format!("stream{n}"), "{post}");
        assert_eq!(post["counts"]["likes"], 0, "{post}");
        assert_eq!(post["parts"][1]["mention"], "ada", "{post}");
    }
}

async fn a_longer_page_makes_no_more_statements(app: TestApp) {
    let ada = app.person("ada").await;
    let (none, asked_for_none) = by_rest(&ada, FEW).await;
    assert_whole(&none, 0);
    for (n, author) in people(&app, "author", MANY).await.into_iter().enumerate() {
        post_of(&app, author, &format!("stream{n}")).await;
    }
    let (few, asked) = by_graphql(&ada, FEW, WHOLE).await;
    assert_whole(&few, FEW);
    let (many, asked_for_many) = by_graphql(&ada, MANY, WHOLE).await;
    assert_whole(&many, MANY);
    assert_eq!(asked, asked_for_many);
    // What loaders ask is among them.
    let (_, asked_for_ids) = by_graphql(&ada, FEW, "id").await;
    assert!(!asked_for_ids.is_empty());
    let loaders = asked.len() - asked_for_ids.len();
    println!("{} statements, {loaders} of them by loaders", asked.len());
    assert!(loaders >= LOADERS, "{asked:#?}");

    let (few, asked) = by_rest(&ada, FEW).await;
    assert_whole(&few, FEW);
    let (many, asked_for_many) = by_rest(&ada, MANY).await;
    assert_whole(&many, MANY);
    assert_eq!(asked, asked_for_many);
    for table in ["post_counts", "post_mentions", "likes", "images"] {
        let reads = |text: &String| {
            let words: Vec<_> = text.split_whitespace().collect();
            words.windows(2).any(|pair| pair == ["FROM", table])
        };
        assert!(asked.iter().any(reads), "{table}");
        assert!(!asked_for_none.iter().any(reads), "{table}, for no posts");
    }
}

/// Has so many new people follow somebody.
pub(crate) async fn follow(app: &TestApp, followed: UserId, prefix: &str, count: usize) {
    let followers = people(app, prefix, count).await;
    let mut transaction = app.database.write().await.unwrap();
    for follower in followers {
        query(
            "INSERT INTO follows (follower_id, followed_id, created_at, accepted_at)
             VALUES ($1, $2, 0, 0)",
        )
        .bind(follower)
        .bind(followed)
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
}

/// How many rows there are of what a post could add for each follower.
async fn rows(db: &Database) -> [i64; 3] {
    let (events, entries, notifications): (i64, i64, i64) = query(
        "SELECT (SELECT COUNT(*) FROM outbox_events), (SELECT COUNT(*) FROM feed_entries),
                (SELECT COUNT(*) FROM notifications)",
    )
    .one(db)
    .await
    .unwrap();
    [events, entries, notifications]
}

/// What making a post by REST and one by GraphQL asks, and the rows that are added.
async fn posting(ada: &Person<'_>) -> ([Vec<String>; 2], [i64; 3]) {
    let db = &ada.app.database;
    let before = rows(db).await;
    let body = json!({ "text": "Hello" });
    let (made, by_rest) = recorded(ada.post("/api/v1/posts", &body)).await;
    made.ok(201);
    let document = format!("mutation {{ createPost(input: {{ text: \"Hello\" }}) {{ {WHOLE} }} }}");
    let (_, by_graphql) = recorded(ada.data(&document)).await;
    let after = rows(db).await;
    let added = std::array::from_fn(|n| after[n] - before[n]);
    ([texts(by_rest), texts(by_graphql)], added)
}

async fn s02_a_post_makes_the_same_statements_however_many_follow(app: TestApp) {
    let ada = app.person("ada").await;
    let id = user(&app, "ada").await;
    follow(&app, id, "friend", 10).await;
    let (asked, added) = posting(&ada).await;
    assert_eq!(added, [2, 0, 0], "an event for each post");
    for asked in &asked {
        assert!(
            asked
                .iter()
                .any(|text| text.starts_with("INSERT INTO posts"))
        );
    }
    follow(&app, id, "follower", 990).await;
    assert_eq!(posting(&ada).await, (asked, added));
}
