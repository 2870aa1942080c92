use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response};
use media::Timestamp;

use super::stored::{MAX_JOINED_CHUNKS, skipping};
use super::*;
use crate::freshness::Rules;
use crate::head::Circumstances;

const T0: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

const LIMITS: Limits = Limits {
    variants: 2,
    bytes: 1 << 16,
    object_bytes: 1_000,
};

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        let value = HeaderValue::from_str(value).unwrap();
        (HeaderName::from_static(name), value)
    };
    pairs.iter().map(pair).collect()
}

fn head(status: u16, request: &[(&'static str, &str)], answer: &[(&'static str, &str)]) -> Head {
    head_at(T0, status, request, answer)
}

fn head_at(
    received: Timestamp,
    status: u16,
    request: &[(&'static str, &str)],
    answer: &[(&'static str, &str)],
) -> Head {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status.try_into().unwrap();
    parts.headers = fields(answer);
    let circumstances = Circumstances {
        rules: Rules {
            kind: OriginKind::General,
            stale_limit: Duration::ZERO,
        },
        method: &Method::GET,
        request: &fields(request),
        requested: received,
        received,
        ranged: true,
        conditional: false,
        is_its_own_location: false,
        body_length: None,
        max_object_bytes: 1_000,
    };
    Head::new(parts, &circumstances).unwrap()
}

fn chunks(text: &'static str) -> Arc<[Bytes]> {
    Arc::new([Bytes::from_static(text.as_bytes())])
}

fn part(range: &str, body: &'static str) -> Option<Stored> {
    let answer = [
        ("cache-control", "max-age=9"),
        ("etag", "\"a\""),
        ("content-range", range),
    ];
    Stored::part(&head(206, &[], &answer), chunks(body))
}

fn text(stored: &Stored) -> String {
    String::from_utf8(stored.chunks.concat()).unwrap()
}

fn store() -> (MemoryStore, CacheKey) {
    let key = CacheKey::of_general("/").unwrap();
    (MemoryStore::new(OriginKind::Media, 1 << 20, LIMITS), key)
}

#[test]
fn e10_a_part_knows_where_it_is() {
    let exact = part("bytes 4-9/10", "456789").unwrap();
    assert_eq!(
        (exact.bytes, exact.whole, exact.is_exact),
        (4..10, Some(10), true)
    );
    assert_eq!(exact.head.status, 200);
    assert!(!exact.head.headers.contains_key("content-range"));
    // One byte less than it says, to the end: the object ends there.
    let short = part("bytes 4-9/10", "45678").unwrap();
    assert_eq!(
        (short.bytes, short.whole, short.is_exact),
        (4..9, Some(9), false)
    );
    let inside = part("bytes 4-7/10", "456").unwrap();
    assert_eq!((inside.bytes, inside.whole), (4..7, Some(10)));
    assert!(part("bytes 4-7/10", "45678901").is_none());
    assert!(part("bytes 4-7/10", "").is_none());
    assert!(part("bytes */10", "").is_none());
    assert!(part("bytes 0-9/10", "0123456789").unwrap().is_whole());
    assert!(!part("bytes 0-9/10", "01234").unwrap().is_whole());
}

#[test]
fn e10_parts_that_touch_become_one() {
    let (store, key) = store();
    let joined = |first: Option<Stored>, second: Option<Stored>| {
        store.remove(&key);
        store.insert(&key, first.unwrap());
        store.insert(&key, second.unwrap());
        let resource = store.get(&key).unwrap();
        let stored = resource.newest().unwrap();
        assert_eq!(resource.variants.len(), 1);
        (stored.bytes.clone(), text(stored))
    };
    let left = part("bytes 0-5/10", "012345");
    let right = part("bytes 4-9/10", "456789");
    assert_eq!(
        joined(left.clone(), right.clone()),
        (0..10, "0123456789".to_owned())
    );
    assert_eq!(
        joined(right.clone(), left),
        (0..10, "0123456789".to_owned())
    );
    let inner = part("bytes 5-6/10", "56");
    assert_eq!(
        joined(right.clone(), inner.clone()),
        (4..10, "456789".to_owned())
    );
    assert_eq!(joined(inner, right.clone()), (4..10, "456789".to_owned()));
    let apart = part("bytes 0-1/10", "01");
    assert_eq!(joined(right.clone(), apart), (0..2, "01".to_owned()));
    let short = part("bytes 0-5/10", "01234");
    assert_eq!(joined(right, short), (0..5, "01234".to_owned()));
}

#[test]
fn e10_parts_of_two_representations_are_never_joined() {
    let part = |tag: &str, range: &str, body| {
        let answer = [
            ("cache-control", "max-age=9"),
            ("etag", tag),
            ("content-range", range),
        ];
        Stored::part(&head(206, &[], &answer), chunks(body)).unwrap()
    };
    let one = part("\"a\"", "bytes 0-1/4", "01");
    let rest = part("\"a\"", "bytes 2-3/4", "23");
    assert!(rest.joined(&one, LIMITS).is_some());
    for other in [
        part("\"b\"", "bytes 2-3/4", "23"),
        part("W/\"a\"", "bytes 2-3/4", "23"),
        part("\"a\"", "bytes 2-3/5", "23"),
        part("\"a\"", "bytes 2-3/*", "23"),
    ] {
        assert!(other.joined(&one, LIMITS).is_none());
    }
    let weak = part("W/\"a\"", "bytes 0-1/4", "01");
    let rest = part("W/\"a\"", "bytes 2-3/4", "23");
    assert!(rest.joined(&weak, LIMITS).is_none());
}

#[test]
fn e10_parts_are_joined_no_further_than_to_the_largest_object() {
    let left = part("bytes 0-5/10", "012345").unwrap();
    let right = part("bytes 4-9/10", "456789").unwrap();
    let joined = |object_bytes| {
        let limits = Limits {
            object_bytes,
            ..LIMITS
        };
        left.joined(&right, limits).is_some()
    };
    assert!(joined(10));
    assert!(!joined(9));
    let mut many = left.clone();
    many.chunks = vec![Bytes::new(); MAX_JOINED_CHUNKS].into();
    let limits = Limits {
        bytes: u64::MAX,
        ..LIMITS
    };
    assert!(many.joined(&right, limits).is_none());
    many.chunks = vec![Bytes::new(); MAX_JOINED_CHUNKS - 1].into();
    assert!(many.joined(&right, limits).is_some());
}

#[test]
fn e10_a_part_does_not_displace_a_whole() {
    let whole = |tag: &str| {
        let answer = [("cache-control", "max-age=9"), ("etag", tag), ("a", "1")];
        Stored::whole(&head(200, &[], &answer), chunks("0123456789"))
    };
    for (tag, name) in [("\"a\"", None), ("\"b\"", Some("1"))] {
        for part_comes_last in [true, false] {
            let (store, key) = store();
            let part = part("bytes 4-9/10", "456789").unwrap();
            let (first, last) = match part_comes_last {
                true => (whole(tag), part),
                false => (part, whole(tag)),
            };
            store.insert(&key, first);
            store.insert(&key, last);
            let stored = store.get(&key).unwrap().newest().unwrap().clone();
            assert_eq!(text(&stored), "0123456789");
            // Where they are of one representation the part's head is the later one.
            let a = stored.head.headers.get("a");
            let a = a.map(|value| value.to_str().unwrap());
            assert_eq!(a, if part_comes_last { name } else { Some("1") });
        }
    }
    let (store, key) = store();
    let gone = [("cache-control", "max-age=9")];
    store.insert(&key, Stored::whole(&head(404, &[], &gone), chunks("no")));
    store.insert(&key, part("bytes 4-9/10", "456789").unwrap());
    let stored = store.get(&key).unwrap().newest().unwrap().clone();
    assert_eq!(text(&stored), "456789");
}

#[test]
fn what_the_origin_said_last_stays_whenever_its_body_ended() {
    let (store, key) = store();
    let answer = [("cache-control", "max-age=9")];
    let later = head_at(T0 + media::Micros::from_secs(1), 200, &[], &answer);
    store.insert(&key, Stored::whole(&later, chunks("new")));
    store.insert(&key, Stored::whole(&head(200, &[], &answer), chunks("old")));
    let resource = store.get(&key).unwrap();
    assert_eq!(text(resource.newest().unwrap()), "new");
    store.insert(&key, Stored::whole(&later, chunks("newest")));
    let resource = store.get(&key).unwrap();
    assert_eq!(text(resource.newest().unwrap()), "newest");
}

#[test]
fn e11_variants_are_capped_and_the_newest_stay() {
    let (store, key) = store();
    let variant = |value, body| {
        let answer = [("cache-control", "max-age=9"), ("vary", "foo")];
        Stored::whole(&head(200, &[("foo", value)], &answer), chunks(body))
    };
    let found = |value| {
        let resource = store.get(&key).unwrap();
        resource
            .select(&fields(&[("foo", value)]))
            .map(|stored| text(stored))
    };
    for (value, body) in [("1", "a"), ("2", "b"), ("1", "c")] {
        store.insert(&key, variant(value, body));
    }
    assert_eq!(found("1").as_deref(), Some("c"));
    assert_eq!(found("2").as_deref(), Some("b"));
    store.insert(&key, variant("3", "d"));
    assert_eq!(found("2"), None);
    assert_eq!(found("3").as_deref(), Some("d"));
}

#[test]
fn e11_variants_have_a_limit_of_bytes_together() {
    let (store, key) = store();
    let variant = |value, length| {
        let answer = [("cache-control", "max-age=9"), ("vary", "foo")];
        let body = Arc::new([Bytes::from(vec![7; length])]);
        Stored::whole(&head(200, &[("foo", value)], &answer), body)
    };
    let count = || store.get(&key).unwrap().variants.len();
    store.insert(&key, variant("1", 30_000));
    store.insert(&key, variant("2", 30_000));
    assert_eq!(count(), 2);
    store.insert(&key, variant("2", 40_000));
    assert_eq!(count(), 1);
    store.insert(&key, variant("2", 100_000));
    assert_eq!(count(), 1);
}

#[test]
fn a_renewed_head_keeps_the_bytes() {
    let (store, key) = store();
    let answer = [("cache-control", "max-age=9"), ("a", "1")];
    store.insert(&key, Stored::whole(&head(200, &[], &answer), chunks("x")));
    let newer = head(200, &[], &[("cache-control", "max-age=9"), ("a", "2")]);
    store.renew(&key, &HeaderMap::new(), |_| Renewal::Under(Box::new(newer)));
    store.renew(&key, &HeaderMap::new(), |_| Renewal::Keeps);
    let stored = store.get(&key).unwrap().newest().unwrap().clone();
    assert_eq!(
        (stored.head.headers["a"].as_bytes(), text(&stored)),
        (&b"2"[..], "x".to_owned())
    );
    store.renew(&key, &HeaderMap::new(), |_| Renewal::Removes);
    assert!(store.get(&key).is_none());
}

#[test]
fn skipping_cuts_inside_chunks() {
    let chunks = [Bytes::from_static(b"01"), Bytes::from_static(b"234")];
    let rest = |skip| skipping(&chunks, skip).collect::<Vec<_>>().concat();
    assert_eq!(rest(0), b"01234");
    assert_eq!(rest(3), b"34");
    assert_eq!(rest(9), b"");
}

/// Stores answers that together are twice what there is room for, each asked for once; one
/// that was asked for often before them. Are the first one and the last one there?
fn after_a_scan(kind: OriginKind) -> (bool, bool) {
    let store = MemoryStore::new(kind, 100 << 10, LIMITS);
    let key = |n: usize| CacheKey::of_general(&format!("/{n}")).unwrap();
    let answer = || {
        let chunks = Arc::new([Bytes::from(vec![0; 4_000])]);
        Stored::whole(&head(200, &[], &[("cache-control", "max-age=9")]), chunks)
    };
    let settle = || store.resources.run_pending_tasks();
    // Uses are counted once there is half of what there is room for.
    for n in (100..115).chain([0]) {
        store.insert(&key(n), answer());
        settle();
    }
    for _ in 0..50 {
        store.get(&key(0));
        settle();
    }
    for n in 1..=50 {
        store.get(&key(n));
        store.insert(&key(n), answer());
        settle();
    }
    (store.get(&key(0)).is_some(), store.get(&key(50)).is_some())
}

#[test]
fn of_media_the_newest_stays_and_of_others_what_is_asked_for_often() {
    assert_eq!(after_a_scan(OriginKind::Media), (false, true));
    assert!(after_a_scan(OriginKind::General).0);
}

#[test]
fn each_change_under_a_key_is_told() {
    let (store, key) = store();
    let stored = || {
        let head = head(200, &[], &[("cache-control", "max-age=9")]);
        Stored::whole(&head, chunks("media"))
    };
    let mut last = store.changes().mark(key.as_str());
    let mut is_told = |store: &MemoryStore| {
        let before = std::mem::replace(&mut last, store.changes().mark(key.as_str()));
        before != last
    };
    store.insert(&key, stored());
    assert!(is_told(&store), "stored");
    store.get(&key);
    assert!(!is_told(&store), "looked at");
    store.insert(&key, stored());
    assert!(is_told(&store), "replaced");
    let newer = head(200, &[], &[("cache-control", "max-age=10")]);
    store.renew(&key, &HeaderMap::new(), |_| Renewal::Under(Box::new(newer)));
    assert!(is_told(&store), "renewed");
    store.remove(&key);
    assert!(is_told(&store), "removed");
}
