//! Several origins behind one edge: what fails, who is asked instead, and who comes back.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use edge::{
    CheckRules, Edge, EdgeBody, EdgeConfig, FillError, HealthRules, Member, MemberKind, Pool,
    PoolConfig, UpstreamError,
};
use http::{Request, Response};
use http_body_util::Empty;
use media::{ManualClock, Micros, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::origin::*;

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];
const NOT_STORED: &[(&str, &str)] = &[("cache-control", "no-store")];
const SOON: Duration = Duration::from_millis(10);
const NEVER: Duration = Duration::from_secs(3_600);

/// An origin that can die and come back, and says its own name.
#[derive(Clone)]
struct Mortal {
    origin: Origin,
    dead: Arc<AtomicBool>,
}

impl Mortal {
    fn new(name: &'static str) -> Self {
        let dead = Arc::<AtomicBool>::default();
        let is_dead = Arc::clone(&dead);
        let origin = Origin::new(move |_| {
            let answer = match is_dead.load(Ordering::SeqCst) {
                true => Err(UpstreamError::Unreachable("refused".to_owned())),
                false => Ok(response(200, NOT_STORED, OriginBody::whole(name))),
            };
            async move { answer }
        });
        Self { origin, dead }
    }

    fn dies(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    fn lives(&self) {
        self.dead.store(false, Ordering::SeqCst);
    }
}

/// Nothing comes back by itself, and nothing is left for being slow.
fn config() -> PoolConfig {
    PoolConfig {
        health: HealthRules {
            ejection: NEVER,
            max_ejection: NEVER,
            ..HealthRules::default()
        },
        checks: None,
        try_timeout: NEVER,
        ..PoolConfig::default()
    }
}

fn member(name: &str, origin: &Origin) -> (Member, Origin) {
    let member = Member {
        name: name.to_owned(),
        kind: MemberKind::Origin,
        group: 0,
        weight: 1,
    };
    (member, origin.clone())
}

fn pool(config: PoolConfig, origins: &[(&str, &Origin)]) -> Pool<Origin> {
    let pool = Pool::new(config);
    pool.set_members(origins.iter().map(|(name, origin)| member(name, origin)));
    pool
}

/// An edge in front of a pool.
struct Front {
    edge: Edge<Pool<Origin>>,
    pool: Pool<Origin>,
    clock: Arc<ManualClock>,
}

impl Front {
    fn new(pool: Pool<Origin>) -> Self {
        Self::with(pool, EdgeConfig::default())
    }

    fn with(pool: Pool<Origin>, config: EdgeConfig) -> Self {
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        let clock = Arc::new(ManualClock::new(start));
        Self {
            edge: Edge::new(config, pool.clone(), clock.clone()),
            pool,
            clock,
        }
    }

    fn ask(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> impl Future<Output = Response<EdgeBody>> + Send + use<> {
        let pending: edge::EdgeFuture = self.edge.clone().call(request);
        async move { within(pending).await.unwrap_or_else(|never| match never {}) }
    }

    async fn text(&self, target: &str) -> (u16, String) {
        let response = self.ask(get(target)).await;
        (response.status().as_u16(), text(response).await)
    }

    fn is_up(&self, name: &str) -> bool {
        let members = self.pool.members();
        members
            .iter()
            .any(|state| state.member.name == name && state.up)
    }

    fn under_way(&self) -> u64 {
        self.pool
            .members()
            .iter()
            .map(|state| state.under_way)
            .sum()
    }
}

/// Two origins that are alive.
fn two() -> (Mortal, Mortal) {
    (Mortal::new("a"), Mortal::new("b"))
}

#[tokio::test]
async fn an_origin_that_dies_costs_no_answer_and_is_left_alone() {
    let (a, b) = two();
    let front = Front::new(pool(config(), &[("a", &a.origin), ("b", &b.origin)]));
    for n in 0..10 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 200);
    }
    assert!(a.origin.calls() == 5 && b.origin.calls() == 5);
    a.dies();
    for n in 0..100 {
        assert_eq!(
            front.text(&format!("/vod/v/{n}")).await,
            (200, "b".to_owned())
        );
    }
    assert!(!front.is_up("a"));
    assert_eq!(a.origin.calls(), 10);
    assert_eq!(front.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_ejected_origin_comes_back_by_probes() {
    let (a, b) = two();
    let rules = HealthRules {
        ejection: SOON,
        ..HealthRules::default()
    };
    let config = PoolConfig {
        health: rules,
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &a.origin), ("b", &b.origin)]));
    a.dies();
    for n in 0..20 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 200);
    }
    assert!(
        !front.is_up("a"),
        "no time has passed for it to be probed in"
    );
    a.lives();
    within(async {
        while !front.is_up("a") {
            // For as long as it is ejected it is not probed.
            tokio::time::sleep(SOON).await;
            assert_eq!(front.text("/vod/v/1").await.0, 200);
        }
    })
    .await;
}

