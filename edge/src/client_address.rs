//! Who asks, as the server that took the connection knows it.

use std::net::IpAddr;

/// The address of a request's client: an extension of the request. An IPv4 address that
/// came through an IPv6 socket is an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address of a connection's peer.
    pub fn new(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }

    /// The address.
    pub fn get(self) -> IpAddr {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address() {
        let mapped = ClientAddress::new("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(mapped, ClientAddress::new("192.0.2.1".parse().unwrap()));
        assert_eq!(mapped.get(), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
