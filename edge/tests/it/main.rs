//! What an edge owes its clients and its origin, case by case.

mod access;
mod answers;
mod coalescing;
mod directives;
mod forwarding;
mod history;
mod invalidation;
mod limits;
mod listening;
mod measured;
mod origin;
mod partial;
mod pool;
mod reuse;
mod rfc9111;
mod server_crowd;
mod server_drain;
mod server_http1;
mod server_http2;
mod server_limits;
mod server_tls;
mod shield;
mod socket;
mod upstream_tls;
mod validation;
mod variants;
