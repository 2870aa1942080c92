//! Feeds, trends and search as somebody may see them, on both faces.

use std::time::Duration;

use media::{Clock, PostId};
use serde_json::{Value, json};
use social::streams::create_stream;
use storage::rows::feed::{Threshold, Writer};
use storage::rows::outbox::{Deliver, OutboxEvent};
use storage::rows::sql::query;
use storage::rows::{LOOKED_AT_MOST, feed, search, sessions, users};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::{Person, TestApp};
use crate::posts::{id, ids, path, written};

on_both_engines! {
    feeds_and_search_have_what_one_may_see,
    s01_a_short_page_has_a_cursor_on_both_faces,
    trends_have_hashtags_and_streams,
    what_nobody_can_mean_is_refused,
}

/// The lists of posts: where REST has them, and GraphQL's field.
const LISTS: [(&str, &str); 4] = [
    ("/api/v1/feeds/home", "home"),
    ("/api/v1/feeds/discover", "discover"),
    ("/api/v1/trends/posts", "trendingPosts"),
    (
        "/api/v1/search/posts?q=garden",
        "searchPosts(query: \"garden\")",
    ),
];

/// What a server runs beside requests.
fn beside(app: &TestApp) -> DropGuard {
    let stop = CancellationToken::new();
    let (db, clock) = (&app.database, &app.clock);
    tokio::spawn(feed::run(db.clone(), clock.clone(), stop.clone()));
    tokio::spawn(search::run(db.clone(), clock.clone(), stop.clone()));
    stop.drop_guard()
}

/// Counts what was done to posts, as a server does beside requests.
pub(crate) async fn count(app: &TestApp) {
    let (db, clock) = (app.database.clone(), app.clock.clone());
    let writer = Writer::new(db, clock, Threshold::default());
    let events: Vec<OutboxEvent> = query(
        "SELECT sequence, id, subject, key, payload, created_at FROM outbox_events
         ORDER BY sequence",
    )
    .all(&app.database)
    .await
    .unwrap();
    for event in &events {
        writer.deliver(event).await.unwrap();
    }
    writer.confirm().await.unwrap();
}

/// The names of what a connection of GraphQL has.
async fn nodes(person: &Person<'_>, field: &str, name: &str) -> Vec<String> {
    let document = format!("{{ {field} {{ nodes {{ {name} }} }} }}");
    let data = person.data(&document).await;
    let field = field.split('(').next().unwrap();
    let nodes = data[field]["nodes"].as_array().unwrap();
    let text = |node: &Value| node[name].as_str().unwrap().to_owned();
    nodes.iter().map(text).collect()
}

/// The same of a page of REST.
async fn items(person: &Person<'_>, path: &str, name: &str) -> Vec<String> {
    let page = person.get(path).await.ok(200);
    let items = page["items"].as_array().unwrap();
    let text = |item: &Value| item[name].as_str().unwrap().to_owned();
    items.iter().map(text).collect()
}

/// Which of the lists have the post.
async fn seen_in(app: &TestApp, person: &Person<'_>, post: &str) -> [bool; LISTS.len()] {
    feed::compute(&app.database, app.clock.now()).await.unwrap();
    let mut seen = [false; LISTS.len()];
    for (place, (path, field)) in LISTS.iter().enumerate() {
        let found = ids(person, path).await;
        assert_eq!(nodes(person, field, "id").await, found, "{field}");
        seen[place] = found.iter().any(|id| id == post);
    }
    seen
}

