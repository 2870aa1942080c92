//! Going live makes a post, for those who want it.

use std::time::Duration;

use media::{Clock, Micros, StreamId, UserId};
use serde_json::{Value, json};
use social::streams::create_stream;
use storage::rows::{sessions, users};

use crate::app::TestApp;
use crate::posts::{id, ids, read, write};

on_both_engines! {
    going_live_makes_one_post_for_who_wants_it,
    a_post_shows_a_stream,
}

async fn stream(app: &TestApp, owner: &str, name: &str) -> (UserId, StreamId) {
    let owner = users::find_by_name(&app.database, owner).await.unwrap();
    let owner = owner.unwrap().id;
    let (clock, name) = (&*app.clock, name.parse().unwrap());
    let (row, _) = create_stream(&app.database, clock, owner, &name)
        .await
        .unwrap();
    (owner, row.id)
}

async fn go_live(app: &TestApp, stream: StreamId) -> media::SessionId {
    let opened = sessions::open_session(&app.database, stream, app.clock.now());
    opened.await.unwrap().session.id
}

/// Waits until somebody has so many posts.
async fn until_posts(app: &TestApp, name: &str, count: usize) -> Vec<String> {
    let path = format!("/api/v1/users/{name}/posts");
    let waited = async {
        loop {
            let posts = ids(&app.anybody(), &path).await;
            if posts.len() == count {
                return posts;
            }
            assert!(posts.len() < count, "{posts:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waited)
        .await
        .expect("the post within a minute")
}

async fn going_live_makes_one_post_for_who_wants_it(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let carl = app.person("carl").await;
    let preferences = ada.get("/api/v1/me/preferences").await.ok(200);
    assert_eq!(preferences["post_when_live"], "no");
    for person in [&ada, &bob, &carl] {
        let body = json!({ "post_when_live": "yes" });
        person.patch("/api/v1/me/preferences", &body).await.ok(200);
    }
    app.user("quiet").await;
    let (_, of_quiet) = stream(&app, "quiet", "quiet").await;
    let (_, of_ada) = stream(&app, "ada", "engines").await;
    let (_, of_bob) = stream(&app, "bob", "bobs").await;
    // The consumer begins with what comes after its making: it is there with the first post.
    let first = async {
        loop {
            let session = go_live(&app, of_bob).await;
            for _ in 0..200 {
                if !ids(&bob, "/api/v1/users/bob/posts").await.is_empty() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = sessions::end_session(&app.database, session, app.clock.now()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), first)
        .await
        .unwrap();

    go_live(&app, of_quiet).await;
    let session = go_live(&app, of_ada).await;
    let posts = until_posts(&app, "ada", 1).await;
    let post = read(&app.anybody(), &posts[0]).await;
    let shown = json!({ "name": "engines", "title": "engines", "is_live": true, "owner": "ada" });
    assert_eq!((&post["stream"], &post["text"]), (&shown, &json!("")));
    assert_eq!(post["visibility"], "public");
    // Who comes back within the grace period is in the same broadcast.
    sessions::publisher_left(&app.database, session, app.clock.now())
        .await
        .unwrap();
    assert_eq!(go_live(&app, of_ada).await, session);
    sessions::end_session(&app.database, session, app.clock.now())
        .await
        .unwrap();
    assert_eq!(read(&ada, &posts[0]).await["stream"]["is_live"], false);
    // Who comes back soon after that is not announced again; what comes later has come.
    let again = go_live(&app, of_ada).await;
    let (_, of_carl) = stream(&app, "carl", "carls").await;
    go_live(&app, of_carl).await;
    until_posts(&app, "carl", 1).await;
    assert_eq!(until_posts(&app, "ada", 1).await, posts);
    sessions::end_session(&app.database, again, app.clock.now())
        .await
        .unwrap();
    app.later(Micros::from_secs(31 * 60));
    go_live(&app, of_ada).await;
    until_posts(&app, "ada", 2).await;
    let of_quiet = ids(&app.anybody(), "/api/v1/users/quiet/posts").await;
    assert!(of_quiet.is_empty());
}

async fn a_post_shows_a_stream(app: TestApp) {
    let ada = app.person("ada").await;
    app.user("bob").await;
    let (owner, _) = stream(&app, "bob", "bobs").await;
    let post = write(&ada, json!({ "stream": "bobs" })).await;
    let shown = json!({ "name": "bobs", "title": "bobs", "is_live": false, "owner": "bob" });
    assert_eq!(post["stream"], shown);
    let document = format!(
        r#"{{ post(id: "{}") {{ stream {{ name title isLive owner }} }} }}"#,
        id(&post)
    );
    let data = ada.data(&document).await;
    assert_eq!(data["post"]["stream"]["owner"], "bob");
    let mut transaction = app.database.write().await.unwrap();
    let _told = users::suspend(&app.database, &mut transaction, owner, app.clock.now())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(read(&ada, &id(&post)).await["stream"]["owner"], Value::Null);
}
