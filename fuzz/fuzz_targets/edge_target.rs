//! Request targets and fields into cache keys: the origin is asked by a name that asks for
//! itself, whatever the fields of the request are, and of media by nothing else.
#![no_main]

use fuzz::{Origin, ask, fields, house, run};
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, REFERER, VIA};
use http::{HeaderMap, HeaderName, Request, Uri};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;

const NAMES: [HeaderName; 8] = [
    HOST,
    COOKIE,
    ORIGIN,
    REFERER,
    AUTHORIZATION,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-http-method-override"),
];

fuzz_target!(|input: (bool, &[u8], Vec<(u8, &[u8])>)| {
    let (general, target, pairs) = input;
    let Ok(target) = Uri::try_from(target) else {
        return;
    };
    let origin = Origin::fixed(200, HeaderMap::new(), b"");
    let (mut edge, _) = house(general, &origin);
    run(async {
        let mut asked_for = async |target: &Uri, fields: HeaderMap| {
            let mut request = Request::new(Empty::new());
            *request.uri_mut() = target.clone();
            *request.headers_mut() = fields;
            ask(&mut edge, request).await;
            origin.take().pop()
        };
        let plain = asked_for(&target, HeaderMap::new()).await;
        let Some(plain) = plain.map(|asked| asked.uri().clone()) else {
            return;
        };
        assert!(plain.authority().is_none() && plain.path().starts_with('/'));
        let again = asked_for(&plain, HeaderMap::new())
            .await
            .expect("its own name");
        assert_eq!(*again.uri(), plain);
        let with = asked_for(&target, fields(&NAMES, &pairs)).await;
        let with = with.expect("fields do not change what is asked for");
        assert_eq!(*with.uri(), plain);
        if !general {
            let mut names = with.headers().keys();
            assert!(names.all(|name| *name == VIA || *name == AUTHORIZATION));
        }
    });
});
