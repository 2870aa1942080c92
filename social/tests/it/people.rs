//! People: profiles, follows, blocks, mutes, preferences, on both faces.

use media::{Micros, UserId};
use serde_json::{Value, json};
use storage::rows::{sql, users};

use crate::app::{Person, TestApp};
use crate::statements;

on_both_engines! {
    a_profile_is_changed_and_seen,
    following_is_at_once_or_by_asking,
    a_private_account_shows_its_lists_to_followers,
    who_is_blocked_sees_nobody,
    pages_of_followers_have_no_gap,
    of_many_followers_the_count_is_up_to_a_minute_old,
    preferences_have_defaults,
    graphql_fetches_for_many_at_once,
}

async fn user(person: &Person<'_>, name: &str) -> Value {
    person.get(&format!("/api/v1/users/{name}")).await.ok(200)
}

async fn follow(person: &Person<'_>, name: &str) -> Value {
    let path = format!("/api/v1/users/{name}/follow");
    person.put(&path, &json!({})).await.ok(200)["follows"].clone()
}

async fn names(person: &Person<'_>, path: &str) -> Vec<String> {
    let page = person.get(path).await.ok(200);
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_profile_is_changed_and_seen(app: TestApp) {
    let ada = app.person("ada").await;
    let seen = user(&app.anybody(), "ADA").await;
    assert_eq!(
        (&seen["name"], &seen["display_name"]),
        (&json!("ada"), &json!("ada"))
    );
    assert_eq!(
        (&seen["viewer"], &seen["followers"]),
        (&Value::Null, &json!(0))
    );
    assert_eq!(
        seen["email"],
        Value::Null,
        "an address is nobody else's business"
    );

    let links = json!([{ "label": "Home", "url": "https://ada.example.org" }]);
    let change = json!({ "display_name": "Ada L.", "bio": "Engines.\nNotes.", "links": links });
    let me = ada.patch("/api/v1/me", &change).await.ok(200);
    assert_eq!(me["links"], links);
    let seen = user(&app.anybody(), "ada").await;
    assert_eq!(seen["display_name"], "Ada L.");
    assert_eq!(seen["links"], links);
    // What is not given stays.
    ada.patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    let seen = user(&app.anybody(), "ada").await;
    assert_eq!(
        (&seen["bio"], &seen["is_private"]),
        (&json!("Engines.\nNotes."), &json!(true))
    );

    let bad = json!({ "display_name": "a\nb", "links": [{ "label": "x", "url": "javascript:x" }] });
    let answer = ada.patch("/api/v1/me", &bad).await;
    answer.problem(400, "validation");
    assert_eq!(answer.json()["errors"][1]["field"], "links[0].url");
    // What PostgreSQL takes for no text is nobody's name.
    for nobody in ["a%00b", "%ff", "%c3%a9", "-"] {
        let path = format!("/api/v1/users/{nobody}");
        let status = app.anybody().get(&path).await.status.as_u16();
        assert!([400, 404].contains(&status), "{nobody}: {status}");
    }
    app.anybody()
        .get("/api/v1/users/nobody")
        .await
        .problem(404, "not-found");
}

async fn following_is_at_once_or_by_asking(app: TestApp) {
    let (ada, grace) = (app.person("ada").await, app.person("grace").await);
    assert_eq!(follow(&ada, "grace").await, "yes");
    assert_eq!(follow(&ada, "grace").await, "yes");
    let seen = user(&ada, "grace").await;
    assert_eq!(seen["viewer"]["follows"], "yes");
    assert_eq!(seen["followers"], 1);
    assert_eq!(user(&grace, "ada").await["viewer"]["followed_by"], true);
    assert_eq!(names(&ada, "/api/v1/users/grace/followers").await, ["ada"]);
    assert_eq!(names(&ada, "/api/v1/users/ada/following").await, ["grace"]);
    let path = "/api/v1/users/grace/follow";
    assert_eq!(ada.delete(path).await.ok(200)["follows"], "no");
    ada.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .problem(409, "conflict");

    grace
        .patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    assert_eq!(follow(&ada, "grace").await, "requested");
    assert_eq!(user(&ada, "grace").await["followers"], 0);
    assert_eq!(names(&grace, "/api/v1/me/follow-requests").await, ["ada"]);
    let path = "/api/v1/me/follow-requests/ada";
    grace.put(path, &json!({})).await.ok(204);
    grace.put(path, &json!({})).await.problem(404, "not-found");
    assert_eq!(user(&ada, "grace").await["viewer"]["follows"], "yes");
    grace.delete("/api/v1/me/followers/ada").await.ok(204);
    assert_eq!(follow(&ada, "grace").await, "requested");
    grace.delete(path).await.ok(204);
    assert_eq!(user(&ada, "grace").await["viewer"]["follows"], "no");
}

async fn a_private_account_shows_its_lists_to_followers(app: TestApp) {
    let (ada, grace) = (app.person("ada").await, app.person("grace").await);
    follow(&ada, "grace").await;
    grace
        .patch("/api/v1/me", &json!({ "is_private": true }))
        .await
        .ok(200);
    let path = "/api/v1/users/grace/followers";
    assert_eq!(names(&ada, path).await, ["ada"]);
    assert_eq!(names(&grace, path).await, ["ada"]);
    let stranger = app.person("stranger").await;
    stranger.get(path).await.problem(403, "forbidden");
    app.anybody().get(path).await.problem(403, "forbidden");
    let question = "{ user(name: \"grace\") { name followers { edges { node { name } } } } }";
    assert_eq!(stranger.graphql_code(question).await, "forbidden");
}

async fn who_is_blocked_sees_nobody(app: TestApp) {
    let (ada, grace) = (app.person("ada").await, app.person("grace").await);
    follow(&ada, "grace").await;
    follow(&grace, "ada").await;
    ada.put("/api/v1/users/grace/block", &json!({}))
        .await
        .ok(204);
    let seen = user(&ada, "grace").await;
    assert_eq!(seen["viewer"]["blocks"], true);
    assert_eq!(
        (&seen["followers"], &seen["following"]),
        (&json!(0), &json!(0))
    );
    grace
        .get("/api/v1/users/ada")
        .await
        .problem(404, "not-found");
    grace
        .get("/api/v1/users/ada/followers")
        .await
        .problem(404, "not-found");
    let path = "/api/v1/users/ada/follow";
    grace.put(path, &json!({})).await.problem(404, "not-found");
    ada.put("/api/v1/users/grace/follow", &json!({}))
        .await
        .problem(409, "conflict");
    assert_eq!(names(&ada, "/api/v1/me/blocks").await, ["grace"]);
    ada.delete("/api/v1/users/grace/block").await.ok(204);
    user(&grace, "ada").await;

    ada.put("/api/v1/users/grace/mute", &json!({}))
        .await
        .ok(204);
    assert_eq!(user(&ada, "grace").await["viewer"]["mutes"], true);
    assert_eq!(names(&ada, "/api/v1/me/mutes").await, ["grace"]);
    assert_eq!(user(&grace, "ada").await["viewer"]["mutes"], false);
    // Who blocks is not seen in the lists of whom they block, and hides from no moderator.
    grace
        .put("/api/v1/users/ada/block", &json!({}))
        .await
        .ok(204);
    assert_eq!(names(&ada, "/api/v1/me/mutes").await, [""; 0]);
    app.administrator("root").await;
    let root = app.logged_in("root").await;
    grace
        .put("/api/v1/users/root/block", &json!({}))
        .await
        .ok(204);
    user(&root, "grace").await;
    grace.delete("/api/v1/users/ada/block").await.ok(204);
    assert_eq!(names(&ada, "/api/v1/me/mutes").await, ["grace"]);
    ada.delete("/api/v1/users/grace/mute").await.ok(204);
    assert_eq!(names(&ada, "/api/v1/me/mutes").await, [""; 0]);
    ada.put("/api/v1/users/ada/block", &json!({}))
        .await
        .problem(409, "conflict");
}

async fn pages_of_followers_have_no_gap(app: TestApp) {
    app.user("ada").await;
    let mut expected = Vec::new();
    for number in 0..7 {
        let name = format!("fan-{number}");
        // Some at the same time.
        if number % 3 == 0 {
            app.later(media::Micros::from_secs(1));
        }
        follow(&app.person(&name).await, "ada").await;
        expected.push(name);
    }
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/users/ada/followers?first=3{after}");
        let page = app.anybody().get(&path).await.ok(200);
        let items = page["items"].as_array().unwrap();
        found.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    found.sort();
    assert_eq!(found, expected);
}

async fn of_many_followers_the_count_is_up_to_a_minute_old(app: TestApp) {
    app.user("ada").await;
    let ada = users::find_by_name(&app.database, "ada").await;
    let ada = ada.unwrap().unwrap().id;
    statements::follow(&app, ada, "fan", 1_000).await;
    let bob = app.person("bob").await;
    let count = async || {
        let document = "{ user(name: \"ada\") { followersCount } }";
        let counted = bob.data(document).await["user"]["followersCount"].clone();
        assert_eq!(user(&bob, "ada").await["followers"], counted);
        counted
    };
    assert_eq!(count().await, 1_000);
    statements::follow(&app, ada, "more", 1).await;
    assert_eq!(count().await, 1_001);
    // As by another node.
    statements::follow(&app, ada, "later", 2).await;
    app.later(Micros::from_secs(59));
    assert_eq!(count().await, 1_001, "counted less than a minute ago");
    app.later(Micros::from_secs(1));
    assert_eq!(count().await, 1_003);

    // Whoever follows sees it.
    follow(&bob, "ada").await;
    assert_eq!(count().await, 1_004);
    bob.delete("/api/v1/users/ada/follow").await.ok(200);
    assert_eq!(count().await, 1_003);

    unfollow(&app, ada, 3).await;
    assert_eq!(count().await, 1_000, "few enough to be counted always");
    statements::follow(&app, ada, "again", 1).await;
    assert_eq!(count().await, 1_001, "what was counted before is forgotten");
}

/// Has so many of somebody's followers follow them no more.
async fn unfollow(app: &TestApp, followed: UserId, count: u32) {
    let mut transaction = app.database.write().await.unwrap();
    let ended = sql::query(
        "DELETE FROM follows WHERE followed_id = $1 AND follower_id IN (
             SELECT follower_id FROM follows WHERE followed_id = $1 LIMIT $2)",
    )
    .bind(followed)
    .bind(count)
    .execute(&mut transaction)
    .await;
    assert_eq!(ended.unwrap(), u64::from(count));
    transaction.commit().await.unwrap();
}