#[tokio::test]
async fn an_ejected_origin_that_nobody_asks_comes_back_by_checks() {
    let a = Mortal::new("a");
    let rules = HealthRules {
        ejection: SOON,
        consecutive_failures: 2,
        ..HealthRules::default()
    };
    let config = PoolConfig {
        health: rules,
        ..config()
    };
    let (pool, _tasks) = checked(config, &[("a", &a.origin)]);
    let front = Front::new(pool);
    eventually(|| front.pool.is_ready()).await;
    a.dies();
    eventually(|| !front.is_up("a")).await;
    // Its checks pass while it fails what it is asked, until it is ejected, too.
    let ill = Origin::told(|_, request| {
        let code = match request.uri().path() {
            "/healthz" => 200,
            _ => 502,
        };
        async move { Ok(response(code, NOT_STORED, OriginBody::whole("-"))) }
    });
    front.pool.set_members([member("ill", &ill)]);
    eventually(|| front.pool.is_ready()).await;
    while front.is_up("ill") {
        assert_eq!(front.text("/vod/v/1").await.0, 502);
    }
    eventually(|| front.pool.is_ready()).await;
}

#[tokio::test]
async fn a_client_cannot_have_a_member_ejected_as_a_loop() {
    let shield = Origin::told(|_, request| {
        let hops = request.headers().get_all("cdn-loop").iter().count();
        let code = if hops > 1 { 508 } else { 200 };
        async move { Ok(response(code, NOT_STORED, OriginBody::whole("x"))) }
    });
    let b = Mortal::new("b");
    let front = Front::new(pool(config(), &[("a", &shield), ("b", &b.origin)]));
    let mut loops = 0;
    for n in 0..40 {
        let mut request = get(&format!("/vod/v/{n}"));
        let made_up = "a, b, c, d, e, f, g".parse().unwrap();
        request.headers_mut().insert("cdn-loop", made_up);
        loops += usize::from(front.ask(request).await.status() == 508);
    }
    assert!(loops >= 10, "{loops}");
    assert_eq!(shield.calls() + b.origin.calls(), 40);
    assert!(front.is_up("a"));
    // A loop that this edge begins is the member's fault.
    let looped = Origin::new(|_| async { Ok(response(508, NOT_STORED, OriginBody::whole("x"))) });
    let front = Front::new(pool(config(), &[("a", &looped), ("b", &b.origin)]));
    for n in 0..20 {
        let answer = front.text(&format!("/vod/v/{n}")).await;
        assert_eq!(answer, (200, "b".to_owned()));
    }
    assert!(!front.is_up("a"));
}

/// Passes checks, and answers nothing else.
fn hanging() -> Origin {
    Origin::told(|_, request| {
        let is_check = request.uri().path() == "/healthz";
        async move {
            match is_check {
                true => Ok(response(200, NOT_STORED, OriginBody::whole("-"))),
                false => pending().await,
            }
        }
    })
}

