//! Who is slowed down, and who is let in: rules about addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How refused publishers are slowed down. Only the answer to a wrong key waits, so an
/// encoder with the right one never notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PenaltyPolicy {
    /// Refusals of an address that are answered at once.
    pub free: u32,
    /// What the first refusal after those waits; each further one waits twice as long.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// After this long without a refusal an address starts anew.
    pub memory: Duration,
    /// Addresses remembered; the oldest is forgotten first.
    pub addresses: usize,
}

impl Default for PenaltyPolicy {
    fn default() -> Self {
        Self {
            free: 3,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(8),
            memory: Duration::from_secs(600),
            addresses: 10_000,
        }
    }
}

/// The addresses that were refused.
#[derive(Debug)]
pub(crate) struct Penalties {
    policy: PenaltyPolicy,
    refusals: HashMap<IpAddr, Refusals>,
}

#[derive(Debug)]
struct Refusals {
    count: u32,
    last: Instant,
}

impl Penalties {
    pub(crate) fn new(policy: PenaltyPolicy) -> Self {
        Self {
            policy,
            refusals: HashMap::new(),
        }
    }

    /// Notes a refusal; says how long its answer waits.
    pub(crate) fn refuse(&mut self, address: IpAddr, now: Instant) -> Duration {
        let policy = self.policy;
        let fresh = |last: Instant| now.saturating_duration_since(last) <= policy.memory;
        let network = network(address);
        if !self.refusals.contains_key(&network) && self.refusals.len() >= policy.addresses {
            self.refusals.retain(|_, refusals| fresh(refusals.last));
            self.forget_oldest();
        }
        let refusals = self.refusals.entry(network).or_insert(Refusals {
            count: 0,
            last: now,
        });
        if !fresh(refusals.last) {
            refusals.count = 0;
        }
        refusals.last = now;
        refusals.count = refusals.count.saturating_add(1);
        match refusals.count.checked_sub(policy.free + 1) {
            None => Duration::ZERO,
            Some(doublings) => policy
                .first
                .saturating_mul(1 << doublings.min(20))
                .min(policy.longest),
        }
    }

    fn forget_oldest(&mut self) {
        while self.refusals.len() >= self.policy.addresses.max(1) {
            let oldest = self.refusals.iter().min_by_key(|(_, r)| r.last);
            let Some((&address, _)) = oldest else { return };
            self.refusals.remove(&address);
        }
    }
}

/// How many connections are open, in all and per address.
#[derive(Debug)]
pub(crate) struct Admission {
    limit: usize,
    limit_per_address: usize,
    open: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    Server,
    Address,
}

impl Admission {
    pub(crate) fn new(limit: usize, limit_per_address: usize) -> Self {
        Self {
            limit,
            limit_per_address,
            open: 0,
            by_address: HashMap::new(),
        }
    }

    pub(crate) fn enter(&mut self, address: IpAddr) -> Result<(), Full> {
        if self.open >= self.limit {
            return Err(Full::Server);
        }
        let of_address = self.by_address.entry(network(address)).or_default();
        if *of_address >= self.limit_per_address {
            return Err(Full::Address);
        }
        *of_address += 1;
        self.open += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self, address: IpAddr) {
        let network = network(address);
        if let Some(of_address) = self.by_address.get_mut(&network) {
            *of_address -= 1;
            self.open -= 1;
            if *of_address == 0 {
                self.by_address.remove(&network);
            }
        }
    }
}

/// What counts as one address: of IPv6 the /64, which one customer has to himself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PenaltyPolicy = PenaltyPolicy {
        free: 2,
        first: Duration::from_millis(100),
        longest: Duration::from_millis(350),
        memory: Duration::from_secs(60),
        addresses: 3,
    };

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn r03_repeated_refusals_wait_longer_and_are_forgotten() {
        let mut penalties = Penalties::new(POLICY);
        let start = Instant::now();
        let waits: Vec<u128> = (0..6)
            .map(|_| penalties.refuse(address(1), start).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 100, 200, 350, 350]);
        assert_eq!(penalties.refuse(address(2), start), Duration::ZERO);
        let later = start + POLICY.memory + Duration::from_secs(1);
        assert_eq!(penalties.refuse(address(1), later), Duration::ZERO);
    }

    #[test]
    fn r03_the_memory_of_refusals_is_bounded() {
        let mut penalties = Penalties::new(POLICY);
        let start = Instant::now();
        for last in 0..200 {
            penalties.refuse(address(last), start + Duration::from_millis(last.into()));
            assert!(penalties.refusals.len() <= POLICY.addresses);
        }
        assert!(penalties.refusals.contains_key(&address(199)));
    }

    #[test]
    fn r03_an_ipv6_customer_is_one_address() {
        let mut penalties = Penalties::new(POLICY);
        let now = Instant::now();
        for host in ["2001:db8::1", "2001:db8::2"] {
            penalties.refuse(host.parse().unwrap(), now);
        }
        let third = penalties.refuse("2001:db8::ffff:3".parse().unwrap(), now);
        assert_eq!(third, POLICY.first);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(mapped), address(1));
    }

    #[test]
    fn connections_are_counted_in_all_and_per_address() {
        let mut admission = Admission::new(3, 2);
        assert_eq!(admission.enter(address(1)), Ok(()));
        assert_eq!(admission.enter(address(1)), Ok(()));
        assert_eq!(admission.enter(address(1)), Err(Full::Address));
        assert_eq!(admission.enter(address(2)), Ok(()));
        assert_eq!(admission.enter(address(3)), Err(Full::Server));
        admission.leave(address(1));
        assert_eq!(admission.enter(address(3)), Ok(()));
        for last in [1, 2, 3] {
            admission.leave(address(last));
        }
        assert_eq!((admission.open, admission.by_address.len()), (0, 0));
    }
}
