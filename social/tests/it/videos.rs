//! The list of one's own videos: recordings, and what was imported.

use media::Micros;
use serde_json::{Value, json};

use crate::app::{Person, TestApp};
use crate::attachments::{recording, video};
use crate::measured::record;
use crate::stream_control::make;

on_both_engines! {
    videos_come_in_pages_on_both_faces,
    a_video_plays_when_it_is_ready,
    recordings_are_played_with_ones_own_token_and_go_with_their_stream,
    a_list_is_its_owners,
    a_token_needs_the_scope_of_streams,
}

const PATH: &str = "/api/v1/me/videos";

async fn videos(person: &Person<'_>) -> Vec<Value> {
    let page = person.get(PATH).await.ok(200);
    assert_eq!(page["next"], Value::Null);
    page["items"].as_array().unwrap().clone()
}

fn ids(videos: &[Value]) -> Vec<&str> {
    let ids = videos.iter().map(|video| video["id"].as_str().unwrap());
    ids.collect()
}

async fn videos_come_in_pages_on_both_faces(app: TestApp) {
    let ada = app.person("ada").await;
    let oldest = video(&app, "ada", "ready").await.to_string();
    make(&ada, "garden", json!({ "recording": true })).await;
    record(&app, "garden", 0, 4).await;
    app.later(Micros::from_secs(1));
    let newest = video(&app, "ada", "transcoding").await.to_string();
    let all = videos(&ada).await;
    let recorded = ids(&all)[1].to_owned();
    assert_eq!(ids(&all), [&*newest, &recorded, &oldest]);
    assert_eq!(
        all[2],
        json!({
            "id": oldest, "title": "A holiday", "state": "ready", "stream": null, "duration": 2.5,
            "started_at": null, "created_at": "2027-01-15T08:00:00.000000Z", "playback": {
                "playlist": format!("/vod/{oldest}/index.m3u8"),
                "manifest": format!("/vod/{oldest}/manifest.mpd"),
                "poster": format!("/vod/{oldest}/poster.jpg"),
                "expires_at": null,
            },
        })
    );
    assert_eq!(
        all[1],
        json!({
            "id": recorded, "title": "garden", "state": "ready", "stream": "garden", "duration": 4.0,
            "started_at": "2027-01-15T08:00:00.000000Z",
            "created_at": "2027-01-15T08:00:04.000000Z", "playback": {
                "playlist": format!("/vod/{recorded}/index.m3u8"),
                "manifest": format!("/vod/{recorded}/manifest.mpd"),
                "poster": format!("/vod/{recorded}/poster.jpg"),
                "expires_at": null,
            },
        })
    );

    let first = ada.get(&format!("{PATH}?first=2")).await.ok(200);
    assert_eq!(first["items"], json!(all[..2]));
    let next = first["next"].as_str().unwrap();
    let rest = ada.get(&format!("{PATH}?after={next}")).await.ok(200);
    assert_eq!(rest, json!({ "items": [all[2]], "next": null }));
    let wrong = ada.get(&format!("{PATH}?first=101")).await;
    wrong.problem(400, "validation");

    let page = |after: &str| {
        format!(
            "{{ me {{ videos(first: 2{after}) {{
                 nodes {{ id title state stream duration startedAt createdAt
                          playback {{ playlist manifest poster expiresAt }} }}
                 pageInfo {{ hasNextPage endCursor }} }} }} }}"
        )
    };
    let first = ada.data(&page("")).await["me"]["videos"].clone();
    let nodes = first["nodes"].as_array().unwrap();
    assert_eq!(ids(nodes), ids(&all[..2]));
    for (name, of_rest) in [
        ("title", "title"),
        ("stream", "stream"),
        ("duration", "duration"),
        ("startedAt", "started_at"),
        ("createdAt", "created_at"),
    ] {
        assert_eq!(nodes[1][name], all[1][of_rest], "{name}");
    }
    assert_eq!(nodes[0]["state"], "TRANSCODING");
    assert_eq!(nodes[0]["playback"], Value::Null);
    let played = &all[1]["playback"];
    assert_eq!(nodes[1]["playback"]["poster"], played["poster"]);
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let cursor = first["pageInfo"]["endCursor"].as_str().unwrap();
    let rest = ada.data(&page(&format!(r#", after: "{cursor}""#))).await;
    let rest = rest["me"]["videos"].clone();
    assert_eq!(ids(rest["nodes"].as_array().unwrap()), [oldest]);
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);
}

async fn a_video_plays_when_it_is_ready(app: TestApp) {
    let ada = app.person("ada").await;
    for (state, is_played) in [("transcoding", false), ("failed", false), ("ready", true)] {
        let id = video(&app, "ada", state).await.to_string();
        let listed = videos(&ada).await;
        let shown = &listed[0];
        assert_eq!((&shown["id"], &shown["state"]), (&json!(id), &json!(state)));
        assert_eq!(shown["playback"].is_object(), is_played, "{state}");
        // What the list calls ready is what a post takes.
        let posted = ada.post("/api/v1/posts", &json!({ "video": id })).await;
        assert_eq!(posted.status.as_u16() == 201, is_played, "{state}");
    }
    video(&app, "ada", "cancelled").await;
    assert_eq!(videos(&ada).await.len(), 3);
}

async fn recordings_are_played_with_ones_own_token_and_go_with_their_stream(app: TestApp) {
    let ada = app.person("ada").await;
    let me = ada.get("/api/v1/me").await.ok(200)["id"].clone();
    for visibility in ["public", "private"] {
        let id = recording(&app, &ada, visibility).await;
        let shown = videos(&ada).await[0].clone();
        assert_eq!(shown["id"], json!(id));
        assert_eq!(shown["stream"], visibility);
        let is_signed = visibility == "private";
        let token = match is_signed {
            true => format!("?signed-for={}", me.as_str().unwrap()),
            false => String::new(),
        };
        let playlist = format!("/vod/{id}/index.m3u8{token}");
        assert_eq!(shown["playback"]["playlist"], playlist);
        assert_eq!(shown["playback"]["expires_at"].is_string(), is_signed);
    }
    ada.delete("/api/v1/streams/public").await.ok(204);
    let left = videos(&ada).await;
    let left: Vec<_> = left.iter().map(|video| &video["stream"]).collect();
    assert_eq!(left, ["private"]);
}

async fn a_list_is_its_owners(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let of_ada = video(&app, "ada", "ready").await.to_string();
    assert_eq!(videos(&bob).await, [] as [Value; 0]);
    assert_eq!(ids(&videos(&ada).await), [of_ada]);
    let anybody = app.anybody();
    anybody.get(PATH).await.problem(401, "unauthenticated");
    let document = "{ me { videos { nodes { id } } } }";
    assert_eq!(anybody.graphql_code(document).await, "unauthenticated");
}

async fn a_token_needs_the_scope_of_streams(app: TestApp) {
    let ada = app.person("ada").await;
    let token = async |scopes: Value| {
        let body = json!({ "name": "t", "scopes": scopes });
        let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
        ada.clone()
            .with_tokens(&json!({ "access_token": made["token"] }))
    };
    let document = "{ me { videos { nodes { id } } } }";
    let reads = token(json!(["streams:read", "account:read"])).await;
    reads.get(PATH).await.ok(200);
    reads.data(document).await;
    let other = token(json!(["account:read"])).await;
    let told = other.get(PATH).await.problem(403, "forbidden");
    assert!(told.contains("streams:read"), "{told}");
    assert_eq!(other.graphql_code(document).await, "forbidden");
}