#[tokio::test]
async fn a_member_that_passes_checks_and_hangs_is_ejected() {
    let (a, b) = (hanging(), Mortal::new("b"));
    let prompt = PoolConfig {
        try_timeout: Duration::from_millis(30),
        ..config()
    };
    let (pool, _tasks) = checked(prompt, &[("a", &a), ("b", &b.origin)]);
    let front = Front::new(pool);
    eventually(|| front.pool.is_ready()).await;
    // What is in memory is asked of the other.
    for n in 0..20 {
        let target = format!("/live/garden/1/{n}/1.m4s");
        assert_eq!(front.text(&target).await, (200, "b".to_owned()));
    }
    assert!(!front.is_up("a"));

    // What may take long ends with the edge's patience, and counts as well.
    let slow = PoolConfig {
        retry_within: SOON,
        ..config()
    };
    let (pool, _tasks) = checked(slow, &[("a", &a)]);
    let edge = EdgeConfig {
        head_timeout: Duration::from_millis(50),
        ..EdgeConfig::default()
    };
    let front = Front::with(pool, edge);
    eventually(|| front.pool.is_ready()).await;
    let asked: Vec<_> = (0..5)
        .map(|n| front.ask(get(&format!("/vod/v/{n}"))))
        .collect();
    for answer in asked {
        assert_eq!(answer.await.status(), 504);
    }
    eventually(|| !front.is_up("a")).await;
}

#[tokio::test]
async fn a_member_whose_bodies_break_off_is_ejected() {
    let a = Origin::new(|_| {
        let (pieces, body) = OriginBody::open();
        send(&pieces, "half");
        pieces.send(Err("reset".to_owned())).unwrap();
        async move { Ok(response(200, NOT_STORED, body)) }
    });
    let b = Mortal::new("b");
    let front = Front::new(pool(config(), &[("a", &a), ("b", &b.origin)]));
    within(async {
        for n in 0.. {
            if !front.is_up("a") {
                break;
            }
            let mut answer = front.ask(get(&format!("/vod/v/{n}"))).await;
            while let Some(Ok(_)) = piece(&mut answer).await {}
        }
    })
    .await;
    assert_eq!(a.calls(), 5);
}

#[tokio::test]
async fn a_held_request_moves_as_often_as_its_stream() {
    let (a_opens, _, a) = holding("a");
    let (_keep, _, b) = holding("b");
    let pool = pool(config(), &[("a", &a), ("b", &b)]);
    pool.set_routes(route("a"));
    let front = Front::new(pool);
    let held = front.ask(get(HELD));
    until(|| plays(&a) == 1).await;
    front.pool.set_routes(route("b"));
    until(|| plays(&b) == 1).await;
    front.pool.set_routes(route("a"));
    until(|| plays(&a) == 2).await;
    a_opens.send(true).unwrap();
    assert_eq!(text(held.await).await, "a");
}

#[tokio::test]
async fn e09_another_origin_that_lacks_a_stream_does_not_end_what_is_stale() {
    for has_route in [false, true] {
        let dead = Arc::<AtomicBool>::default();
        let is_dead = Arc::clone(&dead);
        let right = Origin::new(move |_| {
            let fields = [("cache-control", "max-age=0, s-maxage=1, stale-if-error=6")];
            let answer = match is_dead.load(Ordering::SeqCst) {
                true => Err(UpstreamError::Unreachable("refused".to_owned())),
                false => Ok(response(200, &fields, OriginBody::whole("playlist"))),
            };
            async move { answer }
        });
        let other = Origin::new(|_| async { Ok(response(404, &[], OriginBody::whole("-"))) });
        let rules = HealthRules {
            consecutive_failures: 2,
            ..config().health
        };
        let config = PoolConfig {
            health: rules,
            ..config()
        };
        let pool = pool(config, &[("right", &right), ("other", &other)]);
        if has_route {
            pool.set_routes(route("right"));
        }
        let front = Front::new(pool);
        let target = "/live/garden/720p.m3u8";
        assert_eq!(front.text(target).await.0, 200);
        dead.store(true, Ordering::SeqCst);
        // Also once the right one is known to be out and not asked any more.
        for second in 1..=6 {
            front.clock.advance(Micros::from_secs(1));
            let answer = front.text(target).await;
            assert_eq!(answer, (200, "playlist".to_owned()), "second {second}");
        }
        assert!(!front.is_up("right") && front.is_up("other") && other.calls() >= 6);
        // And what nobody ever had is not known to be nowhere.
        assert!(front.text("/live/yard/720p.m3u8").await.0 >= 500);
    }
}

