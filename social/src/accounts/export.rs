//! All that there is of an account, for its owner.

use media::Timestamp;
use storage::rows::account_export::{self, ExportedPerson, People};
use storage::rows::users::{self, UserRow};
use storage::rows::{
    api_tokens, chat, images, notifications, preferences, reports, stream_keys, streams, videos,
};

use crate::caller::Caller;
use crate::limits::Key;
use crate::model::{
    AccountExport, ExportedChatMessage, ExportedFollow, ExportedImage, ExportedLike,
    ExportedNotification, ExportedPost, ExportedReport, ExportedRevision, ExportedStream,
    ExportedVideo, LoginSession, Moment,
};
use crate::operation::Operation;
use crate::posts::shown_image;
use crate::streams::{shown as shown_stream, shown_key};
use crate::{ServiceError, Services};

/// Rows that are read at once.
const PAGE: u32 = 500;

/// Rows of one list, at most: who has more is told that the list goes on.
const MOST: usize = 50_000;

/// Bytes of the texts of one list, about: it ends there too.
const MOST_BYTES: usize = 64 << 20;

/// A list as it grows, page by page.
struct Growing<T> {
    items: Vec<T>,
    /// Bytes of their texts, where these are long.
    bytes: usize,
    goes_on: bool,
}

impl<T> Growing<T> {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            goes_on: true,
        }
    }

    /// Adds a page, and says whether another is wanted.
    fn add(&mut self, page: impl ExactSizeIterator<Item = T>) -> bool {
        let is_full = page.len() == PAGE as usize;
        self.items.extend(page);
        self.goes_on = is_full;
        is_full && self.items.len() < MOST && self.bytes < MOST_BYTES
    }
}

impl Services {
    /// All that there is of the caller's account.
    pub async fn export_account(&self, caller: &Caller) -> Result<AccountExport, ServiceError> {
        let actor = self.begin_known(caller, Operation::ExportAccount)?;
        let exports = &self.limiter.exports;
        exports.take(Key::User(actor.user), &caller.standings)?;
        let row = users::by_id(&self.db, actor.user)
            .await?
            .filter(UserRow::is_active)
            .ok_or(ServiceError::Unauthenticated)?;
        let sessions = self.exported_sessions(caller, &row).await?;
        let reports = self.exported_reports(&row).await?;
        let followers = self.exported_people(&row, People::Followers).await?;
        let following = self.exported_people(&row, People::Following).await?;
        let blocked = self.exported_people(&row, People::Blocked).await?;
        let muted = self.exported_people(&row, People::Muted).await?;
        let posts = self.exported_posts(caller, &row).await?;
        let revisions = self.exported_revisions(&row).await?;
        let images = self.exported_images(&row).await?;
        let streams = self.exported_streams(&row).await?;
        let videos = self.exported_videos(&row).await?;
        let likes = self.exported_likes(&row).await?;
        let notifications = self.exported_notifications(&row).await?;
        let chat_messages = self.exported_chat_messages(&row).await?;
        // There are a few at most.
        let tokens = api_tokens::of_user(&self.db, row.id, None, PAGE).await?;
        let goes_on = sessions.goes_on
            || reports.goes_on
            || posts.goes_on
            || revisions.goes_on
            || images.goes_on
            || streams.goes_on
            || videos.goes_on
            || likes.goes_on
            || notifications.goes_on
            || chat_messages.goes_on
            || [&followers, &following, &blocked, &muted]
                .iter()
                .any(|list| list.goes_on);
        Ok(AccountExport {
            account: self.describe_me(&row).await?,
            exported_at: self.now().into(),
            email_verified_at: row.email_verified_at.map(Moment::from),
            sessions: sessions.items,
            api_tokens: tokens.iter().map(super::api_tokens::shown).collect(),
            preferences: preferences::all(&self.db, row.id)
                .await?
                .into_iter()
                .collect(),
            followers: followers.items,
            following: following.items,
            blocked: blocked.items,
            muted: muted.items,
            reports: reports.items,
            posts: posts.items,
            revisions: revisions.items,
            images: images.items,
            streams: streams.items,
            videos: videos.items,
            likes: likes.items,
            notifications: notifications.items,
            chat_messages: chat_messages.items,
            is_complete: !goes_on,
        })
    }

