//! Streams.

use async_graphql::SimpleObject;
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// A stream that is live.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "LiveStream")]
#[schema(as = LiveStream)]
pub struct LiveEntry {
    /// Name, as it stands in its URLs.
    pub name: String,
    /// Since when it is live.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: Moment,
    /// Its HLS multivariant playlist.
    pub playlist: String,
    /// Its DASH manifest.
    pub manifest: String,
}
