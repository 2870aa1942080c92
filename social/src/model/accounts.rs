//! Accounts.

use async_graphql::{ID, InputObject, SimpleObject};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Link, Moment};
use crate::caller::{Role, Scope};

/// Something to be told to a person.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Message {
    /// A sentence.
    pub message: String,
}

/// An account to be.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterInput {
    /// 1 to 32 characters of A-Z a-z 0-9 - _, the first a letter or digit. Upper and lower case
    /// are the same name.
    #[schema(
        min_length = 1,
        max_length = 32,
        pattern = "^[A-Za-z0-9][A-Za-z0-9_-]*$"
    )]
    pub name: String,
    /// Where the link is sent: `name@domain` in ASCII.
    #[schema(format = Email, max_length = 254)]
    pub email: String,
    /// At least 8 characters, and at most 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    pub password: String,
}

/// The token of a link in a mail.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// What stands behind `#token=` in the link.
    pub token: String,
}

/// Who logs in.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginInput {
    /// The account's name or mail address.
    pub login: String,
    /// Its password.
    pub password: String,
}

/// A session to go on with, or to end.
#[derive(Deserialize, InputObject, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RefreshInput {
    /// The refresh token that was given last.
    pub refresh_token: Option<String>,
}

/// A session, begun or gone on with.
#[derive(Serialize, SimpleObject, ToSchema)]
pub struct SessionTokens {
    /// Goes into `Authorization: Bearer ...`. A JSON Web Token.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token is good.
    pub expires_in: i64,
    /// What the next access token is asked for with. It works once: the answer has the next
    /// one. `null`: go on with the one you have; where it is in the cookie, it always is.
    pub refresh_token: Option<String>,
    /// Whose session it is.
    pub user: Me,
}

/// One's own account.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
#[graphql(complex)]
pub struct Me {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// Name, as it stands in `/@name`.
    pub name: String,
    /// Name as it is shown.
    pub display_name: String,
    /// Where your picture is, on this server: `/avatars/...`; `null`: you have none.
    #[schema(required = true, format = "uri-reference")]
    pub avatar_url: Option<String>,
    /// What you say of yourself.
    pub bio: String,
    /// Where you point at.
    pub links: Vec<Link>,
    /// Whether following you is asked for.
    pub is_private: bool,
    /// Whether you are kept out: whoever is does not get here.
    pub is_suspended: bool,
    /// Mail address.
    pub email: String,
    /// What the account may do beyond itself.
    pub role: Role,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
}

/// One login on one device.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct LoginSession {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// `User-Agent` as the client last sent it.
    pub user_agent: String,
    /// Where the client last was.
    pub address: String,
    /// When it began.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// When it was last gone on with.
    #[schema(value_type = String, format = "date-time")]
    pub refreshed_at: Moment,
    /// When it ends unless it is gone on with.
    #[schema(value_type = String, format = "date-time")]
    pub expires_at: Moment,
    /// When it ended; `null`: it has not.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub ended_at: Option<Moment>,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// Whose password is forgotten.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetInput {
    /// The account's mail address.
    #[schema(format = Email, max_length = 254)]
    pub email: String,
}

/// Another password, by a link.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPasswordInput {
    /// What stands behind `#token=` in the link.
    pub token: String,
    /// At least 8 characters, and at most 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    pub password: String,
}

/// Another password.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordInput {
    /// The password that the account has.
    pub current_password: String,
    /// At least 8 characters, and at most 1024 bytes.
    #[schema(min_length = 8, max_length = 1024)]
    pub new_password: String,
}

/// Another mail address.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEmailInput {
    /// The account's password.
    pub password: String,
    /// Where the link is sent: `name@domain` in ASCII.
    #[schema(format = Email, max_length = 254)]
    pub email: String,
}

/// No account any more.
#[derive(Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteAccountInput {
    /// The account's password.
    pub password: String,
}

/// A personal API token to be.
#[derive(Debug, Clone, Serialize, Deserialize, InputObject, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiTokenInput {
    /// What you call it: 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may do. It never may more than you may.
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// For how many days it is good, 1 to 3650; `null`: until it is revoked.
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// A personal API token, without what proves it.
#[derive(Debug, Clone, Serialize, SimpleObject, ToSchema)]
pub struct ApiToken {
    /// Id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ID,
    /// What you call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: Moment,
    /// Until when it is good; `null`: until it is revoked.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub expires_at: Option<Moment>,
    /// When it was last used, give or take an hour; `null`: never.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub last_used_at: Option<Moment>,
}

/// A personal API token that was made.
#[derive(Serialize, SimpleObject, ToSchema)]
pub struct CreatedApiToken {
    /// Goes into `Authorization: Bearer ...`. It is shown this once: `null` when it was made
    /// before under the same idempotency key.
    pub token: Option<String>,
    /// What it is.
    pub api_token: ApiToken,
}