    async fn exported_sessions(
        &self,
        caller: &Caller,
        of: &UserRow,
    ) -> Result<Growing<LoginSession>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = account_export::logins(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            let current = caller.session();
            if !list.add(page.into_iter().map(|row| LoginSession::of(row, current))) {
                return Ok(list);
            }
        }
    }

    async fn exported_people(
        &self,
        of: &UserRow,
        which: People,
    ) -> Result<Growing<ExportedFollow>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = account_export::people(&self.db, of.id, which, after, PAGE).await?;
            after = page.last().map(|row| row.user).or(after);
            if !list.add(page.into_iter().map(exported)) {
                return Ok(list);
            }
        }
    }

    async fn exported_reports(
        &self,
        of: &UserRow,
    ) -> Result<Growing<ExportedReport>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = reports::by_reporter(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            let page = page.into_iter().map(|row| ExportedReport {
                user_id: row.subject.to_string(),
                reason: row.reason,
                comment: row.comment,
                created_at: row.created_at.into(),
                resolved_at: row.resolved_at.map(Moment::from),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_posts(
        &self,
        caller: &Caller,
        of: &UserRow,
    ) -> Result<Growing<ExportedPost>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = account_export::posts(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            list.bytes += page.iter().map(|row| row.body.len()).sum::<usize>();
            let ids: Vec<_> = page.iter().map(|row| row.id).collect();
            let mut videos = self.post_videos(caller, &ids).await?;
            let streams: Vec<_> = page.iter().filter_map(|row| row.stream).collect();
            let streams = self.post_streams(caller, &streams).await?;
            let stream = |id| streams.get(&id).map(|stream| stream.name.clone());
            let page = page.into_iter().map(|row| ExportedPost {
                video: videos.remove(&row.id).map(|video| video.id.0),
                stream: row.stream.and_then(stream),
                id: row.id.to_string(),
                text: row.body,
                visibility: row.visibility.into(),
                reply_to: row.parent.map(|id| id.to_string()),
                share_of: row.share_of.map(|id| id.to_string()),
                quote: row.quote_of.map(|id| id.to_string()),
                revision: row.revision,
                created_at: row.created_at.into(),
                edited_at: row.edited_at.map(Moment::from),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_revisions(
        &self,
        of: &UserRow,
    ) -> Result<Growing<ExportedRevision>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = account_export::revisions(&self.db, of.id, after, PAGE).await?;
            let last = page.last().map(|row| (row.post, row.revision.number));
            after = last.or(after);
            list.bytes += page
                .iter()
                .map(|row| row.revision.body.len())
                .sum::<usize>();
            let page = page.into_iter().map(|row| ExportedRevision {
                post_id: row.post.to_string(),
                number: row.revision.number,
                text: row.revision.body,
                created_at: row.revision.created_at.into(),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_images(&self, of: &UserRow) -> Result<Growing<ExportedImage>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = images::of_owner(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            list.bytes += page.iter().map(|row| row.description.len()).sum::<usize>();
            let page = page.into_iter().map(|row| ExportedImage {
                post_id: row.post.map(|post| post.to_string()),
                created_at: row.created_at.into(),
                image: shown_image(&row),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_streams(
        &self,
        of: &UserRow,
    ) -> Result<Growing<ExportedStream>, ServiceError> {
        let mut list = Growing::new();
        let (owner, mut before) = (of.id, None);
        loop {
            let page = streams::of_owner(&self.db, owner, Some(owner), before, PAGE).await?;
            before = page.last().map(|row| row.stream.id).or(before);
            let mut exported = Vec::with_capacity(page.len());
            for row in page {
                let now = self.now();
                let keys = stream_keys::of_stream(&self.db, row.stream.id, now).await?;
                list.bytes += row.stream.description.len();
                exported.push(ExportedStream {
                    stream: shown_stream(&row, Some(owner), now),
                    keys: keys.into_iter().map(shown_key).collect(),
                });
            }
            if !list.add(exported.into_iter()) {
                return Ok(list);
            }
        }
    }

    async fn exported_videos(&self, of: &UserRow) -> Result<Growing<ExportedVideo>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = videos::of_owner(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            let page = page.into_iter().map(|row| ExportedVideo {
                id: row.id.to_string(),
                title: row.title,
                state: row.state.to_string(),
                is_recording: row.session.is_some(),
                duration: row.duration.map(|span| span.to_duration().as_secs_f64()),
                created_at: row.created_at.into(),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_chat_messages(
        &self,
        of: &UserRow,
    ) -> Result<Growing<ExportedChatMessage>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = chat::of_author(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| (row.stream, row.sequence)).or(after);
            list.bytes += page.iter().map(|row| row.body.len()).sum::<usize>();
            let page = page.into_iter().map(|row| ExportedChatMessage {
                id: row.id.to_string(),
                stream: row.stream_name,
                text: row.body,
                reply_to: row.reply_to.map(|id| id.to_string()),
                media_time: row.media_at.into(),
                created_at: row.created_at.into(),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_likes(&self, of: &UserRow) -> Result<Growing<ExportedLike>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = account_export::likes(&self.db, of.id, after, PAGE).await?;
            after = page.last().copied().or(after);
            let page = page.into_iter().map(|row| ExportedLike {
                post_id: row.post.to_string(),
                since: row.created_at.into(),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }

    async fn exported_notifications(
        &self,
        of: &UserRow,
    ) -> Result<Growing<ExportedNotification>, ServiceError> {
        let mut list = Growing::new();
        let mut after = None;
        loop {
            let page = notifications::exported(&self.db, of.id, after, PAGE).await?;
            after = page.last().map(|row| row.id).or(after);
            let page = page.into_iter().map(|row| ExportedNotification {
                id: row.id.to_string(),
                kind: row.kind.into(),
                about: row.target.to_string(),
                created_at: row.window_at.into(),
                changed_at: row.changed_at.into(),
                read_at: row.read_at.map(Moment::from),
            });
            if !list.add(page) {
                return Ok(list);
            }
        }
    }
}

fn exported(row: ExportedPerson) -> ExportedFollow {
    let accepted: Option<Timestamp> = row.accepted_at;
    ExportedFollow {
        name: row.name,
        since: row.created_at.into(),
        accepted_at: accepted.map(Moment::from),
    }
}
