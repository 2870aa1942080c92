//! Where a request carries its token, and what the request is without it.

use std::borrow::Cow;

use http::header::COOKIE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use media::Timestamp;

use super::claims::Claims;
use super::denial::Denial;

/// The name of the query key and of the cookie.
pub(super) const NAME: &str = "nova_token";
/// How the segment of a path begins that is a token.
const SEGMENT: &str = "/~1.";
/// Cookies of the name that are looked at: one for each path they were set for.
const MAX_COOKIES: usize = 4;

/// What carries a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A segment of the path, which every URL relative to it has too.
    Path,
    /// A key of the query.
    Query,
    /// A cookie.
    Cookie,
}

/// A request target with its token apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) token: Option<(Carrier, &'a str)>,
    /// The path without it.
    pub(super) path: Cow<'a, str>,
    /// The query without it.
    query: Option<Cow<'a, str>>,
}

impl<'a> Target<'a> {
    /// Of a target that has one token at most.
    pub(super) fn read(uri: &'a Uri) -> Result<Self, Denial> {
        let (path, in_path) = split_path(uri.path())?;
        let (query, in_query) = split_query(uri.query())?;
        let token = match (in_path, in_query) {
            (Some(_), Some(_)) => return Err(Denial::Malformed),
            (Some(token), None) => Some((Carrier::Path, token)),
            (None, Some(token)) => Some((Carrier::Query, token)),
            (None, None) => None,
        };
        Ok(Self { token, path, query })
    }

    /// Can it have no token, whichever way its path is read?
    pub(super) fn is_plain(&self) -> bool {
        self.token.is_none() && !self.path.bytes().any(|byte| matches!(byte, b'~' | b'%'))
    }

    /// `uri` without its token.
    pub(super) fn without_token(self, uri: &Uri) -> Result<Uri, Denial> {
        let target = match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.into_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| Denial::Malformed)?);
        Uri::from_parts(parts).map_err(|_| Denial::Malformed)
    }
}

/// The path of a URL without its token; None if it has more than one.
pub(crate) fn path_without_token(uri: &Uri) -> Option<Cow<'_, str>> {
    Target::read(uri).ok().map(|target| target.path)
}

/// Does a normalised path still have a token? Then its tilde was percent-encoded.
pub(crate) fn hides_token(path: &str) -> bool {
    find_segment(path).is_some()
}

/// Most paths have no tilde, and one character is found faster than four.
fn find_segment(path: &str) -> Option<usize> {
    path.contains('~').then(|| path.find(SEGMENT)).flatten()
}

fn split_path(path: &str) -> Result<(Cow<'_, str>, Option<&str>), Denial> {
    let Some(at) = find_segment(path) else {
        return Ok((path.into(), None));
    };
    let token = &path[at + 2..];
    let end = token.find('/').unwrap_or(token.len());
    let (token, after) = token.split_at(end);
    if find_segment(after).is_some() {
        return Err(Denial::Malformed);
    }
    let mut without = String::with_capacity(at + after.len());
    without.push_str(&path[..at]);
    without.push_str(after);
    if without.is_empty() {
        without.push('/');
    }
    Ok((without.into(), Some(token)))
}

type QueryAndToken<'a> = (Option<Cow<'a, str>>, Option<&'a str>);

fn split_query(query: Option<&str>) -> Result<QueryAndToken<'_>, Denial> {
    let Some(query) = query else {
        return Ok((None, None));
    };
    if !query.contains(NAME) {
        return Ok((Some(query.into()), None));
    }
    let mut tokens = query.split('&').filter_map(value_of);
    let token = tokens.next();
    if tokens.next().is_some() {
        return Err(Denial::Malformed);
    }
    let others: Vec<&str> = query
        .split('&')
        .filter(|pair| value_of(pair).is_none())
        .collect();
    let without = (!others.is_empty()).then(|| others.join("&").into());
    Ok((without, token))
}