#[tokio::test]
async fn a_retry_needs_budget_and_a_request_that_can_be_repeated() {
    for (percent, per_second, calls) in [(0, 0, 0), (20, 10, 1)] {
        let (a, b) = two();
        a.dies();
        let config = PoolConfig {
            origin: edge::OriginKind::General,
            retry_percent: percent,
            retries_per_second: per_second,
            ..config()
        };
        let pool = pool(config, &[("a", &a.origin), ("b", &b.origin)]);
        let front = Front::with(pool, EdgeConfig::general());
        let response = front.ask(get("/a")).await;
        assert_eq!(response.status() == 200, calls == 1);
        assert_eq!((a.origin.calls(), b.origin.calls()), (1, calls));
    }
    let (a, b) = two();
    a.dies();
    b.dies();
    let config = PoolConfig {
        origin: edge::OriginKind::General,
        ..config()
    };
    let pool = pool(config, &[("a", &a.origin), ("b", &b.origin)]);
    let front = Front::with(pool, EdgeConfig::general());
    assert_eq!(front.ask(send_with("POST", "/a", &[])).await.status(), 502);
    assert_eq!(a.origin.calls() + b.origin.calls(), 1);
    assert_eq!(front.ask(send_with("PUT", "/a", &[])).await.status(), 502);
    assert_eq!(a.origin.calls() + b.origin.calls(), 3);
}

#[tokio::test]
async fn retries_do_not_multiply_an_outage() {
    let (a, b) = two();
    a.dies();
    b.dies();
    let config = PoolConfig {
        retry_percent: 20,
        retries_per_second: 0,
        health: HealthRules {
            consecutive_failures: u32::MAX,
            failure_minimum: u32::MAX,
            ..HealthRules::default()
        },
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &a.origin), ("b", &b.origin)]));
    for n in 0..100 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 502);
    }
    assert_eq!(a.origin.calls() + b.origin.calls(), 120);
}

#[tokio::test]
async fn with_every_origin_dead_a_few_requests_try_and_the_rest_fail_at_once() {
    let (open, opened) = watch::channel(false);
    let origin = Origin::new(move |n| {
        let mut opened = opened.clone();
        async move {
            match n {
                1..=5 => Err(UpstreamError::Unreachable("refused".to_owned())),
                _ => {
                    opened.wait_for(|open| *open).await.unwrap();
                    Ok(response(200, NOT_STORED, OriginBody::whole("back")))
                }
            }
        }
    });
    let front = Front::new(pool(config(), &[("a", &origin)]));
    for n in 0..5 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 502);
    }
    assert!(!front.is_up("a") && !front.pool.is_ready());
    let probes: Vec<_> = (0..3)
        .map(|n| front.ask(get(&format!("/vod/v/{n}"))))
        .collect();
    until(|| origin.calls() == 8).await;
    let refused = front.ask(get("/vod/v/9")).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(
        status(&refused),
        "nova; fwd=miss; detail=origin-unavailable"
    );
    assert_eq!(origin.calls(), 8);
    open.send(true).unwrap();
    for probe in probes {
        assert_eq!(text(probe.await).await, "back");
    }
    assert!(front.is_up("a") && front.pool.is_ready());
    assert_eq!(front.text("/vod/v/9").await.0, 200);
}

#[tokio::test]
async fn a_member_that_hangs_is_left_for_another() {
    let hangs = Origin::new(|_| pending());
    let b = Mortal::new("b");
    let config = PoolConfig {
        try_timeout: SOON,
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &hangs), ("b", &b.origin)]));
    for n in 0..20 {
        let target = format!("/live/garden/1/{n}/1.m4s");
        assert_eq!(front.text(&target).await, (200, "b".to_owned()));
    }
    assert_eq!(hangs.calls(), 5);
    assert!(!front.is_up("a"));
}

