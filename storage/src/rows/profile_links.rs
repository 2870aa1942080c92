//! Profile links: what a profile points at, in order.

use media::UserId;

use super::error::missing_parent;
use super::sql::{AssertSqlSafe, FromRow, Row, query};
use super::users::{self, uuids};
use super::{Database, Entity, RowError, Transaction};

/// The most links of a profile.
pub const LINKS_AT_MOST: usize = 10;

/// A link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileLink {
    /// What is shown.
    pub label: String,
    /// Where it goes.
    pub url: String,
}

/// A link and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserLink {
    /// Whose.
    pub user: UserId,
    /// The link.
    pub link: ProfileLink,
}

impl FromRow for UserLink {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            user: row.get("user_id")?,
            link: ProfileLink {
                label: row.get("label")?,
                url: row.get("url")?,
            },
        })
    }
}

/// Makes these the user's links, in this order. [`RowError::TooMany`] when they are more than
/// [`LINKS_AT_MOST`].
pub async fn replace(
    transaction: &mut Transaction,
    user: UserId,
    links: &[ProfileLink],
) -> Result<(), RowError> {
    if links.len() > LINKS_AT_MOST {
        return Err(RowError::TooMany {
            what: "links of a profile",
            limit: LINKS_AT_MOST as u64,
        });
    }
    // Two at once would meet in the middle.
    users::lock(transaction, user).await?;
    query("DELETE FROM profile_links WHERE user_id = $1")
        .bind(user)
        .execute(&mut *transaction)
        .await?;
    for (position, link) in (0_u32..).zip(links) {
        query("INSERT INTO profile_links (user_id, position, label, url) VALUES ($1, $2, $3, $4)")
            .bind(user)
            .bind(position)
            .bind(&link.label)
            .bind(&link.url)
            .execute(&mut *transaction)
            .await
            .map_err(missing_parent(Entity::User))?;
    }
    Ok(())
}

/// The links of these users, each one's in order.
pub async fn of_users(db: &Database, users: &[UserId]) -> Result<Vec<UserLink>, RowError> {
    let text = format!(
        "SELECT user_id, label, url FROM profile_links
         WHERE user_id {}
         ORDER BY user_id, position",
        db.engine().one_of("$1")
    );
    query(AssertSqlSafe(text)).bind(uuids(users)).all(db).await
}
