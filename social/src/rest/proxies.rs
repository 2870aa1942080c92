//! Who is behind a proxy: what it says of its client, if it is one of the operator's own.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::Client;

/// The client of the request before, as proxies tell it; the nearest is the last.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The scheme that the client spoke.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The proxies whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a text is no address of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not an address: expected 192.0.2.7, 10.0.0.0/8, ::1 or 2001:db8::/48")]
pub struct InvalidProxy {
    /// What was given.
    pub given: String,
}

impl TrustedProxies {
    /// Addresses, or ranges of them.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, InvalidProxy> {
        let range = |text: &T| {
            let text = text.as_ref();
            let address = IpAddr::from_str(text).map(|one| IpNet::from(one.to_canonical()));
            address
                .or_else(|_| IpNet::from_str(text))
                .map_err(|_| InvalidProxy {
                    given: text.to_owned(),
                })
        };
        texts.iter().map(range).collect::<Result<_, _>>().map(Self)
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(&address))
    }

    /// Who asks, where `peer` is the other end of the connection.
    pub(super) fn client(&self, peer: Client, headers: &HeaderMap) -> Client {
        if !self.has(peer.address.to_canonical()) {
            return peer;
        }
        Client {
            address: self.address(headers).unwrap_or(peer.address),
            is_tls: match last(headers, FORWARDED_PROTO) {
                Some(scheme) => scheme.eq_ignore_ascii_case("https"),
                None => peer.is_tls,
            },
        }
    }

    /// The nearest address that is not a proxy's: what stands before it, anybody may have
    /// written.
    fn address(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut farthest = None;
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let lines: Vec<&str> = lines
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let nearest_first = lines.iter().rev().flat_map(|line| line.rsplit(','));
        for text in nearest_first {
            let Some(address) = address(text.trim()) else {
                break;
            };
            farthest = Some(address);
            if !self.has(address) {
                break;
            }
        }
        farthest
    }
}

/// An address, of which some proxies tell the port.
fn address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = IpAddr::from_str(text)
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|one| one.ip()))
        .or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// The last of a list, which the nearest proxy has written.
fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn client(peer: &str, fields: &[(&'static str, &'static str)]) -> (String, bool) {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8", "::1", "::ffff:192.0.2.9"]).unwrap();
        let peer = Client {
            address: peer.parse().unwrap(),
            is_tls: false,
        };
        let client = proxies.client(peer, &headers(fields));
        (client.address.to_string(), client.is_tls)
    }

    #[test]
    fn a_trusted_proxy_says_who_asks_and_how() {
        let said = [
            ("x-forwarded-for", "203.0.113.5"),
            ("x-forwarded-proto", "https"),
        ];
        let believed = ("203.0.113.5".to_owned(), true);
        for proxy in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "192.0.2.9"] {
            assert_eq!(client(proxy, &said), believed, "{proxy}");
        }
        let stranger = "198.51.100.1";
        assert_eq!(client(stranger, &said), (stranger.to_owned(), false));
        assert_eq!(client("10.1.2.3", &[]), ("10.1.2.3".to_owned(), false));
    }

    #[test]
    fn what_a_client_has_written_itself_counts_for_nothing() {
        for (said, believed) in [
            // The proxy has appended.
            (&["192.0.2.66, 203.0.113.5"][..], "203.0.113.5"),
            (&["192.0.2.66", "203.0.113.5"], "203.0.113.5"),
            // Two proxies have.
            (&["192.0.2.66, 203.0.113.5, 10.0.0.2"], "203.0.113.5"),
            (&["192.0.2.66, 203.0.113.5", "10.0.0.2"], "203.0.113.5"),
            (&["nonsense, 10.0.0.2"], "10.0.0.2"),
            (&["203.0.113.5, "], "10.0.0.1"),
            (&["203.0.113.5:4711"], "203.0.113.5"),
            (&["[2001:db8::5]:4711"], "2001:db8::5"),
            (&["[2001:db8::5]"], "2001:db8::5"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let fields: Vec<_> = said.iter().map(|line| ("x-forwarded-for", *line)).collect();
            assert_eq!(client("10.0.0.1", &fields).0, believed, "{said:?}");
        }
        let schemes = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-for", "203.0.113.5"),
        ];
        assert!(!client("10.0.0.1", &schemes).1);
    }

    #[test]
    fn only_addresses_are_proxies() {
        for given in ["", "localhost", "10.0.0.0/33", "10.0.0"] {
            let error = TrustedProxies::parse(&["10.0.0.1", given]).unwrap_err();
            assert_eq!(error.given, given);
            assert!(error.to_string().contains("expected 192.0.2.7"));
        }
    }
}
