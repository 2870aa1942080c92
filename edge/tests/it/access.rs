//! Tokens in front of an edge: who is let in, and what nobody behind them sees.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use edge::access::{
    Access, AccessConfig, Algorithm, Claims, Gate, KeyRing, Policy, Rule, Viewer, generate_key,
    signed_target,
};
use edge::server::Peer;
use edge::{Edge, EdgeBody};
use http::{Request, Response};
use http_body_util::Empty;
use media::{Clock, Micros, Timestamp};
use tower_service::Service;

use crate::origin::{
    House, Origin, OriginBody, field, get, get_with, response, send, send_with, status, text,
    until, within,
};
use crate::push::{Publisher, as_edge, patient, pushing};

const HOUR: Micros = Micros::from_secs(3_600);
const FRESH: &[(&str, &str)] = &[("cache-control", "public, max-age=60, s-maxage=60")];

/// An edge behind a gate, with `/live/demo/` protected.
struct Guarded {
    house: House,
    gate: Gate,
    keys: KeyRing,
    access: Access<Edge<Origin>>,
}

impl Guarded {
    fn new(house: House) -> Self {
        let (key, _) = generate_key("k", Algorithm::HmacSha256).unwrap();
        let gate = Gate::new(AccessConfig::default(), key.parse().unwrap());
        gate.set_policy(Policy::open().with(&"/live/demo/".parse().unwrap(), Rule::Signed));
        Self {
            access: Access::new(gate.clone(), house.edge.clone(), house.clock.clone()),
            keys: key.parse().unwrap(),
            house,
            gate,
        }
    }

    fn media() -> Self {
        Self::new(House::new(Origin::fixed("media", FRESH)))
    }

    /// A token that differs from all others.
    fn token(&self, path: &str, session: &str) -> String {
        let mut claims = Claims::new(path.parse().unwrap(), self.house.clock.now() + HOUR);
        claims.session = Some(session.parse().unwrap());
        self.keys.sign(&claims).unwrap()
    }

