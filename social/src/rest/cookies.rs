//! The refresh token of a browser: in a cookie that no script reads.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use super::request::{Client, media_type};
use crate::ServiceError;
use crate::accounts::refresh::LOGIN_LASTS;
use crate::error::Missing;

/// Its name.
const NAME: &str = "nova_refresh";

/// Where it is sent to, and nowhere else.
const PATH: &str = "/api/v1/session";

/// `Set-Cookie` with the token; `None`: it goes.
pub(super) fn set(token: Option<&str>, client: Client) -> Result<HeaderValue, ServiceError> {
    let (value, age) = match token {
        Some(token) => (token, LOGIN_LASTS.as_micros() / 1_000_000),
        None => ("", 0),
    };
    let secure = if client.is_tls { "; Secure" } else { "" };
    let text =
        format!("{NAME}={value}; Path={PATH}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).map_err(|error| ServiceError::internal("cookie", error))
}

/// The token in the request's cookie, if a page of this server has sent it: no form can send
/// JSON, and a script of another origin says so in `Origin`.
pub(super) fn token(
    headers: &HeaderMap,
    uri: &Uri,
    client: Client,
) -> Result<Option<String>, ServiceError> {
    let Some(token) = find(headers) else {
        return Ok(None);
    };
    let foreign = ServiceError::Forbidden(Missing::SameOrigin);
    if !media_type(headers).eq_ignore_ascii_case("application/json") {
        return Err(foreign);
    }
    match headers.get(header::ORIGIN) {
        None => Ok(Some(token)),
        Some(origin) if is_own(origin, headers, uri, client) => Ok(Some(token)),
        Some(_) => Err(foreign),
    }
}

fn find(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == NAME && !value.is_empty())
        .map(|(_, value)| value.to_owned())
}

/// Whether it is the origin that the request went to. What speaks TLS may stand in front of
/// this server, so `https` is its own too. HTTP/2 has the host in `:authority`, which is the
/// authority of `uri`, and mostly no `Host`; HTTP/1.1 goes by the authority if there is one
/// (RFC 9112 3.2.2).
fn is_own(origin: &HeaderValue, headers: &HeaderMap, uri: &Uri, client: Client) -> bool {
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let (Some(host), Ok(origin)) = (host, origin.to_str()) else {
        return false;
    };
    match origin.split_once("://") {
        Some(("https", authority)) => authority.eq_ignore_ascii_case(host),
        Some(("http", authority)) => !client.is_tls && authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    const COOKIE: (header::HeaderName, &str) = (header::COOKIE, "a=b; nova_refresh=abc");
    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    const HOST: (header::HeaderName, &str) = (header::HOST, "nova.example.org:8080");

    #[test]
    fn only_a_page_of_ours_can_use_the_cookie() {
        let plain = Client::default();
        let own = "http://nova.example.org:8080";
        for (pairs, expected) in [
            (vec![JSON, HOST], Some(None)),
            (vec![COOKIE, JSON, HOST], Some(Some("abc"))),
            (
                vec![COOKIE, JSON, HOST, (header::ORIGIN, own)],
                Some(Some("abc")),
            ),
            (vec![COOKIE, HOST], None),
            (
                vec![COOKIE, HOST, (header::CONTENT_TYPE, "text/plain")],
                None,
            ),
            (
                vec![COOKIE, JSON, HOST, (header::ORIGIN, "http://example.org")],
                None,
            ),
            (vec![COOKIE, JSON, HOST, (header::ORIGIN, "null")], None),
        ] {
            let found = token(&headers(&pairs), &PATH.parse().unwrap(), plain);
            let found = found.ok().map(|token| token.unwrap_or_default());
            let expected = expected.map(Option::unwrap_or_default);
            assert_eq!(found.as_deref(), expected, "{pairs:?}");
        }
        let tls = Client {
            is_tls: true,
            ..plain
        };
        let pairs = headers(&[COOKIE, JSON, HOST, (header::ORIGIN, own)]);
        assert!(token(&pairs, &PATH.parse().unwrap(), tls).is_err());
    }

    #[test]
    fn over_http_2_the_host_is_in_the_uri() {
        let tls = Client {
            is_tls: true,
            ..Client::default()
        };
        let uri: Uri = "https://nova.example.org/api/v1/session".parse().unwrap();
        let own = (header::ORIGIN, "https://nova.example.org");
        let found = token(&headers(&[COOKIE, JSON, own]), &uri, tls).unwrap();
        assert_eq!(found.as_deref(), Some("abc"));
        let foreign = || (header::ORIGIN, "https://example.org");
        assert!(token(&headers(&[COOKIE, JSON, foreign()]), &uri, tls).is_err());
        // What the request went to is what the authority says, whatever `Host` does.
        let host = (header::HOST, "example.org");
        assert!(token(&headers(&[COOKIE, JSON, host, foreign()]), &uri, tls).is_err());
    }

    #[test]
    fn a_cookie_is_for_one_path_and_no_script() {
        let plain = set(Some("abc"), Client::default()).unwrap();
        let expected =
            "nova_refresh=abc; Path=/api/v1/session; Max-Age=5184000; HttpOnly; SameSite=Strict";
        assert_eq!(plain, expected);
        let tls = Client {
            is_tls: true,
            ..Client::default()
        };
        assert!(
            set(None, tls)
                .unwrap()
                .to_str()
                .unwrap()
                .ends_with("; Max-Age=0; HttpOnly; SameSite=Strict; Secure")
        );
    }
}
