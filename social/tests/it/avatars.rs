//! Pictures of people: sent, made anew, shown, replaced, removed.

use std::io::Cursor;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba};
use media::Clock;
use serde_json::{Value, json};
use storage::RowError;
use storage::objects::{ObjectError, ObjectStore};
use storage::rows::erasure::{self, Step};
use storage::rows::users;

use crate::app::{Answer, Person, TestApp};

on_both_engines! {
    a_picture_is_shown_on_both_faces_until_it_is_removed,
    another_picture_takes_the_place_of_the_first,
    the_same_picture_again_changes_nothing,
    a_deleted_account_has_no_picture,
    whoever_is_kept_out_has_no_picture,
}

pub(crate) const PATH: &str = "/api/v1/me/avatar";

/// A picture that no other number has.
pub(crate) fn picture(number: u8) -> DynamicImage {
    RgbImage::from_fn(60, 40, |x, _| Rgb([number, 2 * x as u8, 90])).into()
}

pub(crate) fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(number: u8) -> Vec<u8> {
    file(&picture(number), ImageFormat::Png)
}

pub(crate) async fn send(person: &Person<'_>, kind: &str, body: Vec<u8>) -> Answer {
    let request = person
        .request("PUT", PATH)
        .header(header::CONTENT_TYPE, kind);
    person
        .app
        .send(request.body(Body::from(body)).unwrap())
        .await
}

fn url(me: &Value) -> String {
    me["avatar_url"]
        .as_str()
        .unwrap_or_else(|| panic!("{me}"))
        .to_owned()
}

fn key(url: &str) -> &str {
    url.strip_prefix('/').unwrap()
}

/// Waits until the object is not there any more.
async fn until_gone(app: &TestApp, url: &str) {
    let gone = async {
        while !matches!(
            app.objects.head(key(url)).await,
            Err(ObjectError::NotFound(_))
        ) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .expect("gone within half a minute");
}

async fn is_there(app: &TestApp, url: &str) -> bool {
    app.objects.head(key(url)).await.is_ok()
}

async fn a_picture_is_shown_on_both_faces_until_it_is_removed(app: TestApp) {
    let ada = app.person("ada").await;
    assert_eq!(
        ada.get("/api/v1/me").await.ok(200)["avatar_url"],
        Value::Null
    );
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let me = send(&ada, format.to_mime_type(), file(&picture(1), format)).await;
        let url = url(&me.ok(200));
        assert!(
            url.starts_with("/avatars/") && url.ends_with(".jpg"),
            "{url}"
        );
        let shown = app.anybody().get(&url).await;
        assert_eq!(shown.status, 200);
        assert_eq!(shown.headers[header::CONTENT_TYPE], "image/jpeg");
        let shown = image::load_from_memory(&shown.bytes).unwrap();
        assert_eq!((shown.width(), shown.height()), (40, 40));
        let user = app.anybody().get("/api/v1/users/ada").await.ok(200);
        assert_eq!(user["avatar_url"], url);
        let data = ada
            .data("{ me { avatarUrl } user(name: \"ada\") { avatarUrl } }")
            .await;
        assert_eq!(data["me"]["avatarUrl"], url);
        assert_eq!(data["user"]["avatarUrl"], url);
        let export = ada.get("/api/v1/me/export").await.ok(200);
        assert_eq!(export["account"]["avatar_url"], url);
    }
    let url = url(&ada.get("/api/v1/me").await.ok(200));
    ada.delete(PATH).await.ok(204);
    assert_eq!(
        ada.get("/api/v1/me").await.ok(200)["avatar_url"],
        Value::Null
    );
    until_gone(&app, &url).await;
    app.anybody().get(&url).await.problem(404, "not-found");
    // There is none to be removed.
    ada.delete(PATH).await.ok(204);
    send(&ada, "image/png", png(1)).await.ok(200);
    assert_eq!(
        ada.data("mutation { removeAvatar }").await["removeAvatar"],
        true
    );
    assert_eq!(
        ada.get("/api/v1/me").await.ok(200)["avatar_url"],
        Value::Null
    );
}

async fn another_picture_takes_the_place_of_the_first(app: TestApp) {
    let (ada, bob) = (app.person("ada").await, app.person("bob").await);
    let of_bob = url(&send(&bob, "image/png", png(1)).await.ok(200));
    let first = url(&send(&ada, "image/png", png(1)).await.ok(200));
    let second = url(&send(&ada, "image/png", png(2)).await.ok(200));
    assert_ne!(first, second);
    until_gone(&app, &first).await;
    assert!(is_there(&app, &second).await);
    // The same picture is somebody else's too, and the first may come again.
    assert!(is_there(&app, &of_bob).await);
    let again = url(&send(&ada, "image/png", png(1)).await.ok(200));
    until_gone(&app, &second).await;
    assert!(is_there(&app, &again).await);
    assert_ne!(again, first);
}