    fn ask(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> impl Future<Output = Response<EdgeBody>> + Send + use<> {
        let pending = self.access.clone().call(request);
        async move {
            let response: Result<_, Infallible> = within(pending).await;
            response.unwrap_or_else(|never| match never {})
        }
    }

    async fn status(&self, target: &str) -> u16 {
        self.ask(get(target)).await.status().as_u16()
    }
}

#[tokio::test]
async fn e07_a_token_in_any_place_splits_nothing() {
    let guarded = Guarded::media();
    let target = "/live/demo/3/source/1.m4s";
    let tokens: Vec<String> = (0..4)
        .map(|n| guarded.token("/live/demo/", &format!("s{n}")))
        .collect();
    let cookie = format!("theme=dark; nova_token={}", tokens[3]);
    for request in [
        get(&signed_target(target, &tokens[0])),
        get(&format!("/~{}{target}", tokens[1])),
        get(&format!("{target}?CMCD=bl%3D1&nova_token={}", tokens[2])),
        get_with(target, &[("cookie", &cookie)]),
    ] {
        let response = guarded.ask(request).await;
        assert_eq!(response.status(), 200);
        assert_eq!(text(response).await, "media");
    }
    assert_eq!(guarded.house.origin.targets(), [target]);
}

#[tokio::test]
async fn a_token_opens_no_feed_however_it_is_spelled() {
    let publisher = Publisher::new();
    let house = House::of(publisher.origin.clone(), pushing(patient()));
    let guarded = Guarded::new(house);
    let token = guarded.token("/live/demo/", "s");
    for path in [
        "/live/demo/720p.feed",
        "/live/demo/720p.fee%64",
        "/live/demo/720p%2Efeed",
        "/live/%64emo/720p.feed",
    ] {
        for target in [format!("/~{token}{path}"), signed_target(path, &token)] {
            let answer = guarded.ask(as_edge(&target)).await;
            assert_eq!(answer.status(), 404, "{target}");
            assert_eq!(status(&answer), "nova; detail=no-feed");
        }
    }
    assert_eq!(publisher.origin.calls(), 0);
}

#[tokio::test]
async fn who_has_no_token_is_told_so_and_a_page_can_read_it() {
    let guarded = Guarded::media();
    let response = guarded.ask(get("/live/demo/index.m3u8")).await;
    assert_eq!(response.status(), 403);
    assert_eq!(field(&response, "cache-control"), Some("no-store"));
    assert_eq!(field(&response, "access-control-allow-origin"), Some("*"));
    assert_eq!(
        field(&response, "content-type"),
        Some("application/problem+json")
    );
    assert_eq!(status(&response), "nova; detail=token-missing");
    let problem = text(response).await;
    assert_eq!(
        problem,
        "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,\
         \"detail\":\"This needs a signed URL or cookie.\",\"code\":\"token-missing\"}\n"
    );
    assert_eq!(guarded.house.origin.calls(), 0);
    assert_eq!(guarded.status("/live/other/index.m3u8").await, 200);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_the_token_is_not() {
    let guarded = Guarded::media();
    let good = guarded.token("/live/demo/", "s");
    let other = guarded.token("/live/demo2/", "s");
    let (message, _) = good.rsplit_once('.').unwrap();
    for (token, reason) in [
        (&other, "token-wrong-path"),
        (&format!("{message}.AAAA"), "token-bad-signature"),
        (&good.replacen(".k.", ".l.", 1), "token-unknown-key"),
        (&"1.some.thing".to_owned(), "token-malformed"),
    ] {
        let target = signed_target("/live/demo/index.m3u8", token);
        let response = guarded.ask(get(&target)).await;
        assert_eq!(status(&response), format!("nova; detail={reason}"));
        let shown = format!("{:?}", response.headers());
        let shown = shown + &text(response).await;
        assert!(
            shown.contains(reason) && !shown.contains(&token[2..]),
            "{shown}"
        );
    }
    guarded.house.pass(3_600_000);
    let target = signed_target("/live/demo/index.m3u8", &good);
    assert_eq!(guarded.status(&target).await, 200, "clocks differ a little");
    guarded.house.pass(5_000);
    let response = guarded.ask(get(&target)).await;
    assert_eq!(status(&response), "nova; detail=token-expired");
}

/// The path that is verified is the path that becomes the key.
#[tokio::test]
async fn e07_no_spelling_of_a_path_goes_around_the_gate() {
    let guarded = Guarded::media();
    for (target, expected) in [
        ("/live/demo", 403),
        ("/%6cive/demo/1.m4s", 403),
        ("/live/d%65mo/1.m4s", 403),
        ("/live/%64%65%6D%6F/1.m4s", 403),
        ("http://a.example/live/demo/1.m4s", 403),
        ("/live/other/../demo/1.m4s", 400),
        ("/live/other/%2e%2e/demo/1.m4s", 400),
        ("/live/other/.%2E/demo/1.m4s", 400),
        ("/live/demo%2F1.m4s", 400),
        ("/live%2Fdemo/1.m4s", 400),
        ("/live//demo/1.m4s", 400),
        ("//live/demo/1.m4s", 400),
        ("/live/./demo/1.m4s", 400),
        ("/live/demo%00/1.m4s", 400),
        // Decoded once, as the key is.
        ("/live/%2564emo/1.m4s", 200),
        ("/live/other/%252e%252e/demo/1.m4s", 200),
    ] {
        assert_eq!(guarded.status(target).await, expected, "{target}");
    }
    let asked = ["/live/%2564emo/1.m4s", "/live/other/%252e%252e/demo/1.m4s"];
    assert_eq!(guarded.house.origin.targets(), asked);

    let token = guarded.token("/live/demo/", "s");
    let sneaky = token.replace('.', "%2e");
    for (target, expected) in [
        (format!("/live/~{token}/demo/../demo2/1.m4s"), 400),
        (format!("/live/~{token}/demo%2f..%2fx"), 400),
        (format!("/live/~{token}/demo2/1.m4s"), 200),
        (format!("/live/%7e{token}/demo/1.m4s"), 403),
        (format!("/live/~{sneaky}/demo/1.m4s"), 403),
        (format!("/live/public/%7E{token}"), 403),
        (format!("/live/~{token}/d%65mo/1.m4s"), 200),
    ] {
        assert_eq!(guarded.status(&target).await, expected, "{target}");
    }
    let targets = guarded.house.origin.targets().concat();
    assert!(
        !targets.contains(&token) && !targets.contains('~'),
        "{targets}"
    );
}

#[tokio::test]
async fn a_browser_changes_its_url_for_a_cookie() {
    let guarded = Guarded::media();
    let token = guarded.token("/live/demo/", "s");
    let site = ("origin", "https://www.example.org");
    let target = format!("/live/demo/index.m3u8?nova_token={token}");
    let response = guarded.ask(get_with(&target, &[site])).await;
    assert_eq!(
        field(&response, "set-cookie").unwrap(),
        format!("nova_token={token}; Path=/live/demo/; Max-Age=3600; HttpOnly; SameSite=Lax")
    );
    assert_eq!(
        field(&response, "access-control-allow-origin"),
        Some("https://www.example.org")
    );
    assert_eq!(
        field(&response, "access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(field(&response, "vary"), Some("Origin"));

    let stale = guarded.token("/live/elsewhere/", "s");
    let cookies = format!("nova_token={stale}; nova_token={token}");
    let response = guarded
        .ask(get_with(
            "/live/demo/v0.m3u8",
            &[("cookie", &cookies), site],
        ))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, "set-cookie"), None);
    assert_eq!(
        field(&response, "access-control-allow-credentials"),
        Some("true")
    );
    let wrong = format!("nova_token={stale}");
    let response = guarded
        .ask(get_with("/live/demo/v0.m3u8", &[("cookie", &wrong), site]))
        .await;
    assert_eq!(status(&response), "nova; detail=token-wrong-path");
    assert_eq!(
        field(&response, "access-control-allow-origin"),
        Some("https://www.example.org")
    );
}

#[tokio::test]
async fn a_cookie_over_https_is_for_https() {
    let guarded = Guarded::media();
    let token = guarded.token("/live/demo/", "s");
    let target = format!("/live/demo/index.m3u8?nova_token={token}");
    for is_tls in [true, false] {
        let mut request = get(&target);
        request.extensions_mut().insert(Peer {
            address: ([192, 0, 2, 1], 50_000).into(),
            is_tls,
        });
        let response = guarded.ask(request).await;
        let cookie = field(&response, "set-cookie").unwrap();
        assert_eq!(cookie.ends_with("; Secure"), is_tls, "{cookie}");
    }
}

#[tokio::test]
async fn e14_what_a_token_opened_is_for_no_shared_cache() {
    let guarded = Guarded::media();
    let token = guarded.token("/live/demo/", "s");
    let response = guarded
        .ask(get(&signed_target("/live/demo/1.m4s", &token)))
        .await;
    assert_eq!(
        field(&response, "cache-control"),
        Some("private, max-age=60")
    );
    let response = guarded.ask(get("/live/other/1.m4s")).await;
    assert_eq!(field(&response, "cache-control"), Some(FRESH[0].1));
}

/// Fetch 3.2.5: such a page can read nothing that permits `*`.
#[tokio::test]
async fn a_page_that_asks_with_credentials_reads_what_is_public_and_signed_paths_too() {
    let guarded = Guarded::media();
    let token = guarded.token("/live/demo/", "s");
    let site = ("origin", "https://www.example.org");
    let of = |response: &Response<EdgeBody>| {
        ["origin", "credentials"].map(|name| {
            let name = format!("access-control-allow-{name}");
            field(response, &name).map(str::to_owned)
        })
    };
    let allowed = [Some(site.1.to_owned()), Some("true".to_owned())];
    for target in [
        "/live/other/1.m4s".to_owned(),
        signed_target("/live/demo/1.m4s", &token),
    ] {
        let response = guarded.ask(get_with(&target, &[site])).await;
        assert_eq!(of(&response), allowed, "{target}");
    }
    // While all is public, answers are the same for all sites.
    guarded.gate.set_policy(Policy::open());
    let response = guarded.ask(get_with("/live/other/1.m4s", &[site])).await;
    assert_eq!(of(&response), [Some("*".to_owned()), None]);
}

#[tokio::test]
async fn a_preflight_has_no_token_and_needs_none() {
    let guarded = Guarded::media();
    let fields = [
        ("origin", "https://www.example.org"),
        ("access-control-request-method", "GET"),
    ];
    let request = send_with("OPTIONS", "/live/demo/1.m4s", &fields);
    let response = guarded.ask(request).await;
    assert_eq!(response.status(), 204);
    assert_eq!(
        field(&response, "access-control-allow-credentials"),
        Some("true")
    );
    let request = send_with("OPTIONS", "/live/demo/1.m4s", &[]);
    assert_eq!(guarded.ask(request).await.status(), 403);
}

#[tokio::test]
async fn a_general_origin_sees_no_token() {
    let guarded = Guarded::new(House::general(Origin::fixed("page", &[])));
    let token = guarded.token("/live/demo/", "s");
    let cookie = format!("a=1; nova_token={token}");
    let target = format!("/live/demo/x?b=2&nova_token={token}&c");
    let response = guarded.ask(get_with(&target, &[("cookie", &cookie)])).await;
    assert_eq!(response.status(), 200);
    assert_eq!(guarded.house.origin.targets(), ["/live/demo/x?b=2&c"]);
    assert_eq!(guarded.house.origin.headers(0)["cookie"], "a=1");
    // It may read such a path as a protected one.
    assert_eq!(guarded.status("/live/a/../demo/x").await, 400);
    guarded.gate.set_policy(Policy::open());
    assert_eq!(guarded.status("/live/a/../demo/x").await, 200);
}

#[tokio::test]
async fn a_request_that_is_held_outlives_its_token() {
    let (pieces, body) = OriginBody::open();
    let held = Mutex::new(Some((body, pieces)));
    let (release, released) = tokio::sync::watch::channel(false);
    let origin = Origin::new(move |_| {
        let taken = held.lock().unwrap().take();
        let mut released = released.clone();
        async move {
            released.wait_for(|released| *released).await.unwrap();
            let (body, pieces) = taken.unwrap();
            send(&pieces, "part");
            Ok(response(200, FRESH, body))
        }
    });
    let guarded = Guarded::new(House::new(origin));
    let token = guarded.token("/live/demo/", "s");
    let target = signed_target("/live/demo/3/source/1.2.m4s", &token);
    let asked = tokio::spawn(guarded.ask(get(&target)));
    until(|| guarded.house.origin.calls() == 1).await;
    guarded.house.pass(2 * 3_600_000);
    assert_eq!(guarded.status(&target).await, 403);
    release.send(true).unwrap();
    let response = within(asked).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response).await, "part");
}

