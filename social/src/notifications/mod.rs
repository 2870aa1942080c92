//! Notifications: what people are told of, and that there is something new.

mod changes;
mod listeners;

use std::collections::{HashMap, HashSet};

use media::{NotificationId, PostId, StreamId, UserId};
use storage::rows::notifications::{self, ActorRow, Kind, News, NotificationRow, Seen};
use storage::rows::users;

use crate::caller::Caller;
use crate::error::Fields;
use crate::model::{
    Notification, NotificationKind, Person as ShownPerson, PostStream, ReadNotificationsInput,
    UnreadNotifications,
};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::people::Person;
use crate::posts::{SeenPost, person};
use crate::{ServiceError, Services};

pub use changes::NotificationsChanged;
pub(crate) use listeners::Listeners;

/// Those who are named of the people who did something.
const NAMED: usize = 3;

/// Notifications that one call marks as read by their ids.
const SEEN_AT_MOST: usize = 100;

/// A notification, as its recipient sees it.
#[derive(Debug, Clone)]
pub struct SeenNotification {
    pub(crate) row: NotificationRow,
    /// Those who did it last.
    pub(crate) people: Vec<Person>,
    pub(crate) people_count: u32,
    /// What it is about.
    pub(crate) post: Option<SeenPost>,
    /// The last comment or quote.
    pub(crate) answer: Option<SeenPost>,
    pub(crate) stream: Option<PostStream>,
}

