//! What posts show beside their texts: pictures, a video or a stream.

use media::{Clock, StreamName, UserId, VideoId};
use serde_json::{Value, json};
use storage::objects::ObjectStore;
use storage::rows::videos::imports::{self, NewImport};
use storage::rows::{images, sessions, sql, streams, users};

use crate::app::{Person, TestApp};
use crate::images::sent;
use crate::posts::{assert_same, by_graphql, id, path, read, write, written};
use crate::stream_control::make;

on_both_engines! {
    a_post_shows_pictures_on_both_faces,
    a_post_shows_a_video_on_both_faces,
    many_who_post_videos_at_once_do_not_wait_for_each_other,
    a_post_shows_a_recording_to_whom_its_stream_is_for,
    comments_quotes_and_shares_show_pictures,
    what_cannot_be_shown_is_named,
    a_post_with_pictures_is_made_once_under_a_key,
    a_deleted_post_shows_no_picture_to_anybody,
    pictures_of_whoever_is_kept_out_are_not_served,
    what_shows_something_needs_no_text,
    moderators_see_what_was_reported,
    moderators_see_the_stream_and_the_quoted_post,
    an_export_has_pictures,
    an_export_has_streams_and_videos,
}

async fn user(app: &TestApp, name: &str) -> UserId {
    let found = users::find_by_name(&app.database, name).await.unwrap();
    found.unwrap().id
}

/// A video of somebody's in this state.
pub(crate) async fn video(app: &TestApp, owner: &str, state: &'static str) -> VideoId {
    let id = VideoId::new();
    let new = NewImport {
        id,
        owner: user(app, owner).await,
        title: "A holiday",
        original_size: 1,
    };
    let mut transaction = app.database.write().await.unwrap();
    imports::create(&mut transaction, new, app.clock.now())
        .await
        .unwrap();
    sql::query("UPDATE videos SET state = $2, duration = 2500000 WHERE id = $1")
        .bind(id)
        .bind(state)
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    id
}

async fn a_post_shows_pictures_on_both_faces(app: TestApp) {
    let ada = app.person("ada").await;
    let (one, two) = (sent(&ada, "One").await, sent(&ada, "Two").await);
    let wish = json!({ "text": "Both", "images": [two["id"], one["id"]] });
    let post = write(&ada, wish).await;
    assert_eq!(post["images"], json!([two, one]));
    assert_eq!(post["video"], Value::Null);
    let shown = read(&app.anybody(), &id(&post)).await;
    assert_eq!(shown["images"], post["images"]);
    assert_same(&shown, &by_graphql(&app.anybody(), &id(&post)).await);
    // On a page, among others.
    let bare = written(&ada, "None").await;
    let page = app.anybody().get("/api/v1/users/ada/posts").await.ok(200);
    assert_eq!(page["items"][0]["id"], bare);
    assert_eq!(page["items"][0]["images"], json!([]));
    assert_eq!(page["items"][1]["images"], post["images"]);
    let three = sent(&ada, "Three").await;
    let document = format!(
        "mutation {{ createPost(input: {{ images: [{}] }}) {{ text images {{ description }} }} }}",
        three["id"]
    );
    let made = ada.data(&document).await;
    assert_eq!(
        made["createPost"],
        json!({ "text": "", "images": [{ "description": "Three" }] })
    );
    let found = app
        .anybody()
        .data("{ user(name: \"ada\") { posts { nodes { images { url } } } } }")
        .await;
    let counts = found["user"]["posts"]["nodes"].as_array().unwrap().iter();
    let counts: Vec<_> = counts
        .map(|post| post["images"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1, 0, 2]);
}

async fn a_post_shows_a_video_on_both_faces(app: TestApp) {
    let ada = app.person("ada").await;
    let video = video(&app, "ada", "ready").await;
    let post = write(&ada, json!({ "video": video.to_string() })).await;
    assert_eq!(
        post["video"],
        json!({
            "id": video.to_string(),
            "title": "A holiday",
            "duration": 2.5,
            "stream": null,
            "playlist": format!("/vod/{video}/index.m3u8"),
            "manifest": format!("/vod/{video}/manifest.mpd"),
            "poster": format!("/vod/{video}/poster.jpg"),
        })
    );
    let shown = read(&app.anybody(), &id(&post)).await;
    assert_eq!(shown["video"], post["video"]);
    assert_same(&shown, &by_graphql(&app.anybody(), &id(&post)).await);
    ada.delete(&path(&id(&post))).await.ok(204);
}