#[tokio::test]
async fn what_is_protected_and_with_which_keys_changes_at_once() {
    let guarded = Guarded::media();
    let token = guarded.token("/live/", "s");
    let target = signed_target("/live/demo/1.m4s", &token);
    assert_eq!(guarded.status(&target).await, 200);
    guarded.gate.set_keys(KeyRing::default());
    assert_eq!(guarded.status(&target).await, 403);
    assert_eq!(guarded.status("/live/other/1.m4s").await, 200);
    let all = Policy::open().with(&"/".parse().unwrap(), Rule::Signed);
    guarded.gate.set_policy(all);
    assert_eq!(guarded.status("/live/other/1.m4s").await, 403);
    guarded.gate.set_policy(Policy::open());
    // A token that opens nothing shuts nothing either.
    assert_eq!(guarded.status(&target).await, 200);
}

/// Keeps what it is asked.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Option<Viewer>>>>);

impl Service<Request<Empty<Bytes>>> for Seen {
    type Response = Response<EdgeBody>;
    type Error = String;
    type Future = std::future::Ready<Result<Response<EdgeBody>, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let viewer = request.extensions().get().cloned();
        self.0.lock().unwrap().push(viewer);
        ready(Err("nothing".to_owned()))
    }
}

#[tokio::test]
async fn whoever_counts_usage_learns_the_session() {
    let guarded = Guarded::media();
    let seen = Seen::default();
    let mut access = Access::new(
        guarded.gate.clone(),
        seen.clone(),
        guarded.house.clock.clone(),
    );
    let mut claims = Claims::new("/live/".parse().unwrap(), guarded.house.clock.now() + HOUR);
    claims.session = Some("viewer-1".parse().unwrap());
    claims.address = Some("192.0.2.1".parse().unwrap());
    let token = guarded.keys.sign(&claims).unwrap();
    for (path, address) in [
        ("/live/demo/1.m4s", "192.0.2.1"),
        ("/live/other/1.m4s", "192.0.2.1"),
        ("/live/other/1.m4s", "192.0.2.2"),
        ("/live/demo/1.m4s", "192.0.2.2"),
    ] {
        let mut request = get(&signed_target(path, &token));
        let address: IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(Peer {
            address: (address, 50_000).into(),
            is_tls: false,
        });
        let _ = access.call(request).await;
    }
    let viewer = Some(Viewer {
        session: claims.session.clone(),
        expires: claims.expires,
    });
    // The last one did not get so far.
    assert_eq!(*seen.0.lock().unwrap(), [viewer.clone(), viewer, None]);
}

