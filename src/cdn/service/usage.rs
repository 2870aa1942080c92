//! Usage, as the rows have it.

use media::{Micros, Timestamp, UserId};
use storage::rows::usage::{self, Bucket, OfOwner, OfSubject, Period, Scope, Subject};

use super::{Cdn, CdnError, MAX_PAGE};

impl Cdn {
    /// Usage in stretches of `length`, those after the one that begins at `after`.
    pub async fn usage_by_time(
        &self,
        scope: Scope,
        period: Period,
        length: Micros,
        after: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Bucket>, CdnError> {
        let (database, limit) = (self.database()?, limit.clamp(1, MAX_PAGE));
        Ok(usage::by_time(database, scope, period, length, after, limit).await?)
    }

    /// Usage of each stream and video, and of all else, those after `after`.
    pub async fn usage_by_subject(
        &self,
        scope: Scope,
        period: Period,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<OfSubject>, CdnError> {
        let (database, limit) = (self.database()?, limit.clamp(1, MAX_PAGE));
        Ok(usage::by_subject(database, scope, period, after, limit).await?)
    }

    /// Usage of what each user has, those after `after`.
    pub async fn usage_by_owner(
        &self,
        period: Period,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<OfOwner>, CdnError> {
        let (database, limit) = (self.database()?, limit.clamp(1, MAX_PAGE));
        Ok(usage::by_owner(database, period, after, limit).await?)
    }
}
