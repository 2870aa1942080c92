//! Which addresses are meant, where somebody names some.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// The bits before a mapped IPv4 address (RFC 4291 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// One address, or all with the same first bits: `192.0.2.7`, `2001:db8::/48`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange(IpNet);

/// Why a text is no [`AddressRange`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not an address: expected 192.0.2.7, 192.0.2.0/24, 2001:db8::7 or 2001:db8::/48"
)]
pub struct InvalidAddressRange {
    /// What was given.
    pub given: String,
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    fn from_str(text: &str) -> Result<Self, InvalidAddressRange> {
        let range = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse().ok(),
        };
        range
            .map(|range| Self(canonical(range).trunc()))
            .ok_or_else(|| InvalidAddressRange {
                given: text.to_owned(),
            })
    }
}

impl AddressRange {
    /// Whether `address` is one of them. IPv4 in IPv6's clothes (RFC 4291 2.5.5.2) is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// Addresses that are IPv4 in IPv6's clothes are IPv4, as those of clients are.
fn canonical(range: IpNet) -> IpNet {
    if let IpNet::V6(v6) = range
        && let Some(bits) = v6.prefix_len().checked_sub(MAPPED_BITS)
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(v4, bits)
    {
        return v4.into();
    }
    range
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_first_bits() {
        for (range, address, within) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::ffff:192.0.2.7/128", "192.0.2.7", true),
            ("::ffff:192.0.2.7/120", "192.0.2.1", true),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.7/90", "192.0.2.7", false),
            ("192.0.2.99/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("192.0.2.0/24", "2001:db8::1", false),
            ("2001:db8::/48", "2001:db8:0:1::1", true),
            ("2001:db8::/48", "2001:db8:1::1", false),
            ("0.0.0.0/0", "2001:db8::1", false),
        ] {
            let range: AddressRange = range.parse().unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                within,
                "{range} {address}"
            );
            assert_eq!(range.to_string().parse::<AddressRange>().unwrap(), range);
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/",
            "example.org",
        ] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
