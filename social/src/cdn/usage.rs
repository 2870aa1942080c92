//! What was served, as the rows have it.

use media::{Micros, StreamName, Timestamp, UserId, VideoId};
use storage::rows::usage::{self, OfSubject, Period, Scope, Subject, SubjectName, Sums};
use storage::rows::users::UserRow;
use storage::rows::{streams, users};
use uuid::Uuid;

use super::reach::not_an_administrator;
use super::read_id;
use crate::caller::Caller;
use crate::model::{Usage, UsageBy, UsageInput, UsageSubject};
use crate::operation::{Actor, Operation};
use crate::paging::{PageRequest, Paged, Place};
use crate::people::is_administrator;
use crate::{ServiceError, Services};

/// Seconds of the period for which nothing was asked, and of its stretches.
const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;

impl Services {
    /// What was served of what is the caller's own; of everything, for administrators.
    pub async fn list_usage(
        &self,
        caller: &Caller,
        input: UsageInput,
        page: PageRequest,
    ) -> Result<Paged<Usage>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListUsage)?;
        let period = period(&input, self.now())?;
        let length = length(&input)?;
        let scope = self.usage_scope(caller, actor, &input).await?;
        match input.by {
            UsageBy::Time => self.usage_by_time(scope, period, length, page).await,
            UsageBy::Subject => self.usage_by_subject(scope, period, page).await,
            UsageBy::Owner if !is_administrator(caller) => Err(not_an_administrator(actor)),
            UsageBy::Owner if scope != Scope::All => {
                let expected = "expected no stream, video or owner with it";
                Err(ServiceError::invalid("by", expected))
            }
            UsageBy::Owner => self.usage_by_owner(period, page).await,
        }
    }

    async fn usage_scope(
        &self,
        caller: &Caller,
        actor: Actor,
        input: &UsageInput,
    ) -> Result<Scope, ServiceError> {
        let is_admin = is_administrator(caller);
        match (&input.stream, &input.video, &input.owner) {
            (None, None, None) if is_admin => Ok(Scope::All),
            (None, None, None) => Ok(Scope::Owner(actor.user)),
            (Some(name), None, None) if is_admin => {
                let name: StreamName = read_id(name, "stream")?;
                let stream = streams::by_name(&self.db, &name).await?;
                let stream = stream.ok_or_else(|| ServiceError::NotFound("stream".into()))?;
                Ok(Scope::Stream(stream.id))
            }
            (Some(name), None, None) => {
                let found = self.find_own_stream(caller, actor, name).await?;
                Ok(Scope::Stream(found.stream.id))
            }
            (None, Some(id), None) => {
                let id: VideoId = read_id(id, "video")?;
                if !is_admin {
                    self.find_own_video(actor.user, id).await?;
                }
                Ok(Scope::Video(id))
            }
            (None, None, Some(name)) => {
                let owner = self.find_named(name).await?.id;
                match is_admin || owner == actor.user {
                    true => Ok(Scope::Owner(owner)),
                    false => Err(not_an_administrator(actor)),
                }
            }
            _ => {
                let expected = "expected one of stream, video and owner at most";
                Err(ServiceError::invalid("", expected))
            }
        }
    }

    async fn usage_by_time(
        &self,
        scope: Scope,
        period: Period,
        length: Micros,
        page: PageRequest,
    ) -> Result<Paged<Usage>, ServiceError> {
        let after = page.after_place();
        let after = after.map(|place| Timestamp::from_micros(place.key.clamp(0, LAST * 1_000_000)));
        let rows = usage::by_time(&self.db, scope, period, length, after, page.limit()).await?;
        let place = |row: &usage::Bucket| Place {
            key: row.start.as_micros(),
            rest: Uuid::nil(),
        };
        Ok(page.page(rows, place, |row| Usage {
            start: Some(row.start.into()),
            ..summed(&row.sums)
        }))
    }

    async fn usage_by_subject(
        &self,
        scope: Scope,
        period: Period,
        page: PageRequest,
    ) -> Result<Paged<Usage>, ServiceError> {
        // They are in the order of their ids alone.
        let after = page.after_place().map(|place| match place.rest {
            id if id.is_nil() => Subject::Other,
            id => Subject::Stream(id.into()),
        });
        let rows = usage::by_subject(&self.db, scope, period, after, page.limit()).await?;
        let people = self
            .people_named(rows.iter().filter_map(|row| row.owner))
            .await?;
        Ok(page.page(
            rows,
            |row| id_of(row.subject).unwrap_or(Uuid::nil()),
            |row| of_subject(row, &people),
        ))
    }

    async fn usage_by_owner(
        &self,
        period: Period,
        page: PageRequest,
    ) -> Result<Paged<Usage>, ServiceError> {
        let rows = usage::by_owner(&self.db, period, page.after(), page.limit()).await?;
        let people = self.people_named(rows.iter().map(|row| row.owner)).await?;
        Ok(page.page(
            rows,
            |row| row.owner.as_uuid(),
            |row| Usage {
                owner: name_of(&people, Some(row.owner)),
                ..summed(&row.sums)
            },
        ))
    }

    async fn people_named(
        &self,
        ids: impl Iterator<Item = UserId>,
    ) -> Result<Vec<UserRow>, ServiceError> {
        let ids: Vec<UserId> = ids.collect();
        Ok(users::by_ids(&self.db, &ids).await?)
    }
}

