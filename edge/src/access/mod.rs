//! Who may have what is not public: signed URLs and signed cookies.
//!
//! A [`Gate`] knows the keys, what is protected, and what is revoked, and takes the time as
//! an argument. [`Access`] is the service that stands in front of an edge and asks it.

mod address;
mod answer;
mod carrier;
mod claims;
mod denial;
mod gate;
mod keys;
mod policy;
mod remembered;
mod revoked;
mod scope;
mod service;
mod token;

pub use address::{AddressRange, InvalidAddressRange};
pub(crate) use carrier::{hides_token, path_without_token};
pub use carrier::{signed_cookie, signed_query, signed_target};
pub use claims::{Claims, InvalidClaims, SessionName};
pub use denial::Denial;
pub use gate::{AccessConfig, Gate, Judge, Viewer};
pub(crate) use gate::{ForEverybody, NOVA_ACCESS, says_signed};
pub use keys::{Algorithm, GenerateError, InvalidKey, KeyRing, SignError, generate_key};
pub use policy::{Policy, Rule};
pub use revoked::TooManyRevoked;
pub use scope::{InvalidScope, PathScope};
pub use service::{Access, AccessFuture};