#[tokio::test]
async fn the_only_origin_is_waited_for() {
    let (open, opened) = watch::channel(false);
    let slow = Origin::new(move |_| {
        let mut opened = opened.clone();
        async move {
            opened.wait_for(|open| *open).await.unwrap();
            Ok(response(200, FRESH, OriginBody::whole("late")))
        }
    });
    let rules = HealthRules {
        consecutive_failures: 1,
        ..config().health
    };
    let config = PoolConfig {
        health: rules,
        try_timeout: Duration::from_millis(1),
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &slow)]));
    let answer = front.ask(get("/live/garden/1/x/1.m4s"));
    // It is blamed when its time is over.
    eventually(|| !front.is_up("a")).await;
    open.send(true).unwrap();
    assert_eq!(text(answer.await).await, "late");
    assert_eq!(slow.calls(), 1);
}

#[tokio::test]
async fn a_busy_origin_is_spared_and_not_blamed() {
    let busy = [("cache-control", "no-store"), ("retry-after", "1")];
    let a =
        Origin::new(move |_| async move { Ok(response(503, &busy, OriginBody::whole("busy"))) });
    let b = Mortal::new("b");
    let front = Front::new(pool(config(), &[("a", &a), ("b", &b.origin)]));
    for n in 0..20 {
        let answer = front.text(&format!("/vod/v/{n}")).await;
        assert_eq!(answer, (200, "b".to_owned()));
    }
    assert!(a.calls() >= 10 && front.is_up("a"));
    // Where nobody has anything better, its answer is given.
    b.dies();
    within(async { while front.text("/vod/v/1").await != (503, "busy".to_owned()) {} }).await;
    assert_eq!(front.under_way(), 0);
}

#[tokio::test]
async fn a_member_is_not_blamed_for_the_end_of_a_kept_connection() {
    let closes = Origin::new(|_| async { Err(UpstreamError::Closed) });
    let front = Front::new(pool(
        PoolConfig {
            max_tries: 1,
            ..config()
        },
        &[("a", &closes), ("b", &closes)],
    ));
    for n in 0..20 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 502);
    }
    assert_eq!(closes.calls(), 20);
    assert!(front.is_up("a") && front.is_up("b"));
}

#[tokio::test]
async fn e04_a_body_that_breaks_off_is_not_asked_for_again_but_counts() {
    let (pieces, body) = OriginBody::open();
    let body = std::sync::Mutex::new(Some(body));
    let a = Origin::new(move |_| {
        let body = body.lock().unwrap().take();
        async move {
            match body {
                Some(body) => Ok(response(200, FRESH, body)),
                None => Err(UpstreamError::Unreachable("dead".to_owned())),
            }
        }
    });
    let b = Mortal::new("b");
    let rules = HealthRules {
        consecutive_failures: 1,
        ..HealthRules::default()
    };
    let config = PoolConfig {
        health: rules,
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &a), ("b", &b.origin)]));
    let mut answer = front.ask(get("/vod/v/1")).await;
    send(&pieces, "half");
    assert_eq!(piece(&mut answer).await.unwrap().unwrap(), "half");
    assert_eq!(front.under_way(), 1);
    pieces.send(Err("reset".to_owned())).unwrap();
    let broken = FillError::BodyBroken("reset".into());
    assert_eq!(piece(&mut answer).await.unwrap(), Err(broken));
    assert_eq!((a.calls(), b.origin.calls()), (1, 0));
    assert!(!front.is_up("a"));
    assert_eq!(front.text("/vod/v/1").await, (200, "b".to_owned()));
    until(|| front.under_way() == 0).await;
}

/// A pool whose members are checked; the task ends with what is returned.
fn checked(config: PoolConfig, origins: &[(&str, &Origin)]) -> (Pool<Origin>, JoinSet<()>) {
    let checks = CheckRules {
        path: "/healthz".to_owned(),
        interval: Duration::from_millis(2),
        timeout: Duration::from_secs(1),
    };
    let config = PoolConfig {
        checks: Some(checks),
        ..config
    };
    let pool = pool(config, origins);
    let mut tasks = JoinSet::new();
    tasks.spawn(pool.clone().check_members(CancellationToken::new()));
    (pool, tasks)
}

