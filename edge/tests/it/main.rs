//! What an edge owes its clients and its origin, case by case.

mod answers;
mod coalescing;
mod limits;
mod origin;
mod socket;
