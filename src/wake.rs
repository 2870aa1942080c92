//! Events that wake other processes up, and say nothing: the rows tell.

use bytes::Bytes;
use storage::events::{Bus, Event, Subject};

/// Tells all who listen to `subject`. Who misses it finds the rows by itself.
pub async fn all(bus: &dyn Bus, subject: &str) {
    let told = match Subject::new(subject) {
        Ok(subject) => {
            let event = Event::new(subject, Bytes::new());
            bus.publish(event).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = told {
        tracing::warn!(
            subject,
            error,
            "others were not woken: they find it by themselves"
        );
    }
}
