//! Preferences: what a user set differently from the default. The service knows the names,
//! and what values they have.

use media::UserId;

use super::error::missing_parent;
use super::sql::query;
use super::{Database, Entity, RowError, Transaction};

/// What the user set, by name.
pub async fn all(db: &Database, user: UserId) -> Result<Vec<(String, String)>, RowError> {
    query("SELECT name, value FROM preferences WHERE user_id = $1 ORDER BY name")
        .bind(user)
        .all(db)
        .await
}

/// Sets one; `None`: back to the default.
pub async fn set(
    transaction: &mut Transaction,
    user: UserId,
    name: &str,
    value: Option<&str>,
) -> Result<(), RowError> {
    let statement = match value {
        Some(value) => query(
            "INSERT INTO preferences (user_id, name, value) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value",
        )
        .bind(user)
        .bind(name)
        .bind(value),
        None => query("DELETE FROM preferences WHERE user_id = $1 AND name = $2")
            .bind(user)
            .bind(name),
    };
    statement
        .execute(transaction)
        .await
        .map_err(missing_parent(Entity::User))?;
    Ok(())
}
