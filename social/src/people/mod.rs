//! People: what they show of themselves, and what is between them.

mod avatars;
mod blocks;
mod follower_counts;
mod follows;
mod moderation;
mod preferences;
mod profiles;
mod reports;

use std::collections::HashMap;

use media::UserId;
use storage::rows::profile_links::{self, ProfileLink};
use storage::rows::relations::{self, Relation};
use storage::rows::users::{self, UserRow};

use crate::accounts::UserName;
use crate::caller::{Caller, Identity, Role};
use crate::model::{Link, Me, User, Viewer};
use crate::{ServiceError, Services};

pub(crate) use avatars::{AvatarName, avatar_url};
pub(crate) use follower_counts::KnownFollowerCounts;
pub(crate) use preferences::{KNOWN_PREFERENCES, POST_WHEN_LIVE};

/// Somebody, as whoever asks may see them.
#[derive(Debug, Clone)]
pub struct Person {
    pub(crate) row: UserRow,
}

impl From<UserRow> for Person {
    fn from(row: UserRow) -> Self {
        Self { row }
    }
}

impl Services {
    /// Who has the name, if whoever asks may see them: nobody but moderators sees who blocks
    /// them, or who is suspended.
    pub(crate) async fn find_visible(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Person, ServiceError> {
        let row = self.find_named(name).await?;
        if is_moderator(caller) {
            return Ok(row.into());
        }
        if !row.is_active() {
            return Err(nobody());
        }
        if let Some(viewer) = caller.user().filter(|viewer| *viewer != row.id) {
            let relation = relations::between(&self.db, viewer, &[row.id]).await?;
            if relation.first().is_some_and(|relation| relation.blocked_by) {
                return Err(nobody());
            }
        }
        Ok(row.into())
    }

    /// Who has the name, whatever is between them and whoever asks.
    pub(crate) async fn find_named(&self, name: &str) -> Result<UserRow, ServiceError> {
        // What nobody can be called is not asked for: a database may not even take it.
        let name: UserName = name.parse().map_err(|_| nobody())?;
        users::find_by_name(&self.db, name.as_str())
            .await?
            .ok_or_else(nobody)
    }

    /// Links of these people, each one's in order.
    pub(crate) async fn links(
        &self,
        of: &[UserId],
    ) -> Result<HashMap<UserId, Vec<Link>>, ServiceError> {
        let mut links: HashMap<_, Vec<_>> = HashMap::new();
        for one in profile_links::of_users(&self.db, of).await? {
            let ProfileLink { label, url } = one.link;
            links.entry(one.user).or_default().push(Link { label, url });
        }
        Ok(links)
    }

    /// What is between whoever asks and these people; nothing where nobody has logged in.
    pub(crate) async fn between(
        &self,
        caller: &Caller,
        people: &[UserId],
    ) -> Result<HashMap<UserId, Viewer>, ServiceError> {
        let Some(viewer) = caller.user() else {
            return Ok(HashMap::new());
        };
        let relations = relations::between(&self.db, viewer, people).await?;
        let others = relations.into_iter().filter(|one| one.user != viewer);
        Ok(others.map(|one| (one.user, viewed(&one))).collect())
    }

    /// These people, with all that is shown of them.
    pub async fn describe(
        &self,
        caller: &Caller,
        people: Vec<Person>,
    ) -> Result<Vec<User>, ServiceError> {
        let ids: Vec<_> = people.iter().map(|person| person.row.id).collect();
        let mut links = self.links(&ids).await?;
        let mut between = self.between(caller, &ids).await?;
        let counts = self.counts(&ids).await?;
        let described = people.into_iter().map(|Person { row }| {
            let counts = counts.get(&row.id);
            User {
                id: row.id.to_string().into(),
                display_name: shown_name(&row).to_owned(),
                avatar_url: avatar_url(&row),
                bio: row.bio,
                links: links.remove(&row.id).unwrap_or_default(),
                is_private: row.is_private,
                is_suspended: row.suspended_at.is_some(),
                role: row.role.into(),
                created_at: row.created_at.into(),
                viewer: between.remove(&row.id),
                followers: counts.map_or(0, |counts| counts.followers),
                following: counts.map_or(0, |counts| counts.following),
                name: row.name,
            }
        });
        Ok(described.collect())
    }

    /// The account as its owner sees it.
    pub(crate) async fn describe_me(&self, row: &UserRow) -> Result<Me, ServiceError> {
        let mut links = self.links(&[row.id]).await?;
        Ok(Me {
            id: row.id.to_string().into(),
            name: row.name.clone(),
            display_name: shown_name(row).to_owned(),
            avatar_url: avatar_url(row),
            bio: row.bio.clone(),
            links: links.remove(&row.id).unwrap_or_default(),
            is_private: row.is_private,
            is_suspended: row.suspended_at.is_some(),
            email: row.email.clone(),
            role: row.role.into(),
            created_at: row.created_at.into(),
        })
    }
}

/// The name that is shown: the account's, where there is no other.
pub(crate) fn shown_name(row: &UserRow) -> &str {
    match row.display_name.as_str() {
        "" => &row.name,
        name => name,
    }
}

fn viewed(relation: &Relation) -> Viewer {
    Viewer {
        follows: relation.follows.into(),
        followed_by: relation.followed_by,
        blocks: relation.blocks,
        mutes: relation.mutes,
    }
}

pub(crate) fn nobody() -> ServiceError {
    ServiceError::NotFound("user".into())
}

/// Whether they administer the installation; of an API token, whether it is for that.
pub(crate) fn is_administrator(caller: &Caller) -> bool {
    match &caller.identity {
        Identity::Anonymous => false,
        Identity::Session { role, .. } => *role >= Role::Admin,
        Identity::Token { role, scopes, .. } => {
            *role >= Role::Admin && scopes.contains(&crate::caller::Scope::Admin)
        }
    }
}

pub(crate) fn is_moderator(caller: &Caller) -> bool {
    match &caller.identity {
        Identity::Anonymous => false,
        Identity::Session { role, .. } => *role >= Role::Moderator,
        Identity::Token { role, scopes, .. } => {
            *role >= Role::Moderator && scopes.contains(&crate::caller::Scope::Moderation)
        }
    }
}