#[tokio::test]
async fn checks_take_out_and_bring_back() {
    let (a, b) = two();
    b.dies();
    let (pool, _tasks) = checked(config(), &[("a", &a.origin), ("b", &b.origin)]);
    let front = Front::new(pool);
    eventually(|| front.pool.is_ready() && !front.is_up("b")).await;
    for n in 0..10 {
        assert_eq!(
            front.text(&format!("/vod/v/{n}")).await,
            (200, "a".to_owned())
        );
    }
    a.dies();
    eventually(|| !front.pool.is_ready()).await;
    a.lives();
    b.lives();
    eventually(|| front.is_up("a") && front.is_up("b")).await;
    assert!(b.origin.targets().iter().all(|target| target == "/healthz"));
}

#[tokio::test]
async fn a_check_that_answers_below_500_passes() {
    let a = Origin::fixed("x", &[]);
    let missing = Origin::new(|_| async { Ok(response(404, &[], OriginBody::whole("-"))) });
    let ill = Origin::new(|_| async { Ok(response(500, &[], OriginBody::whole("-"))) });
    let (pool, _tasks) = checked(config(), &[("a", &a), ("missing", &missing), ("ill", &ill)]);
    let front = Front::new(pool);
    eventually(|| !front.is_up("ill") && missing.calls() > 3 && a.calls() > 3).await;
    assert!(front.is_up("a") && front.is_up("missing"));
}

#[tokio::test]
async fn a_shields_check_goes_no_further() {
    let shield = Origin::fixed("x", &[]);
    let pool = Pool::new(PoolConfig::default());
    let (mut as_shield, service) = member("a", &shield);
    as_shield.kind = MemberKind::Shield;
    pool.set_members([(as_shield, service)]);
    let mut tasks = JoinSet::new();
    tasks.spawn(pool.clone().check_members(CancellationToken::new()));
    eventually(|| pool.is_ready()).await;
    assert_eq!(shield.methods(), ["OPTIONS"]);
    assert!(shield.targets()[0].starts_with("/live/"));
    assert_eq!(shield.headers(0)["max-forwards"], "0");
}

/// An origin that holds what may be held until it is opened, and passes checks while it is
/// not dead.
fn holding(name: &'static str) -> (watch::Sender<bool>, Arc<AtomicBool>, Origin) {
    let (open, opened) = watch::channel(false);
    let dead = Arc::<AtomicBool>::default();
    let is_dead = Arc::clone(&dead);
    let origin = Origin::told(move |_, request| {
        let mut opened = opened.clone();
        let held = request.uri().path() != "/healthz";
        let dead = is_dead.load(Ordering::SeqCst);
        async move {
            if dead {
                return pending().await;
            }
            if held {
                opened.wait_for(|open| *open).await.unwrap();
            }
            Ok(response(200, FRESH, OriginBody::whole(name)))
        }
    });
    (open, dead, origin)
}

const HELD: &str = "/live/garden/720p.m3u8?_HLS_msn=7&_HLS_part=0";

fn route(name: &str) -> HashMap<String, String> {
    HashMap::from([("garden".to_owned(), name.to_owned())])
}

fn plays(origin: &Origin) -> usize {
    let targets = origin.targets();
    targets
        .iter()
        .filter(|target| *target != "/healthz")
        .count()
}

#[tokio::test]
async fn a_held_request_waits_for_a_member_to_be_there_again() {
    let a = Mortal::new("a");
    a.dies();
    let front = Front::new(pool(config(), &[("a", &a.origin)]));
    let held = front.ask(get(HELD));
    until(|| a.origin.calls() == 1).await;
    a.lives();
    let answer = held.await;
    assert_eq!((answer.status().as_u16(), a.origin.calls()), (200, 2));
}

