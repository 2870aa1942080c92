//! The limits of a listener.

use std::time::Duration;

/// So many in a second on average, and so many at once after a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// On average; 0 means no limit.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// Limits and timeouts of a [`Server`](super::Server). Each has a reason of the same name in
/// the metrics; `docs/EDGE.md` has the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Connections at one time. What comes beyond is closed at once.
    pub max_connections: usize,
    /// Of these from one IPv4 address or one IPv6 /64. Many viewers share one behind a
    /// carrier's NAT, so it only keeps a single client from having all.
    pub max_connections_per_address: usize,
    /// Requests from one address; beyond that they are answered 429. A low-latency viewer
    /// makes about 12 in a second, and any number of them may share the address.
    pub requests_per_address: Rate,
    /// TLS handshakes under way at one time, of which one address may have a quarter.
    pub max_handshakes: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head; for the first request of a
    /// connection, from the connection on.
    pub header_timeout: Duration,
    /// Bytes of a request's head. At least 8 KiB.
    pub max_header_bytes: u32,
    /// Fields of a request's head.
    pub max_headers: usize,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// Bytes of a request's body.
    pub max_body_bytes: u64,
    /// Bytes in a second that a client must send of a body or take of an answer, while it is
    /// waited for.
    pub least_pace: u32,
    /// Over how much waiting `least_pace` is measured.
    pub pace_window: Duration,
    /// Requests under way at one time on one HTTP/2 connection.
    pub max_streams: u32,
    /// HTTP/2 requests of a connection that the client gives up.
    pub resets: Rate,
    /// How often an HTTP/2 client is asked whether it is still there.
    pub ping_interval: Duration,
    /// How long it has to say so.
    pub ping_timeout: Duration,
    /// How often the files of the certificate are looked at.
    pub certificate_interval: Duration,
    /// How long requests under way have when the server stops.
    pub drain_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_connections_per_address: 2_500,
            requests_per_address: Rate {
                per_second: 0,
                burst: 0,
            },
            max_handshakes: 2_500,
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            max_header_bytes: 32 << 10,
            max_headers: 100,
            idle_timeout: Duration::from_secs(60),
            max_body_bytes: 64 << 20,
            least_pace: 512,
            pace_window: Duration::from_secs(30),
            max_streams: 128,
            resets: Rate {
                per_second: 10,
                burst: 100,
            },
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
            certificate_interval: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(2),
        }
    }
}

impl ServerConfig {
    /// TLS handshakes under way at one time from one address: so that one alone, which may
    /// let each take its whole time, keeps nobody else out.
    pub(super) fn max_handshakes_per_address(&self) -> usize {
        (self.max_handshakes / 4).max(1)
    }

    /// Bytes that a client must move in a `pace_window`.
    pub(super) fn least_in_window(&self) -> u64 {
        let millis = u64::try_from(self.pace_window.as_millis()).unwrap_or(u64::MAX);
        u64::from(self.least_pace).saturating_mul(millis) / 1_000
    }

    /// How often connections are looked at: often enough to keep each limit well.
    pub(super) fn patrol_interval(&self) -> Duration {
        let shortest = self
            .header_timeout
            .min(self.idle_timeout)
            .min(self.pace_window);
        (shortest / 8).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}
