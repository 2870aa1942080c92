//! Events wake the parts of Nova up and fan out; losing one never loses data, since
//! what must not be lost is a row. This version has no bus: one process needs none, and
//! several find out from the rows.

/// Why an event bus URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventsUrlError {
    /// The URL names a bus that this version does not have.
    #[error("NATS events are not part of this version; use local:")]
    NatsNotInThisVersion,
    /// The URL names no bus.
    #[error("events URL {0:?} is not valid: expected local:")]
    Invalid(String),
}

/// Whether this version has the event bus that `url` names: `local:` only.
pub fn check_url(url: &str) -> Result<(), EventsUrlError> {
    match url.split_once(':') {
        Some(("local", "")) => Ok(()),
        Some(("nats" | "tls", _)) => Err(EventsUrlError::NatsNotInThisVersion),
        _ => Err(EventsUrlError::Invalid(url.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_events() {
        assert_eq!(check_url("local:"), Ok(()));
        assert_eq!(
            check_url("nats://localhost:4222").unwrap_err().to_string(),
            "NATS events are not part of this version; use local:"
        );
        for bad in ["", "local", "local:x", "redis://localhost"] {
            assert!(
                matches!(check_url(bad), Err(EventsUrlError::Invalid(_))),
                "{bad}"
            );
        }
    }
}
