//! Accounts: who may own streams, and how they prove who they are.

pub(crate) mod api_tokens;
pub(crate) mod changes;
mod email_address;
mod export;
mod hashing;
mod password;
pub mod refresh;
mod registration;
mod sessions;
mod user_name;

use media::Clock;
use storage::Database;
use storage::rows::users::{self, UserRow};

use crate::ServiceError;

pub use email_address::{Email, InvalidEmail};
pub use hashing::Passwords;
pub use password::{InvalidPassword, Password};
pub use sessions::Renewed;
pub use user_name::{InvalidUserName, UserName};

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Name.
    pub name: UserName,
    /// Address.
    pub email: Email,
    /// Password.
    pub password: Password,
    /// Whether the user administers this installation.
    pub is_admin: bool,
}

/// Makes a user whose address is taken for verified: for whoever administers the installation.
pub async fn create_user(
    db: &Database,
    clock: &dyn Clock,
    user: NewUser,
) -> Result<UserRow, ServiceError> {
    let password = user.password;
    let password_hash = tokio::task::spawn_blocking(move || hashing::hash(&password))
        .await
        .map_err(|error| ServiceError::internal("password hash", error))??;
    let row = users::NewUser {
        name: user.name.as_str(),
        email: user.email.as_str(),
        password_hash: &password_hash,
        is_admin: user.is_admin,
    };
    Ok(users::create(db, row, clock.now()).await?)
}