/// The token of `nova_token=...`.
fn value_of(pair: &str) -> Option<&str> {
    pair.strip_prefix(NAME)?.strip_prefix('=')
}

/// The tokens in cookies, as sent: the most specific first (RFC 6265 5.4).
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let tokens = pairs(headers).filter(|pair| is_token(pair));
    let texts = tokens.filter_map(|pair| std::str::from_utf8(pair).ok());
    texts.filter_map(value_of).take(MAX_COOKIES)
}

/// Pairs of bytes: cookies of others are in whatever encoding their sites chose.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(COOKIE).iter();
    lines.flat_map(|line| {
        let pairs = line.as_bytes().split(|byte| *byte == b';');
        pairs.map(<[u8]>::trim_ascii)
    })
}

/// Is it `nova_token=...`?
fn is_token(pair: &[u8]) -> bool {
    pair.strip_prefix(NAME.as_bytes())
        .is_some_and(|rest| rest.starts_with(b"="))
}

/// Takes tokens out of `Cookie`, and leaves what else is there.
pub(super) fn remove_cookies(headers: &mut HeaderMap) {
    if !pairs(headers).any(is_token) {
        return;
    }
    let others: Vec<&[u8]> = pairs(headers)
        .filter(|pair| !pair.is_empty() && !is_token(pair))
        .collect();
    match HeaderValue::from_bytes(&others.join(&b"; "[..])) {
        Ok(line) if !line.is_empty() => {
            headers.insert(COOKIE, line);
        }
        _ => {
            headers.remove(COOKIE);
        }
    }
}

/// The target `path` with `token` as a segment, so that all that is relative to it below
/// its first segment has the token too: `/live/~TOKEN/demo/index.m3u8`.
pub fn signed_target(path: &str, token: &str) -> String {
    let second = path.get(1..).and_then(|rest| rest.find('/'));
    let (before, after) = path.split_at(second.map_or(0, |at| at + 1));
    format!("{before}/~{token}{after}")
}

/// The target `path` with `token` in its query, which is answered with a cookie.
pub fn signed_query(path: &str, token: &str) -> String {
    format!("{path}?{NAME}={token}")
}