impl Services {
    /// What the caller is told of, the last begun first.
    pub async fn list_notifications(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<SeenNotification>, ServiceError> {
        let reader = self.begin_known(caller, Operation::ListNotifications)?.user;
        let (before, limit) = (page.after::<NotificationId>(), page.limit());
        let found = notifications::page(&self.db, reader, before, limit).await?;
        let page = page.looked_at(found, |row| row.id, |row| row);
        let rows: Vec<_> = page.items.iter().map(|(_, row)| *row).collect();
        let mut seen = self.see(caller, reader, &rows).await?.into_iter();
        let items = page.items.into_iter();
        Ok(Paged {
            items: items
                .filter_map(|(cursor, _)| Some((cursor, seen.next()?)))
                .collect(),
            next: page.next,
        })
    }

    /// How many notifications of the caller's are unread.
    pub async fn count_unread_notifications(
        &self,
        caller: &Caller,
    ) -> Result<UnreadNotifications, ServiceError> {
        let reader = self.begin_known(caller, Operation::CountUnreadNotifications)?;
        self.unread_of(reader.user).await
    }

    /// Marks some of the caller's notifications as read; how many are left.
    pub async fn read_notifications(
        &self,
        caller: &Caller,
        input: ReadNotificationsInput,
    ) -> Result<UnreadNotifications, ServiceError> {
        let reader = self.begin_known(caller, Operation::ReadNotifications)?.user;
        let (seen, up_to) = check(input)?;
        let now = self.now();
        let mut read = 0;
        if !seen.is_empty() {
            let mut transaction = self.db.write().await?;
            read += notifications::read(&mut transaction, reader, &seen, now).await?;
            transaction.commit().await?;
        }
        if let Some(last) = up_to {
            read += notifications::read_up_to(&self.db, reader, last, now).await?;
        }
        if read > 0 {
            // What else the caller has open shows it too.
            News(vec![reader]).publish(&*self.bus).await;
        }
        self.unread_of(reader).await
    }

    async fn unread_of(&self, reader: UserId) -> Result<UnreadNotifications, ServiceError> {
        let unread = notifications::unread(&self.db, reader).await?;
        Ok(UnreadNotifications { unread })
    }

    /// These notifications of `reader`'s, in their order, with whom and what they name: a bounded
    /// number of queries, however many they are.
    async fn see(
        &self,
        caller: &Caller,
        reader: UserId,
        rows: &[NotificationRow],
    ) -> Result<Vec<SeenNotification>, ServiceError> {
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let mut deeds: HashMap<NotificationId, Vec<ActorRow>> = HashMap::new();
        for deed in notifications::actors_of(&self.db, reader, &ids).await? {
            deeds.entry(deed.notification).or_default().push(deed);
        }
        let of = |id: &NotificationId| deeds.get(id).map_or(&[][..], Vec::as_slice);
        let people: HashSet<_> = rows.iter().flat_map(|row| last(of(&row.id))).collect();
        let people: Vec<_> = people.into_iter().collect();
        let people = self.people_by_id(&people).await?;
        let posts: HashSet<_> = rows
            .iter()
            .flat_map(|row| [post_of(row), answer_of(row, of(&row.id))])
            .flatten()
            .collect();
        let posts: Vec<_> = posts.into_iter().collect();
        let posts = self.posts_by_id(caller, &posts).await?;
        let streams: Vec<_> = rows.iter().filter_map(stream_of).collect();
        let streams = self.post_streams(caller, &streams).await?;
        let owners = self.owners(streams.values()).await?;
        let seen = rows.iter().map(|row| {
            let deeds = of(&row.id);
            let post = |id: Option<PostId>| id.and_then(|id| posts.get(&id)).cloned();
            let stream = stream_of(row).and_then(|id| streams.get(&id)).cloned();
            let owner = stream.as_ref().and_then(|stream| owners.get(&stream.owner));
            let owner = owner.cloned();
            let named = last(deeds).into_iter().filter_map(|id| people.get(&id));
            let named = named.cloned().map(Person::from);
            let distinct: HashSet<_> = deeds.iter().map(|deed| deed.actor).collect();
            let counted = distinct.len().min(notifications::ACTORS_AT_MOST as usize);
            SeenNotification {
                row: *row,
                people_count: u32::try_from(counted).unwrap_or(u32::MAX)
                    + u32::from(owner.is_some()),
                people: named.chain(owner).collect(),
                post: post(post_of(row)),
                answer: post(answer_of(row, deeds)),
                stream,
            }
        });
        Ok(seen.collect())
    }

    /// The owners of these streams, by their names.
    async fn owners(
        &self,
        streams: impl Iterator<Item = &PostStream>,
    ) -> Result<HashMap<String, Person>, ServiceError> {
        let names: HashSet<_> = streams.map(|stream| stream.owner.clone()).collect();
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let rows = users::by_names(&self.db, &names).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.name.clone(), row.into()))
            .collect())
    }

    /// These notifications with all that is shown of them, in their order.
    pub async fn show_notifications(
        &self,
        caller: &Caller,
        seen: Vec<SeenNotification>,
    ) -> Result<Vec<Notification>, ServiceError> {
        let posts = seen.iter().flat_map(|one| [&one.post, &one.answer]);
        let posts: Vec<_> = posts.flatten().cloned().collect();
        let shown = self.show_posts(caller, posts.clone()).await?;
        let shown: HashMap<_, _> = posts.iter().map(|post| post.row.id).zip(shown).collect();
        let post = |post: Option<SeenPost>| post.and_then(|post| shown.get(&post.row.id)).cloned();
        let notifications = seen.into_iter().map(|one| Notification {
            id: one.row.id.to_string(),
            kind: one.row.kind.into(),
            people: one
                .people
                .iter()
                .map(|one| person(&one.row))
                .collect::<Vec<ShownPerson>>(),
            people_count: one.people_count,
            post: post(one.post),
            answer: post(one.answer),
            stream: one.stream,
            revision: one.row.revision,
            is_read: one.row.read_at.is_some(),
            created_at: one.row.window_at.into(),
            changed_at: one.row.changed_at.into(),
        });
        Ok(notifications.collect())
    }
}

/// Who did it last, each once.
fn last(deeds: &[ActorRow]) -> Vec<UserId> {
    let mut named = Vec::with_capacity(NAMED);
    for deed in deeds {
        if named.len() == NAMED {
            break;
        }
        if !named.contains(&deed.actor) {
            named.push(deed.actor);
        }
    }
    named
}

/// The post that a notification is about.
fn post_of(row: &NotificationRow) -> Option<PostId> {
    match row.kind {
        Kind::Like | Kind::Comment | Kind::Mention | Kind::Share | Kind::Quote => {
            Some(row.target.into())
        }
        _ => None,
    }
}

/// The last comment or quote.
fn answer_of(row: &NotificationRow, deeds: &[ActorRow]) -> Option<PostId> {
    match row.kind {
        Kind::Comment | Kind::Quote => deeds.first().map(|deed| deed.deed.into()),
        _ => None,
    }
}

fn stream_of(row: &NotificationRow) -> Option<StreamId> {
    match row.kind {
        Kind::WentLive => Some(row.target.into()),
        _ => None,
    }
}

