//! Pictures for posts: sent on both faces, served, and refused.

use axum::body::Body;
use axum::http::{Request, header};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use media::{Clock, Micros};
use serde_json::{Value, json};
use storage::objects::ObjectStore;
use storage::rows::images;

use crate::app::{Answer, Person, TestApp};
use crate::avatar_uploads::{MAP, body, operations, post};
use crate::avatars::{file, png};

on_both_engines! {
    a_picture_is_sent_on_both_faces,
    what_is_posted_nowhere_is_gone_after_a_day,
}

pub(crate) const PATH: &str = "/api/v1/images";

pub(crate) async fn send(person: &Person<'_>, path: &str, kind: &str, body: Vec<u8>) -> Answer {
    let request = person
        .request("POST", path)
        .header(header::CONTENT_TYPE, kind);
    let request = request.body(Body::from(body)).unwrap();
    person.app.send(request).await
}

/// A picture of the person's, as the API tells it.
pub(crate) async fn sent(person: &Person<'_>, description: &str) -> Value {
    let path = format!("{PATH}?description={description}");
    send(person, &path, "image/png", png(7)).await.ok(201)
}

fn text<'a>(image: &'a Value, name: &str) -> &'a str {
    image[name].as_str().unwrap_or_else(|| panic!("{image}"))
}

fn wide() -> DynamicImage {
    RgbImage::from_fn(3_000, 1_500, |x, y| {
        Rgb([(x / 12) as u8, (y / 6) as u8, 90])
    })
    .into()
}

async fn a_picture_is_sent_on_both_faces(app: TestApp) {
    let ada = app.person("ada").await;
    let path = format!("{PATH}?description=%20The%20harbour%0Aat%20noon%20");
    let jpeg = file(&wide(), ImageFormat::Jpeg);
    let image = send(&ada, &path, "image/jpeg", jpeg.clone()).await.ok(201);
    assert_eq!(text(&image, "description"), "The harbour\nat noon");
    assert_eq!(
        (&image["width"], &image["height"]),
        (&json!(2_048), &json!(1_024))
    );
    let id = text(&image, "id");
    assert_eq!(text(&image, "url"), format!("/images/{id}/full.jpg"));
    let preview = text(&image, "preview_url");
    assert_eq!(preview, format!("/images/{id}/preview.jpg"));
    for (url, size) in [("url", (2_048, 1_024)), ("preview_url", (960, 480))] {
        // Without a login: whoever has it shows it.
        let shown = app.anybody().get(text(&image, url)).await;
        assert_eq!(shown.status, 200);
        let shown = image::load_from_memory(&shown.bytes).unwrap();
        assert_eq!((shown.width(), shown.height()), size);
    }
    let document = "mutation ($p: Upload!) {
        uploadImage(picture: $p, description: \" The harbour\") {
            id url previewUrl width height description } }";
    let parts = body(&[
        ("operations", &operations(document)),
        ("map", MAP),
        ("0", &jpeg),
    ]);
    let answer = post(&ada, parts).await.ok(200);
    let other = &answer["data"]["uploadImage"];
    assert_ne!(text(other, "id"), id);
    assert_eq!(text(other, "description"), "The harbour");
    assert_eq!(
        (&other["width"], &other["height"]),
        (&json!(2_048), &json!(1_024))
    );
    assert_eq!(
        app.anybody().get(text(other, "previewUrl")).await.status,
        200
    );
}

async fn what_is_posted_nowhere_is_gone_after_a_day(app: TestApp) {
    let ada = app.person("ada").await;
    let image = sent(&ada, "").await;
    app.later(images::UNPOSTED_FOR);
    let now = app.clock.now();
    let gone = images::sweep(&app.database, &*app.objects, now, 10).await;
    assert_eq!(gone.unwrap(), 1);
    for url in ["url", "preview_url"] {
        let path = text(&image, url);
        app.anybody().get(path).await.problem(404, "not-found");
        assert!(app.objects.head(&path[1..]).await.is_err());
    }
}

#[tokio::test]
async fn small_pictures_stay_small_and_glass_stays_glass() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let mut glass = RgbaImage::from_pixel(60, 40, Rgba([9, 90, 9, 255]));
    glass.put_pixel(30, 20, Rgba([0, 0, 0, 0]));
    let webp = file(&DynamicImage::from(glass), ImageFormat::WebP);
    let image = send(&ada, PATH, "image/webp", webp).await.ok(201);
    assert_eq!(
        (&image["width"], &image["height"]),
        (&json!(60), &json!(40))
    );
    assert!(text(&image, "url").ends_with("/full.png"));
    let shown = app.anybody().get(text(&image, "url")).await;
    assert_eq!(shown.headers[header::CONTENT_TYPE], "image/png");
    let shown = image::load_from_memory(&shown.bytes).unwrap().into_rgba8();
    assert_eq!(shown.get_pixel(30, 20).0[3], 0);
}

