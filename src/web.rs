//! The web pages, embedded in the binary from `web/dist`.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use social::rest::holds;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const WATCH: &str = include_str!("../web/dist/index.html");
const ACCOUNT: &str = include_str!("../web/dist/account.html");
const SETTINGS: &str = include_str!("../web/dist/settings.html");
const PROFILE: &str = include_str!("../web/dist/profile.html");
const POSTS: &str = include_str!("../web/dist/posts.html");
const STUDIO: &str = include_str!("../web/dist/studio.html");
const ADMIN: &str = include_str!("../web/dist/admin.html");

/// What stands in pages for where encoders publish to.
const RTMP_PLACE: &str = "rtmp://{host}";

/// What the pages load, and of what type it is.
const LOADED: [(&str, &str, &str); 9] = [
    ("/theme.js", SCRIPT, include_str!("../web/dist/theme.js")),
    ("/watch.js", SCRIPT, include_str!("../web/dist/watch.js")),
    (
        "/account.js",
        SCRIPT,
        include_str!("../web/dist/account.js"),
    ),
    (
        "/settings.js",
        SCRIPT,
        include_str!("../web/dist/settings.js"),
    ),
    (
        "/profile.js",
        SCRIPT,
        include_str!("../web/dist/profile.js"),
    ),
    ("/posts.js", SCRIPT, include_str!("../web/dist/posts.js")),
    ("/studio.js", SCRIPT, include_str!("../web/dist/studio.js")),
    ("/admin.js", SCRIPT, include_str!("../web/dist/admin.js")),
    ("/style.css", STYLE, include_str!("../web/dist/style.css")),
];

/// Pages of accounts, people and what they write, by their paths.
const PEOPLE: [(&str, &str); 14] = [
    ("/signup", ACCOUNT),
    ("/login", ACCOUNT),
    ("/verify", ACCOUNT),
    ("/reset", ACCOUNT),
    ("/confirm-email", ACCOUNT),
    ("/settings", SETTINGS),
    ("/@{name}", PROFILE),
    ("/home", POSTS),
    ("/notifications", POSTS),
    ("/discover", POSTS),
    ("/search", POSTS),
    ("/posts/{id}", POSTS),
    ("/hashtags/{hashtag}", POSTS),
    ("/admin", ADMIN),
];

/// Pages and what they load. `playback` is where the edge is, when it is another
/// process; the pages may then fetch from there, and show its pictures. `rtmp` is where encoders
/// publish to, with `{host}` for the host that a page came from.
pub fn router(playback: &str, rtmp: &str) -> Router {
    // No page makes markup of text. hls.js would, of captions in TTML and keys of PlayReady: Nova
    // sends neither.
    let plain = "worker-src 'none'; object-src 'none'; base-uri 'none'; form-action 'self'; \
                 require-trusted-types-for 'script'";
    // hls.js feeds the video element from a blob URL.
    let playing = format!(
        "default-src 'self'; connect-src 'self' {playback}; media-src 'self' blob: {playback}; \
         img-src 'self' data: {playback}; {plain}"
    );
    let watch_policy = format!("{playing}; frame-ancestors 'self'");
    // Keys are shown there, and what is live.
    let studio_policy = format!("{playing}; frame-ancestors 'none'");
    // A page where passwords are typed is in no frame.
    let people_policy = format!(
        "default-src 'self'; img-src 'self' data: {playback}; {plain}; frame-ancestors 'none'"
    );
    let watch = File::page(WATCH.replace(RTMP_PLACE, rtmp), &watch_policy);
    let studio = File::page(STUDIO.replace(RTMP_PLACE, rtmp), &studio_policy);
    let mut router = Router::new()
        .route("/", watch.clone().served())
        .route("/watch/{stream}", watch.clone().served())
        .route("/posts/{id}/video", watch.served())
        .route("/studio", studio.clone().served())
        .route("/studio/{stream}", studio.served())
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT));
    for (path, text) in PEOPLE {
        router = router.route(path, File::page(text, &people_policy).served());
    }
    for (path, kind, text) in LOADED {
        router = router.route(path, File::new(kind, text).served());
    }
    router
}

/// A file as it is answered.
#[derive(Clone)]
struct File {
    text: Cow<'static, str>,
    /// `None` where it cannot be one; then the file comes anew each time.
    tag: Option<HeaderValue>,
    headers: HeaderMap,
}

