//! New media are pushed: what is watched here is there when it is asked for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use edge::{EdgeBody, EdgeConfig, PurgeRule, PushConfig, Selector};
use http::{Request, Response};
use http_body_util::Empty;
use media::feed::{CONTENT_TYPE, Content, Decoder, Event, ObjectHead, encode};

use crate::origin::*;

pub(crate) const FEED: &str = "/live/garden/720p.feed";

/// An origin that has whatever is asked for, and whose feeds the test fills.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) origin: Origin,
    feeds: Arc<Mutex<Vec<Pieces>>>,
    lacks: Arc<Mutex<Lacks>>,
}

/// Is this target a 404?
type Lacks = fn(&str) -> bool;

/// The tags of what it pushes.
const TAGS: &str = "stream:garden, rendition:720p";

impl Publisher {
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One whose feeds have these fields, too.
    pub(crate) fn with(fields: &'static [(&'static str, &'static str)]) -> Self {
        let feeds = Arc::<Mutex<Vec<Pieces>>>::default();
        let has_all: Lacks = |_| false;
        let lacks = Arc::new(Mutex::new(has_all));
        let (opened, lacking) = (Arc::clone(&feeds), Arc::clone(&lacks));
        let origin = Origin::told(move |_, request| {
            let target = request.uri().to_string();
            let opened = Arc::clone(&opened);
            let is_there = !lacking.lock().unwrap()(&target);
            async move {
                if !is_there {
                    let fields = [("cache-control", "max-age=60")];
                    return Ok(response(404, &fields, OriginBody::whole("none")));
                }
                let (pieces, body) = OriginBody::open();
                if target.ends_with(".feed") {
                    opened.lock().unwrap().push(pieces);
                    let fields = [&[("content-type", CONTENT_TYPE)][..], fields].concat();
                    return Ok(response(200, &fields, body));
                }
                pieces
                    .send(Ok(Bytes::from(format!("asked {target}"))))
                    .unwrap();
                Ok(response(200, &[("cache-control", "max-age=60")], body))
            }
        });
        Self {
            origin,
            feeds,
            lacks,
        }
    }

    /// From now on targets of which this is true are a 404.
    pub(crate) fn lacks(&self, lacks: Lacks) {
        *self.lacks.lock().unwrap() = lacks;
    }

    /// How often a feed was asked for.
    pub(crate) fn feeds(&self) -> usize {
        self.feeds.lock().unwrap().len()
    }

    /// The feed that was asked for last.
    pub(crate) fn feed(&self) -> Pieces {
        self.feeds.lock().unwrap().last().unwrap().clone()
    }

    pub(crate) fn push(&self, path: &str, text: &str) {
        let head = head(
            path,
            &[("cache-control", "max-age=60"), ("cache-tag", TAGS)],
        );
        let head = encode(&head, Content::bytes(text.len()).unwrap()).unwrap();
        let whole = [&head, text.as_bytes()].concat();
        // In two pieces, as a socket may give them.
        let (first, second) = whole.split_at(whole.len() / 2);
        for piece in [first, second] {
            self.send(Bytes::copy_from_slice(piece));
        }
    }

    /// Pushes what is made of the `count` objects before it.
    pub(crate) fn join(&self, path: &str, count: u32) {
        let head = head(path, &[("cache-control", "max-age=60")]);
        self.send(encode(&head, Content::Joined(count)).unwrap());
    }

    pub(crate) fn send(&self, bytes: Bytes) {
        self.feed().send(Ok(bytes)).unwrap();
    }

    /// What was asked for, but for feeds.
    pub(crate) fn media(&self) -> Vec<String> {
        let mut targets = self.origin.targets();
        targets.retain(|target| !target.ends_with(".feed"));
        targets
    }
}