#[tokio::test]
async fn what_cannot_be_a_picture_is_refused_and_told() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    for kind in ["image/gif", "image/svg+xml", "application/json", ""] {
        let refused = send(&ada, PATH, kind, png(1)).await;
        refused.problem(415, "unsupported-media-type");
    }
    let whole = png(1);
    for (body, told) in [
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "PNG, JPEG or WebP"),
        (Vec::new(), "PNG, JPEG or WebP"),
        (whole[..whole.len() / 2].to_vec(), "cannot be read"),
        (crate::avatars::bomb(), "30000x30000"),
    ] {
        let refused = send(&ada, PATH, "image/png", body).await;
        refused.problem(400, "validation");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(error["field"], "picture");
        assert!(text(&error, "message").contains(told), "{error}");
    }
    let mut large = whole.clone();
    large.resize(5 * 1024 * 1024 + 1, 0);
    let refused = send(&ada, PATH, "image/png", large).await;
    refused.problem(413, "body-too-large");
    assert!(
        app.objects
            .list("images/", None)
            .await
            .unwrap()
            .keys
            .is_empty()
    );
}

#[tokio::test]
async fn a_description_is_a_text_as_of_a_post() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let longest = "%C3%A9".repeat(1_500);
    let image = sent(&ada, &longest).await;
    assert_eq!(text(&image, "description").chars().count(), 1_500);
    for (bad, told) in [
        (format!("{longest}x"), "at most 1500 characters"),
        ("a%00b".to_owned(), "U+0000"),
        ("a%E2%80%AEb".to_owned(), "turns the direction"),
    ] {
        let path = format!("{PATH}?description={bad}");
        // The picture is not read for it: this one is none.
        let refused = send(&ada, &path, "image/png", b"x".to_vec()).await;
        refused.problem(400, "validation");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(error["field"], "description");
        assert!(text(&error, "message").contains(told), "{error}");
    }
    let other = format!("{PATH}?title=x");
    send(&ada, &other, "image/png", png(1))
        .await
        .problem(400, "validation");
}

#[tokio::test]
async fn a_token_needs_the_scope_and_pictures_are_counted_together() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    send(&app.anybody(), PATH, "image/png", png(1))
        .await
        .problem(401, "unauthenticated");
    for (scope, may) in [("posts:read", false), ("posts:write", true)] {
        let asked = json!({ "name": "x", "scopes": [scope] });
        let made = ada.post("/api/v1/me/tokens", &asked).await.ok(201);
        let mut program = ada.clone();
        program.access_token = text(&made, "token").to_owned();
        let answer = send(&program, PATH, "image/png", png(1)).await;
        match may {
            true => drop(answer.ok(201)),
            false => drop(answer.problem(403, "forbidden")),
        }
    }
    crate::avatars::send(&ada, "image/png", png(1))
        .await
        .ok(200);
    // Of 20 an hour, two have gone.
    for _ in 2..20 {
        sent(&ada, "").await;
    }
    let refused = send(&ada, PATH, "image/png", png(1)).await;
    refused.problem(429, "rate-limited");
    app.later(Micros::from_secs(3_600));
    sent(&app.logged_in("ada").await, "").await;
}

#[tokio::test]
async fn pictures_are_served_as_what_never_changes_and_does_nothing() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let image = sent(&ada, "").await;
    let url = text(&image, "url").to_owned();
    let ask = async |method: &str, url: &str, tag: Option<&str>| {
        let request = Request::builder().method(method).uri(url);
        let request = match tag {
            Some(tag) => request.header(header::IF_NONE_MATCH, tag),
            None => request,
        };
        app.send(request.body(Body::empty()).unwrap()).await
    };
    let shown = ask("GET", &url, None).await;
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'"),
    ] {
        assert_eq!(shown.headers[name], value);
    }
    assert_eq!(shown.bytes, app.objects.get(&url[1..]).await.unwrap());
    let tag = shown.headers["etag"].to_str().unwrap();
    let small = ask("GET", text(&image, "preview_url"), None).await;
    assert_ne!(small.headers["etag"], tag);
    let head = ask("HEAD", &url, None).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    assert_eq!(
        head.headers["content-length"],
        shown.bytes.len().to_string()
    );
    let same = ask("GET", &url, Some(tag)).await;
    assert_eq!((same.status.as_u16(), same.bytes.len()), (304, 0));
    // On a post for everybody, any cache may keep it.
    let posted = json!({ "images": [image["id"]] });
    ada.post("/api/v1/posts", &posted).await.ok(201);
    let shown = ask("GET", &url, None).await;
    assert_eq!(
        shown.headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    // Nothing else is named, whatever is in the store.
    let (folder, _) = url.rsplit_once('/').unwrap();
    for key in [
        "live/a/b",
        "images/secret.png",
        &format!("{}/other.jpg", &folder[1..]),
    ] {
        app.objects.put(key, shown.bytes.clone()).await.unwrap();
    }
    for other in [
        format!("{folder}/full.png"),
        format!("{folder}/other.jpg"),
        format!("{folder}/FULL.jpg"),
        format!("{}/full.jpg", folder.to_uppercase()),
        format!("{folder}/..%2f..%2flive%2fa%2fb"),
        "/images/..%2flive%2fa/b".to_owned(),
        "/images/secret.png".to_owned(),
        format!("/images/{}/full.jpg", media::ImageId::new()),
        format!("{folder}/%ff"),
    ] {
        ask("GET", &other, None).await.problem(404, "not-found");
    }
}
