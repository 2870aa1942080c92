//! Who is behind a proxy: what it says of its client, if it is one of the operator's own.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use media::{AddressRange, InvalidAddressRange};

/// The proxies whose word counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<AddressRange>);

impl TrustedProxies {
    /// Addresses, or ranges of them.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, InvalidAddressRange> {
        let ranges = texts.iter().map(|text| text.as_ref().parse());
        ranges.collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// The nearest address that is not a proxy's, of lines of lists whose last is the nearest:
    /// what stands before it, anybody may have written.
    pub(crate) fn nearest_client(&self, lines: &[&str]) -> Option<IpAddr> {
        let mut farthest = None;
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> TrustedProxies {
        let named = [
            "10.0.0.0/8",
            "::1",
            "::ffff:192.0.2.9",
            "::ffff:172.16.0.0/108",
        ];
        TrustedProxies::parse(&named).unwrap()
    }

    #[test]
    fn those_that_are_named_are_trusted() {
        for proxy in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "::1",
            "192.0.2.9",
            "172.16.3.4",
        ] {
            assert!(proxies().has(proxy.parse().unwrap()), "{proxy}");
        }
        assert!(!proxies().has("198.51.100.1".parse().unwrap()));
        assert!(!TrustedProxies::default().has("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_a_client_has_written_itself_counts_for_nothing() {
        for (said, believed) in [
            // The proxy has appended.
            (&["192.0.2.66, 203.0.113.5"][..], Some("203.0.113.5")),
            (&["192.0.2.66", "203.0.113.5"], Some("203.0.113.5")),
            // Two proxies have.
            (&["192.0.2.66, 203.0.113.5, 10.0.0.2"], Some("203.0.113.5")),
            (
                &["192.0.2.66, 203.0.113.5", "10.0.0.2"],
                Some("203.0.113.5"),
            ),
            (&["nonsense, 10.0.0.2"], Some("10.0.0.2")),
            (&["203.0.113.5, "], None),
            (&[], None),
            (&["203.0.113.5:4711"], Some("203.0.113.5")),
            (&["[2001:db8::5]:4711"], Some("2001:db8::5")),
            (&["[2001:db8::5]"], Some("2001:db8::5")),
            (&["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            // Whoever has an address among the proxies' is believed: nobody else may.
            (&["192.0.2.66, 10.5.5.5"], Some("192.0.2.66")),
        ] {
            let client = proxies().nearest_client(said);
            assert_eq!(client, believed.map(|one| one.parse().unwrap()), "{said:?}");
        }
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
