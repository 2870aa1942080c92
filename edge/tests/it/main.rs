//! What an edge owes its clients and its origin, case by case.

mod answers;
mod coalescing;
mod directives;
mod forwarding;
mod history;
mod invalidation;
mod limits;
mod origin;
mod partial;
mod reuse;
mod rfc9111;
mod socket;
mod validation;
mod variants;
