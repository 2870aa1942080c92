//! What people are told of: who followed them, liked, answered, mentioned or shared what they
//! wrote, went live, and what moderators did to them.
//!
//! **Grouped.** A row of `notifications` is what several did about one thing: the recipient, the
//! kind, the target and the time it was begun. A group takes what is added within [`WINDOW`] and
//! until it is read; then another is begun. It has its place for good, so that nobody who pages
//! is shown it twice or passes it over. Who did it are rows of `notification_actors`: a deed has
//! one, however often it is undone and done again, and is told once.
//!
//! **Nothing here says what is so.** Rows only say where to look: whether somebody still likes or
//! follows, whether a comment is there, whom the recipient blocks or mutes, and what they may see
//! stands inside the queries. What was undone is gone with the next reading, and so is a group of
//! which nobody is left.
//!
//! **Preferences are obeyed when rows are written**: a broadcast adds none for those who do not
//! want it, and what was told before stays as it was.
//!
//! [`run`] does all the work, beside requests. See `docs/NOTIFICATIONS.md`.

mod deeds;
mod live;
mod news;
mod pages;
#[cfg(test)]
mod plans;
mod reading;
mod retention;
mod shown;
mod upkeep;
mod writer;

use media::{Micros, NotificationId, Timestamp};
use uuid::Uuid;

use super::RowError;
use super::sql::{FromRow, Row};
use super::words::words;

pub use live::{FOLLOWERS_AT_ONCE, RESTS, begin as begin_fan_out, step as fan_out_step};
pub use news::{NEWS, News, NotNews, USERS_AT_ONCE};
pub use pages::{
    ACTORS_AT_MOST, ActorRow, NotificationPage, PAGE, UNREAD, UNREAD_AT_MOST, actors_of, exported,
    page, unread,
};
pub use reading::{Seen, read, read_up_to};
pub use retention::{KEPT_FOR, ROWS_AT_ONCE, Swept, sweep};
pub use upkeep::run;
pub use writer::{CONSUMER, Writer};

/// A group takes what is added within this time.
pub const WINDOW: Micros = Micros::from_secs(24 * 60 * 60);

words! {
    /// What happened.
    Kind, "follow, follow_request, follow_accepted, like, comment, mention, share, quote, \
     went_live, post_removed, suspended, unsuspended or role_changed":
    /// Somebody follows the recipient, who is the target.
    Follow = "follow",
    /// Somebody asks to follow the recipient, who is the target.
    FollowRequest = "follow_request",
    /// Somebody whom the recipient asked lets them follow. The target is the recipient.
    FollowAccepted = "follow_accepted",
    /// Somebody likes a post of the recipient's.
    Like = "like",
    /// Somebody answered a post of the recipient's.
    Comment = "comment",
    /// Somebody mentioned the recipient in the post that is the target.
    Mention = "mention",
    /// Somebody shared a post of the recipient's.
    Share = "share",
    /// Somebody quoted a post of the recipient's.
    Quote = "quote",
    /// A stream of somebody's whom the recipient follows.
    WentLive = "went_live",
    /// A post of the recipient's was deleted by right of a role.
    PostRemoved = "post_removed",
    /// The recipient, who is the target, was kept out.
    Suspended = "suspended",
    /// The recipient, who is the target, was let in again.
    Unsuspended = "unsuspended",
    /// The recipient, who is the target, has another role.
    RoleChanged = "role_changed"
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Follow,
        Self::FollowRequest,
        Self::FollowAccepted,
        Self::Like,
        Self::Comment,
        Self::Mention,
        Self::Share,
        Self::Quote,
        Self::WentLive,
        Self::PostRemoved,
        Self::Suspended,
        Self::Unsuspended,
        Self::RoleChanged,
    ];

    /// The preference that is `off` where somebody does not want to be told. `None`: everybody
    /// is told what moderators do to them.
    pub fn preference(self) -> Option<&'static str> {
        match self {
            Self::Follow => Some("notify_follow"),
            Self::FollowRequest => Some("notify_follow_request"),
            Self::FollowAccepted => Some("notify_follow_accepted"),
            Self::Like => Some("notify_like"),
            Self::Comment => Some("notify_comment"),
            Self::Mention => Some("notify_mention"),
            Self::Share => Some("notify_share"),
            Self::Quote => Some("notify_quote"),
            Self::WentLive => Some("notify_went_live"),
            Self::PostRemoved | Self::Suspended | Self::Unsuspended | Self::RoleChanged => None,
        }
    }
}

/// A notification: what happened to somebody, grouped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotificationRow {
    /// Id, and place.
    pub id: NotificationId,
    /// What happened.
    pub kind: Kind,
    /// What it is about: a post, a stream, or a user.
    pub target: Uuid,
    /// When it was begun.
    pub window_at: Timestamp,
    /// When what was added last happened.
    pub changed_at: Timestamp,
    /// One more with each that is added.
    pub revision: u64,
    /// When it was read; `None`: it is unread.
    pub read_at: Option<Timestamp>,
}

impl FromRow for NotificationRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.parsed("kind")?,
            target: row.get("target_id")?,
            window_at: row.get("window_at")?,
            changed_at: row.get("changed_at")?,
            revision: row.get("revision")?,
            read_at: row.get("read_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_spelled_the_same_everywhere() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
            let preference = kind.preference();
            assert!(preference.is_none_or(|name| name == format!("notify_{kind}")));
        }
    }
}
