//! What a request may want of a cache (RFC 9111 5.2.1).

use crate::origin::*;

/// Does a request that wants this get the stored answer, which is `millis` old?
async fn reused(control: &'static str, wish: &str, millis: i64) -> bool {
    let fields = Box::leak(Box::new([("cache-control", control)]));
    let house = House::general(Origin::fixed("x", fields));
    assert_eq!(house.text("/a").await.0, 200);
    house.pass(millis);
    let response = house.ask(get_with("/a", &[("cache-control", wish)])).await;
    assert_eq!(text(response).await, "x");
    house.origin.calls() == 1
}

#[tokio::test]
async fn wishes_narrow_and_widen_what_is_reused() {
    for (control, wish, millis, expected) in [
        ("max-age=60", "nothing-to-see-here", 0, true),
        ("max-age=60", "no-cache", 0, false),
        ("max-age=60", "max-age=0", 1_000, false),
        ("max-age=60, immutable", "max-age=0", 1_000, true),
        ("max-age=60, immutable", "no-cache", 1_000, false),
        ("max-age=60", "max-age=5", 5_000, true),
        ("max-age=60", "max-age=5", 6_000, false),
        ("max-age=60", "min-fresh=55", 5_000, true),
        ("max-age=60", "min-fresh=56", 5_000, false),
        ("max-age=2", "max-stale=3", 5_000, true),
        ("max-age=2", "max-stale=2", 5_000, false),
        ("max-age=2", "max-stale", 5_000, true),
        ("max-age=2, must-revalidate", "max-stale", 3_000, false),
    ] {
        assert_eq!(
            reused(control, wish, millis).await,
            expected,
            "{control} / {wish}"
        );
    }
}

#[tokio::test]
async fn wishes_are_forwarded_and_pragma_is_not_one() {
    let house = House::general(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    let request = get_with(
        "/a",
        &[("cache-control", "no-cache"), ("pragma", "no-cache")],
    );
    assert_eq!(house.ask(request).await.status(), 200);
    assert_eq!(house.origin.headers(0)["cache-control"], "no-cache");
    until(|| house.origin.calls() == 1).await;
    let response = house.ask(get_with("/a", &[("pragma", "no-cache")])).await;
    assert_eq!(text(response).await, "x");
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn only_if_cached_asks_nobody() {
    let house = House::general(Origin::fixed("x", &[("cache-control", "max-age=2")]));
    let wish = || house.ask(get_with("/a", &[("cache-control", "only-if-cached")]));
    let refused = wish().await;
    assert_eq!(refused.status(), 504);
    assert_eq!(status(&refused), "nova; detail=only-if-cached");
    assert_eq!(house.text("/a").await.0, 200);
    assert_eq!(wish().await.status(), 200);
    house.pass(2_000);
    assert_eq!(wish().await.status(), 504);
    assert_eq!(house.origin.calls(), 1);
}

#[tokio::test]
async fn an_answer_to_no_store_is_not_stored() {
    let house = House::general(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    let request = get_with("/a", &[("cache-control", "no-store")]);
    let response = house.ask(request).await;
    assert_eq!(status(&response), "nova; fwd=miss; detail=no-store");
    assert_eq!(text(response).await, "x");
    assert_eq!(house.text("/a").await.1, "x");
    assert_eq!(house.origin.calls(), 2);
}

#[tokio::test]
async fn of_media_a_request_wants_nothing() {
    let house = House::new(Origin::fixed("x", &[("cache-control", "max-age=60")]));
    for wish in ["no-cache", "no-store", "max-age=0", "only-if-cached"] {
        let request = get_with("/a", &[("cache-control", wish)]);
        assert_eq!(text(house.ask(request).await).await, "x");
    }
    assert_eq!(house.origin.calls(), 1);
    assert!(!house.origin.headers(0).contains_key("cache-control"));
}