/// The last day, unless something else is asked for.
fn period(input: &UsageInput, now: Timestamp) -> Result<Period, ServiceError> {
    let to = input.to.unwrap_or(now.as_micros() / 1_000_000 + 1);
    let from = input.from.unwrap_or(to.saturating_sub(DAY).max(0));
    let is_time = |seconds: i64| (0..=LAST).contains(&seconds);
    if !is_time(from) || !is_time(to) || from >= to {
        let expected = "expected seconds since 1970, and from before to";
        return Err(ServiceError::invalid("from", expected));
    }
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    Ok(Period {
        from: at(from),
        to: at(to),
    })
}

fn length(input: &UsageInput) -> Result<Micros, ServiceError> {
    let seconds = input.seconds.unwrap_or(HOUR);
    match (60..=366 * DAY).contains(&seconds) && seconds % 60 == 0 {
        true => Ok(Micros::from_secs(seconds)),
        false => {
            let expected = "expected a multiple of 60, a year at most";
            Err(ServiceError::invalid("seconds", expected))
        }
    }
}

fn id_of(subject: Subject) -> Option<Uuid> {
    match subject {
        Subject::Stream(id) => Some(id.as_uuid()),
        Subject::Video(id) => Some(id.as_uuid()),
        Subject::Other => None,
    }
}

fn name_of(people: &[UserRow], id: Option<UserId>) -> Option<String> {
    let person = people.iter().find(|person| Some(person.id) == id);
    person.map(|person| person.name.clone())
}

fn of_subject(row: OfSubject, people: &[UserRow]) -> Usage {
    Usage {
        subject: Some(match row.subject {
            Subject::Stream(_) => UsageSubject::Stream,
            Subject::Video(_) => UsageSubject::Video,
            Subject::Other => UsageSubject::Other,
        }),
        id: id_of(row.subject).map(|id| id.to_string().into()),
        name: row.name.map(|name| match name {
            SubjectName::Stream(name) => name.to_string(),
            SubjectName::Video(title) => title,
        }),
        owner: name_of(people, row.owner),
        ..summed(&row.sums)
    }
}

/// The sums, of nothing in particular.
fn summed(sums: &Sums) -> Usage {
    let counts = &sums.counts;
    Usage {
        start: None,
        subject: None,
        id: None,
        name: None,
        owner: None,
        requests: counts.requests,
        hits: counts.hits,
        errors: counts.errors,
        bytes: counts.bytes,
        origin_requests: counts.origin_requests,
        origin_bytes: counts.origin_bytes,
        most_viewers: sums.most_viewers,
        minutes_watched: sums.minutes_watched,
    }
}