async fn many_who_post_videos_at_once_do_not_wait_for_each_other(app: TestApp) {
    let ada = app.person("ada").await;
    let video = video(&app, "ada", "ready").await.to_string();
    // More than there are connections: whoever holds one waits for no second one.
    let wish = json!({ "video": video });
    let posts = (0..60).map(|_| ada.post("/api/v1/posts", &wish));
    for answer in futures_util::future::join_all(posts).await {
        answer.ok(201);
    }
}

/// The recording of a stream of `owner`'s that is for `visibility`.
pub(crate) async fn recording(app: &TestApp, owner: &Person<'_>, visibility: &str) -> String {
    let body = json!({ "visibility": visibility, "recording": true });
    make(owner, visibility, body).await;
    let name: StreamName = visibility.parse().unwrap();
    let stream = streams::by_name(&app.database, &name).await.unwrap();
    let now = app.clock.now();
    let opened = sessions::open_session(&app.database, stream.unwrap().id, now).await;
    let session = opened.unwrap().session.id;
    sessions::end_session(&app.database, session, now)
        .await
        .unwrap();
    let select = sql::query("SELECT id FROM videos WHERE live_session_id = $1").bind(session);
    let (video,): (VideoId,) = select.one(&app.database).await.unwrap();
    video.to_string()
}

async fn a_post_shows_a_recording_to_whom_its_stream_is_for(app: TestApp) {
    let ada = app.person("ada").await;
    let (bob, carl) = (app.person("bob").await, app.person("carl").await);
    bob.put("/api/v1/users/ada/follow", &json!({}))
        .await
        .ok(200);
    let me = async |person: &Person<'_>| id(&person.get("/api/v1/me").await.ok(200));
    let (of_ada, of_bob) = (me(&ada).await, me(&bob).await);
    let anybody = app.anybody();
    let mut posts = Vec::new();
    // The post is for everybody each time, and what it shows is not.
    for (visibility, seen) in [
        ("public", [Some(""), Some(""), Some(""), Some("")]),
        ("followers", [Some(&*of_ada), Some(&*of_bob), None, None]),
        ("private", [Some(&*of_ada), None, None, None]),
    ] {
        let video = recording(&app, &ada, visibility).await;
        let post = id(&write(&ada, json!({ "text": "Look", "video": video })).await);
        for (person, viewer) in [&ada, &bob, &carl, &anybody].into_iter().zip(seen) {
            let shown = read(person, &post).await;
            assert_same(&shown, &by_graphql(person, &post).await);
            let Some(viewer) = viewer else {
                assert_eq!(shown["video"], Value::Null, "{visibility}");
                continue;
            };
            assert_eq!(shown["video"]["id"], video, "{visibility}");
            // Its stream is called as whom it is for.
            assert_eq!(shown["video"]["stream"], visibility);
            for (what, file) in [
                ("playlist", "index.m3u8"),
                ("manifest", "manifest.mpd"),
                ("poster", "poster.jpg"),
            ] {
                let token = match viewer {
                    "" => String::new(),
                    viewer => format!("?signed-for={viewer}"),
                };
                let url = format!("/vod/{video}/{file}{token}");
                assert_eq!(shown["video"][what], url, "{visibility}");
            }
        }
        posts.push(post);
    }
    // Of a stream that is deleted it is nobody's, nor is it told what it was.
    ada.delete("/api/v1/streams/public").await.ok(204);
    for person in [&ada, &anybody] {
        assert_eq!(read(person, &posts[0]).await["video"], Value::Null);
    }
    let export = ada.get("/api/v1/me/export").await.ok(200);
    let exported = |post: &str| {
        let mut all = export["posts"].as_array().unwrap().iter();
        all.find(|one| one["id"] == post).unwrap()["video"].clone()
    };
    assert_eq!(exported(&posts[0]), Value::Null);
    assert!(exported(&posts[2]).is_string());
    // Nor does a report of the post tell it.
    let report = json!({ "user": "ada", "post": posts[1], "reason": "abuse", "comment": "" });
    let made = carl.post("/api/v1/reports", &report).await.ok(201);
    assert_eq!(made["post"]["video"], Value::Null);
}

