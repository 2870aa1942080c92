//! The operations of a CDN: purges, prewarms, nodes, assets, URLs. What may be done stands in
//! [`service`] and its parts; [`rest`] and [`command`] parse, call it, and show what it says.
//!
//! The admin listener serves it, which is on loopback unless the operator says otherwise.

pub mod command;
pub mod rest;
mod service;
mod urls;

pub use service::{Cdn, CdnParts, EdgeHandles, MAX_ASSET_ORIGINS};
pub use urls::{SigningKeys, UrlError, Urls};
