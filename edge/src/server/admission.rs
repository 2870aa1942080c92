//! What a request must be before a service sees it.

use http::header::{CONTENT_LENGTH, HOST};
use http::uri::Authority;
use http::{HeaderMap, Request, StatusCode, Version};

/// Why the server answers a request itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// RFC 9112 3.2: HTTP/1.1 has one `Host`, and any version one at most.
    Host,
    /// RFC 9113 8.3.1: `Host` says something else than `:authority`.
    Authority,
    /// The body is too long.
    BodyTooLarge,
    /// The body comes too slowly.
    BodyTooSlow,
    /// The address makes too many requests.
    TooManyRequests {
        /// When to come again.
        seconds: u64,
    },
    /// The service is not ready for another request.
    Busy,
}

impl Rejection {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Authority => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The label in the metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Authority => "authority",
            Self::BodyTooLarge => "body-too-large",
            Self::BodyTooSlow => "slow-body",
            Self::TooManyRequests { .. } => "requests-per-address",
            Self::Busy => "busy",
        }
    }

    /// One sentence for the client.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Host => "A request has one Host.\n",
            Self::Authority => "Host and :authority are not the same.\n",
            Self::BodyTooLarge => "The body of the request is too long.\n",
            Self::BodyTooSlow => "The body of the request came too slowly.\n",
            Self::TooManyRequests { .. } => "Too many requests come from this address.\n",
            Self::Busy => "The server is busy; try again in a second.\n",
        }
    }

    /// Does the connection end with it? What follows may not be where it seems, or is not
    /// worth reading.
    pub(super) fn closes(self) -> bool {
        matches!(
            self,
            Self::Host | Self::Authority | Self::BodyTooLarge | Self::BodyTooSlow
        )
    }
}

/// Checks a head. Whatever `Content-Length` says, it is checked before the body is read.
pub(super) fn check<B>(request: &Request<B>, max_body_bytes: u64) -> Result<(), Rejection> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), request.version()) {
        (_, Some(_), _) | (None, None, Version::HTTP_11) => return Err(Rejection::Host),
        (None, _, _) => {}
        (Some(host), None, Version::HTTP_2) => {
            let authority = request.uri().authority().map(Authority::as_str);
            if authority.is_some_and(|name| !name.as_bytes().eq_ignore_ascii_case(host.as_bytes()))
            {
                return Err(Rejection::Authority);
            }
        }
        (Some(host), None, _) if !host.as_bytes().iter().all(is_of_a_host) => {
            return Err(Rejection::Host);
        }
        (Some(_), None, _) => {}
    }
    if content_length(headers).is_some_and(|length| length > max_body_bytes) {
        return Err(Rejection::BodyTooLarge);
    }
    Ok(())
}

/// hyper has seen to it that it is one number.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// RFC 3986 3.2.2 and 3.2.3: a name or address, and maybe a port.
pub(super) fn is_of_a_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(version: Version, target: &str, fields: &[(&str, &str)]) -> Option<Rejection> {
        let mut request = Request::get(target).version(version);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap(), 100).err()
    }

    #[test]
    fn http11_has_one_host_and_no_version_two() {
        let host = ("host", "edge:8080");
        let two = [host, host];
        assert_eq!(rejection(Version::HTTP_11, "/", &[]), Some(Rejection::Host));
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(rejection(version, "/", &[host]), None);
            assert_eq!(rejection(version, "/", &[("host", "")]), None);
            assert_eq!(rejection(version, "/", &[("host", "[::1]:80")]), None);
            assert_eq!(rejection(version, "/", &two), Some(Rejection::Host));
            for bad in ["a b", "a/b", "user@a", "a#b", "a?b", "a\\b"] {
                let bad = [("host", bad)];
                assert_eq!(rejection(version, "/", &bad), Some(Rejection::Host));
            }
        }
        assert_eq!(rejection(Version::HTTP_10, "/", &[]), None);
    }

    #[test]
    fn http2_says_its_authority_once() {
        let to = "https://edge/a";
        assert_eq!(rejection(Version::HTTP_2, to, &[]), None);
        assert_eq!(rejection(Version::HTTP_2, to, &[("host", "EDGE")]), None);
        let other = [("host", "other")];
        assert_eq!(
            rejection(Version::HTTP_2, to, &other),
            Some(Rejection::Authority)
        );
    }

    #[test]
    fn a_long_body_is_refused_by_its_length() {
        let length = |length| [("host", "edge"), ("content-length", length)];
        assert_eq!(rejection(Version::HTTP_11, "/", &length("100")), None);
        assert_eq!(
            rejection(Version::HTTP_11, "/", &length("101")),
            Some(Rejection::BodyTooLarge)
        );
    }
}