async fn comments_quotes_and_shares_show_pictures(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let of_post = sent(&ada, "post").await;
    let post = id(&write(&ada, json!({ "images": [of_post["id"]] })).await);
    for (name, wish) in [
        ("reply_to", json!({ "reply_to": post })),
        ("quote", json!({ "quote": post })),
    ] {
        let mut wish = wish;
        let image = sent(&bob, name).await;
        wish["images"] = json!([image["id"]]);
        let made = write(&bob, wish).await;
        assert_eq!(made["images"], json!([image]), "{name}");
        if name == "quote" {
            assert_eq!(made["quote"]["post"]["images"], json!([of_post]));
        }
    }
    let share = bob
        .put(&format!("{}/share", path(&post)), &Value::Null)
        .await
        .ok(200);
    assert_eq!(share["share_of"]["images"], json!([of_post]));
    assert_eq!(share["images"], json!([]));
    assert_same(&share, &by_graphql(&bob, &id(&share)).await);
}

/// What is said of the field, when this is to be a post.
async fn refused(person: &Person<'_>, wish: Value, field: &str) -> String {
    let answer = person.post("/api/v1/posts", &wish).await;
    answer.problem(400, "validation");
    let error = answer.json()["errors"][0].clone();
    assert_eq!(error["field"], field, "{error}");
    error["message"].as_str().unwrap().to_owned()
}

async fn what_cannot_be_shown_is_named(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let mine = sent(&ada, "").await["id"].clone();
    let his = sent(&bob, "").await["id"].clone();
    let taken = sent(&ada, "").await["id"].clone();
    write(&ada, json!({ "images": [taken] })).await;
    let unknown = media::ImageId::new().to_string();
    let gone = sent(&ada, "").await["id"].clone();
    let with_it = id(&write(&ada, json!({ "images": [gone] })).await);
    ada.delete(&path(&with_it)).await.ok(204);
    for (ids, told) in [
        (json!([mine, his]), "is somebody else's"),
        (json!([taken]), "is on a post already"),
        (json!([mine, gone]), "its post is deleted"),
        (json!([unknown]), "there is no picture"),
        (json!(["x"]), "\"x\" is no id of a picture"),
        (json!([mine, mine]), "is there twice"),
        (
            json!([mine, mine, mine, mine, mine]),
            "at most 4 pictures: there are 5",
        ),
    ] {
        let message = refused(&ada, json!({ "text": "x", "images": ids }), "images").await;
        assert!(message.contains(told), "{message}");
    }
    let (ready, busy) = (
        video(&app, "ada", "ready").await,
        video(&app, "ada", "transcoding").await,
    );
    let (cancelled, of_bob) = (
        video(&app, "ada", "cancelled").await,
        video(&app, "bob", "ready").await,
    );
    for (video, told) in [
        (busy.to_string(), "is not ready: it is transcoding"),
        (cancelled.to_string(), "there is no video"),
        (of_bob.to_string(), "is somebody else's"),
        (VideoId::new().to_string(), "there is no video"),
        ("x".to_owned(), "\"x\" is no id of a video"),
    ] {
        let message = refused(&ada, json!({ "text": "x", "video": video }), "video").await;
        assert!(message.contains(told), "{message}");
    }
    let both = json!({ "text": "x", "images": [mine], "video": ready.to_string() });
    let message = refused(&ada, both, "").await;
    assert!(message.contains("and not two of them"), "{message}");
    let document = format!("mutation {{ createPost(input: {{ images: [{his}] }}) {{ id }} }}");
    assert_eq!(ada.graphql_code(&document).await, "validation");
    // Nothing of that was done.
    write(&ada, json!({ "images": [mine] })).await;
}

