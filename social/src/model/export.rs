//! All that there is of an account.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiToken, LoginSession, Me, Moment};

/// All that there is of an account, for its owner. Without what proves who they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountExport {
    /// The account and its profile.
    pub account: Me,
    /// When this was written.
    #[schema(value_type = String, format = "date-time")]
    pub exported_at: Moment,
    /// When the link in a mail to the address was followed.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub email_verified_at: Option<Moment>,
    /// Sessions, also those that have ended and are still known.
    pub sessions: Vec<LoginSession>,
    /// API tokens that are not revoked.
    pub api_tokens: Vec<ApiToken>,
    /// Preferences that differ from the default.
    pub preferences: BTreeMap<String, String>,
    /// Who follows the account, or asks to.
    pub followers: Vec<ExportedFollow>,
    /// Whom the account follows, or asks to.
    pub following: Vec<ExportedFollow>,
    /// Whom it blocks.
    pub blocked: Vec<ExportedFollow>,
    /// Whom it mutes.
    pub muted: Vec<ExportedFollow>,
    /// What it has reported.
    pub reports: Vec<ExportedReport>,
    /// Whether that is all: a list ends after 50000.
    pub is_complete: bool,
}

/// Somebody on the other side of a follow, a block or a mute.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedFollow {
    /// Their name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    pub since: Moment,
    /// When a follow was accepted; `null`: it is asked for, or it is none.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub accepted_at: Option<Moment>,
}

/// Something that was reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportedReport {
    /// About whom.
    #[schema(format = "uuid")]
    pub user_id: String,
    /// What for.
    pub reason: String,
    /// What happened.
    pub comment: String,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When a moderator said what came of it.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub resolved_at: Option<Moment>,
}
