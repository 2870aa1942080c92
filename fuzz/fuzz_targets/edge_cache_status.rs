//! `Cache-Status`: what is written is a member of a structured list (RFC 9211 2) behind those
//! of the origin, whatever these are.
#![no_main]

use fuzz::{Origin, ask, fields, get, house, run};
use http::header::{CACHE_CONTROL, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE, VARY};
use http::{HeaderMap, HeaderName, Request};
use http_body_util::Empty;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use media::Micros;
use sfv::{BareItem, List, ListEntry, Parser};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const ANSWERED: [HeaderName; 5] = [CACHE_STATUS, CACHE_CONTROL, VARY, ETAG, CONTENT_RANGE];
const ASKED: [HeaderName; 3] = [CACHE_CONTROL, RANGE, IF_NONE_MATCH];

#[derive(Debug, Arbitrary)]
struct Exchange<'a> {
    general: bool,
    method: u8,
    status: u16,
    answered: Vec<(u8, &'a [u8])>,
    asked: Vec<(u8, &'a [u8])>,
    passes: u32,
}

fn list(lines: &[&[u8]]) -> Option<List> {
    Parser::new(&lines.join(&b", "[..])).parse().ok()
}

fn check(lines: &[&[u8]], sent: &[&[u8]]) {
    let (own, others) = lines.split_last().expect("a member of ours");
    let own = list(&[own]).expect("it is a list");
    let [ListEntry::Item(member)] = own.as_slice() else {
        panic!("{own:?} is one item");
    };
    assert!(matches!(&member.bare_item, BareItem::Token(name) if name.as_str() == "nova"));
    for (name, value) in &member.params {
        let fits = match (name.as_str(), value) {
            ("hit" | "stored" | "collapsed", BareItem::Boolean(set)) => *set,
            ("fwd" | "detail", BareItem::Token(_)) => true,
            ("fwd-status" | "ttl", BareItem::Integer(_)) => true,
            _ => false,
        };
        assert!(fits, "{name:?}={value:?}");
    }
    // RFC 9211 2.1: one of the two, where the request was not refused.
    assert!(member.params.get("hit").is_none() || member.params.get("fwd").is_none());
    assert!(others.is_empty() || others == sent);
    let before = list(others).map_or(0, |before| before.len());
    let all = list(lines).expect("it is a list with what is before it");
    assert_eq!(all.len(), before + 1);
}

fuzz_target!(|exchange: Exchange<'_>| {
    let answered = fields(&ANSWERED, &exchange.answered);
    let status = [200, 200, 206, 304, 404, 503][usize::from(exchange.status) % 6];
    let sent = answered.clone();
    let sent: Vec<_> = sent
        .get_all(CACHE_STATUS)
        .iter()
        .map(|line| line.as_bytes())
        .collect();
    let origin = Origin::fixed(status, answered, b"0123456789");
    let (mut edge, clock) = house(exchange.general, &origin);
    let methods = ["GET", "GET", "HEAD", "POST"];
    let method = methods[usize::from(exchange.method) % methods.len()];
    run(async {
        for asked in [
            HeaderMap::new(),
            fields(&ASKED, &exchange.asked),
            HeaderMap::new(),
        ] {
            let mut request: Request<Empty<_>> = get(asked);
            *request.method_mut() = method.parse().expect("a method");
            let (head, _) = ask(&mut edge, request).await;
            let lines = head.headers.get_all(CACHE_STATUS).iter();
            check(
                &lines.map(|line| line.as_bytes()).collect::<Vec<_>>(),
                &sent,
            );
            clock.advance(Micros::new(i64::from(exchange.passes) * 1_000));
        }
    });
});
