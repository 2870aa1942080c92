//! Tokens: any bytes are refused; what is signed is verified, and no byte of it can be another.
#![no_main]

use std::sync::LazyLock;

use edge::access::{AccessConfig, Claims, Gate, KeyRing};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media::{Micros, Timestamp};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// The bytes 0 to 31, for both.
const KEYS: [&str; 2] = [
    "a:hmac-sha256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "b:ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
];

fn ring(text: &str) -> KeyRing {
    text.parse().expect("sound keys")
}

static RINGS: LazyLock<[KeyRing; 2]> = LazyLock::new(|| KEYS.map(ring));
static GATE: LazyLock<Gate> =
    LazyLock::new(|| Gate::new(AccessConfig::default(), ring(&KEYS.join(" "))));

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    text: &'a str,
    path: &'a str,
    claims: &'a str,
    ed25519: bool,
    at: u16,
    other: u8,
}

fuzz_target!(|input: Input<'_>| {
    // Nobody signs with these keys but below.
    let refused = GATE.verify(input.text, input.path, None, NOW);
    assert!(refused.is_err(), "{:?}", input.text);
    let _ = input.text.parse::<KeyRing>();

    let Ok(claims) = input.claims.parse::<Claims>() else {
        return;
    };
    assert_eq!(claims.to_string().parse::<Claims>().as_ref(), Ok(&claims));
    let Ok(token) = RINGS[usize::from(input.ed25519)].sign(&claims) else {
        return;
    };
    let path = claims.path.as_str();
    let now = claims.not_before.unwrap_or(NOW).max(NOW);
    let granted = GATE.verify(&token, path, None, now).is_ok();
    let expected = claims.address.is_none() && now < claims.expires + Micros::from_secs(5);
    assert_eq!(granted, expected, "{claims:?}");

    let mut changed = token.clone().into_bytes();
    let at = usize::from(input.at) % changed.len();
    if changed[at] == input.other {
        return;
    }
    changed[at] = input.other;
    if let Ok(changed) = std::str::from_utf8(&changed) {
        assert!(GATE.verify(changed, path, None, now).is_err());
    }
});
