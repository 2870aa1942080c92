//! People.

use std::str::FromStr;

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Image, Moment, PostStream, PostVideo};
use crate::caller::Role;

/// A link of a profile.
#[derive(
    Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SimpleObject, InputObject, ToSchema,
)]
#[graphql(input_name = "LinkInput")]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What is shown: a line of at most 50 characters.
    #[schema(max_length = 50)]
    pub label: String,
    /// Where it goes: `http://` or `https://`, at most 2000 bytes.
    #[schema(max_length = 2000, pattern = "^https?://")]
    pub url: String,
}

/// Whether somebody follows somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// No.
    No,
    /// They asked to.
    Requested,
    /// Yes.
    Yes,
}

/// What is between whoever asks and somebody else.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Viewer {
    /// Whether you follow them.
    pub follows: Follows,
    /// Whether they follow you.
    pub followed_by: bool,
    /// Whether you block them.
    pub blocks: bool,
    /// Whether you mute them.
    pub mutes: bool,
}

/// Somebody, as REST shows them. In GraphQL, what is asked for is fetched.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct User {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Name, as it stands in `/@name`.
    pub name: String,
    /// Name as it is shown.
    pub display_name: String,
    /// Where their picture is, on this server: `/avatars/...`; `null`: they have none.
    #[schema(required = true, format = "uri-reference")]
    pub avatar_url: Option<String>,
    /// What they say of themselves.
    pub bio: String,
    /// Where they point at.
    pub links: Vec<Link>,
    /// Whether following is asked for.
    pub is_private: bool,
    /// Whether they are kept out. Only moderators see anybody who is.
    pub is_suspended: bool,
    /// What they may do beyond their own account.
    pub role: Role,
    /// Since when they have the account.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// What is between you and them; `null`: it is you, or you have not logged in.
    #[schema(required = true)]
    pub viewer: Option<Viewer>,
    /// How many follow them. Above 1,000, a count that may be a minute old.
    pub followers: u64,
    /// How many they follow.
    pub following: u64,
}

/// Whether you follow somebody from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FollowState {
    /// Whether you follow them.
    pub follows: Follows,
}

/// What becomes of a profile. What is not given stays as it is.
#[derive(Debug, Clone, Default, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateProfileInput {
    /// Name as it is shown, a line of at most 50 characters; empty: the account's.
    #[schema(max_length = 50)]
    pub display_name: Option<String>,
    /// What you say of yourself, at most 500 characters.
    #[schema(max_length = 500)]
    pub bio: Option<String>,
    /// All of your links, 10 at most.
    #[schema(max_items = 10)]
    pub links: Option<Vec<Link>>,
    /// Whether following is asked for.
    pub is_private: Option<bool>,
}

/// A preference.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct Preference {
    /// What it is about.
    pub name: String,
    /// What you want.
    pub value: String,
}

/// A preference to be set.
#[derive(Debug, Clone, InputObject)]
pub struct PreferenceInput {
    /// What it is about.
    pub name: String,
    /// What you want; `null`: the default.
    pub value: Option<String>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What somebody is reported for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ReportReason {
            $($(#[$doc])* $name,)*
        }

        impl ReportReason {
            /// As rows have it.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl FromStr for ReportReason {
            type Err = UnknownReason;
            fn from_str(text: &str) -> Result<Self, UnknownReason> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(UnknownReason),
                }
            }
        }
    };
}

reasons! {
    /// Advertising, and what pretends to be none.
    Spam = "spam";
    /// Insults, threats, harassment.
    Abuse = "abuse";
    /// Pretending to be somebody else.
    Impersonation = "impersonation";
    /// Against the law.
    Illegal = "illegal";
    /// Something else.
    Other = "other";
}

/// A reason that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason to report anybody for")]
pub struct UnknownReason;

/// Somebody to be reported.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportInput {
    /// Their name.
    pub user: String,
    /// What for.
    pub reason: ReportReason,
    /// What happened: at most 2000 characters.
    #[schema(max_length = 2000)]
    #[serde(default)]
    #[graphql(default)]
    pub comment: String,
    /// The id of the post of theirs that it is about.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub post: Option<ID>,
}

/// A post that is reported, whoever may see it.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct ReportedPost {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What it says now. A share says nothing.
    pub text: String,
    /// Pictures that it shows, in their order.
    pub images: Vec<Image>,
    /// A video that it shows; `null`: none.
    #[schema(required = true)]
    pub video: Option<PostVideo>,
    /// A stream that it shows; `null`: none, or not for you.
    #[schema(required = true)]
    pub stream: Option<PostStream>,
    /// The id of the post that it quotes; `null`: none.
    #[schema(required = true, value_type = Option<String>, format = "uuid")]
    pub quote: Option<ID>,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// What somebody says about somebody to the moderators.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct Report {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// The name of whom it is about; empty: gone.
    pub user: String,
    /// The name of who says it; `null`: gone, or not told.
    pub reporter: Option<String>,
    /// Which post of theirs it is about; `null`: none, or it is gone.
    #[schema(required = true)]
    pub post: Option<ReportedPost>,
    /// What for.
    pub reason: ReportReason,
    /// What happened.
    pub comment: String,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When a moderator said what came of it; `null`: not yet.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub resolved_at: Option<Moment>,
    /// What came of it.
    pub resolution: Option<String>,
}

/// Whether a moderator has looked at a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Enum, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// Nobody has.
    #[default]
    Open,
    /// Somebody has.
    Resolved,
}

impl From<ReportState> for storage::rows::reports::ReportState {
    fn from(state: ReportState) -> Self {
        match state {
            ReportState::Open => Self::Open,
            ReportState::Resolved => Self::Resolved,
        }
    }
}

/// Something that was done by right of a role.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct AuditEntry {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// The name of who did it; `null`: the server, or somebody who is gone.
    pub actor: Option<String>,
    /// What was done.
    pub action: String,
    /// What kind of thing it was done to.
    pub subject_kind: String,
    /// Which one.
    #[schema(value_type = String, format = "uuid")]
    pub subject_id: ID,
    /// More about it, as JSON.
    pub detail: String,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}