impl File {
    fn new(kind: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let tag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).ok();
        let mut headers = HeaderMap::new();
        // The files change with the binary, so a browser asks each time.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(tag) = &tag {
            headers.insert(ETAG, tag.clone());
        }
        Self { text, tag, headers }
    }

    /// A page that does no more than `policy` lets it. An inline script is in none of them.
    fn page(text: impl Into<Cow<'static, str>>, policy: &str) -> Self {
        let mut page = Self::new(HTML, text);
        if let Ok(policy) = HeaderValue::try_from(policy) {
            page.headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        // Whom somebody looks at is nobody's business where a profile's link leads.
        let referrer = HeaderValue::from_static("same-origin");
        page.headers.insert(REFERRER_POLICY, referrer);
        page
    }

    fn served(self) -> MethodRouter {
        get(async move |headers: HeaderMap| self.answer(&headers))
    }

    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let headers = self.headers.clone();
        if self.tag.as_ref().is_some_and(|tag| holds(asked, tag)) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.text.clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::http::header::IF_NONE_MATCH;
    use http_body_util::BodyExt;
    use tower_service::Service;

    use super::*;

    /// The paths of every page, with names in them.
    fn pages() -> impl Iterator<Item = &'static str> {
        let people = PEOPLE.map(|(path, _)| match path {
            "/@{name}" => "/@ada",
            "/posts/{id}" => "/posts/0190a5c0-0000-7000-8000-000000000000",
            "/hashtags/{hashtag}" => "/hashtags/birds",
            path => path,
        });
        let video = "/posts/0190a5c0-0000-7000-8000-000000000000/video";
        let playing = ["/", "/watch/garden", video, "/studio", "/studio/garden"];
        playing.into_iter().chain(people)
    }

    async fn ask(path: &str, tag: Option<&HeaderValue>) -> (Response<()>, String) {
        let mut request = Request::get(path);
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = router("", "rtmp://{host}")
            .call(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        (Response::from_parts(parts, ()), body)
    }

    /// The values of `attribute` in `page`.
    fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
        let begin = format!(" {attribute}=\"");
        let after = page.split(&begin).skip(1);
        after.filter_map(|rest| rest.split('"').next()).collect()
    }

    #[tokio::test]
    async fn what_pages_load_and_where_they_lead_is_there() {
        for path in pages() {
            let (response, page) = ask(path, None).await;
            assert_eq!(response.status(), 200, "{path}");
            let led = values(&page, "href").into_iter();
            let led = led.filter(|target| target.starts_with('/'));
            for target in values(&page, "src").into_iter().chain(led) {
                let (response, _) = ask(target, None).await;
                assert_eq!(response.status(), 200, "{target} of {path}");
            }
        }
    }

    #[tokio::test]
    async fn pages_have_no_inline_scripts_and_their_policies_allow_none() {
        for path in pages() {
            let (response, page) = ask(path, None).await;
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str();
            let policy = policy.expect("text");
            assert!(policy.contains("default-src 'self';"), "{policy}");
            assert!(
                policy.contains("require-trusted-types-for 'script'"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            for tag in page.split("<script").skip(1) {
                assert!(tag.starts_with(" src=\"/"), "{path}: {tag:.40}");
            }
            for attribute in ["onclick", "onload", "onsubmit", "style"] {
                assert_eq!(values(&page, attribute), [""; 0], "{path}");
            }
        }
    }

    #[tokio::test]
    async fn what_a_browser_has_is_not_sent_again() {
        for path in pages().chain(LOADED.map(|(path, _, _)| path)) {
            let (response, body) = ask(path, None).await;
            assert_eq!(response.headers()[CACHE_CONTROL], "no-cache", "{path}");
            assert!(!body.is_empty(), "{path}");
            let tag = &response.headers()[ETAG];
            let weak =
                HeaderValue::try_from(format!("\"other\", W/{}", tag.to_str().expect("text")));
            for tag in [tag, &weak.expect("a header")] {
                let (again, body) = ask(path, Some(tag)).await;
                assert_eq!(again.status(), 304, "{path}");
                assert_eq!(again.headers()[ETAG], response.headers()[ETAG]);
                assert_eq!(body, "", "{path}");
            }
            let other = HeaderValue::from_static("\"other\"");
            let (other, _) = ask(path, Some(&other)).await;
            assert_eq!(other.status(), 200, "{path}");
        }
    }

    #[tokio::test]
    async fn a_page_has_one_name() {
        for (path, status) in [
            ("/posts/birds", 200),
            ("/posts", 404),
            ("/hashtags/%C3%A4hre", 200),
            ("/hashtags/birds/more", 404),
            ("/@ada", 200),
            ("/@ada/more", 404),
            ("/@", 404),
            ("/ada", 404),
            ("/studio/garden", 200),
            ("/studio/garden/more", 404),
        ] {
            assert_eq!(ask(path, None).await.0.status(), status, "{path}");
        }
    }

    #[tokio::test]
    async fn pages_say_where_to_publish() {
        for (path, page) in [("/", WATCH), ("/studio/garden", STUDIO)] {
            assert_eq!(page.matches(RTMP_PLACE).count(), 1, "{path}");
            for rtmp in ["rtmp://{host}:1936", "rtmps://in.example.org"] {
                let request = Request::get(path).body(Body::empty());
                let response = router("", rtmp).call(request.expect("a request")).await;
                let body = response.expect("an answer").into_body().collect().await;
                let page = body.expect("a body").to_bytes();
                let page = String::from_utf8(page.to_vec()).expect("text");
                assert_eq!(values(&page, "content").last(), Some(&rtmp), "{path}");
            }
        }
    }
}
