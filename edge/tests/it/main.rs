//! What an edge owes its clients and its origin, case by case.

mod answers;
mod coalescing;
mod directives;
mod forwarding;
mod invalidation;
mod limits;
mod origin;
mod partial;
mod pool;
mod reuse;
mod shield;
mod socket;
mod upstream_tls;
mod validation;
mod variants;
