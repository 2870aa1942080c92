//! Who a request is from, as a number that says nothing outside this process.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use http::HeaderMap;
use http::header::USER_AGENT;

/// A session, hashed under a key of this process that is random and kept nowhere. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Session(u64);

impl Session {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({self})")
    }
}

/// What hashes: SipHash-1-3, which does not tell what it hashed to whoever lacks the key.
#[derive(Debug)]
pub(super) struct Hasher(RandomState);

/// What a session is told by. One kind is never taken for another.
#[derive(Hash)]
enum Told<'a> {
    Name(&'a str),
    Client(Option<IpAddr>, Option<&'a [u8]>),
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self(RandomState::new())
    }

    fn session(&self, told: &Told<'_>) -> Session {
        Session(self.0.hash_one(told).max(1))
    }

    /// By a token's session, or by `sid` of the player.
    pub(super) fn named(&self, name: &str) -> Session {
        self.session(&Told::Name(name))
    }

    /// By address and user agent, where nothing better is known: all who share both are one.
    pub(super) fn of_client(&self, address: Option<IpAddr>, headers: &HeaderMap) -> Session {
        self.of_agent(
            address,
            headers.get(USER_AGENT).map(|agent| agent.as_bytes()),
        )
    }

    /// The same, by the value of `User-Agent`.
    pub(super) fn of_agent(&self, address: Option<IpAddr>, agent: Option<&[u8]>) -> Session {
        self.session(&Told::Client(address, agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_by_what_is_known_of_it() {
        let hasher = Hasher::new();
        let client = |address: &str, agent: &'static str| {
            let headers = [(USER_AGENT, agent.parse().unwrap())].into_iter().collect();
            let address = address.parse().unwrap();
            hasher.of_client(Some(address), &headers)
        };
        let one = client("192.0.2.1", "a");
        assert_eq!(one, client("192.0.2.1", "a"));
        for other in [
            client("192.0.2.2", "a"),
            client("192.0.2.1", "b"),
            hasher.named("a"),
            hasher.of_client(None, &HeaderMap::new()),
        ] {
            assert_ne!(one, other);
        }
        // Another process has another key.
        assert_ne!(hasher.named("a"), Hasher::new().named("a"));
    }
}
