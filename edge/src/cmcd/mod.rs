//! What players tell with their requests: Common Media Client Data, version 1 (CTA-5004) and
//! version 2 (CTA-5004-A) in request mode.
//!
//! It comes as the query key `CMCD` or in the fields `CMCD-Request`, `CMCD-Object`,
//! `CMCD-Session` and `CMCD-Status`. It is recorded and then dropped: no origin sees it, and
//! no key has it.

mod keys;
mod read;
mod strip;

pub use keys::{Key, ObjectType};
pub use read::{Entry, Faults, Value, read};
pub(crate) use strip::{fields_of, remove_fields, without_parameter};

use http::HeaderName;

/// The name of the query key.
const PARAMETER: &str = "CMCD";

/// The fields, in the order in which they are read.
const FIELDS: [HeaderName; 4] = [
    HeaderName::from_static("cmcd-object"),
    HeaderName::from_static("cmcd-request"),
    HeaderName::from_static("cmcd-session"),
    HeaderName::from_static("cmcd-status"),
];