async fn a_post_with_pictures_is_made_once_under_a_key(app: TestApp) {
    let ada = app.person("ada").await;
    let image = sent(&ada, "").await;
    let wish = json!({ "images": [image["id"]] });
    let ask = async || {
        let request = ada
            .request("POST", "/api/v1/posts")
            .header("idempotency-key", "k")
            .header("content-type", "application/json");
        let body = axum::body::Body::from(wish.to_string());
        app.send(request.body(body).unwrap()).await.ok(201)
    };
    // At once: who comes second may find the picture taken before the answer is there.
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!(one["id"], other["id"]);
    assert_eq!(ask().await["images"], json!([image]));
}

async fn a_deleted_post_shows_no_picture_to_anybody(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let image = sent(&ada, "").await;
    let url = image["url"].as_str().unwrap();
    let post = id(&write(&ada, json!({ "images": [image["id"]] })).await);
    write(&bob, json!({ "text": "I see.", "reply_to": post })).await;
    assert_eq!(app.anybody().get(url).await.status, 200);
    ada.delete(&path(&post)).await.ok(204);
    app.anybody().get(url).await.problem(404, "not-found");
    assert_eq!(read(&bob, &post).await["images"], json!([]));
    let now = app.clock.now();
    images::sweep(&app.database, &*app.objects, now, 10)
        .await
        .unwrap();
    assert!(
        app.objects
            .list("images/", None)
            .await
            .unwrap()
            .keys
            .is_empty()
    );
}

async fn pictures_of_whoever_is_kept_out_are_not_served(app: TestApp) {
    app.administrator("root").await;
    let (root, ada) = (app.logged_in("root").await, app.person("ada").await);
    let image = sent(&ada, "").await;
    let url = image["url"].as_str().unwrap();
    write(&ada, json!({ "images": [image["id"]] })).await;
    let reason = json!({ "reason": "spam" });
    let suspension = "/api/v1/users/ada/suspension";
    root.put(suspension, &reason).await.ok(200);
    app.anybody().get(url).await.problem(404, "not-found");
    root.delete(suspension).await.ok(200);
    assert_eq!(app.anybody().get(url).await.status, 200);
    let ada = app.logged_in("ada").await;
    let body = json!({ "password": crate::app::PASSWORD });
    ada.delete_with("/api/v1/me", &body).await.ok(204);
    app.anybody().get(url).await.problem(404, "not-found");
}

async fn what_shows_something_needs_no_text(app: TestApp) {
    let ada = app.person("ada").await;
    let image = sent(&ada, "").await;
    let with_picture = write(&ada, json!({ "text": "Look", "images": [image["id"]] })).await;
    let video = video(&app, "ada", "ready").await;
    let with_video = write(&ada, json!({ "text": "Look", "video": video.to_string() })).await;
    for post in [with_picture, with_video] {
        let edit = json!({ "text": "", "revision": 0 });
        let edited = ada.patch(&path(&id(&post)), &edit).await.ok(200);
        assert_eq!(edited["text"], "");
        assert_eq!(
            (&edited["images"], &edited["video"]),
            (&post["images"], &post["video"])
        );
    }
    let bare = written(&ada, "Words").await;
    let edit = json!({ "text": "", "revision": 0 });
    ada.patch(&path(&bare), &edit)
        .await
        .problem(400, "validation");
}

async fn moderators_see_what_was_reported(app: TestApp) {
    app.administrator("root").await;
    let (root, ada, bob) = (
        app.logged_in("root").await,
        app.person("ada").await,
        app.person("bob").await,
    );
    let image = sent(&ada, "Bad").await;
    let post = id(&write(&ada, json!({ "images": [image["id"]] })).await);
    let report = json!({ "user": "ada", "post": post, "reason": "abuse", "comment": "" });
    let made = bob.post("/api/v1/reports", &report).await.ok(201);
    assert_eq!(made["post"]["images"], json!([image]));
    let listed = root.get("/api/v1/reports").await.ok(200);
    assert_eq!(listed["items"][0]["post"]["images"], json!([image]));
    assert_eq!(listed["items"][0]["post"]["video"], Value::Null);
    root.delete(&path(&post)).await.ok(204);
    let listed = root.get("/api/v1/reports").await.ok(200);
    assert_eq!(listed["items"][0]["post"]["images"], json!([]));
    let url = image["url"].as_str().unwrap();
    app.anybody().get(url).await.problem(404, "not-found");
}

