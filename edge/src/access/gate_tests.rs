use media::{Micros, Timestamp};
use proptest::prelude::*;

use super::super::keys::{Algorithm, generate_key};
use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const HOUR: Micros = Micros::from_secs(3_600);
const SECOND: Micros = Micros::from_secs(1);

fn new_key(id: &str, algorithm: Algorithm) -> String {
    generate_key(id, algorithm).unwrap().0
}

fn ring(text: &str) -> KeyRing {
    text.parse().unwrap()
}

fn gate(keys: &str) -> Gate {
    Gate::new(AccessConfig::default(), ring(keys))
}

fn claims(path: &str) -> Claims {
    Claims::new(path.parse().unwrap(), NOW + HOUR)
}

/// A gate of one key, and a token of these claims.
fn signed(claims: &Claims) -> (Gate, String) {
    let key = new_key("k", Algorithm::HmacSha256);
    (gate(&key), ring(&key).sign(claims).unwrap())
}

#[test]
fn a_token_opens_its_path_and_nothing_else() {
    let (gate, token) = signed(&claims("/live/demo/"));
    let ask = |path| gate.verify(&token, path, None, NOW).map(drop);
    for path in [
        "/live/demo/index.m3u8",
        "/live/demo/3/source/12.0.m4s",
        "/live/demo",
    ] {
        assert_eq!(ask(path), Ok(()), "{path}");
    }
    for path in [
        "/live/demo2/index.m3u8",
        "/live/dem",
        "/live/",
        "/",
        "/vod/live/demo/",
    ] {
        assert_eq!(ask(path), Err(Denial::WrongPath), "{path}");
    }
}

#[test]
fn a_token_has_its_time_and_clocks_may_differ_a_little() {
    let mut claims = claims("/a");
    claims.not_before = Some(NOW);
    let (gate, token) = signed(&claims);
    let ask = |now| gate.verify(&token, "/a", None, now).map(drop);
    let back = |seconds: i64| NOW + Micros::from_secs(-seconds);
    assert_eq!(ask(back(6)), Err(Denial::NotYetValid));
    assert_eq!(ask(back(5)), Ok(()));
    let end = NOW + HOUR + CLOCK_SKEW;
    assert_eq!(ask(end + Micros::new(-1)), Ok(()));
    assert!(gate.0.keys.load().remembered.get(&token).is_some());
    assert_eq!(ask(end), Err(Denial::Expired));
    assert!(gate.0.keys.load().remembered.get(&token).is_none());
}

#[test]
fn a_token_may_be_for_some_addresses_only() {
    let mut claims = claims("/a");
    claims.address = Some("192.0.2.0/24".parse().unwrap());
    let (gate, token) = signed(&claims);
    let ask = |address: Option<&str>| {
        let address = address.map(|text| text.parse().unwrap());
        gate.verify(&token, "/a", address, NOW).map(drop)
    };
    assert_eq!(ask(Some("192.0.2.9")), Ok(()));
    assert_eq!(ask(Some("::ffff:192.0.2.9")), Ok(()));
    assert_eq!(ask(Some("198.51.100.1")), Err(Denial::WrongAddress));
    assert_eq!(ask(None), Err(Denial::WrongAddress));
}

#[test]
fn keys_are_replaced_one_after_the_other() {
    let (old, new) = (
        new_key("old", Algorithm::HmacSha256),
        new_key("new", Algorithm::Ed25519),
    );
    let by_old = ring(&old).sign(&claims("/a")).unwrap();
    let gate = gate(&old);
    let ask = |token: &str| gate.verify(token, "/a", None, NOW).map(drop);
    assert_eq!(ask(&by_old), Ok(()));
    let both = format!("{new} {old}");
    let by_new = ring(&both).sign(&claims("/a")).unwrap();
    assert_eq!(ask(&by_new), Err(Denial::UnknownKey));
    gate.set_keys(ring(&both));
    assert_eq!((ask(&by_old), ask(&by_new)), (Ok(()), Ok(())));
    gate.set_keys(ring(&new));
    assert_eq!(
        (ask(&by_old), ask(&by_new)),
        (Err(Denial::UnknownKey), Ok(()))
    );
}

#[test]
fn a_public_key_verifies_and_does_not_sign() {
    let (private, public) = generate_key("k", Algorithm::Ed25519).unwrap();
    let public = public.unwrap();
    let token = ring(&private).sign(&claims("/a")).unwrap();
    let verified = gate(&public).verify(&token, "/a", None, NOW);
    assert_eq!(*verified.unwrap(), claims("/a"));
    let nothing = ring(&public).sign(&claims("/a")).unwrap_err();
    assert!(
        nothing.to_string().contains("no key to sign with"),
        "{nothing}"
    );
}

/// Who knows a public key must not be able to use it as a secret.
#[test]
fn the_algorithm_is_the_keys() {
    let public = generate_key("k", Algorithm::Ed25519).unwrap().1.unwrap();
    let as_secret = public.replace("ed25519-public", "hmac-sha256");
    let token = ring(&as_secret).sign(&claims("/a")).unwrap();
    let refused = gate(&public).verify(&token, "/a", None, NOW);
    assert_eq!(refused, Err(Denial::BadSignature));
}