/// The worked example of `docs/EDGE.md`: its program prints its token, which opens its path.
#[test]
fn what_the_docs_sign_is_a_token() {
    let docs = include_str!("../../../docs/EDGE.md");
    let (_, rest) = docs.split_once("```js\n").unwrap();
    let (program, rest) = rest.split_once("```\n").unwrap();
    let (_, rest) = rest.split_once("```\n").unwrap();
    let (token, _) = rest.split_once("\n```").unwrap();
    let node = Command::new("node")
        .args(["--input-type=module", "--eval", program])
        .output()
        .expect("node, which scripts/setup installs");
    let complaint = String::from_utf8_lossy(&node.stderr);
    assert!(node.status.success(), "{complaint}");
    assert_eq!(String::from_utf8_lossy(&node.stdout).trim(), token);

    let start = docs.find("2026a:hmac-sha256:").unwrap();
    let key = docs[start..].split('`').next().unwrap();
    let keys: KeyRing = key.parse().unwrap();
    let gate = Gate::new(AccessConfig::default(), keys);
    let now = Timestamp::from_micros(1_767_225_599_000_000);
    let claims = gate.verify(token, "/live/demo/index.m3u8", None, now);
    assert_eq!(claims.unwrap().path.as_str(), "/live/demo/");
    let keys: KeyRing = key.parse().unwrap();
    let claims = "path=/live/demo/\nexp=1767225600".parse().unwrap();
    assert_eq!(keys.sign(&claims).unwrap(), token);
}