/// The value of `Set-Cookie` for `token`, which has `claims` (RFC 6265 4.1).
pub fn signed_cookie(token: &str, claims: &Claims, now: Timestamp, secure: bool) -> String {
    let left = (claims.expires - now).as_micros().max(0) / 1_000_000;
    let path = claims.path.as_str();
    // RFC 6265 4.1.1: no semicolon in a path. A shorter one is sent more often, and opens
    // nothing more.
    let path = match path.find(';') {
        Some(at) => path[..at].rfind('/').map_or("/", |slash| &path[..=slash]),
        None => path,
    };
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={token}; Path={path}; Max-Age={left}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str) -> (Option<(Carrier, String)>, String, Result<String, Denial>) {
        let uri: Uri = target.parse().unwrap();
        let read = Target::read(&uri).unwrap();
        let token = read
            .token
            .map(|(carrier, token)| (carrier, token.to_owned()));
        let path = read.path.to_string();
        let without = read.without_token(&uri).map(|uri| uri.to_string());
        (token, path, without)
    }

    #[test]
    fn e07_a_target_without_its_token_is_the_target() {
        let token = |carrier| Some((carrier, "1.k.c.s".to_owned()));
        for (target, found, path, without) in [
            (
                "/live/demo/1.m4s",
                None,
                "/live/demo/1.m4s",
                "/live/demo/1.m4s",
            ),
            ("/live/~user/x?a", None, "/live/~user/x", "/live/~user/x?a"),
            (
                "/live/~1.k.c.s/demo/1.m4s",
                token(Carrier::Path),
                "/live/demo/1.m4s",
                "/live/demo/1.m4s",
            ),
            (
                "/~1.k.c.s/live/x?a=b",
                token(Carrier::Path),
                "/live/x",
                "/live/x?a=b",
            ),
            ("/live/~1.k.c.s", token(Carrier::Path), "/live", "/live"),
            ("/~1.k.c.s", token(Carrier::Path), "/", "/"),
            ("/~1.k.c.s/", token(Carrier::Path), "/", "/"),
            ("/x?nova_token=1.k.c.s", token(Carrier::Query), "/x", "/x"),
            (
                "/x?a=1&nova_token=1.k.c.s&b",
                token(Carrier::Query),
                "/x",
                "/x?a=1&b",
            ),
            (
                "/x?my_nova_token=1&nova_token",
                None,
                "/x",
                "/x?my_nova_token=1&nova_token",
            ),
            (
                "http://h:1/~1.k.c.s/x",
                token(Carrier::Path),
                "/x",
                "http://h:1/x",
            ),
        ] {
            assert_eq!(
                read(target),
                (found, path.to_owned(), Ok(without.to_owned())),
                "{target}"
            );
        }
    }

    #[test]
    fn two_tokens_in_one_target_are_refused() {
        for target in [
            "/~1.a.b.c/~1.a.b.c/x",
            "/~1.a.b.c/x?nova_token=1.a.b.c",
            "/x?nova_token=1.a.b.c&nova_token=1.a.b.c",
        ] {
            let uri: Uri = target.parse().unwrap();
            assert_eq!(Target::read(&uri), Err(Denial::Malformed), "{target}");
        }
    }

    #[test]
    fn cookies_of_others_stay() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; nova_token=t1; b=2"));
        headers.append(
            COOKIE,
            HeaderValue::from_static("nova_token=t2;nova_tokens=3"),
        );
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), ["t1", "t2"]);
        remove_cookies(&mut headers);
        let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(left, ["a=1; b=2; nova_tokens=3"]);
        headers.insert(COOKIE, HeaderValue::from_static("nova_token=t1"));
        remove_cookies(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn cookies_of_others_may_be_in_any_encoding() {
        let mut headers = HeaderMap::new();
        for line in [
            &b"name=Jos\xe9; nova_token=t1"[..],
            "stadt=M\u{fc}nchen".as_bytes(),
            b"nova_token=\xff\xfe",
        ] {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        assert_eq!(cookies(&headers).collect::<Vec<_>>(), ["t1"]);
        remove_cookies(&mut headers);
        let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(left.len(), 1);
        let expected = [&b"name=Jos\xe9; "[..], "stadt=M\u{fc}nchen".as_bytes()].concat();
        assert_eq!(left[0].as_bytes(), expected);
        // A line without a token stays as it is.
        remove_cookies(&mut headers);
        assert_eq!(headers[COOKIE].as_bytes(), expected);
    }

    #[test]
    fn a_signed_target_is_read_again() {
        for (path, signed) in [
            ("/live/demo/index.m3u8", "/live/~1.k.c.s/demo/index.m3u8"),
            ("/live/", "/live/~1.k.c.s/"),
            ("/x", "/~1.k.c.s/x"),
            ("/", "/~1.k.c.s/"),
        ] {
            assert_eq!(signed_target(path, "1.k.c.s"), signed);
            assert_eq!(read(signed).1, path);
        }
    }

    #[test]
    fn a_cookie_lasts_as_long_as_its_token() {
        let cookie = |path: &str, secure| {
            let claims = Claims::new(path.parse().unwrap(), Timestamp::from_micros(90_000_000));
            signed_cookie("T", &claims, Timestamp::from_micros(30_000_000), secure)
        };
        assert_eq!(
            cookie("/live/demo/", false),
            "nova_token=T; Path=/live/demo/; Max-Age=60; HttpOnly; SameSite=Lax"
        );
        assert!(cookie("/a/b;c/d", true).contains("Path=/a/; "));
        assert!(cookie("/a", true).ends_with("; Secure"));
    }
}