#[tokio::test]
async fn a_held_request_outlasts_every_try_and_moves_with_its_stream() {
    let (old_opens, _, old) = holding("old");
    let (new_opens, _, new) = holding("new");
    let config = PoolConfig {
        try_timeout: Duration::from_millis(1),
        ..config()
    };
    let pool = pool(config, &[("old", &old), ("new", &new)]);
    pool.set_routes(route("old"));
    let front = Front::new(pool);
    let held = front.ask(get(HELD));
    until(|| plays(&old) == 1).await;
    // A part that is asked for after it is left for the other.
    let part = front.ask(get("/live/garden/1/x/1.m4s"));
    eventually(|| plays(&new) == 1).await;
    let asked = |origin: &Origin| {
        let targets = origin.targets();
        targets.iter().filter(|target| *target == HELD).count()
    };
    assert_eq!((asked(&old), asked(&new)), (1, 0));
    assert!(front.is_up("old"));

    front.pool.set_routes(route("new"));
    until(|| asked(&new) == 1).await;
    new_opens.send(true).unwrap();
    assert_eq!(text(held.await).await, "new");
    assert_eq!(text(part.await).await, "new");
    assert_eq!(front.text("/live/garden/720p.m3u8").await.1, "new");
    // A stream that has not moved stays.
    let routes = HashMap::from([("yard".to_owned(), "old".to_owned())]);
    front.pool.set_routes(routes);
    old_opens.send(true).unwrap();
    assert_eq!(front.text("/live/yard/720p.m3u8").await.1, "old");
    assert_eq!(front.under_way(), 0);
}

#[tokio::test]
async fn held_requests_at_an_origin_that_dies_are_asked_of_the_other() {
    let (_keep, dead, old) = holding("old");
    let (new_opens, _, new) = holding("new");
    let config = PoolConfig {
        // All may move, however few retries there are.
        retry_percent: 0,
        retries_per_second: 0,
        ..config()
    };
    let checks = CheckRules {
        path: "/healthz".to_owned(),
        interval: Duration::from_millis(2),
        timeout: Duration::from_millis(300),
    };
    let config = PoolConfig {
        checks: Some(checks),
        ..config
    };
    let pool = pool(config, &[("old", &old), ("new", &new)]);
    pool.set_routes(route("old"));
    let mut tasks = JoinSet::new();
    tasks.spawn(pool.clone().check_members(CancellationToken::new()));
    let front = Front::new(pool);
    eventually(|| front.is_up("old") && front.is_up("new")).await;
    let targets: Vec<_> = (0..10)
        .map(|part| format!("/live/garden/720p.m3u8?_HLS_msn=7&_HLS_part={part}"))
        .collect();
    let held: Vec<_> = targets
        .iter()
        .map(|target| front.ask(get(target)))
        .collect();
    eventually(|| plays(&old) == 10).await;
    assert_eq!(plays(&new), 0);

    // It accepts, and never answers again: a partition, not a reset.
    dead.store(true, Ordering::SeqCst);
    eventually(|| plays(&new) == 10).await;
    new_opens.send(true).unwrap();
    for answer in held {
        assert_eq!(text(answer.await).await, "new");
    }
}