/// What an origin says is for holders of a token is so, whatever the policy is.
#[tokio::test]
async fn what_the_origin_calls_signed_needs_a_token() {
    const SIGNED: &[(&str, &str)] = &[
        ("cache-control", "public, max-age=60, s-maxage=60"),
        ("nova-access", "signed"),
        ("etag", "\"1\""),
    ];
    let guarded = Guarded::new(House::new(Origin::fixed("media", SIGNED)));
    guarded.gate.set_policy(Policy::open());
    let target = "/live/ours/3/source/1.m4s";
    let token = guarded.token("/live/ours/", "s");
    // Stored or not, as a whole or in part.
    for _ in 0..2 {
        for request in [
            get(target),
            get_with(target, &[("range", "bytes=0-1")]),
            get_with(target, &[("if-none-match", "\"1\"")]),
        ] {
            let refused = guarded.ask(request).await;
            assert_eq!(refused.status(), 403);
            assert_eq!(status(&refused), "nova; detail=token-missing");
            assert!(!text(refused).await.contains("media"));
        }
        let answer = guarded.ask(get(&signed_target(target, &token))).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(field(&answer, "cache-control"), Some("private, max-age=60"));
        assert_eq!(text(answer).await, "media");
    }
    let other = guarded.token("/live/mine/", "s");
    let refused = guarded.ask(get(&signed_target(target, &other))).await;
    assert_eq!(status(&refused), "nova; detail=token-wrong-path");
    // A shield passes it on, with what it is.
    let (key, _) = generate_key("k", Algorithm::HmacSha256).unwrap();
    let config = AccessConfig {
        obeys_origin: false,
        ..AccessConfig::default()
    };
    let gate = Gate::new(config, key.parse().unwrap());
    let house = &guarded.house;
    let mut shield = Access::new(gate, house.edge.clone(), house.clock.clone());
    let answer = within(shield.call(get(target))).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(field(&answer, "nova-access"), Some("signed"));
}

#[tokio::test]
async fn s05_a_judge_ends_sessions_before_their_time() {
    struct Judge;

    impl edge::access::Judge for Judge {
        fn is_revoked(&self, session: &edge::access::SessionName) -> bool {
            session.as_str() == "out"
        }
    }

    let guarded = Guarded::media();
    let target = |session: &str| {
        let token = guarded.token("/live/demo/", session);
        signed_target("/live/demo/index.m3u8", &token)
    };
    let (out, other) = (target("out"), target("in"));
    assert_eq!(guarded.status(&out).await, 200);
    guarded.gate.set_judge(Judge);
    let refused = guarded.ask(get(&out)).await;
    assert_eq!(status(&refused), "nova; detail=token-revoked");
    assert_eq!(guarded.status(&other).await, 200);
}
