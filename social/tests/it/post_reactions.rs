//! What is done to posts, on both faces: answers, shares, quotes, likes.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::posts::{answered, assert_same, by_graphql, id, ids, path, read, write, written};

on_both_engines! {
    comments_are_a_thread,
    a_share_is_of_the_original_and_there_once,
    a_quote_shows_what_it_quotes,
    a_post_is_liked_and_counted_once,
}

async fn comments_are_a_thread(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let root = written(&ada, "First").await;
    let one = answered(&bob, &root, "Second").await;
    let two = answered(&ada, &one, "Third").await;
    let three = answered(&bob, &root, "Fourth").await;
    let shown = read(&ada, &two).await;
    assert_eq!(
        (&shown["reply_to"], &shown["thread"]),
        (&json!(one), &json!(root))
    );
    assert_same(&shown, &by_graphql(&ada, &two).await);
    let comments = format!("{}/comments", path(&root));
    assert_eq!(ids(&ada, &comments).await, [three.clone(), one.clone()]);
    let thread = |post: &str| format!("{}/thread", path(post));
    let whole = [one.clone(), two.clone(), three.clone()];
    for post in [&root, &one, &two] {
        assert_eq!(ids(&bob, &thread(post)).await, whole);
    }
    assert_eq!(read(&ada, &root).await["counts"]["comments"], 2);
    let document = format!(
        "{{ post(id: \"{root}\") {{ comments {{ edges {{ node {{ id }} }} }}
            threadComments(first: 2) {{ edges {{ node {{ id }} }} pageInfo {{ hasNextPage }} }} }} }}"
    );
    let data = ada.data(&document).await;
    assert_eq!(
        data["post"]["comments"]["edges"][1]["node"]["id"],
        json!(one)
    );
    assert_eq!(
        data["post"]["threadComments"]["pageInfo"]["hasNextPage"],
        true
    );
    assert_eq!(
        data["post"]["threadComments"]["edges"][1]["node"]["id"],
        json!(two)
    );

    // A profile is without comments, unless it is asked for them.
    let profile = "/api/v1/users/bob/posts";
    assert!(ids(&ada, profile).await.is_empty());
    let with_comments = ids(&ada, &format!("{profile}?comments=true")).await;
    assert_eq!(with_comments, [three.clone(), one.clone()]);

    // What was deleted holds its place, and says nothing.
    ada.delete(&path(&root)).await.ok(204);
    let empty = read(&app.anybody(), &root).await;
    assert_eq!(empty["is_deleted"], true);
    assert_eq!(
        (&empty["text"], &empty["author"]),
        (&json!(""), &Value::Null)
    );
    assert_same(&empty, &by_graphql(&app.anybody(), &root).await);
    assert_eq!(ids(&bob, &thread(&root)).await, whole);
    assert_eq!(ids(&bob, &comments).await, [three.clone(), one.clone()]);
    for list in ["quotes", "likes", "revisions"] {
        let page = bob.get(&format!("{}/{list}", path(&root))).await.ok(200);
        assert_eq!(page["items"], json!([]), "{list}");
    }
    for what in ["like", "share"] {
        let path = format!("{}/{what}", path(&root));
        bob.put(&path, &json!({})).await.problem(404, "not-found");
    }
    let document = format!(
        "{{ post(id: \"{root}\") {{ likedBy {{ edges {{ cursor }} }} revisions {{ edges {{ cursor }} }} }} }}"
    );
    bob.data(&document).await;
    // Nothing answers this one: nothing is left of it.
    bob.delete(&path(&three)).await.ok(204);
    ada.get(&path(&three)).await.problem(404, "not-found");
    ada.delete(&path(&three)).await.problem(404, "not-found");
}

