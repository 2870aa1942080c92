//! Signed URLs and cookies: a protected stream, and the commands that sign for it.

use serde_json::{Value, json};

use crate::harness::{
    Encoder, Http, Nova, Publisher, Site, Stream, WARM_UP, browser_plays, wait_for,
};

/// Media seconds that are played.
const PLAYED: u32 = 6;

/// A site where `signed` needs a token, and the key is in a file.
fn site(signed: &str) -> Site {
    let keys = Site::new();
    let key = keys.nova(&["url", "key", "2026a"]).succeeded();
    let site = Site::with_settings(&[
        ("NOVA__ACCESS__KEYS", key.trim()),
        ("NOVA__ACCESS__SIGNED", signed),
        ("RUST_LOG", "nova=trace,edge=trace,hyper=debug"),
    ]);
    site.keep_secret(key.trim().rsplit(':').next().unwrap());
    site
}

/// What `nova url sign` prints, which no log may tell.
fn sign(site: &Site, arguments: &[&str]) -> String {
    let printed = site
        .nova(&[&["url", "sign"], arguments].concat())
        .succeeded();
    let printed = printed.trim();
    let token = printed.split("1.2026a.").nth(1).expect("a token");
    let token = token.split([';', '/']).next().unwrap_or_default();
    site.keep_secret(token.rsplit('.').next().expect("a signature"));
    printed.to_owned()
}

struct Live {
    nova: Nova,
    _publisher: Publisher,
}

fn live(site: &Site) -> Live {
    let key = site.create_stream("garden");
    let nova = site.serve().start();
    let publisher = Encoder::small().publish(&nova.rtmp_url(&key));
    Live {
        nova,
        _publisher: publisher,
    }
}

/// Waits until `url` is answered with 200.
fn wait_ready(http: &Http, url: &str) {
    wait_for("the protected stream", WARM_UP, || {
        http.fetch(url).map(drop)
    });
}

fn assert_played(seen: &Value) {
    assert_eq!(seen["fatal_error"], Value::Null, "{seen:#}");
    assert!(
        seen["played"].as_f64() >= Some(f64::from(PLAYED)),
        "{seen:#}"
    );
    let denied = seen["statuses"].get("403");
    assert_eq!(denied, None, "{seen:#}");
}

#[test]
fn a_protected_stream_plays_for_whoever_has_a_token() {
    let site = site("/live/garden/");
    let live = live(&site);
    let http = live.nova.http();
    let base = http.url("");
    let garden = [
        "--path",
        "/live/garden/",
        "--expires-in",
        "1h",
        "--base",
        &base,
    ];
    let by_path = sign(&site, &garden);
    let by_query = sign(&site, &[&garden[..], &["--form", "query"]].concat());
    wait_ready(&http, &by_path);

    let plain = Stream::new(http.clone(), "garden").hls();
    let refused = http.get(&plain).unwrap();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.content_type, "application/problem+json");
    assert!(
        refused.text().contains("token-missing"),
        "{}",
        refused.text()
    );
    let seen = browser_plays(&http.url(&plain), PLAYED);
    assert_eq!(
        seen["fatal_error"],
        json!({"details": "manifestLoadError", "status": 403}),
        "{seen:#}"
    );

    let seen = browser_plays(&by_path, PLAYED);
    assert_played(&seen);
    assert_eq!(seen["cookies"], json!([]));
    let seen = browser_plays(&by_query, PLAYED);
    assert_played(&seen);
    assert_eq!(seen["cookies"], json!(["nova_token"]));

    // What DASH players ask for is relative too.
    let manifest = by_path.replace("index.m3u8", "manifest.mpd");
    let manifest = http.fetch(&manifest).unwrap().text();
    assert!(
        !manifest.contains("=\"/") && !manifest.contains(&base),
        "{manifest}"
    );
    let time = by_path.replace("index.m3u8", "time");
    assert_eq!(http.get(&time).unwrap().status, 200);
}

#[test]
fn an_operator_is_given_a_url_that_opens_what_is_protected() {
    let site = site("/live/");
    let nova = site.serve().start();
    let ask = |body: &Value| {
        let answer = nova
            .admin()
            .post_json("/api/v1/cdn/urls", &body.to_string());
        let answer = answer.unwrap();
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, said)
    };
    let path = "/live/none/index.m3u8";
    let (status, said) = ask(&json!({"path": path, "ttl_seconds": 60}));
    assert_eq!(status, 200, "{said}");
    let url = said["url"].as_str().unwrap();
    let signature = url
        .split('/')
        .nth(2)
        .and_then(|token| token.rsplit('.').next());
    site.keep_secret(signature.unwrap());
    // It is let in, and there is no such stream.
    assert_eq!(nova.http().get(url).unwrap().status, 404);
    assert_eq!(nova.http().get(path).unwrap().status, 403);
    let (_, said) = ask(&json!({"path": "/vod/a/index.m3u8"}));
    assert_eq!(said["url"], "/vod/a/index.m3u8");
    assert_eq!(ask(&json!({"path": path, "ttl_seconds": 0})).0, 400);
    assert_eq!(ask(&json!({"path": "/live/../a"})).0, 400);
}

