//! The app-facing API: one service layer, and faces of it.
//!
//! [`Services`] is the service layer: an operation is an async method that takes the [`Caller`]
//! and typed input, sees whether the caller may ([`Operation`]), counts it by the limits, does it,
//! and fails with a [`ServiceError`]. [`rest`] and [`graphql`] are faces: they parse, call, and
//! map the error, REST to a [`problem::Problem`], GraphQL to `extensions.code`. An operation that
//! one face has, the others have.
//!
//! [`Caller`]: caller::Caller
//! [`Operation`]: operation::Operation

pub mod accounts;
pub mod caller;
pub mod cdn;
pub mod chat;
mod error;
mod feeds;
pub mod graphql;
mod idempotency;
mod json;
pub mod limits;
pub mod mail;
pub mod model;
pub mod notifications;
pub mod operation;
pub mod paging;
mod pass;
pub mod people;
pub mod pictures;
pub mod posts;
pub mod problem;
pub mod proxies;
pub mod rest;
mod revocations;
mod search;
mod secrets;
mod services;
pub mod settings;
mod socket;
pub mod streams;
mod tokens;

pub use error::{FieldError, Missing, ServiceError};
pub use rest::router;
pub use services::{Parts, Services, Upkeep};