async fn preferences_have_defaults(app: TestApp) {
    let ada = app.person("ada").await;
    let path = "/api/v1/me/preferences";
    assert_eq!(ada.get(path).await.ok(200)["theme"], "system");
    let set = ada.patch(path, &json!({ "theme": "dark" })).await.ok(200);
    assert_eq!(set["theme"], "dark");
    let document = "mutation { setPreferences(input: [{ name: \"theme\" }]) { name value } }";
    let all = ada.data(document).await["setPreferences"].clone();
    assert!(
        all.as_array()
            .unwrap()
            .contains(&json!({ "name": "theme", "value": "system" }))
    );
    for bad in [json!({ "theme": "pink" }), json!({ "colour": "pink" })] {
        ada.patch(path, &bad).await.problem(400, "validation");
    }
}

async fn graphql_fetches_for_many_at_once(app: TestApp) {
    let ada = app.person("ada").await;
    for number in 0..5 {
        let fan = app.person(&format!("fan-{number}")).await;
        follow(&fan, "ada").await;
        follow(&ada, &format!("fan-{number}")).await;
    }
    let document = "{ user(name: \"ada\") { followersCount viewer { follows } followers(first: 4) {
        edges { node { name followersCount links { url } viewer { follows followedBy } } }
        pageInfo { hasNextPage endCursor } } } }";
    let seen = ada.data(document).await["user"].clone();
    assert_eq!(
        (&seen["followersCount"], &seen["viewer"]),
        (&json!(5), &Value::Null)
    );
    let edges = seen["followers"]["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 4);
    for edge in edges {
        let node = &edge["node"];
        assert_eq!(node["followersCount"], 1);
        assert_eq!(
            node["viewer"],
            json!({ "follows": "YES", "followedBy": true })
        );
    }
    assert_eq!(seen["followers"]["pageInfo"]["hasNextPage"], true);
}