/// What is to be marked.
fn check(
    input: ReadNotificationsInput,
) -> Result<(Vec<Seen>, Option<NotificationId>), ServiceError> {
    const ID: &str = "expected the id of a notification, as the list gives it";
    let mut fields = Fields::default();
    if input.seen.len() > SEEN_AT_MOST {
        let many = format!(
            "expected at most {SEEN_AT_MOST}: there are {}",
            input.seen.len()
        );
        return Err(ServiceError::invalid("seen", many));
    }
    let mut seen = Vec::with_capacity(input.seen.len());
    for one in input.seen {
        let id = fields.read("seen", one.id.parse().map_err(|_| ID));
        let revision = match one.revision <= i64::MAX.unsigned_abs() {
            true => Ok(one.revision),
            false => Err("expected the revision of a notification, as the list gives it"),
        };
        if let (Some(id), Some(revision)) = (id, fields.read("seen", revision)) {
            seen.push(Seen { id, revision });
        }
    }
    let up_to = input.up_to.map(|id| id.parse().map_err(|_| ID));
    let up_to = up_to.and_then(|id| fields.read("up_to", id));
    match fields.is_empty() {
        true => Ok((seen, up_to)),
        false => Err(fields.into_error()),
    }
}

impl From<Kind> for NotificationKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Follow => Self::Follow,
            Kind::FollowRequest => Self::FollowRequest,
            Kind::FollowAccepted => Self::FollowAccepted,
            Kind::Like => Self::Like,
            Kind::Comment => Self::Comment,
            Kind::Mention => Self::Mention,
            Kind::Share => Self::Share,
            Kind::Quote => Self::Quote,
            Kind::WentLive => Self::WentLive,
            Kind::PostRemoved => Self::PostRemoved,
            Kind::Suspended => Self::Suspended,
            Kind::Unsuspended => Self::Unsuspended,
            Kind::RoleChanged => Self::RoleChanged,
        }
    }
}

#[cfg(test)]
mod tests {
    use media::Timestamp;

    use super::*;
    use crate::people::KNOWN_PREFERENCES;

    #[test]
    fn every_kind_that_one_can_do_without_is_a_preference() {
        let mut wanted: Vec<_> = Kind::ALL
            .iter()
            .filter_map(|kind| kind.preference())
            .collect();
        wanted.sort_unstable();
        let known = KNOWN_PREFERENCES
            .iter()
            .filter(|(name, _)| name.starts_with("notify_"));
        assert!(known.clone().all(|(_, values)| *values == ["on", "off"]));
        let known: Vec<_> = known.map(|(name, _)| *name).collect();
        assert_eq!(known, wanted);
    }

    #[test]
    fn the_last_who_did_something_are_named_once() {
        let people: Vec<_> = (0..5).map(|_| UserId::new()).collect();
        let deed = |n: usize| ActorRow {
            notification: NotificationId::new(),
            actor: people[n],
            deed: PostId::new().as_uuid(),
            at: Timestamp::default(),
        };
        let deeds = [4, 4, 2, 4, 0, 1].map(deed);
        assert_eq!(last(&deeds), [people[4], people[2], people[0]]);
        assert_eq!(last(&deeds[..2]), [people[4]]);
        assert_eq!(last(&[]), []);
    }

    #[test]
    fn what_cannot_be_marked_is_told() {
        let highest = i64::MAX.unsigned_abs();
        let seen_at = |id: &str, revision| crate::model::SeenNotificationInput {
            id: id.into(),
            revision,
        };
        let seen = |id: &str| seen_at(id, highest);
        let id = NotificationId::new().to_string();
        let input = |seen, up_to: Option<&str>| ReadNotificationsInput {
            seen,
            up_to: up_to.map(Into::into),
        };
        for refused in [
            input(vec![seen("x")], None),
            input(vec![seen_at(&id, highest + 1)], None),
            input(vec![], Some("x")),
            input(vec![seen(&id); SEEN_AT_MOST + 1], None),
        ] {
            assert_eq!(check(refused).unwrap_err().code(), "validation");
        }
        let (seen, up_to) = check(input(vec![seen(&id)], Some(&id))).unwrap();
        assert_eq!(seen[0].id.to_string(), id);
        assert_eq!(seen[0].revision, highest);
        assert_eq!(up_to, Some(seen[0].id));
        let (seen, up_to) = check(input(vec![], None)).unwrap();
        assert!(seen.is_empty() && up_to.is_none());
    }
}
