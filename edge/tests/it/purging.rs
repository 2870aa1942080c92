//! What has been purged is not given any more (E08).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use edge::{EdgeConfig, OriginKind, PurgeRule, Selector, UpstreamError};
use http::StatusCode;
use media::Timestamp;
use proptest::prelude::*;
use tokio::sync::Notify;

use crate::origin::*;

pub(crate) fn rule(kind: &str, text: &str, soft: bool) -> PurgeRule {
    PurgeRule {
        selector: Selector::parse(OriginKind::Media, kind, text).unwrap(),
        soft,
    }
}

impl House {
    pub(crate) fn purge(&self, kind: &str, text: &str) {
        self.edge.control().purge(&rule(kind, text, false));
    }

    pub(crate) fn purge_softly(&self, kind: &str, text: &str) {
        self.edge.control().purge(&rule(kind, text, true));
    }
}

const TAGGED: [(&str, &str); 2] = [
    ("cache-control", "max-age=60"),
    ("cache-tag", "stream:a, rendition:720p"),
];

/// An origin that answers with the number of the request.
fn numbered(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |n| async move {
        let body = OriginBody::whole(n.to_string().leak());
        Ok(response(200, fields, body))
    })
}

#[tokio::test]
async fn e08_what_was_purged_is_gone_and_nothing_else() {
    for (kind, text, selected) in [
        ("url", "/live/a/v.m3u8", true),
        ("url", "https://edge.example/live/a/v.m3u8?token=x", true),
        ("url", "/live/a/v.m3u", false),
        ("prefix", "/live/a/", true),
        ("prefix", "/live/a/v.m3u8x", false),
        ("pattern", "/live/*/*.m3u8", true),
        ("pattern", "/*.m3u8", false),
        ("tag", "stream:a", true),
        ("tag", "rendition:720p", true),
        ("tag", "rendition:720", false),
        ("stream", "a", true),
        ("stream", "b", false),
        ("everything", "", true),
    ] {
        let house = House::new(numbered(&TAGGED));
        // What is asked for by its part is another key of the same playlist.
        for target in ["/live/a/v.m3u8", "/live/a/v.m3u8?_HLS_msn=3"] {
            let before = house.text(target).await.1;
            assert_eq!(house.text(target).await.1, before);
            house.purge(kind, text);
            let after = house.text(target).await.1;
            assert_eq!(after != before, selected, "{kind} {text} {target}");
            assert_eq!(house.text(target).await.1, after, "what came since stays");
        }
    }
}