#[test]
fn s05_a_revoked_session_opens_nothing() {
    let mut claims = claims("/a");
    claims.session = Some("viewer-1".parse().unwrap());
    let (gate, token) = signed(&claims);
    assert!(gate.verify(&token, "/a", None, NOW).is_ok());
    let revoke = |session: &str| gate.revoke(NOW, session.parse().unwrap(), claims.expires);
    revoke("viewer-2").unwrap();
    assert!(gate.verify(&token, "/a", None, NOW).is_ok());
    revoke("viewer-1").unwrap();
    assert_eq!(gate.verify(&token, "/a", None, NOW), Err(Denial::Revoked));
}

#[test]
fn what_is_no_token_is_told_from_a_forged_one() {
    let (gate, token) = signed(&claims("/a"));
    let ask = |token: &str| gate.verify(token, "/a", None, NOW).unwrap_err();
    let (message, signature) = token.rsplit_once('.').unwrap();
    for text in ["", "1", "1.k", "1.k.x", "....", &token[2..], message] {
        assert_eq!(ask(text), Denial::Malformed, "{text}");
    }
    for text in [
        token.replacen("1.", "2.", 1),
        token.replacen("1.k", "1.", 1),
        token.replacen("1.k.", "1.k!.", 1),
        format!("{token}="),
        format!("{message}.{}", "A".repeat(512)),
    ] {
        assert_eq!(ask(&text), Denial::Malformed, "{text}");
    }
    assert_eq!(ask(&format!("{message}.")), Denial::BadSignature);
    assert_eq!(
        ask(&format!("{message}.{}", &signature[4..])),
        Denial::BadSignature
    );
    assert_eq!(ask(&token.replacen("1.k.", "1.l.", 1)), Denial::UnknownKey);
    let long = claims(&format!("/{}/", "a".repeat(400)));
    let key = new_key("k", Algorithm::HmacSha256);
    assert!(
        ring(&key)
            .sign(&long)
            .unwrap_err()
            .to_string()
            .contains("512")
    );
}

/// RFC 4648 3.5: of one signature there is one spelling.
#[test]
fn bits_that_decode_to_nothing_are_not_free() {
    let (gate, token) = signed(&claims("/a"));
    let last = token.chars().next_back().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let twin = alphabet.as_bytes()[at | 1] as char;
    let twin = format!("{}{twin}", &token[..token.len() - 1]);
    assert_ne!(twin, token);
    assert_eq!(gate.verify(&twin, "/a", None, NOW), Err(Denial::Malformed));
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let path = "(/[a-z0-9._~-]{1,12}){1,4}/?".prop_filter("dots", |path: &String| {
        !path.split('/').any(|segment| matches!(segment, "." | ".."))
    });
    let not_before = proptest::option::of(-10_i64..1);
    let address = proptest::option::of((any::<[u8; 4]>(), 0_u8..=32));
    let session = proptest::option::of("[A-Za-z0-9._~-]{1,64}");
    (path, 1_i64..1_000_000, not_before, address, session).prop_map(
        |(path, seconds, not_before, address, session)| Claims {
            path: path.parse().unwrap(),
            expires: NOW + Micros::from_secs(seconds),
            not_before: not_before.map(|seconds| NOW + Micros::from_secs(seconds)),
            address: address
                .map(|([a, b, c, d], bits)| format!("{a}.{b}.{c}.{d}/{bits}").parse().unwrap()),
            session: session.map(|session| session.parse().unwrap()),
        },
    )
}

proptest! {
    #[test]
    fn what_is_signed_is_what_is_verified(claims in any_claims(), ed25519: bool) {
        let algorithm = [Algorithm::HmacSha256, Algorithm::Ed25519][usize::from(ed25519)];
        let key = new_key("2026-a", algorithm);
        let token = ring(&key).sign(&claims).unwrap();
        let gate = gate(&key);
        let address = claims.address.map(|range| range.to_string());
        let address = address.and_then(|text| text.split('/').next()?.parse().ok());
        let path = claims.path.as_str();
        let first = gate.verify(&token, path, address, NOW);
        prop_assert_eq!(first.as_deref(), Ok(&claims));
        let again = gate.verify(&token, path, address, NOW);
        prop_assert_eq!(again.as_deref(), Ok(&claims));
        prop_assert!(gate.verify(&token, "/elsewhere/x", address, NOW).is_err());
        prop_assert!(gate.verify(&token, path, address, claims.expires + CLOCK_SKEW + SECOND).is_err());
    }

    #[test]
    fn no_character_of_a_token_can_be_another(
        claims in any_claims(),
        ed25519: bool,
        at: prop::sample::Index,
        other in "[ -~]",
    ) {
        let algorithm = [Algorithm::HmacSha256, Algorithm::Ed25519][usize::from(ed25519)];
        let key = new_key("k", algorithm);
        let token = ring(&key).sign(&claims).unwrap();
        let at = at.index(token.len());
        prop_assume!(token[at..=at] != other);
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let address = claims.address.map(|range| range.to_string());
        let address = address.and_then(|text| text.split('/').next()?.parse().ok());
        prop_assert!(gate(&key).verify(&changed, claims.path.as_str(), address, NOW).is_err());
    }
}
