//! What an edge owes its clients and its origin, case by case.

mod answers;
mod coalescing;
mod crash;
mod directives;
mod disk;
mod forwarding;
mod invalidation;
mod limits;
mod origin;
mod partial;
mod reuse;
mod slices;
mod socket;
mod validation;
mod variants;