#[tokio::test]
async fn a_member_that_accepts_and_does_not_answer_is_asked_for_nothing() {
    let (a, b) = two();
    let (pool, _tasks) = checked(config(), &[("a", &a.origin)]);
    let front = Front::new(pool);
    let (asked, checked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mute = Origin::told({
        let (asked, checked) = (asked.clone(), checked.clone());
        move |_, request| {
            let count = match request.uri().path() {
                "/healthz" => &checked,
                _ => &asked,
            };
            count.fetch_add(1, Ordering::SeqCst);
            pending()
        }
    });
    let members = [
        member("a", &a.origin),
        member("mute", &mute),
        member("b", &b.origin),
    ];
    front.pool.set_members(members);
    eventually(|| front.is_up("b") && checked.load(Ordering::SeqCst) > 1).await;
    for n in 0..40 {
        assert_eq!(front.text(&format!("/vod/v/{n}")).await.0, 200);
    }
    assert!(!front.is_up("mute"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn held_requests_at_a_member_that_leaves_are_asked_of_another() {
    let (_keep, _, old) = holding("old");
    let (new_opens, _, new) = holding("new");
    let front = Front::new(pool(config(), &[("old", &old)]));
    let held = front.ask(get(HELD));
    until(|| plays(&old) == 1).await;
    front.pool.set_members([member("new", &new)]);
    until(|| plays(&new) == 1).await;
    new_opens.send(true).unwrap();
    assert_eq!(text(held.await).await, "new");
}

#[tokio::test]
async fn a_stream_is_searched_where_the_routes_are_behind() {
    for code in [404, 421] {
        let old = Origin::new(move |_| async move {
            let fields = [("cache-control", "max-age=1")];
            Ok(response(code, &fields, OriginBody::whole("gone")))
        });
        let new = Mortal::new("new");
        let pool = pool(config(), &[("old", &old), ("new", &new.origin)]);
        pool.set_routes(route("old"));
        let front = Front::new(pool);
        let answer = front.text("/live/garden/720p.m3u8").await;
        assert_eq!(answer, (200, "new".to_owned()));
        assert!(front.is_up("old"));
    }
    // What nobody has is a 404, and who asks for it uses up no retries of others.
    let nowhere = || Origin::new(|_| async { Ok(response(404, &[], OriginBody::whole("-"))) });
    let (a, b) = (nowhere(), nowhere());
    let config = PoolConfig {
        retries_per_second: 0,
        ..config()
    };
    let front = Front::new(pool(config, &[("a", &a), ("b", &b)]));
    for n in 0..100 {
        let answer = front.text(&format!("/live/{n}/720p.m3u8")).await;
        assert_eq!(answer, (404, "-".to_owned()));
    }
    assert_eq!(a.calls() + b.calls(), 120);
}

#[tokio::test]
async fn a_404_is_not_made_worse_by_whom_else_is_asked() {
    let (a, b) = (
        Origin::new(|_| async { Ok(response(404, &[], OriginBody::whole("-"))) }),
        Mortal::new("b"),
    );
    b.dies();
    let front = Front::new(pool(config(), &[("a", &a), ("b", &b.origin)]));
    front.pool.set_routes(route("a"));
    for _ in 0..20 {
        let answer = front.text("/live/garden/720p.m3u8").await;
        assert_eq!(answer, (404, "-".to_owned()));
    }
    // Once it is out, nobody looks for anything there.
    assert!(!front.is_up("b"));
    assert_eq!(b.origin.calls(), 5);
}

#[tokio::test]
async fn e09_with_the_origin_dead_stale_is_served_for_a_few_target_durations() {
    let dead = Arc::<AtomicBool>::default();
    let is_dead = Arc::clone(&dead);
    let origin = Origin::new(move |_| {
        let fields = [("cache-control", "max-age=0, s-maxage=1, stale-if-error=6")];
        let answer = match is_dead.load(Ordering::SeqCst) {
            true => Err(UpstreamError::Unreachable("refused".to_owned())),
            false => Ok(response(200, &fields, OriginBody::whole("playlist"))),
        };
        async move { answer }
    });
    let front = Front::new(pool(config(), &[("a", &origin)]));
    let target = "/live/garden/720p.m3u8";
    assert_eq!(front.text(target).await.0, 200);
    dead.store(true, Ordering::SeqCst);
    for second in 1..=6 {
        front.clock.advance(Micros::from_secs(1));
        let response = front.ask(get(target)).await;
        assert_eq!(response.status(), 200, "second {second}");
        assert_eq!(field(&response, "age"), Some(second.to_string().as_str()));
        assert!(status(&response).contains("; fwd=stale; detail=origin-un"));
    }
    front.clock.advance(Micros::from_secs(1));
    assert!(front.ask(get(target)).await.status().is_server_error());
    dead.store(false, Ordering::SeqCst);
    within(async { while front.text(target).await.0 != 200 {} }).await;
}