async fn until_seen(app: &TestApp, person: &Person<'_>, post: &str) {
    let waited = async {
        while seen_in(app, person, post).await != [true; LISTS.len()] {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waited);
    waited
        .await
        .expect("the post is everywhere within a minute");
}

async fn feeds_and_search_have_what_one_may_see(app: TestApp) {
    let _beside = beside(&app);
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let cleo = app.person("cleo").await;
    let nothing = json!({});
    bob.put("/api/v1/users/ada/follow", &nothing).await.ok(200);
    let post = written(&ada, "In the garden").await;
    let liked = format!("{}/like", path(&post));
    cleo.put(&liked, &nothing).await.ok(204);
    until_seen(&app, &bob, &post).await;
    let but_home = [false, true, true, true];
    assert_eq!(seen_in(&app, &cleo, &post).await, but_home);
    let anybody = app.anybody();
    anybody
        .get(LISTS[0].0)
        .await
        .problem(401, "unauthenticated");
    for (path, _) in &LISTS[1..] {
        assert_eq!(
            ids(&anybody, path).await,
            std::slice::from_ref(&post),
            "{path}"
        );
    }

    let none = [false; LISTS.len()];
    bob.put("/api/v1/users/ada/mute", &nothing).await.ok(204);
    assert_eq!(seen_in(&app, &bob, &post).await, none, "muted");
    bob.delete("/api/v1/users/ada/mute").await.ok(204);
    assert_eq!(seen_in(&app, &bob, &post).await, [true; LISTS.len()]);
    ada.put("/api/v1/users/cleo/block", &nothing).await.ok(204);
    assert_eq!(seen_in(&app, &cleo, &post).await, none, "blocked");
    assert!(
        items(&cleo, "/api/v1/search/users?q=ada", "name")
            .await
            .is_empty()
    );
    assert_eq!(
        items(&bob, "/api/v1/search/users?q=ad", "name").await,
        ["ada"]
    );
    assert_eq!(
        nodes(&bob, "searchUsers(query: \"@ada\")", "name").await,
        ["ada"]
    );
    ada.patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    // Who follows still sees it where it is looked for, and nobody comes upon it.
    let looked_for = [true, false, false, true];
    assert_eq!(seen_in(&app, &bob, &post).await, looked_for, "private");
    assert_eq!(ids(&anybody, LISTS[3].0).await, [] as [String; 0]);
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert_eq!(seen_in(&app, &bob, &post).await, none, "followed no more");
    ada.patch("/api/v1/me", &json!({ "is_private": false }))
        .await
        .ok(200);
    let body = json!({ "reason": "spam" });
    root.put("/api/v1/users/ada/suspension", &body)
        .await
        .ok(200);
    assert_eq!(seen_in(&app, &bob, &post).await, none, "suspended");
    root.delete("/api/v1/users/ada/suspension").await.ok(200);
    assert_eq!(seen_in(&app, &bob, &post).await, but_home);
    let ada = app.logged_in("ada").await;
    ada.delete(&path(&post)).await.ok(204);
    assert_eq!(seen_in(&app, &bob, &post).await, none, "deleted");
}

async fn s01_a_short_page_has_a_cursor_on_both_faces(app: TestApp) {
    let (ada, bob, eve) = (
        app.person("ada").await,
        app.person("bob").await,
        app.person("eve").await,
    );
    let seen = written(&bob, "Before them all").await;
    let spam = written(&eve, "One of very many").await;
    let mut transaction = app.database.write().await.unwrap();
    for _ in 0..LOOKED_AT_MOST {
        query(
            "INSERT INTO posts (id, author_id, visibility, body, created_at)
             SELECT $1, author_id, visibility, body, created_at FROM posts WHERE id = $2",
        )
        .bind(PostId::new())
        .bind(spam.parse::<PostId>().unwrap())
        .execute(&mut transaction)
        .await
        .unwrap();
    }
    transaction.commit().await.unwrap();
    ada.put("/api/v1/users/eve/block", &json!({})).await.ok(204);

    let page = ada.get("/api/v1/feeds/discover?first=5").await.ok(200);
    assert_eq!(page["items"], json!([]));
    let next = page["next"].as_str().expect("there is more").to_owned();
    let rest = format!("/api/v1/feeds/discover?first=5&after={next}");
    let page = ada.get(&rest).await.ok(200);
    assert_eq!(page["items"][0]["id"], json!(seen));
    assert_eq!(page["next"], Value::Null);

    let asked = "nodes { id } pageInfo { hasNextPage endCursor }";
    let document = format!("{{ discover(first: 5) {{ {asked} }} }}");
    let connection = ada.data(&document).await["discover"].take();
    let info = json!({ "hasNextPage": true, "endCursor": next });
    assert_eq!(connection, json!({ "nodes": [], "pageInfo": info }));
    let document = format!("{{ discover(first: 5, after: \"{next}\") {{ {asked} }} }}");
    let connection = ada.data(&document).await["discover"].take();
    assert_eq!(connection["nodes"], json!([{ "id": seen }]));
    assert_eq!(connection["pageInfo"]["hasNextPage"], false);
}

async fn trends_have_hashtags_and_streams(app: TestApp) {
    let _beside = beside(&app);
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let owner = users::find_by_name(&app.database, "ada").await.unwrap();
    let (clock, name) = (&*app.clock, "engines".parse().unwrap());
    let stream = create_stream(&app.database, clock, owner.unwrap().id, &name);
    let (stream, _) = stream.await.unwrap();
    let opened = sessions::open_session(&app.database, stream.id, app.clock.now());
    opened.await.unwrap();
    let body = json!({ "text": "Live now #Steam", "stream": "engines" });
    let post = id(&crate::posts::write(&ada, body).await);
    let liked = format!("{}/like", path(&post));
    bob.put(&liked, &json!({})).await.ok(204);
    let anybody = app.anybody();
    let waited = async {
        loop {
            feed::compute(&app.database, app.clock.now()).await.unwrap();
            let found = items(&anybody, "/api/v1/search/streams?q=engine", "name").await;
            let trending = items(&anybody, "/api/v1/trends/posts", "id").await;
            if !found.is_empty() && !trending.is_empty() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), waited).await;
    assert_eq!(found.unwrap(), ["engines"]);
    let by_owner = "searchStreams(query: \"@ada\")";
    assert_eq!(nodes(&bob, by_owner, "name").await, ["engines"]);
    let hashtags = anybody.get("/api/v1/trends/hashtags").await.ok(200);
    assert_eq!(
        hashtags["items"],
        json!([{ "hashtag": "steam", "posts": 1 }])
    );
    assert_eq!(nodes(&bob, "trendingHashtags", "hashtag").await, ["steam"]);
    let streams = anybody.get("/api/v1/trends/streams").await.ok(200);
    let shown = json!({ "name": "engines", "title": "engines", "is_live": true, "owner": "ada" });
    assert_eq!(streams["items"], json!([shown]));
    assert_eq!(nodes(&bob, "trendingStreams", "name").await, ["engines"]);
    ada.put("/api/v1/users/bob/block", &json!({})).await.ok(204);
    assert!(nodes(&bob, "trendingStreams", "name").await.is_empty());
    assert!(nodes(&bob, by_owner, "name").await.is_empty());
}

async fn what_nobody_can_mean_is_refused(app: TestApp) {
    let ada = app.person("ada").await;
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    for query in ["", "%20%2A%20", &"x".repeat(501), &many.join("+")] {
        let answer = ada.get(&format!("/api/v1/search/posts?q={query}")).await;
        let detail = answer.problem(400, "validation");
        assert!(detail.contains("to look for"), "{detail}");
    }
    ada.get("/api/v1/search/users")
        .await
        .problem(400, "validation");
    let code = ada.graphql_code("{ searchStreams(query: \"\") { nodes { name } } }");
    assert_eq!(code.await, "validation");
}
