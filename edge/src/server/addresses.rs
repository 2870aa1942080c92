//! What each client address has of a listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::bucket::Bucket;
use super::config::Rate;

/// Addresses that have no connection but a rate to keep, at most.
const REMEMBERED: usize = 16_384;

/// The addresses that have connections, and those that had some a moment ago.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses(Arc<Mutex<HashMap<IpAddr, Client>>>);

#[derive(Debug, Default)]
struct Client {
    connections: usize,
    handshakes: usize,
    requests: Arc<Bucket>,
}

/// A connection's place; dropped, it is free again.
#[derive(Debug)]
pub(super) struct Seat {
    addresses: Addresses,
    key: IpAddr,
    /// The requests of all connections from there.
    pub(super) requests: Arc<Bucket>,
}

/// A TLS handshake that is under way.
#[derive(Debug)]
pub(super) struct Handshake<'a>(&'a Seat);

impl Addresses {
    /// None if `address` has `most` connections already.
    pub(super) fn seat(&self, address: IpAddr, most: usize) -> Option<Seat> {
        let key = key_of(address);
        let mut clients = self.lock();
        let client = clients.entry(key).or_default();
        if client.connections >= most {
            return None;
        }
        client.connections += 1;
        Some(Seat {
            addresses: self.clone(),
            key,
            requests: Arc::clone(&client.requests),
        })
    }

    /// Forgets addresses that have nothing here and whose rate is whole again.
    pub(super) fn sweep(&self, now: Duration, rate: Rate) {
        // Without a rate a client is forgotten when its last connection ends.
        if rate.per_second > 0 {
            self.lock()
                .retain(|_, client| client.connections > 0 || !client.requests.is_full(now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Client>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Seat {
    /// None if the address has `most` handshakes under way already.
    pub(super) fn handshake(&self, most: usize) -> Option<Handshake<'_>> {
        let mut clients = self.addresses.lock();
        let client = clients
            .get_mut(&self.key)
            .filter(|client| client.handshakes < most)?;
        client.handshakes += 1;
        Some(Handshake(self))
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.0.addresses.lock().get_mut(&self.0.key) {
            client.handshakes = client.handshakes.saturating_sub(1);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut clients = self.addresses.lock();
        let is_crowded = clients.len() > REMEMBERED;
        if let Some(client) = clients.get_mut(&self.key) {
            client.connections = client.connections.saturating_sub(1);
            let is_untouched = client.requests.is_full(Duration::ZERO);
            if client.connections == 0 && (is_untouched || is_crowded) {
                clients.remove(&self.key);
            }
        }
    }
}

/// One client as a rule: an IPv4 address, or the /64 that an IPv6 site hands out of.
pub(crate) fn key_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections() {
        let addresses = Addresses::default();
        let first = addresses.seat(ip("192.0.2.1"), 2).unwrap();
        let _second = addresses.seat(ip("::ffff:192.0.2.1"), 2).unwrap();
        assert!(addresses.seat(ip("192.0.2.1"), 2).is_none());
        let _other = addresses.seat(ip("192.0.2.2"), 2).unwrap();
        drop(first);
        assert!(addresses.seat(ip("192.0.2.1"), 2).is_some());
    }

    #[test]
    fn an_ipv6_site_counts_as_one() {
        let addresses = Addresses::default();
        let _seat = addresses.seat(ip("2001:db8:1:2::1"), 1).unwrap();
        assert!(addresses.seat(ip("2001:db8:1:2:3::9"), 1).is_none());
        assert!(addresses.seat(ip("2001:db8:1:3::1"), 1).is_some());
    }

    #[test]
    fn an_address_has_so_many_handshakes_over_all_its_connections() {
        let addresses = Addresses::default();
        let seats = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
            .map(|address| addresses.seat(ip(address), 2).unwrap());
        let first = seats[0].handshake(1).unwrap();
        assert!(seats[1].handshake(1).is_none());
        let _other = seats[2].handshake(1).unwrap();
        drop(first);
        assert!(seats[1].handshake(1).is_some());
    }

    #[test]
    fn nothing_is_kept_of_who_has_left_but_a_rate_until_it_is_whole() {
        let addresses = Addresses::default();
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        drop(addresses.seat(ip("192.0.2.1"), 1).unwrap());
        assert!(addresses.lock().is_empty());

        let now = Duration::from_secs(100);
        let seat = addresses.seat(ip("192.0.2.1"), 1).unwrap();
        seat.requests.take(now, rate).unwrap();
        drop(seat);
        addresses.sweep(now, rate);
        // A new connection does not bring a new rate.
        let seat = addresses.seat(ip("192.0.2.1"), 1).unwrap();
        assert!(seat.requests.take(now, rate).is_err());
        drop(seat);
        addresses.sweep(now + Duration::from_secs(1), rate);
        assert!(addresses.lock().is_empty());
    }
}
