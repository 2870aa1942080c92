//! The app-facing API over one service layer.
//!
//! [`accounts`] and [`streams`] are the services: they say what may be done and do it.
//! [`rest`] is a face of them: it parses, calls, and maps [`ServiceError`] to a
//! [`problem::Problem`].

pub mod accounts;
mod error;
pub mod problem;
pub mod rest;
pub mod streams;

pub use error::ServiceError;
pub use rest::{AppState, router};