async fn the_same_picture_again_changes_nothing(app: TestApp) {
    let ada = app.person("ada").await;
    let first = url(&send(&ada, "image/png", png(1)).await.ok(200));
    let again = url(&send(&ada, "image/png", png(1)).await.ok(200));
    assert_eq!(first, again);
    assert!(is_there(&app, &first).await);
    // Unless its object is lost.
    app.objects.delete(key(&first)).await.unwrap();
    let anew = url(&send(&ada, "image/png", png(1)).await.ok(200));
    assert_ne!(anew, first);
    assert!(is_there(&app, &anew).await);
}

async fn a_deleted_account_has_no_picture(app: TestApp) {
    let ada = app.person("ada").await;
    let url = url(&send(&ada, "image/png", png(1)).await.ok(200));
    let body = json!({ "password": crate::app::PASSWORD });
    let row = users::find_by_name(&app.database, "ada")
        .await
        .unwrap()
        .unwrap();
    ada.delete_with("/api/v1/me", &body).await.ok(204);
    // Long before the rest is erased.
    until_gone(&app, &url).await;
    loop {
        let now = app.clock.now();
        match erasure::step(&app.database, &*app.objects, row.id, now)
            .await
            .unwrap()
        {
            Step::Again => {}
            step => break assert_eq!(step, Step::Done),
        }
    }
    assert!(!is_there(&app, &url).await);
    app.anybody().get(&url).await.problem(404, "not-found");
}

async fn whoever_is_kept_out_has_no_picture(app: TestApp) {
    app.administrator("root").await;
    let (root, ada) = (app.logged_in("root").await, app.person("ada").await);
    let shown = url(&send(&ada, "image/png", png(1)).await.ok(200));
    let row = users::find_by_name(&app.database, "ada")
        .await
        .unwrap()
        .unwrap();
    let reason = json!({ "reason": "spam" });
    let kept_out = root
        .put("/api/v1/users/ada/suspension", &reason)
        .await
        .ok(200);
    assert_eq!(kept_out["avatar_url"], Value::Null);
    let data = root.data("{ user(name: \"ada\") { avatarUrl } }").await;
    assert_eq!(data["user"]["avatarUrl"], Value::Null);
    // Nor is another one shown by whoever has begun before.
    let mut transaction = app.database.write().await.unwrap();
    let refused = users::set_avatar(&mut transaction, row.id, Some("avatars/x")).await;
    assert!(matches!(refused, Err(RowError::NotFound(_))));
    drop(transaction);
    root.delete("/api/v1/users/ada/suspension").await.ok(200);
    let user = app.anybody().get("/api/v1/users/ada").await.ok(200);
    assert_eq!(user["avatar_url"], shown);
}

#[tokio::test]
async fn what_is_seen_through_and_what_was_turned() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let mut glass = picture(1).into_rgba8();
    glass.put_pixel(30, 20, Rgba([0, 0, 0, 0]));
    let me = send(&ada, "image/webp", file(&glass.into(), ImageFormat::WebP)).await;
    let glass = url(&me.ok(200));
    assert!(glass.ends_with(".png"), "{glass}");
    let shown = app.anybody().get(&glass).await;
    assert_eq!(shown.headers[header::CONTENT_TYPE], "image/png");

    // Red above, and turned by Exif: what is above is on the right then.
    let turned = RgbImage::from_fn(40, 40, |_, y| match y {
        0..20 => Rgb([230, 10, 10]),
        _ => Rgb([10, 10, 230]),
    });
    let mut jpeg = file(&turned.into(), ImageFormat::Jpeg);
    let exif =
        b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0GPS 52.5163N";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    jpeg.splice(2..2, [&[0xff, 0xe1], &length[..], exif].concat());
    let url = url(&send(&ada, "image/jpeg", jpeg).await.ok(200));
    let shown = app.anybody().get(&url).await.bytes;
    assert!(!shown.windows(3).any(|bytes| bytes == b"GPS"));
    let shown = image::load_from_memory(&shown).unwrap().into_rgb8();
    let (left, right) = (shown.get_pixel(2, 20), shown.get_pixel(37, 20));
    assert!(right.0[0] > 150 && right.0[2] < 90, "{right:?}");
    assert!(left.0[2] > 150 && left.0[0] < 90, "{left:?}");
}

#[tokio::test]
async fn what_cannot_be_a_picture_is_refused_and_told() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    for kind in [
        "image/gif",
        "image/svg+xml",
        "application/json",
        "",
        "image/pngx",
    ] {
        let refused = send(&ada, kind, png(1)).await;
        let detail = refused.problem(415, "unsupported-media-type");
        assert!(
            detail.contains("image/png, image/jpeg or image/webp"),
            "{detail}"
        );
    }
    let whole = png(1);
    for (body, told) in [
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "PNG, JPEG or WebP"),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            "PNG, JPEG or WebP",
        ),
        (Vec::new(), "PNG, JPEG or WebP"),
        (bomb(), "30000x30000"),
        (whole[..whole.len() / 2].to_vec(), "cannot be read"),
    ] {
        let refused = send(&ada, "image/png", body).await;
        refused.problem(400, "validation");
        let error = refused.json()["errors"][0].clone();
        assert_eq!(error["field"], "picture");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
    }
    // A lie about which of the three it is does no harm.
    let me = send(&ada, "image/jpeg; q=1", png(1)).await.ok(200);
    let shown = app.anybody().get(&url(&me)).await;
    assert_eq!(shown.headers[header::CONTENT_TYPE], "image/jpeg");
    assert!(image::load_from_memory(&shown.bytes).is_ok());
}