#[test]
fn keys_are_read_again_when_their_file_changes() {
    let site = Site::new();
    let file = site.data_dir().join("access.keys");
    let new_key = |kid: &str| {
        let key = site.nova(&["url", "key", kid]).succeeded();
        site.keep_secret(key.trim().rsplit(':').next().unwrap());
        key
    };
    let (old, new) = (new_key("2026a"), new_key("2026b"));
    std::fs::write(&file, &old).unwrap();
    let nova = site
        .serve()
        .variable("NOVA__ACCESS__KEYS_FILE", file.to_str().unwrap())
        .variable("NOVA__ACCESS__SIGNED", "/live/")
        .start();
    let base = nova.http().url("");
    let url_of = |key: &str| {
        let arguments = [
            "url",
            "sign",
            "--path",
            "/live/none/",
            "--expires-in",
            "1h",
            "--base",
            &base,
        ];
        let url = site.nova_with(&[("NOVA__ACCESS__KEYS", key.trim())], &arguments);
        let url = url.succeeded().trim().to_owned();
        let token = url.split("/~").nth(1).unwrap().split('/').next().unwrap();
        site.keep_secret(token.rsplit('.').next().unwrap());
        url
    };
    // 404: it is let in, and there is no such stream.
    let ask = |url: &str| nova.http().get(url).unwrap().status;
    let wait_status = |url: &str, status: u16| {
        wait_for("the keys to be read", WARM_UP, || match ask(url) {
            given if given == status => Ok(()),
            given => Err(given.to_string()),
        });
    };
    let (by_old, by_new) = (url_of(&old), url_of(&new));
    assert_eq!((ask(&by_old), ask(&by_new)), (404, 403));
    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    wait_status(&by_new, 404);
    assert_eq!(ask(&by_old), 404);
    // The operations sign with what is first.
    let body = json!({"path": "/live/none/index.m3u8"}).to_string();
    let said = nova.admin().post_json("/api/v1/cdn/urls", &body).unwrap();
    let said: Value = serde_json::from_slice(&said.body).unwrap();
    let url = said["url"].as_str().unwrap();
    assert!(url.contains("/~1.2026b."), "signed with the new key");
    site.keep_secret(url.split('/').nth(2).unwrap().rsplit('.').next().unwrap());

    std::fs::write(&file, "2026c:hmac-sha256:short").unwrap();
    let why = "access.keys_file cannot be used: the keys stay as they were";
    wait_for("the log to say so", WARM_UP, || {
        (nova.events(why).len() == 1)
            .then_some(())
            .ok_or("it does not".to_owned())
    });
    assert_eq!((ask(&by_old), ask(&by_new)), (404, 404));
    std::fs::write(&file, &new).unwrap();
    wait_status(&by_old, 403);
    assert_eq!(ask(&by_new), 404);
}

#[test]
fn an_asset_is_for_whoever_has_a_token() {
    let keys = Site::new();
    let key = keys.nova(&["url", "key", "2026a"]).succeeded();
    let site = Site::with_settings(&[("NOVA__ACCESS__KEYS", key.trim())]);
    site.keep_secret(key.trim().rsplit(':').next().unwrap());
    let nova = site.serve().start();
    let path = "/vod/films/index.m3u8";
    assert_eq!(nova.http().get(path).unwrap().status, 404);
    let mut asset = json!({
        "name": "films", "path_prefix": "/vod/films", "kind": "vod", "access": "signed",
    });
    let post = |path: &str, body: &Value| {
        let answer = nova.admin().post_json(path, &body.to_string()).unwrap();
        let text = answer.text();
        (answer.status, text)
    };
    let (status, text) = post("/api/v1/cdn/assets", &asset);
    assert!(status == 400 && text.contains("a folder"), "{text}");
    asset["path_prefix"] = json!("/vod/films/");
    let (status, text) = post("/api/v1/cdn/assets", &asset);
    assert_eq!(status, 201, "{text}");
    wait_for("the asset to be protected", WARM_UP, || {
        let status = nova.http().get(path).unwrap().status;
        (status == 403).then_some(()).ok_or(status.to_string())
    });
    assert_eq!(
        nova.http().get("/vod/others/index.m3u8").unwrap().status,
        404
    );
    let (_, said) = post("/api/v1/cdn/urls", &json!({"path": path}));
    let said: Value = serde_json::from_str(&said).unwrap();
    let url = said["url"].as_str().unwrap();
    let token = url.split("/~").nth(1).unwrap().split('/').next().unwrap();
    site.keep_secret(token.rsplit('.').next().unwrap());
    assert_eq!(nova.http().get(url).unwrap().status, 404);
}