async fn moderators_see_the_stream_and_the_quoted_post(app: TestApp) {
    app.administrator("root").await;
    let (root, ada, bob) = (
        app.logged_in("root").await,
        app.person("ada").await,
        app.person("bob").await,
    );
    make(&ada, "garden", json!({})).await;
    let quoted = written(&bob, "Mine").await;
    let quote = json!({ "text": "Look", "stream": "garden", "quote": quoted });
    let post = id(&write(&ada, quote).await);
    let report = json!({ "user": "ada", "post": post, "reason": "abuse", "comment": "" });
    let made = bob.post("/api/v1/reports", &report).await.ok(201);
    let listed = root.get("/api/v1/reports").await.ok(200);
    for shown in [&made["post"], &listed["items"][0]["post"]] {
        assert_eq!(shown["stream"]["name"], "garden");
        assert_eq!(shown["quote"], quoted);
    }
    let document = "{ reports { nodes { post { quote stream { name owner } } } } }";
    let reports = root.data(document).await;
    assert_eq!(
        reports["reports"]["nodes"][0]["post"],
        json!({ "quote": quoted, "stream": { "name": "garden", "owner": "ada" } })
    );
}

async fn an_export_has_pictures(app: TestApp) {
    let ada = app.person("ada").await;
    let (posted, unposted) = (sent(&ada, "Posted").await, sent(&ada, "").await);
    let post = id(&write(&ada, json!({ "images": [posted["id"]] })).await);
    let video = video(&app, "ada", "ready").await;
    write(&ada, json!({ "video": video.to_string() })).await;
    let export = ada.get("/api/v1/me/export").await.ok(200);
    let images = export["images"].as_array().unwrap();
    let of = |image: &Value| images.iter().find(|one| one["id"] == image["id"]).unwrap();
    assert_eq!(of(&posted)["post_id"], post);
    assert_eq!(of(&posted)["description"], "Posted");
    assert_eq!(of(&unposted)["post_id"], Value::Null);
    assert_eq!(of(&posted)["url"], posted["url"]);
    assert_eq!(export["posts"][1]["video"], video.to_string());
    assert_eq!(export["posts"][0]["video"], Value::Null);
}

async fn an_export_has_streams_and_videos(app: TestApp) {
    let ada = app.person("ada").await;
    let made = make(&ada, "garden", json!({ "description": "Tomatoes" })).await;
    let named = json!({ "name": "the camera" });
    let second = ada.post("/api/v1/streams/garden/keys", &named).await;
    let second = second.ok(201);
    let imported = video(&app, "ada", "ready").await.to_string();
    let recorded = recording(&app, &ada, "private").await;
    for shown in ["garden", "private"] {
        write(&ada, json!({ "text": "Look", "stream": shown })).await;
    }
    let answer = ada.get("/api/v1/me/export").await;
    let export = answer.ok(200);
    let streams = export["streams"].as_array().unwrap();
    let garden = streams
        .iter()
        .find(|one| one["stream"]["name"] == "garden")
        .unwrap();
    assert_eq!(garden["stream"]["description"], "Tomatoes");
    assert_eq!(garden["stream"]["visibility"], "public");
    assert_eq!(garden["stream"]["settings"]["recording"], false);
    let keys = garden["keys"].as_array().unwrap();
    let names: Vec<_> = keys.iter().map(|key| &key["name"]).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&&json!("the camera")), "{names:?}");
    for secret in [&made["key"], &second["key"]] {
        assert!(!answer.body.contains(secret.as_str().unwrap()));
    }
    let videos = export["videos"].as_array().unwrap();
    let of = |id: &str| videos.iter().find(|one| one["id"] == id).unwrap();
    assert_eq!(of(&imported)["title"], "A holiday");
    assert_eq!(of(&imported)["is_recording"], false);
    assert_eq!(of(&recorded)["is_recording"], true);
    assert_eq!(of(&recorded)["state"], "ready");
    let posts = export["posts"].as_array().unwrap().iter();
    let shown: Vec<_> = posts.map(|post| &post["stream"]).collect();
    assert_eq!(shown, ["garden", "private"]);
}