/// A picture that says that it is 30,000 pixels wide and high.
pub(crate) fn bomb() -> Vec<u8> {
    let mut bomb = png(1);
    bomb[16..24].copy_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]);
    let checked: Vec<u8> = bomb[12..29].to_vec();
    bomb[29..33].copy_from_slice(&crc(&checked).to_be_bytes());
    bomb
}

fn crc(checked: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    let bytes = checked.iter();
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

#[tokio::test]
async fn pictures_are_limited_in_size_and_number() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let limit = 5 * 1024 * 1024;
    // What follows the end of a PNG is none of it.
    let mut largest = png(1);
    largest.resize(limit, 0);
    let mut larger = largest.clone();
    larger.push(0);
    send(&ada, "image/png", largest).await.ok(200);
    let detail = send(&ada, "image/png", larger).await;
    let detail = detail.problem(413, "body-too-large");
    assert!(detail.contains(&limit.to_string()), "{detail}");
    // Also before any of it is read, where it says how large it is; and that counts for nothing.
    let announced = ada
        .request("PUT", PATH)
        .header(header::CONTENT_TYPE, "image/png")
        .header(header::CONTENT_LENGTH, limit + 1);
    let announced = announced.body(Body::empty()).unwrap();
    app.send(announced).await.problem(413, "body-too-large");
    // And everything else is as small as it was.
    let other = ada
        .request("PATCH", "/api/v1/me")
        .header(header::CONTENT_LENGTH, 70_000);
    app.send(other.body(Body::empty()).unwrap())
        .await
        .problem(413, "body-too-large");

    let answer = send(&ada, "image/png", png(2)).await;
    let policy = answer.headers["ratelimit-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("\"pictures\";q=20;w=3600"), "{policy}");
    let mut taken = 3;
    let refused = loop {
        let answer = send(&ada, "image/png", png(taken)).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    refused.problem(429, "rate-limited");
    assert_eq!(taken, 20);
}

#[tokio::test]
async fn a_token_needs_both_scopes() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    app.anybody()
        .delete(PATH)
        .await
        .problem(401, "unauthenticated");
    send(&app.anybody(), "image/png", png(1))
        .await
        .problem(401, "unauthenticated");
    for (scopes, may) in [
        (vec!["account:read"], false),
        (vec!["account:write"], false),
        (vec!["account:read", "account:write"], true),
    ] {
        let body = json!({ "name": "x", "scopes": scopes });
        let made = ada.post("/api/v1/me/tokens", &body).await.ok(201);
        let mut program = ada.clone();
        program.access_token = made["token"].as_str().unwrap().to_owned();
        let sent = send(&program, "image/png", png(1)).await;
        let removed = program.delete(PATH).await;
        if may {
            sent.ok(200);
            removed.ok(204);
        } else {
            sent.problem(403, "forbidden");
            removed.problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn pictures_are_served_as_what_never_changes_and_does_nothing() {
    let app = TestApp::new().await;
    let ada = app.person("ada").await;
    let url = url(&send(&ada, "image/png", png(1)).await.ok(200));
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
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'"),
    ] {
        assert_eq!(shown.headers[name], value);
    }
    let stored = app.objects.get(key(&url)).await.unwrap();
    assert_eq!(shown.bytes, stored);
    let tag = shown.headers["etag"].to_str().unwrap();
    assert!(tag.starts_with('"'), "{tag}");
    let head = ask("HEAD", &url, None).await;
    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
    assert_eq!(head.headers["content-length"], stored.len().to_string());
    for held in [tag, "*", &format!("\"x\", W/{tag}")] {
        let same = ask("GET", &url, Some(held)).await;
        assert_eq!((same.status.as_u16(), same.bytes.len()), (304, 0));
        assert_eq!(same.headers["etag"], tag);
        assert_eq!(
            same.headers["cache-control"],
            shown.headers["cache-control"]
        );
    }
    assert_eq!(ask("GET", &url, Some("\"x\"")).await.status, 200);
    assert!(!shown.headers.contains_key("ratelimit"));

    // Nothing else is named, whatever is in the store.
    let (folder, name) = url.rsplit_once('/').unwrap();
    for key in ["live/a/b", "avatars/x/y.png", "avatars/secret.png"] {
        app.objects.put(key, stored.clone()).await.unwrap();
    }
    for other in [
        format!("{folder}/{}", name.to_uppercase()),
        format!("{folder}/{}", name.replace(".jpg", ".png")),
        format!("{folder}/0{name}"),
        format!("{folder}/..%2f..%2flive%2fa%2fb"),
        "/avatars/..%2flive%2fa/b".to_owned(),
        "/avatars/x/y.png".to_owned(),
        "/avatars/secret.png".to_owned(),
        format!("{folder}/%ff"),
    ] {
        ask("GET", &other, None).await.problem(404, "not-found");
    }
    ask("DELETE", &url, None)
        .await
        .problem(405, "method-not-allowed");
}