async fn a_share_is_of_the_original_and_there_once(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let cleo = app.person("cleo").await;
    let quoted = written(&cleo, "Quoted").await;
    let original = id(&write(&ada, json!({ "text": "Look", "quote": quoted })).await);
    let share = bob
        .put(&format!("{}/share", path(&original)), &json!({}))
        .await
        .ok(200);
    assert_eq!(share["text"], "");
    assert_eq!(share["author"]["name"], "bob");
    assert_eq!(share["share_of"]["id"], json!(original));
    assert_eq!(share["share_of"]["author"]["name"], "ada");
    assert_eq!(share["share_of"]["quote"]["post"]["text"], "Quoted");
    assert_eq!(share["viewer"], json!({ "likes": false, "shares": true }));
    let share = id(&share);
    assert_same(&read(&cleo, &share).await, &by_graphql(&cleo, &share).await);
    let again = bob
        .put(&format!("{}/share", path(&share)), &json!({}))
        .await
        .ok(200);
    assert_eq!(id(&again), share);
    assert_eq!(read(&ada, &original).await["counts"]["shares"], 1);
    // What is done to a share is done to the original.
    cleo.put(&format!("{}/like", path(&share)), &json!({}))
        .await
        .ok(204);
    answered(&cleo, &share, "Nice").await;
    let counts = json!({ "likes": 1, "comments": 1, "shares": 1, "quotes": 0 });
    assert_eq!(read(&ada, &original).await["counts"], counts);
    assert_eq!(read(&ada, &share).await["counts"], counts);
    assert_eq!(
        ids(&ada, &format!("{}/comments", path(&share))).await.len(),
        1
    );
    assert_eq!(
        ids(&ada, &format!("{}/thread", path(&share))).await.len(),
        1
    );
    let likes = ada.get(&format!("{}/likes", path(&share))).await.ok(200);
    assert_eq!(likes["items"][0]["name"], "cleo");
    bob.patch(&path(&share), &json!({ "text": "x", "revision": 0 }))
        .await
        .problem(409, "conflict");

    assert_eq!(
        ids(&cleo, "/api/v1/users/bob/posts").await,
        std::slice::from_ref(&share)
    );
    bob.delete(&format!("{}/share", path(&original)))
        .await
        .ok(204);
    bob.delete(&format!("{}/share", path(&original)))
        .await
        .ok(204);
    bob.get(&path(&share)).await.problem(404, "not-found");
    assert_eq!(read(&ada, &original).await["counts"]["shares"], 0);
}

async fn a_quote_shows_what_it_quotes(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let first = written(&ada, "One").await;
    let second = id(&write(&bob, json!({ "text": "Two", "quote": first })).await);
    let third = id(&write(&ada, json!({ "text": "Three", "quote": second })).await);
    let shown = read(&bob, &third).await;
    assert_eq!(shown["quote"]["post"]["text"], "Two");
    // Of what is quoted there, only the id.
    assert_eq!(
        shown["quote"]["post"]["quote"],
        json!({ "id": first, "post": null })
    );
    assert_same(&shown, &by_graphql(&bob, &third).await);
    assert_eq!(
        ids(&bob, &format!("{}/quotes", path(&first))).await,
        std::slice::from_ref(&second)
    );
    assert_eq!(read(&bob, &first).await["counts"]["quotes"], 1);
    let document =
        format!("{{ post(id: \"{first}\") {{ quotes {{ edges {{ node {{ id }} }} }} }} }}");
    let data = bob.data(&document).await;
    assert_eq!(
        data["post"]["quotes"]["edges"][0]["node"]["id"],
        json!(second)
    );
    // What is gone is not shown, and what quotes it is.
    ada.delete(&path(&first)).await.ok(204);
    let shown = read(&bob, &second).await;
    assert_eq!(shown["quote"], json!({ "id": first, "post": null }));
    assert_same(&shown, &by_graphql(&bob, &second).await);
}

async fn a_post_is_liked_and_counted_once(app: TestApp) {
    let ada = app.person("ada").await;
    let bob = app.person("bob").await;
    let post = written(&ada, "Like me").await;
    let like = format!("{}/like", path(&post));
    for _ in 0..2 {
        bob.put(&like, &json!({})).await.ok(204);
    }
    let shown = read(&bob, &post).await;
    assert_eq!(shown["counts"]["likes"], 1);
    assert_eq!(shown["viewer"], json!({ "likes": true, "shares": false }));
    assert_same(&shown, &by_graphql(&bob, &post).await);
    assert_eq!(read(&ada, &post).await["viewer"]["likes"], false);
    let likes = app
        .anybody()
        .get(&format!("{}/likes", path(&post)))
        .await
        .ok(200);
    assert_eq!(likes["items"][0]["name"], "bob");
    let document =
        format!("{{ post(id: \"{post}\") {{ likedBy {{ edges {{ node {{ name }} }} }} }} }}");
    let data = ada.data(&document).await;
    assert_eq!(data["post"]["likedBy"]["edges"][0]["node"]["name"], "bob");
    for _ in 0..2 {
        bob.delete(&like).await.ok(204);
    }
    assert_eq!(read(&bob, &post).await["counts"]["likes"], 0);
    app.anybody()
        .put(&like, &json!({}))
        .await
        .problem(401, "unauthenticated");
}