#[test]
fn a_token_is_for_an_address_and_a_time() {
    let site = site("/live/");
    let nova = site.serve().start();
    let http = nova.http();
    let base = http.url("");
    let ask = |arguments: &[&str]| {
        let first = [
            "--path",
            "/live/none/",
            "--expires-in",
            "1h",
            "--base",
            &base,
        ];
        let url = sign(&site, &[&first[..], arguments].concat());
        let answer = http.get(&url).unwrap();
        (answer.status, answer.text())
    };
    assert_eq!(ask(&[]).0, 404);
    assert_eq!(ask(&["--address", "127.0.0.0/8"]).0, 404);
    let (status, problem) = ask(&["--address", "192.0.2.1"]);
    assert!(
        status == 403 && problem.contains("token-wrong-address"),
        "{problem}"
    );
    let (status, problem) = ask(&["--starts-in", "30m"]);
    assert!(
        status == 403 && problem.contains("token-not-yet-valid"),
        "{problem}"
    );
    let metrics = nova.admin().fetch("/metrics").unwrap().text();
    for reason in ["token-wrong-address", "token-not-yet-valid"] {
        let line = format!("nova_edge_access_denials_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(!metrics.contains("2026a"), "{metrics}");
}

#[test]
fn what_is_signed_is_printed_in_each_form() {
    let site = site("/live/");
    let one = [
        "--path",
        "/vod/film.mp4",
        "--expires-in",
        "90s",
        "--session",
        "s-1",
    ];
    let printed = |arguments: &[&str]| sign(&site, &[&one[..], arguments].concat());
    let base = ["--base", "https://cdn.example.org/"];
    let url = printed(&base);
    assert!(
        url.starts_with("https://cdn.example.org/vod/~1.2026a."),
        "{url}"
    );
    assert!(url.ends_with("/film.mp4"), "{url}");
    let url = printed(&[&base[..], &["--form", "query"]].concat());
    let start = "https://cdn.example.org/vod/film.mp4?nova_token=1.2026a.";
    assert!(url.starts_with(start), "{url}");
    let cookie = printed(&["--form", "cookie"]);
    let end = "; Path=/vod/film.mp4; Max-Age=90; HttpOnly; SameSite=Lax";
    assert!(
        cookie.starts_with("nova_token=1.2026a.") && cookie.ends_with(end),
        "{cookie}"
    );
    let ages = [&one[..2], &["--expires-in", "9999999w", "--form", "cookie"]].concat();
    assert!(sign(&site, &ages).contains("; Max-Age="));
    assert!(printed(&["--form", "token"]).starts_with("1.2026a."));
    assert!(printed(&[]).starts_with("http://localhost:8080/vod/~1.2026a."));
}

#[test]
fn what_cannot_be_signed_is_refused_in_one_sentence() {
    let site = Site::new();
    let arguments = ["url", "sign", "--path", "/live/a/", "--expires-in", "1h"];
    let sentence = site.nova(&arguments).failed_with_one_sentence();
    assert!(sentence.contains("no key to sign with"), "{sentence}");
    let missing = [("NOVA__ACCESS__KEYS_FILE", "nowhere.keys")];
    let sentence = site
        .nova_with(&missing, &arguments)
        .failed_with_one_sentence();
    assert!(sentence.contains("nowhere.keys"), "{sentence}");
    let sentence = site.nova(&["url", "key", "a b"]).failed_with_one_sentence();
    assert!(sentence.contains("\"a b\""), "{sentence}");

    let pair = site
        .nova(&["url", "key", "2026b", "--algorithm", "ed25519"])
        .succeeded();
    assert!(pair.contains("2026b:ed25519-public:"), "{pair}");
    std::fs::write(site.data_dir().join("access.keys"), &pair).unwrap();
    let file = [("NOVA__ACCESS__KEYS_FILE", "access.keys")];
    let url = site.nova_with(&file, &arguments).succeeded();
    assert!(url.contains("/live/~1.2026b."), "{url}");
    let serve = site.serve().variable("NOVA__ACCESS__SIGNED", "/live/");
    assert!(
        serve.refused().contains("access.keys"),
        "nobody could watch"
    );
}