pub(crate) fn head(path: &str, fields: &[(&str, &'static str)]) -> ObjectHead {
    let field = |(name, value): &(&str, &'static str)| {
        let value = Bytes::from_static(value.as_bytes());
        ((*name).to_owned(), value)
    };
    ObjectHead {
        path: path.to_owned(),
        status: 200,
        fields: fields.iter().map(field).collect(),
    }
}

pub(crate) fn part(segment: u64, part: u64) -> String {
    format!("/live/garden/1/720p/{segment}.{part}.m4s")
}

pub(crate) fn pushing(push: PushConfig) -> EdgeConfig {
    EdgeConfig {
        push: Some(push),
        ..EdgeConfig::default()
    }
}

/// An edge behind which it is published, with a patience that no test waits for.
pub(crate) fn patient() -> PushConfig {
    PushConfig {
        patience: DEADLINE * 2,
        ..PushConfig::default()
    }
}

/// A request that an edge in front sends.
pub(crate) fn as_edge(target: &str) -> Request<Empty<Bytes>> {
    get_with(target, &[("cdn-loop", "nova; id=x")])
}

/// An edge in front of the one that is tested. What it has been handed on is stored there.
pub(crate) struct Follower {
    pub(crate) response: Response<EdgeBody>,
    decoder: Decoder,
    left: Bytes,
}

impl Follower {
    pub(crate) async fn of(house: &House) -> Self {
        Self::reading(house.ask(as_edge(FEED)).await)
    }

    fn reading(response: Response<EdgeBody>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(field(&response, "content-type"), Some(CONTENT_TYPE));
        Self {
            response,
            decoder: Decoder::new(),
            left: Bytes::new(),
        }
    }

    /// The next object's path and bytes, and of how many it is made. None at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, String, u32)> {
        let (mut path, mut text, mut joined) = (String::new(), Vec::new(), 0);
        loop {
            match self.decoder.next(&mut self.left).unwrap() {
                Some(Event::Object(head, content)) => {
                    path = head.path;
                    if let Content::Joined(count) = content {
                        joined = count;
                    }
                }
                Some(Event::Data(data)) => text.extend_from_slice(&data),
                Some(Event::End) => {
                    return Some((path, String::from_utf8(text).unwrap(), joined));
                }
                Some(Event::Alive) => {}
                None => self.left = piece(&mut self.response).await?.unwrap(),
            }
        }
    }

    /// Reads until `path` has come.
    pub(crate) async fn until(&mut self, path: &str) {
        while self.next().await.expect("the feed goes on").0 != path {}
    }
}

/// An edge that is watched, with a feed of which part 7.1 has come.
pub(crate) async fn watched(push: PushConfig) -> (Publisher, House, Follower) {
    let publisher = Publisher::new();
    let house = House::of(publisher.origin.clone(), pushing(push));
    house.text(&part(7, 0)).await;
    until(|| publisher.feeds() == 1).await;
    let mut follower = Follower::of(&house).await;
    publisher.push(&part(7, 1), "pushed 7.1");
    follower.until(&part(7, 1)).await;
    (publisher, house, follower)
}

#[tokio::test]
async fn what_is_pushed_is_a_hit_and_a_feed_is_asked_for_once() {
    let (publisher, house, mut follower) = watched(patient()).await;
    for viewer in 0..50 {
        house
            .text(&format!(
                "/live/garden/720p.m3u8?_HLS_msn=7&_HLS_part={viewer}"
            ))
            .await;
    }
    let init = "/live/garden/1/720p/init.mp4";
    publisher.push(init, "init");
    publisher.push(&part(8, 0), "one, ");
    publisher.push(&part(8, 1), "two");
    publisher.join("/live/garden/1/720p/8.m4s", 2);
    follower.until("/live/garden/1/720p/8.m4s").await;
    for (target, body) in [
        (part(7, 1).as_str(), "pushed 7.1"),
        (init, "init"),
        (&part(8, 0), "one, "),
        ("/live/garden/1/720p/8.m4s", "one, two"),
    ] {
        let response = house.get(target).await;
        assert_eq!(status(&response), "nova; hit; ttl=60");
        assert_eq!(text(response).await, body);
    }
    assert_eq!(publisher.feeds(), 1);
    let asked = publisher.media();
    assert!(
        !asked.iter().any(|target| target == &part(7, 1)),
        "{asked:?}"
    );
    let of_feed = publisher
        .origin
        .targets()
        .iter()
        .position(|target| target == FEED);
    let headers = publisher.origin.headers(of_feed.unwrap());
    assert!(
        headers["cdn-loop"]
            .to_str()
            .unwrap()
            .starts_with("nova; id=")
    );
}

#[tokio::test]
async fn a_part_that_is_not_born_is_held_until_it_is_pushed() {
    let (publisher, house, _follower) = watched(patient()).await;
    let before = publisher.media();
    let waiting: Vec<_> = (0..20).map(|_| house.ask(get(&part(7, 2)))).collect();
    let segment = house.ask(get("/live/garden/1/720p/7.m4s"));
    let next = house.ask(get(&part(8, 0)));
    publisher.push(&part(7, 2), "pushed 7.2");
    for pending in waiting {
        let response = pending.await;
        assert_eq!(status(&response), "nova; hit; ttl=60");
        assert_eq!(text(response).await, "pushed 7.2");
    }
    publisher.join("/live/garden/1/720p/7.m4s", 2);
    assert_eq!(text(segment.await).await, "pushed 7.1pushed 7.2");
    publisher.push(&part(8, 0), "pushed 8.0");
    assert_eq!(text(next.await).await, "pushed 8.0");
    assert_eq!(publisher.media(), before);
}

#[tokio::test]
async fn what_does_not_come_is_asked_for() {
    let (publisher, house, mut follower) = watched(patient()).await;
    // The feed goes on without it.
    let passed = house.ask(get(&part(7, 2)));
    publisher.push(&part(7, 3), "pushed 7.3");
    assert_eq!(text(passed.await).await, format!("asked {}", part(7, 2)));
    // What is farther ahead is for the origin to judge.
    assert_eq!(
        house.text(&part(9, 0)).await.1,
        format!("asked {}", part(9, 0))
    );
    // The feed breaks off.
    let held = house.ask(get(&part(7, 4)));
    publisher.feed().send(Err("reset".to_owned())).unwrap();
    assert_eq!(text(held.await).await, format!("asked {}", part(7, 4)));
    follower.until(&part(7, 3)).await;
    assert_eq!(follower.next().await, None);
    // It is asked for again.
    until(|| publisher.feeds() == 2).await;
}

#[tokio::test]
async fn a_feed_that_nobody_wants_any_more_ends() {
    let (publisher, house, follower) = watched(patient()).await;
    drop(follower);
    // A hit of what was pushed is a sign of life.
    house.pass(9_000);
    house.get(&part(7, 1)).await;
    house.pass(9_000);
    // From here on time passes only where there is nothing else to do: in these three seconds
    // it is looked, and in the second below the feed is asked for.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(3)).await;
    publisher.push(&part(7, 2), "pushed 7.2");
    house.pass(2_000);
    within(publisher.feed().closed()).await;
    // The next part is asked for, and with it the feed.
    house.text(&part(7, 9)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(publisher.feeds(), 2);
}

#[tokio::test]
async fn a_slow_subscriber_is_left() {
    let push = PushConfig {
        max_queued: 2,
        ..patient()
    };
    let (publisher, house, mut fast) = watched(push).await;
    let mut slow = Follower::of(&house).await;
    for number in 2..8 {
        publisher.push(&part(7, number), "pushed");
        fast.until(&part(7, number)).await;
    }
    // What was on its way to it still comes.
    for number in 2..4 {
        assert_eq!(slow.next().await.unwrap().0, part(7, number));
    }
    assert_eq!(slow.next().await, None);
    let response = house.get(&part(7, 7)).await;
    assert_eq!(status(&response), "nova; hit; ttl=60");
    assert_eq!(publisher.feeds(), 1);
}

#[tokio::test]
async fn a_subscriber_that_lacks_a_part_is_sent_the_segment() {
    let (publisher, house, mut first) = watched(patient()).await;
    let mut second = Follower::of(&house).await;
    publisher.push(&part(7, 2), "pushed 7.2");
    publisher.join("/live/garden/1/720p/7.m4s", 2);
    first.until(&part(7, 2)).await;
    second.until(&part(7, 2)).await;
    let segment = "/live/garden/1/720p/7.m4s".to_owned();
    let whole = "pushed 7.1pushed 7.2".to_owned();
    assert_eq!(
        first.next().await,
        Some((segment.clone(), String::new(), 2))
    );
    assert_eq!(second.next().await, Some((segment, whole, 0)));
}

fn purge(house: &House, selector: Selector) {
    house.edge.control().purge(&PurgeRule {
        selector,
        soft: false,
    });
}

#[tokio::test]
async fn e08_what_is_purged_after_it_was_pushed_is_asked_for() {
    let (publisher, house, _follower) = watched(patient()).await;
    purge(&house, Selector::Url(part(7, 1).into()));
    assert_eq!(
        house.text(&part(7, 1)).await.1,
        format!("asked {}", part(7, 1))
    );
    assert_eq!(publisher.feeds(), 1);
}

#[tokio::test]
async fn e08_what_was_on_its_way_when_it_was_purged_is_not_stored() {
    let (publisher, house, mut follower) = watched(patient()).await;
    purge(&house, Selector::Prefix("/live/garden/".into()));
    publisher.push(&part(7, 2), "old");
    // Nor is it handed on. The feed is asked for anew.
    assert_eq!(follower.next().await, None);
    until(|| publisher.feeds() == 2).await;
    assert_eq!(
        house.text(&part(7, 2)).await.1,
        format!("asked {}", part(7, 2))
    );
    let mut follower = Follower::of(&house).await;
    publisher.push(&part(7, 3), "new");
    follower.until(&part(7, 3)).await;
    let response = house.get(&part(7, 3)).await;
    assert_eq!(status(&response), "nova; hit; ttl=60");
}

#[tokio::test]
async fn a_damaged_feed_ends_and_nothing_of_it_is_stored() {
    let other = "/live/garden/1/1080p/init.mp4";
    let length = &[("cache-control", "max-age=60"), ("content-length", "9")];
    for damage in [
        Bytes::from_static(b"\xff no feed at all, whatever it says"),
        encode(&head(other, &[]), Content::Bytes(0)).unwrap(),
        encode(&head("/live/garden/720p.m3u8", &[]), Content::Bytes(0)).unwrap(),
        encode(&head("/vod/a/../b", &[]), Content::Bytes(0)).unwrap(),
        encode(&head(&part(7, 2), length), Content::Bytes(0)).unwrap(),
    ] {
        let (publisher, house, mut follower) = watched(patient()).await;
        // Before the feed ends, so that none of its rest passes unseen.
        tokio::time::pause();
        publisher.send(damage);
        assert_eq!(follower.next().await, None);
        for target in [part(7, 2).as_str(), other, "/live/garden/720p.m3u8"] {
            assert_eq!(house.text(target).await.1, format!("asked {target}"));
        }
        within(publisher.feed().closed()).await;
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert_eq!(publisher.feeds(), 1, "it is left alone for a while");
        house.text(&part(8, 0)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(publisher.feeds(), 2);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn what_may_not_be_stored_is_not() {
    let publisher = Publisher::new();
    let house = House::of(
        publisher.origin.clone(),
        EdgeConfig {
            max_object_bytes: 1_000,
            ..pushing(patient())
        },
    );
    house.text(&part(7, 0)).await;
    until(|| publisher.feeds() == 1).await;
    let mut follower = Follower::of(&house).await;
    let unkept = head(&part(7, 1), &[("cache-control", "no-store")]);
    publisher.send(encode(&unkept, Content::Bytes(0)).unwrap());
    publisher.push(&part(7, 2), &"x".repeat(1_001));
    // It cannot be made of what is not there.
    publisher.join("/live/garden/1/720p/7.m4s", 2);
    publisher.push(&part(8, 0), "pushed");
    assert_eq!(follower.next().await.unwrap().0, part(8, 0));
    for target in [&part(7, 1), &part(7, 2), "/live/garden/1/720p/7.m4s"] {
        assert_eq!(house.text(target).await.1, format!("asked {target}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_without_feeds_is_asked_as_before() {
    let origin = Origin::told(|_, request| {
        let is_feed = request.uri().path().ends_with(".feed");
        let status = if is_feed { 404 } else { 200 };
        async move {
            let fields = [("cache-control", "max-age=60")];
            Ok(response(status, &fields, OriginBody::whole("x")))
        }
    });
    let house = House::of(origin.clone(), pushing(patient()));
    for number in 0..10 {
        assert_eq!(house.text(&part(7, number)).await.0, 200);
    }
    let feeds = || {
        origin
            .targets()
            .iter()
            .filter(|target| *target == FEED)
            .count()
    };
    tokio::time::sleep(Duration::from_secs(29)).await;
    house.text(&part(8, 0)).await;
    assert_eq!(feeds(), 1, "it is left alone for a while");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(feeds(), 2);
}

#[tokio::test]
async fn a_feed_is_for_edges_and_never_filled() {
    let follower = [("cdn-loop", "nova; id=x")];
    // Where nothing is pushed.
    let house = House::new(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    assert_eq!(house.ask(get_with(FEED, &follower)).await.status(), 404);
    assert_eq!(house.origin.calls(), 0);

    let publisher = Publisher::new();
    let config = EdgeConfig {
        node: "edge-1".parse().unwrap(),
        ..pushing(PushConfig {
            max_subscribers: 1,
            ..patient()
        })
    };
    let house = House::of(publisher.origin.clone(), config);
    assert_eq!(house.get(FEED).await.status(), 404);
    let looped = [("cdn-loop", "nova; id=edge-1")];
    assert_eq!(house.ask(get_with(FEED, &looped)).await.status(), 508);
    let head = send_with("HEAD", FEED, &follower);
    assert_eq!(house.ask(head).await.status(), 404);
    assert_eq!(publisher.origin.calls(), 0);

    let first = Follower::of(&house).await;
    // It tells who is in front of it.
    assert_eq!(publisher.origin.headers(0)["cdn-loop"], "nova; id=x");
    let second = house.ask(get_with(FEED, &follower)).await;
    assert_eq!(second.status(), 503);
    assert_eq!(status(&second), "nova; detail=too-many-feeds");
    drop(first);
    Follower::of(&house).await;
    assert_eq!(publisher.feeds(), 1);
}

#[tokio::test]
async fn a_subscriber_is_told_that_there_is_no_feed() {
    let origin = Origin::new(|_| async { Ok(response(404, &[], OriginBody::whole("no"))) });
    let house = House::of(origin, pushing(patient()));
    for _ in 0..2 {
        let answer = house
            .ask(get_with(FEED, &[("cdn-loop", "nova; id=x")]))
            .await;
        assert_eq!(answer.status(), 404);
    }
    assert_eq!(house.origin.calls(), 2);
}
