//! Posts: what people write, share and like.

mod announcing;
mod attachments;
mod images;
mod lists;
mod reactions;
mod removal;
mod shown;
pub mod text;
mod writing;

use media::PostId;
use storage::rows::posts::{self, PostRow};

use crate::caller::Caller;
use crate::operation::Operation;
use crate::{ServiceError, Services};

pub use images::MAX_DESCRIPTION;
pub(crate) use images::{ImageName, shown as shown_image};
pub(crate) use lists::seen;
pub(crate) use shown::{parts, person};

/// A post, as whoever asks may see it: with what it says, or empty, where it was deleted and
/// holds its place in a thread.
#[derive(Debug, Clone)]
pub struct SeenPost {
    pub(crate) row: PostRow,
}

impl From<PostRow> for SeenPost {
    fn from(row: PostRow) -> Self {
        Self { row }
    }
}

impl SeenPost {
    /// Its id.
    pub fn id(&self) -> PostId {
        self.row.id
    }

    /// What it says, as it was written; of a share, nothing.
    pub fn text(&self) -> &str {
        &self.row.body
    }

    /// What is meant by it: of a share, what it shares. Nothing is done to a share.
    pub(crate) fn subject(&self) -> PostId {
        self.row.share_of.unwrap_or(self.row.id)
    }

    /// Whether it only holds its place in a thread.
    pub(crate) fn is_deleted(&self) -> bool {
        self.row.deleted_at.is_some()
    }
}

impl Services {
    /// A post, by id.
    pub async fn get_post(&self, caller: &Caller, id: &str) -> Result<SeenPost, ServiceError> {
        self.begin(caller, Operation::GetPost)?;
        self.find_post(caller, id).await
    }

    /// The post with that id, if whoever asks may see it.
    pub(crate) async fn find_post(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<SeenPost, ServiceError> {
        let (id, viewer) = (parse(id)?, caller.user());
        let found = match posts::find(&self.db, id, viewer).await? {
            Some(row) => Some(row),
            None => posts::find_emptied(&self.db, id, viewer).await?,
        };
        found.map(SeenPost::from).ok_or_else(missing)
    }

    /// The same of a post that says something.
    pub(crate) async fn find_readable_post(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<SeenPost, ServiceError> {
        let row = posts::find(&self.db, parse(id)?, caller.user()).await?;
        row.map(SeenPost::from).ok_or_else(missing)
    }
}

/// What is no id is nobody's.
fn parse(id: &str) -> Result<PostId, ServiceError> {
    id.parse().map_err(|_| missing())
}

fn missing() -> ServiceError {
    ServiceError::NotFound("post".into())
}