#[tokio::test]
async fn a_soft_purge_makes_stale_what_it_selects() {
    const FIELDS: [(&str, &str); 2] = [
        ("cache-control", "max-age=60, stale-if-error=600"),
        ("etag", "\"a\""),
    ];
    let origin = Origin::told(|n, request| {
        let asks = request.headers().contains_key("if-none-match");
        async move {
            match n {
                1 => Ok(response(200, &FIELDS, OriginBody::whole("one"))),
                2 if asks => Ok(response(304, &FIELDS, OriginBody::whole(""))),
                3 => Err(UpstreamError::Timeout),
                _ => Ok(response(200, &FIELDS, OriginBody::whole("four"))),
            }
        }
    });
    let house = House::new(origin);
    house.text("/live/a/1.m4s").await;
    house.pass(1_000);
    house.purge_softly("stream", "a");
    // It is asked about, and still good.
    assert_eq!(house.text("/live/a/1.m4s").await.1, "one");
    assert_eq!(house.origin.calls(), 2);
    assert!(status(&house.get("/live/a/1.m4s").await).starts_with("nova; hit"));
    // The origin fails: what is stale will do, for as long as that is allowed.
    house.purge_softly("stream", "a");
    assert_eq!(house.text("/live/a/1.m4s").await.1, "one");
    assert_eq!(house.origin.calls(), 3);
    assert_eq!(house.text("/live/a/1.m4s").await.1, "four");
    // Not after a hard purge.
    let house = House::new(Origin::new(|n| async move {
        match n {
            1 => Ok(response(200, &FIELDS, OriginBody::whole("one"))),
            _ => Err(UpstreamError::Timeout),
        }
    }));
    house.text("/live/a/1.m4s").await;
    house.purge("stream", "a");
    let failed = house.get("/live/a/1.m4s").await;
    assert_eq!(failed.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn while_it_is_asked_about_what_was_purged_softly_is_given() {
    const FIELDS: [(&str, &str); 1] = [("cache-control", "max-age=60, stale-while-revalidate=60")];
    let house = House::new(numbered(&FIELDS));
    house.text("/a").await;
    house.purge_softly("url", "/a");
    assert_eq!(house.text("/a").await.1, "1");
    until(|| house.origin.calls() == 2).await;
    within(async {
        while house.text("/a").await.1 != "2" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn e08_a_fill_begun_before_a_purge_brings_nothing_back() {
    for (kind, text_of, soft) in [
        ("url", "/a", false),
        ("prefix", "/", true),
        ("pattern", "/*", false),
        ("tag", "stream:a", false),
        ("tag", "stream:a", true),
        ("everything", "", false),
    ] {
        let (pieces, body) = OriginBody::open();
        let old = Mutex::new(Some(body));
        let origin = Origin::new(move |_| {
            let body = old.lock().unwrap().take();
            let body = body.unwrap_or_else(|| OriginBody::whole("new"));
            async move { Ok(response(200, &TAGGED, body)) }
        });
        let house = House::new(origin);
        let early = house.ask(get("/a")).await;
        house.edge.control().purge(&rule(kind, text_of, soft));
        assert_eq!(house.text("/a").await.1, "new", "it joined the old fill");
        send(&pieces, "old");
        drop(pieces);
        assert_eq!(text(early).await, "old", "who asked before is answered");
        assert_eq!(house.text("/a").await.1, "new");
        assert_eq!(house.origin.calls(), 2, "{kind} {soft}");
    }
}

#[tokio::test]
async fn e08_who_waits_while_it_is_purged_is_not_given_it_instead_of_an_error() {
    const FIELDS: [(&str, &str); 1] = [("cache-control", "max-age=1, stale-if-error=60")];
    let gate = Arc::new(Notify::new());
    let released = Arc::clone(&gate);
    let house = House::new(Origin::new(move |n| {
        let released = Arc::clone(&released);
        async move {
            match n {
                1 => Ok(response(200, &FIELDS, OriginBody::whole("old"))),
                _ => {
                    released.notified().await;
                    Err(UpstreamError::Timeout)
                }
            }
        }
    }));
    house.text("/a").await;
    house.pass(2_000);
    let waits = tokio::spawn(house.ask(get("/a")));
    until(|| house.origin.calls() == 2).await;
    house.purge("url", "/a");
    gate.notify_one();
    assert_eq!(waits.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_sweep_frees_what_was_purged_and_forgets_the_rules() {
    let (pieces, body) = OriginBody::open();
    let slow = Mutex::new(Some(body));
    let house = House::new(Origin::told(move |_, request| {
        let slow = match request.uri().path() {
            "/slow" => slow.lock().unwrap().take(),
            _ => None,
        };
        let body = slow.unwrap_or_else(|| OriginBody::whole("x"));
        async move { Ok(response(200, &TAGGED, body)) }
    }));
    for n in 0..100 {
        house.text(&format!("/live/a/{n}.m4s")).await;
        house.text(&format!("/live/b/{n}.m4s")).await;
    }
    let early = house.ask(get("/slow")).await;
    let control = house.edge.control();
    let before = control.load().memory_bytes;
    let obeyed = control.purge(&rule("stream", "a", false));
    assert!(!control.has_swept(obeyed));
    eventually(|| control.has_swept(obeyed)).await;
    let asked = house.origin.calls();
    house.text("/live/b/1.m4s").await;
    assert_eq!(house.origin.calls(), asked, "what was not purged stays");
    assert!(control.load().memory_bytes < before * 6 / 10);
    // Nobody knows the rules of its time any more, so that it is not stored.
    send(&pieces, "old");
    drop(pieces);
    assert_eq!(text(early).await, "old");
    assert_eq!(house.text("/slow").await.1, "x");
    house.edge.shutdown().await;
}

#[tokio::test]
async fn who_does_not_hear_of_purges_asks_the_origin_once_a_second() {
    const FIELDS: [(&str, &str); 2] = [
        ("cache-control", "max-age=60, stale-if-error=60"),
        ("etag", "\"a\""),
    ];
    let fails = Arc::new(AtomicUsize::new(0));
    let failing = Arc::clone(&fails);
    let house = House::new(Origin::told(move |_, request| {
        let asks = request.headers().contains_key("if-none-match");
        let failing = Arc::clone(&failing);
        async move {
            match (failing.load(Ordering::SeqCst), asks) {
                (0, true) => Ok(response(304, &FIELDS, OriginBody::whole(""))),
                (0, false) => Ok(response(200, &FIELDS, OriginBody::whole("a"))),
                _ => Err(UpstreamError::Timeout),
            }
        }
    }));
    house.text("/a").await;
    house.pass(5_000);
    let control = house.edge.control();
    control.hears_of_purges_until(Some(Timestamp::from_micros(0)));
    for _ in 0..10 {
        assert_eq!(house.text("/a").await, (200, "a".to_owned()));
    }
    assert_eq!(house.origin.calls(), 2);
    house.pass(2_000);
    house.text("/a").await;
    assert_eq!(house.origin.calls(), 3);
    // It may have been purged, and nobody can say.
    house.pass(2_000);
    fails.store(1, Ordering::SeqCst);
    assert_eq!(house.text("/a").await.0, 504);
    control.hears_of_purges_until(None);
    assert_eq!(house.text("/a").await, (200, "a".to_owned()));
}

/// An edge whose origin answers its second request when it is let.
fn gated(
    answer: impl Fn(usize) -> http::Response<OriginBody> + Send + Sync + 'static,
) -> (House, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let (released, answer) = (Arc::clone(&gate), Arc::new(answer));
    let house = House::general(Origin::new(move |n| {
        let (released, answer) = (Arc::clone(&released), Arc::clone(&answer));
        async move {
            if n == 2 {
                released.notified().await;
            }
            Ok(answer(n))
        }
    }));
    (house, gate)
}

#[tokio::test]
async fn e08_a_304_with_other_tags_brings_nothing_back() {
    let (house, gate) = gated(|n| match n {
        1 => {
            let fields = [
                ("cache-control", "max-age=1"),
                ("etag", "\"a\""),
                ("cache-tag", "x"),
            ];
            response(200, &fields, OriginBody::whole("old"))
        }
        2 => {
            let fields = [
                ("cache-control", "max-age=60"),
                ("etag", "\"a\""),
                ("cache-tag", "y"),
            ];
            response(304, &fields, OriginBody::whole(""))
        }
        _ => response(
            200,
            &[("cache-control", "max-age=60")],
            OriginBody::whole("new"),
        ),
    });
    house.text("/a").await;
    house.pass(2_000);
    let waits = tokio::spawn(house.ask(get("/a")));
    until(|| house.origin.calls() == 2).await;
    house.purge("tag", "x");
    gate.notify_one();
    assert_eq!(text(waits.await.unwrap()).await, "old", "it asked before");
    assert_eq!(house.text("/a").await.1, "new");
}

#[tokio::test]
async fn e08_the_answer_to_a_post_is_as_old_as_its_question() {
    let (house, gate) = gated(|n| {
        let fields = [("cache-control", "max-age=60"), ("content-location", "/a")];
        let body = ["first", "posted", "new"][n - 1];
        response(200, &fields, OriginBody::whole(body))
    });
    house.text("/b").await;
    let post = send_with("POST", "/a", &[("host", "edge.example")]);
    let waits = tokio::spawn(house.ask(post));
    until(|| house.origin.calls() == 2).await;
    house.purge("url", "/a");
    gate.notify_one();
    assert_eq!(text(waits.await.unwrap()).await, "posted");
    assert_eq!(house.text("/a").await.1, "new");
}

/// What happens to an edge.
#[derive(Debug, Clone)]
enum Step {
    Ask(usize),
    /// The origin has something newer under this path.
    Change(usize),
    Purge(Selector),
}

const PATHS: [&str; 5] = ["/live/a/1", "/live/a/2", "/live/b/1", "/vod/a", "/"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let selector = prop_oneof![
        prop::sample::select(&PATHS[..]).prop_map(|path| Selector::Url(path.into())),
        prop::sample::select(&["/live/", "/live/a/", "/vod", "/x"][..])
            .prop_map(|prefix| Selector::Prefix(prefix.into())),
        prop::sample::select(&["/live/*/1", "/**1", "/*"][..])
            .prop_map(|pattern| Selector::Pattern(pattern.parse().unwrap())),
        prop::sample::select(&["0", "1", "x"][..]).prop_map(|tag| Selector::Tag(tag.into())),
        Just(Selector::Everything),
    ];
    let step = prop_oneof![
        4 => (0..PATHS.len()).prop_map(Step::Ask),
        2 => (0..PATHS.len()).prop_map(Step::Change),
        2 => selector.prop_map(Step::Purge),
    ];
    prop::collection::vec(step, 1..60)
}

/// Whether `selector` selects a path whose answers have its index's remainder as their tag.
fn selects(selector: &Selector, index: usize) -> bool {
    let path = PATHS[index];
    match selector {
        Selector::Everything => true,
        Selector::Url(url) => **url == *path,
        Selector::Prefix(prefix) => path.starts_with(&**prefix),
        Selector::Pattern(pattern) => pattern.matches(path),
        Selector::Tag(tag) => **tag == *(index % 2).to_string(),
    }
}

proptest! {
    /// Each path is answered with what it had when it was last purged, or something newer; and
    /// nothing is asked for again that was not purged.
    #[test]
    fn e08_whatever_happens_nothing_from_before_a_purge_is_given(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let versions: Arc<[AtomicUsize; PATHS.len()]> = Arc::default();
        let told = Arc::clone(&versions);
        let origin = Origin::told(move |_, request| {
            let index = PATHS.iter().position(|path| *path == request.uri().path()).unwrap();
            let version = told[index].load(Ordering::SeqCst);
            async move {
                let tag = (index % 2).to_string();
                let fields = [("cache-control", "max-age=60"), ("cache-tag", tag.as_str())];
                Ok(response(200, &fields, OriginBody::whole(version.to_string().leak())))
            }
        });
        runtime.block_on(async {
            let house = House::with(origin, |config: &mut EdgeConfig| config.memory_bytes = 1 << 20);
            // What each path must be answered with.
            let mut stored: [Option<usize>; PATHS.len()] = [None; PATHS.len()];
            for step in steps {
                match step {
                    Step::Change(index) => {
                        versions[index].fetch_add(1, Ordering::SeqCst);
                    }
                    Step::Purge(selector) => {
                        for (index, stored) in stored.iter_mut().enumerate() {
                            if selects(&selector, index) {
                                *stored = None;
                            }
                        }
                        house.edge.control().purge(&PurgeRule { selector, soft: false });
                    }
                    Step::Ask(index) => {
                        let now = versions[index].load(Ordering::SeqCst);
                        let expected = *stored[index].get_or_insert(now);
                        let (_, given) = house.text(PATHS[index]).await;
                        assert_eq!(given, expected.to_string(), "{}", PATHS[index]);
                    }
                }
            }
        });
    }
}
